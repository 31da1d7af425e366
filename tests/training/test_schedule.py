"""What depends on the step alone: rates at known points, every row once an epoch, and seeds that anything changes."""

import math
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from heed.errors import UserError
from heed.training.loop import total_steps
from heed.training.schedule import batch_indices, epoch_batches, learning_rate, seed_everything, seed_of


@pytest.mark.parametrize(("shape", "rates"), [
    ("constant", [0.5, 1, 1, 1, 1, 1, 1, 1, 1, 1]),
    ("linear", [0.5, 1, 1, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8]),
    ("cosine", [0.5, 1, *(0.5 * (1 + math.cos(math.pi * i / 8)) for i in range(8))]),
])
def test_the_rate_at_known_points(shape, rates):
    """Ten steps with two of warm-up: at its peak once warm, and the last step still learns."""
    assert [learning_rate(s, 10, 1.0, shape, 2) for s in range(10)] == pytest.approx(rates)


def test_the_rate_without_warm_up_begins_at_its_peak_and_with_nothing_else_stays_defined():
    assert learning_rate(0, 1, 3e-4, "linear") == 3e-4
    assert [learning_rate(s, 3, 1.0, "cosine", 3) for s in range(3)] == pytest.approx([1 / 3, 2 / 3, 1])


@settings(max_examples=60, deadline=None)
@given(rows=st.integers(1, 40), batch=st.integers(1, 50), seed=st.integers(0, 3))
def test_the_stream_is_whole_epochs_end_to_end(rows, batch, seed):
    """However batches and epochs fall, every row has come up k times before any comes up the (k + 1)th time."""
    stream = [i for step in range(-(-3 * rows // batch)) for i in batch_indices(step, rows, batch, seed)]
    for epoch in range(3):
        assert sorted(stream[epoch * rows : (epoch + 1) * rows]) == list(range(rows))
    assert len(stream) % batch == 0


def test_a_step_is_a_function_of_the_seed_and_its_number_alone():
    in_order = [batch_indices(s, 10, 4, 1) for s in range(6)]
    torch.manual_seed(99)
    assert [batch_indices(s, 10, 4, 1) for s in reversed(range(6))] == in_order[::-1]
    assert in_order != [batch_indices(s, 10, 4, 2) for s in range(6)]


def test_each_epoch_has_an_order_of_its_own():
    orders = {tuple(batch_indices(e, 12, 12, 0)) for e in range(5)}
    assert len(orders) == 5


def test_an_epoch_in_batches_reads_every_row_once():
    batches = list(epoch_batches(10, 4, seed=0, epoch=1))
    assert [len(b) for b in batches] == [4, 4, 2] and sorted(i for b in batches for i in b) == list(range(10))
    assert batches == list(epoch_batches(10, 4, seed=0, epoch=1)) != list(epoch_batches(10, 4, seed=0, epoch=2))


@pytest.mark.parametrize(("rows", "batch", "epochs", "max_steps", "steps"), [
    (100, 32, 1.0, -1, 3), (100, 32, 2.0, -1, 6), (10, 32, 1.0, -1, 1), (100, 32, 0.5, -1, 2), (100, 32, 5.0, 7, 7)])
def test_how_many_steps(rows, batch, epochs, max_steps, steps):
    assert total_steps(rows, batch, epochs, max_steps) == steps


def test_nothing_to_learn_from_is_said():
    with pytest.raises(UserError, match="no usable rows"):
        total_steps(0, 8, 1.0, 5)


def test_seeds_differ_where_anything_differs_and_are_the_same_in_every_process():
    names = [("ppo", 0, 1), ("ppo", 1, 0), ("ppo", 0, "1"), ("ppo0", 1), ("sft", 0, 1)]
    assert len({seed_of(*n) for n in names}) == len(names)
    assert seed_of("ppo", 0, 1) == 7309714314104357606
    assert all(0 <= seed_of(i) < 2**63 for i in range(100))


def test_everything_random_follows_from_the_seed():
    import random

    drawn = []
    for seed in (1, 1, 2):
        seed_everything("x", seed)
        drawn.append((torch.rand(2).tolist(), random.random()))
    assert drawn[0] == drawn[1] != drawn[2]


def test_rows_fall_evenly_into_the_first_place():
    """A permutation that favoured a row would show here: 2,000 draws over 10 rows, 200 each."""
    first = Counter(batch_indices(e, 10, 10, 0)[0] for e in range(2000))
    assert set(first) == set(range(10)) and max(abs(n - 200) for n in first.values()) < 5 * math.sqrt(200 * 0.9)
