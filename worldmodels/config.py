"""Every option of the project: one frozen dataclass a stage.

The dataclasses are the YAML schema, the command line (`worldmodels.cli`) and the record kept in a run's folder. A stage
records the game, the seed and its own section, and a run refuses to mix two values of what is recorded: it is part of
what the stage's result *is*. Only options marked `ANYTIME` may change between two calls of such a stage. What no stage
records may change as well: where things are computed, and what is scored, compared or shown of a result.
"""

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field

ANYTIME = "anytime"
"""Annotation mark of an option that may change between two calls of a stage; what is done already stays as it was."""

Whole = Annotated[int, Field(lt=2**63)]
"""A whole number that a run's `config.yaml` may hold: larger ones are refused when it is read."""
Count = Annotated[Whole, Field(ge=1)]
Natural = Annotated[Whole, Field(ge=0)]
Episodes = Annotated[Count, Field(lt=1_000_000)]
"""A number of episodes that each have a seed of their own out of a range of a million."""
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
Share = Annotated[float, Field(ge=0, lt=1)]
DreamStart = Literal["first", "any"]
Part = Literal["vision", "memory", "controllers"]
"""What a run learns, in order: each part builds on those before it."""


@dataclass(frozen=True)
class TaskConfig:
    """The facts of one game."""

    name: str = "car_racing"
    """Name of the task, used in titles and messages."""
    env: str = "WorldModels/CarRacing-v0"
    """Gymnasium id of the game that agents learn in."""
    env_kwargs: dict[str, Any] = field(default_factory=dict)
    """Keyword arguments of that game."""
    score_env: Annotated[str | None, ANYTIME] = None
    """Gymnasium id of the game in which final scores are reported; the learning game if not given."""
    score_env_kwargs: Annotated[dict[str, Any], ANYTIME] = field(default_factory=dict)
    """Keyword arguments of the score game."""
    image_key: str | None = None
    """Key of the image in a Dict observation."""
    render_pixels: bool = False
    """Observe what the game renders instead of its own observation (for games of numbers)."""
    crop: tuple[Natural, Natural, Natural, Natural] | None = None
    """Rows from, to and columns from, to that are kept of an observation that is not 64x64 already."""
    frame_skip: Count = 1
    """Each action is repeated for so many of the game's steps."""
    max_steps: Count = 1000
    """Step limit of an episode (actions, not game steps), in place of the one that the game is registered with."""
    squash: tuple[Literal["tanh", "half", "clip"], ...] = ()
    """How an output of C becomes an action: tanh, (tanh + 1) / 2, or tanh clipped to 0..1. Empty: by the space."""
    explore_mean: tuple[Finite, ...] = ()
    """Middle of the `correlated` policy's outputs before squashing, an entry a dimension, and what the extremes of a
    calibration leave the other entries at; empty: 0."""
    success_key: Annotated[str | None, ANYTIME] = None
    """Key of the step info that is true once the episode counts as a success, e.g. `lap_finished`."""
    fps: Annotated[Positive, Field(ge=0.1, le=1000), ANYTIME] = 50.0
    """Steps a second at which the game is shown."""


@dataclass(frozen=True)
class CollectConfig:
    """Stage 1: rollouts of an exploring policy."""

    policy: Literal["correlated", "uniform", "held", "random_agent", "agent"] = "correlated"
    """Time-correlated noise, independent actions, actions held for k steps, the paper's randomly initialised agent, or
    a trained agent that strays from its ways."""
    episodes: Annotated[Count, ANYTIME] = 1000
    """How many episodes; a larger number later goes on where the collection stopped."""
    frames: Annotated[Natural, ANYTIME] = 0
    """More episodes follow until they have so many frames, for games whose episodes may be short."""
    onto: Annotated[str | None, ANYTIME] = None
    """Folder of a finished run whose rollouts come first; the episodes collected here are added to them."""
    max_steps: Count | None = None
    """Step limit of a recorded episode; the task's own if not given."""
    correlation: Annotated[float, Field(ge=0, lt=1)] = 0.95
    """Correlation of the noise of successive steps, of the `correlated` policy and of the `agent`."""
    spread: NonNegative = 0.7
    """Standard deviation, over episodes, of the `correlated` policy's own mean: some drive fast, some brake."""
    hold: tuple[Count, Count] = (1, 10)
    """Shortest and longest hold of the `held` policy and of a straying `agent`, in steps; drawn log-uniformly."""
    agent: Annotated[str | None, ANYTIME] = None
    """Folder of the `agent` policy's agent: a checkpoint, or a controller of a run (`runs/mine/controllers/real`)."""
    noise: NonNegative = 0.5
    """Largest standard deviation of the correlated noise on the agent's outputs; each episode draws its own below."""
    astray: Annotated[float, Field(ge=0, lt=1)] = 0.2
    """Share of the agent's steps in which a random action is held instead of its own."""
    sigma: NonNegative = 0.0
    """Largest standard deviation of what is added to the parameters of the agent's C for an episode, each of which
    draws its own below: what evolution's candidates do, for M to have seen what follows from it."""


@dataclass(frozen=True)
class VisionConfig:
    """Stage 2: V, which turns a frame into a latent. These options every model reads; most models add their own."""

    model: str = "vae"
    """Registered name of the model: vae, autoencoder, gan, vae_gan, bigan, fsq, or one from another package. `--help`
    beside `--vision.model NAME` lists the options of that model."""
    latent_dim: Annotated[int, Field(ge=1, le=4096)] = 32
    """Size of the latent z."""
    steps: Natural = 10_000
    """Gradient steps; 0 keeps V as `previous` has it."""
    batch: Count = 100
    """Frames a step."""
    learning_rate: Positive = 1e-4
    """Step size of the optimiser."""
    final_learning_rate: Positive | None = None
    """Last step size, reached by cosine decay; if not given, the step size stays what it is, as in the paper."""
    validation_fraction: Fraction = 0.1
    """Share of the episodes held out for validation: at least one episode, at most half of them."""
    validate_every: Annotated[Count, ANYTIME] = 500
    """Steps between validations, reconstruction strips and checkpoints."""
    validation_frames: Count = 1000
    """How many held-out frames a validation looks at."""


@dataclass(frozen=True)
class MemoryConfig:
    """Stage 3: M, which predicts the next latent."""

    hidden: Count = 256
    """Units of the LSTM."""
    mixtures: Count = 5
    """Gaussians a latent dimension."""
    reward_head: bool = False
    """Predict the reward too (needed to train in a dream of a game that does not pay a fixed reward)."""
    done_head: bool = False
    """Predict the episode's end too (needed to train in a dream of a game that one can lose)."""
    restart_input: bool = False
    """Feed a flag that is 1 on an episode's first frame, as the paper does for TakeCover."""
    done_weight: Positive = 1.0
    """Weight of the ends among the done head's targets (the paper's code: 10)."""
    reward_weight: NonNegative = 1.0
    """Weight of the reward head's loss."""
    latent_noise: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the posterior's standard deviation with which latents are drawn where M learns and dreams begin; 1: as
    in the paper. With less, dreams are less noisy, and closer to what C sees in the game, posterior means."""
    dropout: Share = 0.0
    """Share of the hidden units that the heads are without in training; see `controllers.*.dropout`."""
    open_loop: Natural = 0
    """Let M learn of ends also in its own dreams of so many steps, begun at real moments, under the actions that were
    really taken; 0: on the game's frames only."""
    latest: Natural = 0
    """Let every other episode that M plays be one of the latest so many, such as an iteration's own; 0: all alike."""
    members: Annotated[Count, ANYTIME] = 1
    """How many Ms are trained; all but the first serve the `ensemble` of controllers only."""
    steps: Natural = 4000
    """Gradient steps; 0 keeps M as `previous` has it."""
    batch: Count = 100
    """Sequences a step."""
    sequence: Count = 250
    """Steps a sequence; an episode's next sequence starts from the state in which the last one ended."""
    learning_rate: Positive = 1e-3
    """First step size of Adam."""
    final_learning_rate: Positive = 1e-5
    """Last step size, reached by cosine decay."""
    grad_clip: Positive = 1.0
    """Gradients are clipped to this absolute value."""
    validate_every: Annotated[Count, ANYTIME] = 250
    """Steps between validations and checkpoints."""
    validation_episodes: Count = 64
    """How many held-out episodes a validation looks at."""
    start_states: Count = 1024
    """Starts of dreams that are kept with M: so many first frames, and as many moments of episodes, at most."""


@dataclass(frozen=True)
class CalibrateConfig:
    """The end of stage 3: the same policies in M's dream and in the game."""

    episodes: Natural = 16
    """Episodes of each policy in each world; 0: stage 3 ends without the comparison."""
    temperatures: Annotated[tuple[NonNegative, ...], Field(min_length=1)] = (0.5, 1.0, 1.15)
    """Temperatures of the dream; the one nearest to 1 is judged."""
    max_steps: Count | None = None
    """Step limit of these episodes, at most the length of the longest recorded one, which it is if not given."""


@dataclass(frozen=True)
class ControllerConfig:
    """Stage 4: C, evolved."""

    world: Literal["real", "dream"] = "real"
    """Where candidates are tried: in the game, or in M's dream."""
    inputs: Literal["z", "zh", "zch"] = "zh"
    """What C sees: the latent, M's hidden state, M's cell state."""
    bias: bool = True
    """Give each action a constant term."""
    hidden: Annotated[Natural, Field(le=4096)] = 0
    """Units of a tanh layer between what C sees and what it does (40 in the paper's code), or 0 for none."""
    begin: Literal["weights", "behaviour"] = "weights"
    """Where C begins in a run that goes on from a `previous` one: at that run's C, weight by weight; or at the weights
    that do, with this run's V and M, most nearly what it did with its own, whatever is to begin `anew`."""
    memory: Literal["trained", "untrained"] = "trained"
    """The M whose state C sees; an untrained one is a baseline."""
    latent: Literal["mean", "sample"] = "mean"
    """C sees the posterior's mean, or a sample as in the paper's code."""
    optimizer: Literal["cma", "sep_cma", "lra_cma", "openes", "pgpe"] = "cma"
    """CMA-ES; with a diagonal covariance; with learning rates that adapt to noise; OpenAI's strategy; or PGPE."""
    population: Annotated[Whole, Field(ge=4)] = 64
    """Candidates a generation."""
    rollouts: Episodes = 16
    """Episodes a candidate; all candidates of a generation play the same ones."""
    rollouts_schedule: Annotated[tuple[tuple[Natural, Episodes], ...], ANYTIME] = ()
    """Pairs of a generation, counted from 0, and the episodes a candidate plays from it on: [[100, 32], [150, 64]]."""
    heat: Natural = 0
    """Episodes after which the worse half of a generation's candidates is given up, and only the better half plays all;
    0: all do."""
    scouts: Annotated[tuple[tuple[Natural, Annotated[Natural, Field(lt=1_000_000)]], ...], ANYTIME] = ()
    """Pairs of a generation, counted from 0, and the episodes that the distribution's mean plays ahead of each one from
    it on: [[60, 48]]. Those in which it earns least are half of what the candidates play then; 0: none."""
    generations: Annotated[Count, ANYTIME] = 200
    """Generations; a larger number later goes on where evolution stopped."""
    sigma0: Positive = 0.1
    """First step size: standard deviation of a candidate's parameter."""
    sigma_schedule: Annotated[tuple[tuple[Natural, Positive], ...], ANYTIME] = ()
    """Pairs of a generation, counted from 0, and the step size that it begins with: [[40, 0.03]]; the optimiser adapts
    it from there. Luck keeps CMA-ES from shrinking it for hundreds of generations."""
    temperature: NonNegative = 1.0
    """Temperature of the dream."""
    start: DreamStart = "first"
    """Where training dreams begin: at real first frames, or at any real moment with what M remembers there."""
    dropout: Share = 0.0
    """Share of M's hidden units that the heads are without in a training dream, the same ones for all of its length."""
    ensemble: Literal["none", "member", "other", "penalty"] = "none"
    """What `memory.members` Ms do in training dreams: nothing; one of them, drawn anew for each dream, moves the world
    (other: one that is not the first, whose state C sees); or all of them predict, and their disagreement is taken off
    the reward."""
    disagreement: NonNegative = 1.0
    """Weight of that disagreement."""
    ends: Literal["drawn", "weighed"] = "drawn"
    """Draw the ends of training dreams with M's probabilities, or let dreams go on and weigh their rewards by the
    chance of having come so far: the same mean returns with less noise."""
    max_steps: Count | None = None
    """Step limit of a training episode; the task's own if not given."""
    patience: Count | None = None
    """Cut a training episode after so many steps without a positive reward."""
    validate_every: Annotated[Count, ANYTIME] = 10
    """Generations between validations of the distribution's mean, on the real game."""
    validation_episodes: Annotated[Episodes, ANYTIME] = 16
    """Real episodes of a validation."""
    validation_patience: Annotated[Count | None, ANYTIME] = None
    """Stop after so many validations in a row without a new best; a larger number later goes on."""
    keep: Literal["best", "last"] = "best"
    """Keep what did best on the validation seeds, or what was validated last: what evolution has come to in M's dream,
    where the next iteration is to show M how the game answers that."""
    average: Count = 1
    """Validate the average of the last so many means as well, and keep the better one; 1: the last mean only."""


@dataclass(frozen=True)
class EvaluateConfig:
    """Stage 5: scores on the test seeds."""

    episodes: Episodes = 100
    """Test episodes an agent and world."""
    worlds: tuple[Literal["real", "dream"], ...] = ("real", "dream")
    """Where each agent is scored."""
    temperatures: tuple[NonNegative, ...] = ()
    """Temperatures of the dream; empty: the one that the agent was trained at."""
    random_policy: bool = True
    """Score a policy of uniformly random actions too."""
    stock: bool = True
    """Score in the task's `score_env` rather than in the game it learned in."""
    perturbations: tuple[str, ...] = ()
    """Score in the game with each of these disturbances too: action_noise:0.1, dropped_frames:0.2, bars, blob, colour,
    domain_randomize; see `worldmodels.envs.perturbations`."""


@dataclass(frozen=True)
class MeasureConfig:
    """What V is worth: measures on held-out episodes."""

    label_episodes: Count = 64
    """Episodes that are replayed for labels of the game's state: at most so many to train probes, and to test them."""
    frames: Annotated[Whole, Field(ge=16)] = 2000
    """Held-out frames that a measure looks at, and samples that it draws."""
    neighbours: Count = 3
    """Neighbours that span the manifolds of precision and recall."""


@dataclass(frozen=True)
class CompareConfig:
    """Several models in V's place, on the same rollouts and with the same budgets."""

    models: tuple[str, ...] = ("vae",)
    """Registered names, each with options of its own if wanted: `vae`, `vae,beta=4`."""
    seeds: Count = 3
    """Trainings of each model, with as many seeds from the run's own on."""


@dataclass(frozen=True)
class RenderConfig:
    """Videos and figures."""

    seconds: Positive = 20.0
    """Length of each video, at the game's own speed."""
    temperature: NonNegative = 1.0
    """Temperature of the dream."""
    dreams: Count = 9
    """Dreams shown at once."""
    temperatures: tuple[NonNegative, ...] = (0.1, 0.5, 1.0, 1.3)
    """Temperatures of the video that compares them, a row each; empty: no such video."""
    scale: Count = 4
    """Screen pixels a frame pixel."""
    gif: bool = True
    """Write a GIF beside each MP4."""


@dataclass(frozen=True)
class ImageGANConfig:
    """The lecture's GAN of 28x28 digits, which is no part of an agent."""

    iterations: Annotated[Count, ANYTIME] = 2000
    """Steps of the generator; a larger number later goes on where the training stopped."""
    batch: Annotated[Whole, Field(ge=2)] = 64
    """Real images, and as many fakes, a step."""
    discriminator_every: Count = 1
    """Train the discriminator in every so many iterations only: with a large number, modes collapse."""
    discriminator_learning_rate: Positive = 8e-4
    """Step size of the discriminator's RMSprop."""
    generator_learning_rate: Positive = 4e-4
    """Step size of the generator's RMSprop."""
    validate_every: Annotated[Count, ANYTIME] = 100
    """Iterations between pictures, measures of variety, and checkpoints."""


@dataclass(frozen=True)
class ComputeConfig:
    """Where and how things are computed; never changes what is computed, only its speed and rounding."""

    workers: Annotated[Whole, Field(ge=-1)] = -1
    """Ray workers: -1 one a core of the cluster; 0 plays the games in this process, without Ray."""
    ray_address: str | None = None
    """HOST:PORT of a running Ray cluster, or `auto` for that of RAY_ADDRESS or of `ray start` here; a private one on
    this machine if not given."""
    device: str = "auto"
    """Torch device of V's and M's training and of a population's dreams: `cpu`, `cuda`, or `auto` for a GPU if there is
    one. Games are seen and played on the CPU."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Arithmetic of V, of M while it learns, and of dreams; `auto` takes bfloat16 where the processor has it."""
    check_disk: bool = True
    """Refuse to start, and stop, where a stage is thought to need more than the disk has left; False goes on until a
    write fails. Either way the same command goes on later."""
    cache: Natural = 64
    """Megabytes that Lance may keep of what it knows about where rollouts lie in their files."""
    lanes: Count = 32
    """Games that a worker plays side by side, so that V and M work on batches. Fewer than 16 round otherwise."""
    dream_lanes: Count = 512
    """Dreams that a worker dreams side by side."""
    gpu_dream_lanes: Count = 16_384
    """Dreams side by side on a GPU, where one process dreams them all."""
    hang_after: Positive = 300.0
    """Seconds without a single step of its games after which a Ray worker counts as hung: it is killed and replaced."""


@dataclass(frozen=True)
class Config:
    """All options of a run."""

    task: TaskConfig = field(default_factory=TaskConfig)
    seed: Count = 1
    """Seed of everything that is drawn in the run."""
    previous: str | None = None
    """Folder of a finished run, or a checkpoint: V, M and every C of the same name begin at its weights, and learn on.
    A checkpoint has one C, at which all begin."""
    anew: Part | None = None
    """The part that begins from nothing all the same, with those that build on it: vision (V, M and every C), memory
    (M and every C) or controllers."""
    iterations: Count = 1
    """Iterations of the whole pipeline: each but the first adds episodes of the last one's agent, and begins at its V,
    M and C."""
    later: dict[str, Any] | Annotated[list[dict[str, Any]], Field(min_length=1)] = field(default_factory=dict)
    """Options of all iterations but the first, section by section, where they are to differ from the first one's; or
    a list of such: the second iteration's, the third one's and so on. For config files only."""
    explorer: str | None = None
    """Name of the controller that collects the next iteration's episodes; the first one if not given."""
    collect: CollectConfig = field(default_factory=CollectConfig)
    vision: VisionConfig = field(default_factory=VisionConfig)
    memory: MemoryConfig = field(default_factory=MemoryConfig)
    calibrate: CalibrateConfig = field(default_factory=CalibrateConfig)
    controllers: dict[str, ControllerConfig] = field(default_factory=lambda: {"real": ControllerConfig()})
    """Controllers to evolve, by name."""
    evaluate: EvaluateConfig = field(default_factory=EvaluateConfig)
    render: RenderConfig = field(default_factory=RenderConfig)
    measure: MeasureConfig = field(default_factory=MeasureConfig)
    compare: CompareConfig = field(default_factory=CompareConfig)
    image_gan: ImageGANConfig = field(default_factory=ImageGANConfig)
    compute: ComputeConfig = field(default_factory=ComputeConfig)

    def __post_init__(self) -> None:
        """Give V's options the form that its model reads."""
        from worldmodels.registry import complete  # which needs this module

        object.__setattr__(self, "vision", complete(self.vision))
