"""DoomTakeCover as the World Models paper plays it: VizDoom's take_cover map behind Gymnasium's interface.

Gymnasium's own `VizdoomTakeCover-v1` is another game: no time limit, other effects drawn, every tic from the
first. Here the settings are the paper's: skill 4, the first 14 tics skipped, at most 2100 tics, one tic a
step. A policy that draws U(-1, 1) at every step survives about 210 (Ha & Schmidhuber 2018, section 4).
"""

import contextlib
import math
from typing import Any

import gymnasium
import numpy as np
import vizdoom as vzd
from gymnasium.error import ResetNeeded
from numpy.typing import NDArray

from worldmodels.envs.doom_engine import ATTEMPTS, ENGINE_ERRORS, RECYCLE_AFTER, episode_lost, start_engine
from worldmodels.envs.doom_screen import SCREEN_SHAPE, TASK_ROWS, coloured, covered, task_frame
from worldmodels.envs.frames import SHAPE

TICS_PER_SECOND = 35
MOST_TICS = 2**31 - 1
"""The engine takes no longer time limit."""
STAY, LEFT, RIGHT = 0, 1, 2
_BUTTONS = ([0, 0], [1, 0], [0, 1])  # MOVE_LEFT, MOVE_RIGHT of each move
FIREBALL = "DoomImpBall"
QUARTER_COVERED = 64
"""A pixel shows a fireball if so much of it does, out of 255: one far away is smaller than a pixel."""


class TakeCover(gymnasium.Env[NDArray[np.uint8], NDArray[np.float32]]):
    """Dodge the imps' fireballs by stepping left and right, for as long as possible.

    - Action: float32 (1,). a > 1/3 moves right, a < -1/3 moves left, anything between stands still.
    - Observation: the task frame, uint8 (64, 64, 3), see `task_frame`; with `size=None` the whole screen,
      uint8 (120, 160, 3).
    - Reward: 1 for every step, the one in which the player dies included. A return is the number of tics
      survived, and an episode that lasts until the time limit returns exactly `time_limit`.
    - Death is `terminated`, the time limit is `truncated` only (the engine has one flag for both).
    - After the last tic the engine has no picture: the last step repeats the frame (and info) of the step
      before, so that no black frame is ever seen.

    An episode is a function of the seed and the actions alone, even if the engine dies in the middle: the
    environment remembers the episode's seed and moves, replays them in a new engine (0.2 s, and 4,000 tics a
    second) and goes on, bit for bit as if nothing had happened.

    Args:
        size: 64 for task frames, None for whole screens.
        skill: Doom's difficulty, 1 to 5. The paper's baseline fits 4.
        time_limit: tics an episode lasts at most.
        labels: whether `info` tells where things are, for probes of what V and M know. Positions are in map
            units, velocities in map units a tic; the player looks along +x throughout, so right is -y.
            `info["player"]`: float64 (2,), the player's x and y.
            `info["fireballs"]`: list of (x, y, vx, vy), one a fireball, seen or unseen; may be empty. One
            that has burst stays for up to 17 tics, at rest.
            `info["fireball_pixels"]`: bool (64, 64), which pixels of the task frame show a fireball.
        recycle_after: episodes after which a fresh engine takes over; no result changes.
        render_mode: "rgb_array" or None.

    Attributes:
        deferred: set to true, for observations that are the part of the engine's own screen that task frames are made
            of, uint8 (100, 160), only to be read. `develop` makes task frames of them.

    Raises:
        ValueError: if an action is not one finite number in an array of shape (1,), or an argument is none of
            the above.
        ResetNeeded: by `step` outside an episode, by `render` before the first.
        UserError: if three new engines in a row die.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012
        "render_modes": ["rgb_array"],
        "render_fps": TICS_PER_SECOND,
    }

    def __init__(
        self,
        *,
        size: int | None = 64,
        skill: int = 4,
        time_limit: int = 2100,
        labels: bool = False,
        recycle_after: int = RECYCLE_AFTER,
        render_mode: str | None = None,
    ) -> None:
        _check("size", size, size in (64, None), "64 or None")
        _check("skill", skill, _is_whole(skill, 1, 5), "an integer from 1 to 5")
        _check("time_limit", time_limit, _is_whole(time_limit, 1, MOST_TICS), f"an integer from 1 to {MOST_TICS}")
        _check("recycle_after", recycle_after, recycle_after >= 1, "at least 1 episode")
        _check("render_mode", render_mode, render_mode in (None, "rgb_array"), "'rgb_array' or None")
        self.size, self.skill, self.time_limit = size, skill, time_limit
        self.labels, self.recycle_after, self.render_mode = labels, recycle_after, render_mode
        self.deferred = False
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)
        shape = SCREEN_SHAPE if size is None else SHAPE
        self.observation_space = gymnasium.spaces.Box(0, 255, shape, np.uint8)
        self._game: vzd.DoomGame | None = None  # the first reset starts it
        self._episodes = 0  # begun by this engine
        self._seed = 0  # with the moves: all it takes to replay the episode
        self._moves = bytearray()
        self._in_episode = False
        self._screen: NDArray[np.uint8] | None = None  # of numbers of colours
        self._labels: dict[str, Any] = {}

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.uint8], dict[str, Any]]:
        """Begins an episode; its seed is drawn from `np_random`, so `seed` fixes all episodes that follow."""
        super().reset(seed=seed)
        self._seed = int(self.np_random.integers(2**31))
        self._moves.clear()
        try:
            if self._game is None or self._episodes >= self.recycle_after:
                self._game = self._restore()
            else:
                self._begin(self._game)
        except ENGINE_ERRORS:
            self._game = self._restore()
        self._look(self._game)
        self._in_episode = True
        return self._observation(), self._info()

    def step(self, action: NDArray[np.float32]) -> tuple[NDArray[np.uint8], float, bool, bool, dict[str, Any]]:
        """Plays one tic, 1/35 s."""
        move = _move(action)
        if not self._in_episode or self._game is None:
            raise ResetNeeded("This TakeCover episode is over or has not begun: call reset() before step().")
        self._moves.append(move)
        try:
            self._game.make_action(_BUTTONS[move])
        except ENGINE_ERRORS:
            self._game = self._restore()
        over = not self._look(self._game)
        dead = over and self._game.is_player_dead()
        self._in_episode = not over
        return self._observation(), 1.0, dead, over and not dead, self._info()

    def render(self) -> NDArray[np.uint8] | None:
        """The whole screen, uint8 (120, 160, 3), after an episode its last; None without render_mode."""
        if self.render_mode is None:
            return None
        return coloured(self._last_screen())

    @staticmethod
    def develop(screen: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The task frame (64, 64, 3) of a deferred observation (100, 160)."""
        return task_frame(screen)

    def close(self) -> None:
        """Ends the engine. May be called again, and `reset` starts another."""
        self._in_episode = False
        game, self._game = self._game, None
        if game is not None:
            with contextlib.suppress(*ENGINE_ERRORS):
                game.close()

    def _begin(self, game: vzd.DoomGame) -> None:
        game.set_seed(self._seed)
        game.new_episode()
        self._episodes += 1

    def _restore(self) -> vzd.DoomGame:
        """Ends the engine and brings a new one to this very point of the episode."""
        cause: Exception | None = None
        for _ in range(ATTEMPTS):
            self.close()
            try:
                game = start_engine(self.skill, self.time_limit, self.labels)
                self._episodes = 0
                self._begin(game)
                for move in self._moves:
                    game.make_action(_BUTTONS[move])
                return game
            except ENGINE_ERRORS as error:
                cause = error
        raise episode_lost(cause) from cause

    def _look(self, game: vzd.DoomGame) -> bool:
        """Takes screen and objects from the engine; False if the episode is over and there are none."""
        state = game.get_state()
        if state is None:
            return False
        self._screen = state.screen_buffer  # a new array for every state, not the engine's own buffer
        self._labels = _positions(state.objects) | _pixels(state) if self.labels else {}
        return True

    def _last_screen(self) -> NDArray[np.uint8]:
        if self._screen is None:
            raise ResetNeeded("TakeCover has no picture before the first reset().")
        return self._screen

    def _observation(self) -> NDArray[np.uint8]:
        screen = self._last_screen()
        if self.size is None:
            return coloured(screen)
        return screen[:TASK_ROWS] if self.deferred else task_frame(screen)

    def _info(self) -> dict[str, Any]:
        return dict(self._labels)


def _move(action: NDArray[np.float32]) -> int:
    """STAY, LEFT or RIGHT for an action."""
    values = np.asarray(action)
    if values.shape != (1,) or values.dtype.kind not in "fiu" or not math.isfinite(values[0]):
        raise ValueError(f"TakeCover's action is one finite number in an array of shape (1,), not {action}.")
    value = float(values[0])
    return RIGHT if value > 1 / 3 else LEFT if value < -1 / 3 else STAY


def _positions(objects: list[vzd.Object]) -> dict[str, Any]:
    """Where the player and the fireballs are, as `TakeCover` documents it."""
    player = next(thing for thing in objects if thing.name == "DoomPlayer")
    fireballs = [thing for thing in objects if thing.name == FIREBALL]
    return {
        "player": np.array([player.position_x, player.position_y]),
        "fireballs": [(f.position_x, f.position_y, f.velocity_x, f.velocity_y) for f in fireballs],
    }


def _pixels(state: vzd.GameState) -> dict[str, Any]:
    """Where the task frame shows fireballs, as `TakeCover` documents it."""
    assert state.labels is not None
    assert state.labels_buffer is not None
    values = [label.value for label in state.labels if label.object_name == FIREBALL]
    return {"fireball_pixels": covered(np.isin(state.labels_buffer, values)) >= QUARTER_COVERED}


def _is_whole(value: object, least: int, most: int) -> bool:
    return isinstance(value, int) and least <= value <= most


def _check(name: str, value: object, valid: bool, wanted: str) -> None:
    if not valid:
        raise ValueError(f"TakeCover's {name} must be {wanted}, not {value!r}.")
