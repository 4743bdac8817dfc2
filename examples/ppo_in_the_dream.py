"""PPO of Stable-Baselines3 learns inside a dream; then it plays the real game with what it has learned there.

pip install -e '.[examples]'
python examples/ppo_in_the_dream.py --run runs/demo --steps 100000
"""

from pathlib import Path

import numpy as np
import torch
import tyro
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy

import worldmodels.envs  # noqa: F401  # registers the dreams
from worldmodels.config import ComputeConfig
from worldmodels.dream_games import DreamGame, dreamer
from worldmodels.play import play
from worldmodels.seeds import validation_seeds


class Learned:
    """What PPO has learned, as a policy of this project."""

    def __init__(self, learner: PPO) -> None:
        self.learner = learner

    def begin(self, lane: int, item: int, seed: int) -> None:
        """PPO remembers nothing of its own: what M remembers is among the features."""

    def act(self, features: np.ndarray) -> np.ndarray:
        """The most probable actions."""
        return self.learner.predict(features, deterministic=True)[0]


def main(
    run: Path = Path("runs/demo"), steps: int = 100_000, horizon: int = 300, episodes: int = 32, seed: int = 1
) -> None:
    """Learn in the dream of a run's M for a number of steps; measure before and after, on dreams and games not seen.

    Args:
        run: folder of the run.
        steps: steps of learning.
        horizon: step limit of a dream.
        episodes: dreams, and games, of each measurement.
        seed: of PPO and of the dreams that it learns in.
    """
    torch.set_num_threads(1)  # one dream at a time is too small to be shared out
    options = {"run": str(run), "max_steps": horizon}
    dreams = make_vec_env("WorldModels/Dream-v0", n_envs=16, seed=seed, env_kwargs=options)
    unseen = make_vec_env("WorldModels/Dream-v0", n_envs=16, env_kwargs=options)
    agent = dreamer(DreamGame(run=run))
    game = agent.real_world(lanes=8, compute=ComputeConfig(workers=0))
    learner = PPO("MlpPolicy", dreams, n_steps=256, batch_size=512, seed=seed, device="cpu")

    def measure(when: str) -> None:
        unseen.seed(1_000_000)
        dreamt, _ = evaluate_policy(learner, unseen, episodes, return_episode_rewards=True)
        played = play(game, Learned(learner), np.array(validation_seeds(episodes))).returns
        for world, returns in (("dreams", dreamt), ("games", played)):
            print(f"{when}: {np.mean(returns):.1f} ± {np.std(returns):.1f} in {episodes} {world}", flush=True)

    measure("before")
    learner.learn(steps)
    measure("after")


if __name__ == "__main__":
    tyro.cli(main)
