"""Stage 1: play episodes with an exploring policy and write them to disk."""

import contextlib
import dataclasses
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from worldmodels.agent import Agent, agent_at
from worldmodels.collect.jobs import describe_seeds, job_maker, limited_task
from worldmodels.collect.progress import Goal, collection_progress
from worldmodels.collect.room import look
from worldmodels.config import Config
from worldmodels.data.copying import copy_folder
from worldmodels.data.episode import Episode
from worldmodels.data.rollouts import (
    EPISODES,
    FLUSH_ROWS,
    Rollouts,
    append_episodes,
    forget_versions,
    squash_of,
    summarise,
)
from worldmodels.disk import require_space
from worldmodels.envs.actions import Squash
from worldmodels.envs.make import make_game
from worldmodels.errors import UserError
from worldmodels.exploration.policies import hold_bounds, policy_maker
from worldmodels.options import identity
from worldmodels.runs import Run
from worldmodels.runtime import one_thread, settled
from worldmodels.seeds import TRAINING, stream
from worldmodels.stage import Stage
from worldmodels.workers import Pool

GROUPS_EACH = 32
"""A worker has so many groups of episodes to play, at least."""


def episode_seed(seed: int, number: int) -> int:
    """The training seed of episode `number` of a run."""
    return TRAINING[int(stream(seed, "collect/seeds", number).integers(len(TRAINING)))]


def collect_rollouts(run: Run) -> None:
    """Collect the run's rollouts; can be killed and called again any time, and with more episodes once finished.

    Episodes are written in the order of their numbers, each a function of the run's seed and its number: which worker
    played it, and how often the collection was interrupted, leaves no trace. With `collect.onto` the rollouts of
    another run come first, and numbers go on from theirs.

    Raises:
        UserError: the game cannot be made, options do not fit it, or the run's rollouts were imported or collected
            with other options.
    """
    config, stage = run.config, run.rollouts
    if stage.started and "import" in stage.options():
        raise UserError(f"{stage.folder} holds episodes that were imported: collect into a new --run.")
    agent = exploring_agent(config)
    before = _collected_before(run)
    with stage.begin(run.made_from(**recorded_options(config, agent, before))):
        first, frames = (0, 0) if before is None else _counts(before.summary())
        goal = Goal(first + config.collect.episodes, frames + config.collect.frames)
        if stage.done is not None and goal.reached(*_counts(stage.summary())):
            return
        path, digest = stage.folder / EPISODES, None if stage.done is None else stage.summary().get("digest")
        with contextlib.closing(make_game(config.task)) as game:
            squash: Squash = game.get_wrapper_attr("squash")
            _check(config, squash, agent, before)
            sample = None if _collected(path, digest)[0] else look(game, limited_task(config).max_steps)
        if sample is not None:
            require_space(stage.folder, sample.needed(goal, first, frames), "The collection", config.compute)
        stage.reopen()
        if before is not None and not path.exists():
            copy_folder(before.folder / EPISODES, path)
        _collect(run, agent, first, goal)
        forget_versions(path)
        stage.finish(summarise(Rollouts(path), squash))


def exploring_agent(config: Config) -> Agent | None:
    """The trained agent that explores, if the policy is one."""
    if config.collect.policy != "agent":
        return None
    if config.collect.agent is None:
        raise UserError(
            "collect.agent should name the folder of the agent that explores, e.g. runs/mine/controllers/real."
        )
    return agent_at(Path(config.collect.agent))


def _collected_before(run: Run) -> Stage | None:
    """The rollouts that come first."""
    if run.config.collect.onto is None:
        return None
    before = Run(Path(run.config.collect.onto), run.config).rollouts
    before.summary()
    if before.folder.resolve() == run.rollouts.folder.resolve():
        raise UserError(f"collect.onto is {run.folder} itself: a run is added to in a new --run.")
    return before


def recorded_options(config: Config, agent: Agent | None, before: Stage | None) -> dict[str, object]:
    """The options that decide what the episodes are, with fingerprints of what they are made from."""
    collect = identity(config.collect)
    options: dict[str, object] = {"collect": collect}
    if config.collect.policy == "random_agent":
        options |= {"vision": identity(config.vision), "memory": identity(config.memory)}
    if agent is None:
        del collect["noise"], collect["astray"], collect["sigma"]  # which no other policy reads
    else:
        options["agent"] = agent.digest()
    if before is not None:
        options["onto"] = before.fingerprint()
    return options


def _check(config: Config, squash: Squash, agent: Agent | None, before: Stage | None) -> None:
    """Raise UserError if options, agent or earlier rollouts do not fit the game's actions."""
    if agent is None:
        policy_maker(config)(squash, 1)
    elif agent.squash != squash:
        raise UserError(f"The agent {config.collect.agent} takes other actions than {config.task.name} does.")
    else:
        hold_bounds(config.collect)
    if before is None:
        return
    summary = before.summary()
    # refused before they are copied: those of another version, and those that are not what was collected
    Rollouts(before.folder / EPISODES, summary.get("digest"))
    if squash_of(before) != squash:
        raise UserError(f"The rollouts of {before.folder} have other actions than {config.task.name} takes.")


def _counts(summary: dict[str, Any]) -> tuple[int, int]:
    """Episodes and frames of finished rollouts."""
    return summary["episodes"], summary["frames"]


def _collected(path: Path, digest: str | None = None) -> tuple[int, int]:
    """Episodes and frames in the data set; none if a kill came before Lance had named its first files.

    What was finished with a digest is refused if it has changed since: it would get another one with what is added.
    """
    if not any(path.glob("_versions/*.manifest")):
        return 0, 0
    rollouts = Rollouts(path, digest)
    return len(rollouts), int(rollouts.starts[-1])


def _collect(run: Run, agent: Agent | None, first: int, goal: Goal) -> None:
    """Play and write episodes, numbered from `first`, until the goal is reached."""
    config = dataclasses.replace(run.config, compute=settled(run.config.compute))
    path = run.rollouts.folder / EPISODES
    done, frames = _collected(path)
    if done:
        forget_versions(path)
    if goal.reached(done, frames):
        return
    waiting = list[Episode]()
    with (
        one_thread(),
        Pool(job_maker(config, agent), config.compute, describe_seeds) as pool,
        collection_progress(path, goal, done, frames) as progress,
    ):
        size = group_size(config, pool.size) if agent is None else config.compute.lanes
        # an agent's episodes are played in groups, which are the same whatever is missing
        begin = done if agent is None else first + (done - first) // size * size
        end = None if config.collect.frames else goal.episodes
        seeds = ([episode_seed(config.seed, number) for number in group] for group in _groups(begin, size, end))
        for group, episodes in zip(_groups(begin, size, end), pool.map(seeds), strict=True):
            for episode in episodes[max(0, progress.episodes - group.start) :]:
                waiting.append(episode)
                progress.played(episode)
                if progress.enough:
                    break
            if sum(map(len, waiting)) >= FLUSH_ROWS or progress.enough:
                append_episodes(path, waiting, progress.episodes - len(waiting))
                waiting.clear()
                progress.written()
                require_space(path.parent, progress.needed, "The rest of the collection", config.compute)
            if progress.enough:
                return


def group_size(config: Config, workers: int) -> int:
    """Episodes of an exploring policy that a worker plays at a time: a message costs what some steps cost.

    So few that the workers end at about the same time, and that none can send more than what is written at a time.
    """
    share = config.collect.episodes // (GROUPS_EACH * workers)
    return max(1, min(share, FLUSH_ROWS // limited_task(config).max_steps))


def _groups(begin: int, size: int, end: int | None) -> Iterator[range]:
    """Consecutive numbers in groups, up to `end` if there is one."""
    for start in itertools.count(begin, size) if end is None else range(begin, end, size):
        yield range(start, start + size if end is None else min(start + size, end))
