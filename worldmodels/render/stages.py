"""Videos of a run's agents, under the run's folder `videos`."""

import dataclasses
from pathlib import Path

from worldmodels.agent import Agent, agent_of_run, load_agent_as
from worldmodels.config import ComputeConfig, RenderConfig
from worldmodels.disk import require_space
from worldmodels.metrics import say
from worldmodels.render.dreams import dream_video
from worldmodels.render.open_loop import episode_of, open_loop
from worldmodels.render.real import real_video
from worldmodels.render.uncertainty import uncertainty_figure
from worldmodels.runs import Run
from worldmodels.shared import shared_folder

VIDEOS = "videos"
REAL_PANELS = 4
"""Pictures beside each other in a video of the game, at most."""
PIXEL_BYTES = 0.03
"""What a pixel of a frame takes in an MP4, and again in its GIF: half more than in those of CarRacing's demo."""


def render_real(run: Run, name: str, checkpoint: Path | None = None) -> None:
    """Film the run's agent `name`, or that of a checkpoint, in the real game: what it sees, keeps and predicts.

    Writes `videos/real-NAME.mp4`. Raises UserError if the controller is not finished.
    """
    name, agent = _cast(run, name, checkpoint)
    require_space(run.folder / VIDEOS, _bytes(agent, run.config.render, REAL_PANELS), "The video", run.config.compute)
    with shared_folder(run.folder / VIDEOS) as folder:
        film_real(agent, folder, name, run.config.render, run.config.compute, run.config.evaluate.stock)


def render_dream(run: Run, name: str, checkpoint: Path | None = None) -> None:
    """Film the dreams of the run's agent `name`, or of a checkpoint's, and what M predicts of a real future.

    Writes `videos/dream-NAME.mp4`, `videos/temperatures-NAME.mp4`, `videos/open-loop-NAME.mp4` and `.png`, and
    `videos/uncertainty-NAME.png`. Raises UserError if the controller is not finished.
    """
    name, agent = _cast(run, name, checkpoint)
    options = run.config.render
    panels = options.dreams + ACROSS * len(options.temperatures) + REAL_PANELS
    require_space(run.folder / VIDEOS, _bytes(agent, options, panels), "The videos", run.config.compute)
    with shared_folder(run.folder / VIDEOS) as folder:
        film_dreams(agent, folder, name, run.config.render, run.config.compute, run.config.evaluate.stock)


def _bytes(agent: Agent, options: RenderConfig, panels: int) -> float:
    """What videos with so many pictures of 64x64 beside each other take on disk, an estimate."""
    return options.seconds * agent.task.fps * panels * (64 * options.scale) ** 2 * PIXEL_BYTES * (1 + options.gif)


def _cast(run: Run, name: str, checkpoint: Path | None) -> tuple[str, Agent]:
    """Who is filmed, and under which name."""
    if checkpoint is None:
        return name, agent_of_run(run, name)
    return checkpoint.resolve().name, load_agent_as(checkpoint, run.config.task)


def film_real(
    agent: Agent, folder: Path, name: str, options: RenderConfig, compute: ComputeConfig, score: bool = True
) -> None:
    """The same of any agent, e.g. one of a checkpoint, into any folder; `score`: in the game of the final scores."""
    real_video(agent, folder / f"real-{name}.mp4", options, compute, title_of(agent, name), score)


def film_dreams(
    agent: Agent, folder: Path, name: str, options: RenderConfig, compute: ComputeConfig, score: bool = True
) -> None:
    """The same of any agent, e.g. one of a checkpoint, into any folder."""
    if not len(agent.starts.first):
        say(f"The agent {name} carries an untrained M: it has no dreams to film.")
        return
    title = title_of(agent, name)
    dream_video(agent, folder / f"dream-{name}.mp4", options, [options.temperature], options.dreams, title)
    if options.temperatures:
        across = min(options.dreams, ACROSS)
        smaller = dataclasses.replace(options, scale=max(1, options.scale - 1))
        dream_video(agent, folder / f"temperatures-{name}.mp4", smaller, options.temperatures, across, title)
    episode = episode_of(agent, compute, score)
    open_loop(agent, episode, folder / f"open-loop-{name}", options, title)
    uncertainty_figure(agent.memory, episode, options.temperature, folder / f"uncertainty-{name}.png", title)


ACROSS = 4
"""Dreams a row of the video of several temperatures."""


def title_of(agent: Agent, name: str) -> str:
    """Who is shown."""
    return f"{agent.task.name}, agent {name}"
