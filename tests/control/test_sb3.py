"""Borrowed agents: any algorithm of stable-baselines3 learns from answers, and its memory is told what it is worth now."""

import numpy as np
import pytest
from corridor import Buttons, Corridor

from heed.config import make
from heed.control.sb3 import Borrowed
from heed.errors import UserError
from heed.workflows import control

pytest.importorskip("stable_baselines3", reason="the package stable-baselines3 is not installed")


def test_sac_learns_from_answers(tmp_path):
    """Pendulum, 600 steps: the loop runs, asks, and says what it found."""
    summary = control.run(make(control.ControlSettings, {
        "env": "Pendulum-v1", "agent": "sb3:SAC", "copies": 2, "steps": 60, "total_steps": 960, "labels": 12,
        "first_reward_steps": 10, "reward_batch": 8, "output_dir": str(tmp_path / "r")}))
    assert summary["labels/used"] == 12 and summary["steps"] == 960 and "true_return" in summary


def test_memory_is_told_what_it_is_worth_now():
    agent = Borrowed(Corridor(2, 0), "SAC", 60, learned=True, seed=0, learning_rate=1e-3)
    agent.act(np.random.default_rng(0))
    buffer = agent.model.replay_buffer
    assert buffer.pos == 60 and (buffer.rewards[:60] == 0).all()  # nothing was known yet
    agent.judge = lambda obs, actions: 7 * obs[:, 0]
    agent.relabel()
    np.testing.assert_allclose(buffer.rewards[:60], 7 * buffer.observations[:60, :, 0], rtol=1e-5)


def test_what_is_kept_is_what_happened_not_what_was_paid():
    agent = Borrowed(Buttons(2, 0), "PPO", 40, learned=True, seed=0, learning_rate=1e-3)
    agent.judge = lambda obs, actions: np.full(len(obs), 100.0)
    rollout = agent.act(np.random.default_rng(0))
    assert rollout.rewards.shape == (2, 40) and np.abs(rollout.rewards).max() <= 1
    assert [row.nonzero()[0].tolist() for row in rollout.truncated] == [[19, 39], [9, 29]]  # the second began at half time


def test_it_finds_the_best_where_it_is_paid_for_it():
    agent = Borrowed(Corridor(8, 0), "PPO", 128, learned=False, seed=0, learning_rate=3e-3)
    for _ in range(6):
        agent.act(np.random.default_rng(0))
    assert agent.evaluate(Corridor(4, 1)).mean() > 0.9 * Corridor.best


@pytest.mark.parametrize(("world", "name", "words"), [
    (Corridor, "SAK", "did you mean 'SAC'"), (Buttons, "SAC", "takes continuous actions")])
def test_what_cannot_be_borrowed_is_said(world, name, words):
    with pytest.raises(UserError, match=words):
        Borrowed(world(1, 0), name, 10, learned=True, seed=0, learning_rate=1e-3)
