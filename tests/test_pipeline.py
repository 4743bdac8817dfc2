"""The counting game through collection, Lance, encoding and M's batches: frame, action, reward and end stay in step."""

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from counting import (
    COUNT,
    DIGITS,
    LAST_ACTION,
    SCALE,
    episode_length,
    seed_in,
    shown_action,
    terminates,
)

from worldmodels.collect.stage import episode_seed
from worldmodels.data.latents import Latents
from worldmodels.data.rollouts import EPISODES, Rollouts
from worldmodels.memory.mdn_rnn import Sequences
from worldmodels.memory.sequences import Pieces, read_sequences, streams, whole_episodes
from worldmodels.runs import Run

LENGTH = 3


@pytest.fixture(scope="module")
def rollouts(tiny_run: Run) -> Rollouts:
    return Rollouts(tiny_run.rollouts.folder / EPISODES)


@pytest.fixture(scope="module")
def latents(tiny_run: Run) -> Latents:
    return Latents(tiny_run.latents.folder)


@pytest.fixture(scope="module")
def digits(rollouts: Rollouts) -> np.ndarray:
    """The numbers shown in every row's frame."""
    return rollouts.frames(np.arange(rollouts.starts[-1]))[:, 0, :DIGITS, 0].astype(int)


def test_an_episode_is_played_from_its_own_seed_to_its_end(
    tiny_run: Run, rollouts: Rollouts, digits: np.ndarray
) -> None:
    assert len(rollouts) == tiny_run.config.collect.episodes
    for number, (first, last) in enumerate(itertools.pairwise(rollouts.starts)):
        seed = episode_seed(tiny_run.config.seed, number)
        assert last - first == episode_length(seed)
        assert (seed_in(digits[first:last]) == seed).all()
        assert (digits[first:last, COUNT] == np.arange(last - first)).all()


def test_a_row_holds_its_frame_then_the_action_then_the_reward_for_it(rollouts: Rollouts, digits: np.ndarray) -> None:
    steps = rollouts.steps(slice(0, rollouts.starts[-1]))
    assert np.allclose(steps["reward"], digits[:, COUNT] + steps["action"][:, 0] / 4)
    follows = np.flatnonzero(digits[1:, COUNT] > 0)
    shown_next = digits[follows + 1, LAST_ACTION]
    assert len(follows) > 10
    assert (shown_next == [shown_action(float(a)) for a in steps["action"][follows, 0]]).all()


def test_only_the_last_row_says_how_the_episode_ended(rollouts: Rollouts, digits: np.ndarray) -> None:
    table = rollouts.data.to_table(columns=["terminated", "truncated"])
    seeds = seed_in(digits)
    last = digits[:, COUNT] == [episode_length(seed) - 1 for seed in seeds]
    ends = np.array([terminates(seed) for seed in seeds])
    assert (table["terminated"].to_numpy() == (last & ends)).all()
    assert (table["truncated"].to_numpy() == (last & ~ends)).all()


def test_latents_are_those_of_the_rows_frames(rollouts: Rollouts, latents: Latents, digits: np.ndarray) -> None:
    assert (latents.mu == digits / SCALE).all()
    assert (latents.starts == rollouts.starts).all()
    for name, column in rollouts.steps(slice(0, rollouts.starts[-1])).items():
        assert (getattr(latents, name) == column).all()


@pytest.fixture(scope="module")
def batches(latents: Latents) -> list[tuple[Pieces, Sequences]]:
    """Enough batches to have seen every episode more than once."""

    def drawn() -> Iterator[tuple[Pieces, Sequences]]:
        numbers = np.arange(len(latents))
        for step, pieces in enumerate(itertools.islice(streams(numbers, latents.lengths, 4, LENGTH, seed=1), 40)):
            yield pieces, read_sequences(latents, pieces, LENGTH, seed=step)

    return list(drawn())


def _numbers(batch: Sequences) -> np.ndarray:
    return (batch.z * SCALE).numpy()


def test_inputs_are_consecutive_frames_of_one_episode(latents: Latents, batches: list) -> None:
    for pieces, batch in batches:
        shown = _numbers(batch)
        for lane, (episode, first) in enumerate(zip(pieces.episode, pieces.first, strict=True)):
            steps = min(LENGTH, latents.lengths[episode] - first)
            assert batch.valid[lane].tolist() == [j < steps for j in range(LENGTH)]
            assert (shown[lane, :steps, COUNT] == first + np.arange(steps)).all()
            assert len(set(seed_in(shown[lane]))) == 1


def test_the_target_is_the_frame_that_the_action_led_to(batches: list) -> None:
    seen = 0
    for _, batch in batches:
        shown, action = _numbers(batch), batch.action[..., 0].numpy()
        for lane, step in np.argwhere(batch.has_next.numpy()):
            now, following = shown[lane, step], shown[lane, step + 1]
            assert following[COUNT] == now[COUNT] + 1
            assert following[LAST_ACTION] == shown_action(float(action[lane, step]))
            seen += 1
    assert seen > 100


def test_an_episodes_last_step_has_no_next_latent_but_a_reward_and_an_end(batches: list) -> None:
    ends = 0
    for _, batch in batches:
        shown = _numbers(batch)[:, :-1]
        seeds = seed_in(shown)
        last = shown[..., COUNT] == np.vectorize(episode_length)(seeds) - 1
        valid = batch.valid.numpy()
        assert (batch.has_next.numpy() == (valid & ~last)).all()
        assert (batch.done.numpy() == (valid & last & np.vectorize(terminates)(seeds))).all()
        expected = np.where(valid, shown[..., COUNT] + batch.action[..., 0].numpy() / 4, 0)
        assert np.allclose(batch.reward.numpy(), expected)
        ends += int((valid & last).sum())
    assert ends > 12


def test_restart_marks_an_episodes_first_step_only(batches: list) -> None:
    for _, batch in batches:
        counts = _numbers(batch)[:, :-1, COUNT]
        assert (batch.restart.numpy() == (counts == 0)).all()


def test_a_stream_that_is_not_fresh_goes_on_where_it_was(batches: list) -> None:
    carried = 0
    for (before, _), (after, _) in itertools.pairwise(batches):
        assert ((after.first == 0) == after.fresh).all()
        on = ~after.fresh
        assert (after.episode[on] == before.episode[on]).all()
        assert (after.first[on] == before.first[on] + LENGTH).all()
        carried += int(on.sum())
    assert carried > 10
    assert batches[0][0].fresh.all()


def test_streams_play_every_episode_once_an_epoch() -> None:
    numbers = np.array([4, 7, 9])
    lengths = np.full(10, 5)
    opened: list[int] = []
    for pieces in itertools.islice(streams(numbers, lengths, 1, 2, seed=3), 1, 28):
        opened += pieces.episode[pieces.fresh].tolist()
    assert sorted(opened[2:5]) == sorted(opened[5:8]) == [4, 7, 9]  # the first epoch begins before


def test_every_other_episode_is_one_of_the_latest() -> None:
    numbers, lengths = np.array([0, 1, 4, 6, 8, 9]), np.full(10, 5)  # of the latest four, 7 is held out
    opened = [pieces.episode[0] for pieces in itertools.islice(streams(numbers, lengths, 1, 5, seed=3, latest=4), 24)]
    assert sorted(opened[0::2][:6]) == sorted(opened[0::2][6:]) == [0, 1, 4, 6, 8, 9]
    assert [sorted(opened[1::2][i : i + 3]) for i in (0, 3, 6, 9)] == [[6, 8, 9]] * 4


def test_streams_begin_in_the_midst_of_their_episodes() -> None:
    lengths = np.full(64, 40)
    pieces = next(streams(np.arange(64), lengths, 64, 10, seed=1))
    assert set(pieces.first) == {0, 10, 20, 30}


def test_latents_are_drawn_with_a_share_of_the_posteriors_noise(tiny_run: Run) -> None:
    chosen = np.array([1, 3, 4])
    drawn = []
    for noise in (1.0, 0.25):
        latents = Latents(tiny_run.latents.folder, noise)
        latents.logvar = np.zeros_like(latents.mu)
        first = latents.starts[chosen]
        drawn.append(whole_episodes(latents, chosen, seed=1).z[:, 0] - torch.from_numpy(latents.mu[first]))
    assert 0.5 < drawn[0].std() < 1.5
    assert torch.allclose(drawn[1], drawn[0] / 4, rtol=1e-3, atol=1e-5)


def test_whole_episodes_hold_every_step_once(latents: Latents) -> None:
    chosen = np.array([1, 3, 4])
    batch = whole_episodes(latents, chosen, seed=1)
    assert batch.valid.sum(1).tolist() == latents.lengths[chosen].tolist()
    assert torch.equal(batch.restart.sum(1), torch.ones(3))
