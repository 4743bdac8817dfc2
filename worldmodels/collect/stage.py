"""Stage 1: play episodes with an exploring policy and write them to disk."""

from functools import partial
from pathlib import Path

import lance
import numpy as np
import zstandard

from worldmodels.collect.policies import exploring_policy
from worldmodels.config import Config
from worldmodels.data.rollouts import (
    COMPRESSION_LEVEL,
    EPISODES,
    FLUSH_ROWS,
    Episode,
    Rollouts,
    append_episodes,
    compress,
    summarise,
)
from worldmodels.envs.make import make_game
from worldmodels.errors import UserError
from worldmodels.metrics import progress_bar
from worldmodels.options import identity
from worldmodels.runs import Run
from worldmodels.seeds import TRAINING, stream
from worldmodels.workers import Pool


class PlayEpisode:
    """A worker's job: plays the episode of a given number."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.game = make_game(config.task)
        self.squash = self.game.get_wrapper_attr("squash")

    def __call__(self, number: int) -> Episode:
        """Episode `number` of the run, played from its own seed."""
        seed = episode_seed(self.config.seed, number)
        policy = exploring_policy(self.config, self.squash, seed)
        compressor = zstandard.ZstdCompressor(level=COMPRESSION_LEVEL)
        frames, actions, rewards = [], [], []
        frame, _ = self.game.reset(seed=seed)
        terminated = truncated = False
        while not (terminated or truncated):
            action = policy.act(frame)
            frames.append(compress(frame, compressor))
            frame, reward, terminated, truncated, _ = self.game.step(action)
            actions.append(action)
            rewards.append(reward)
            truncated |= len(rewards) == self.config.collect.max_steps
        return Episode(seed, frames, np.stack(actions), np.array(rewards, np.float32), terminated, truncated)

    def close(self) -> None:
        """Close the game."""
        self.game.close()


def episode_seed(seed: int, number: int) -> int:
    """The training seed of episode `number` of a run."""
    return TRAINING[int(stream(seed, "collect/seeds", number).integers(len(TRAINING)))]


def collect_rollouts(run: Run) -> None:
    """Collect the run's rollouts; can be killed and called again any time, and with more episodes once finished.

    Episodes are written in the order of their numbers, each a function of the run's seed and its number: which worker
    played it, and how often the collection was interrupted, leaves no trace.
    """
    config, stage = run.config, run.rollouts
    if stage.started and "import" in stage.options():
        raise UserError(f"{stage.folder} holds episodes that were imported: collect into a new --run.")
    with stage.begin(run.made_from(**recorded_options(config))):
        done = stage.done
        if done is not None and done["summary"]["episodes"] >= config.collect.episodes:
            return
        game = make_game(config.task)
        squash = game.get_wrapper_attr("squash")
        exploring_policy(config, squash, seed=1)  # refuses options that do not fit the game before any work
        game.close()
        stage.reopen()
        path = stage.folder / EPISODES
        _collect(run, _collected(path))
        lance.dataset(str(path)).cleanup_old_versions()
        stage.finish(summarise(Rollouts(path), squash))


def _collected(path: Path) -> int:
    """Episodes in the data set; none if a kill came before Lance had named its first files in a manifest."""
    return len(Rollouts(path)) if any(path.glob("_versions/*.manifest")) else 0


def recorded_options(config: Config) -> dict[str, object]:
    """The options that decide what the episodes are."""
    options: dict[str, object] = {"collect": identity(config.collect)}
    if config.collect.policy == "random_agent":
        options |= {"vision": identity(config.vision), "memory": identity(config.memory)}
    return options


def _collect(run: Run, done: int) -> None:
    config, path = run.config, run.rollouts.folder / EPISODES
    total, waiting, frames = config.collect.episodes, list[Episode](), 0
    if done >= total:
        return
    with (
        Pool(partial(PlayEpisode, config), config.compute) as pool,
        progress_bar("Rollouts", total, "episodes", done) as bar,
    ):
        for episode in pool.map(range(done, total)):
            waiting.append(episode)
            frames += len(episode)
            bar.advance(1, f"{frames:,} frames")
            if sum(map(len, waiting)) >= FLUSH_ROWS:
                append_episodes(path, waiting, done)
                done += len(waiting)
                waiting.clear()
        if waiting:
            append_episodes(path, waiting, done)
