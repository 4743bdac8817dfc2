"""The job of workers that play exploring policies: from the seeds of some episodes to the episodes."""

from collections.abc import Sequence

from worldmodels.config import TaskConfig
from worldmodels.data.episode import Episode, Notes
from worldmodels.envs.frames import as_it_is
from worldmodels.envs.make import make_game
from worldmodels.exploration.policies import PolicyMaker
from worldmodels.pulse import beat


class PlayExploring:
    """Plays episodes, each with an exploring policy of its own.

    Args:
        task: the game, with the step limit of recorded episodes.
        make_policy: makes the policy of each episode, always of the same kind.
    """

    def __init__(self, task: TaskConfig, make_policy: PolicyMaker) -> None:
        self._make_policy = make_policy
        self._game = make_game(task)

    def __call__(self, seeds: Sequence[int]) -> list[Episode]:
        """The episodes with some seeds."""
        return [self._episode(seed) for seed in seeds]

    def _episode(self, seed: int) -> Episode:
        game = self._game
        policy = self._make_policy(game.get_wrapper_attr("squash"), seed)
        notes = Notes(seed, as_it_is if policy.looks else game.get_wrapper_attr("defer")())
        frame, _ = game.reset(seed=seed)
        terminated = truncated = False
        while not (terminated or truncated):
            action = policy.act(frame)
            notes.see(frame, action)
            frame, reward, terminated, truncated, _ = game.step(action)
            notes.pay(float(reward))
            beat()
        return notes.episode(terminated, truncated)

    def close(self) -> None:
        """Close the game."""
        self._game.close()
