"""The games of VizDoom's own Gymnasium wrapper, as guests; importing this module registers them."""

import contextlib
from typing import Any

import gymnasium as gym
import vizdoom as vzd
import vizdoom.gymnasium_wrapper  # registers the games

from worldmodels.envs.doom_engine import ATTEMPTS, ENGINE_ERRORS, RECYCLE_AFTER, episode_lost, launch


class GuestGame:
    """A `DoomGame` whose engine is started by `launch`, which leaves nothing behind."""

    def __init__(self, game: vzd.DoomGame) -> None:
        self._game = game

    def __getattr__(self, name: str) -> Any:
        return getattr(self._game, name)

    def init(self) -> None:
        """Start the engine."""
        launch(self._game)


class VizdoomGame(gym.Wrapper):
    """One of VizDoom's own games with its rough edges taken off.

    - The engine leaves no files in the working directory.
    - If it dies, a new one replays the episode from its seed and goes on, as if nothing had happened. Every
      `RECYCLE_AFTER` episodes a new one takes over unasked.
    - A time limit is `truncated` only, as Gymnasium defines it; VizDoom sets both flags.
    - After the last tic the engine has no picture: the last step repeats the observation of the one before.

    Args:
        env: made by `gymnasium.make("Vizdoom...")`, not yet reset.

    Raises:
        UserError: if three new engines in a row die.
    """

    def __init__(self, env: gym.Env) -> None:
        super().__init__(env)
        wrapped: Any = env.unwrapped  # a VizdoomEnv
        wrapped.game = GuestGame(wrapped.game)
        self._game = wrapped
        self._seed, self._actions = 0, list[Any]()  # all it takes to replay the episode
        self._observation: Any = None
        self._episodes = 0  # begun by this engine

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode; without a seed, one is drawn from `np_random`."""
        self._seed = int(self.np_random.integers(2**31)) if seed is None else seed
        self._actions.clear()
        if self._episodes >= RECYCLE_AFTER:
            self._end_engine()  # resetting starts another
        try:
            self._observation, info = self.env.reset(seed=self._seed)
        except ENGINE_ERRORS:
            self._observation, info = self._replay()
        self._episodes += 1
        return self._observation, info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """One step of the game."""
        self._actions.append(action)
        try:
            result = self.env.step(action)
        except ENGINE_ERRORS:
            result = self._replay()
        observation, reward, terminated, truncated, info = result
        if self._game.state is not None:
            self._observation = observation
        return self._observation, float(reward), terminated and not truncated, truncated, info

    def _end_engine(self) -> None:
        self._episodes = 0
        with contextlib.suppress(*ENGINE_ERRORS):
            self._game.game.close()

    def _replay(self) -> Any:
        """Bring a new engine to this point of the episode; returns what its last `reset` or `step` returned."""
        cause: Exception | None = None
        for _ in range(ATTEMPTS):
            self._end_engine()
            try:
                result: Any = self.env.reset(seed=self._seed)
                for action in self._actions:
                    result = self.env.step(action)
                return result
            except ENGINE_ERRORS as error:
                cause = error
        raise episode_lost(cause) from cause
