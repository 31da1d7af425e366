"""Environments: Gymnasium's physics and ours, step by step; the paper's edits; nothing hidden; clear words."""

import os
import subprocess
import sys

import gymnasium
import numpy as np
import pytest
from corridor import Corridor

from heed.control.environments import make
from heed.control.environments.batch import Batch
from heed.control.environments.tasks import TASKS
from heed.errors import RunError, UserError

CLIPS = {"Reacher": 15, "InvertedPendulum": 15, "InvertedDoublePendulum": 15, "HalfCheetah": 30, "Ant": 30, "Walker2d": 45,
         "Hopper": 60, "HopperFlip": 60, "Swimmer": 60}


@pytest.mark.parametrize("name", TASKS)
def test_moves_as_gymnasium_does(name):
    """From one state by one action to the same positions, velocities and, where the paper left it, observation."""
    env = make(name, 2, seed=3)
    options = {"include_cfrc_ext_in_observation": False} if name == "Ant" else {}
    theirs = gymnasium.make(f"{name.removesuffix('Flip')}-v5", **options).unwrapped
    env.begin()
    theirs.reset(seed=0)
    random = np.random.default_rng(0)
    for _ in range(5):
        before = env.states()[1]
        theirs.set_state(before[: env.nq], before[env.nq :])
        action = random.uniform(-1, 1, (2, env.action_size))
        obs = env.step(action).obs[1]
        seen, *_ = theirs.step(env.low + (action[1] + 1) / 2 * (env.high - env.low))
        np.testing.assert_allclose(env.states()[1], np.r_[theirs.data.qpos, theirs.data.qvel], rtol=1e-4, atol=1e-5)
        if name == "HopperFlip":  # sees its angle as sine and cosine
            obs = np.r_[obs[:1], np.arctan2(obs[1], obs[2]), obs[3:]]
        np.testing.assert_allclose(obs, seen[: len(obs)], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["HalfCheetah", "Swimmer", "Hopper", "Walker2d", "Reacher", "InvertedDoublePendulum"])
def test_pays_what_gymnasium_names_less_what_nobody_sees(name):
    """The edits, from the parts of Gymnasium's reward that it lists."""
    env, theirs = make(name, 1, seed=0), gymnasium.make(f"{name}-v5").unwrapped
    env.begin()
    theirs.reset(seed=0)
    before = env.states()[0]
    theirs.set_state(before[: env.nq], before[env.nq :])
    action = np.full((1, env.action_size), 0.3)
    paid = env.step(action).rewards[0]
    *_, info = theirs.step(env.low + 1.3 / 2 * (env.high - env.low))
    height = theirs.data.qpos[1]
    expected = {
        "HalfCheetah": lambda: info["reward_forward"], "Swimmer": lambda: info["reward_forward"],
        "Hopper": lambda: info["x_velocity"] + 1 + (height - 1), "Walker2d": lambda: info["x_velocity"] + 1 + (height - 2),
        "Reacher": lambda: info["reward_dist"],
        "InvertedDoublePendulum": lambda: 10 + info["distance_penalty"] + info["velocity_penalty"]
        + 10 * (theirs.data.site_xpos[0][2] - 1)}[name]()
    # Gymnasium measures a Reacher's arm one step of forward kinematics behind its joints.
    assert paid == pytest.approx(expected, rel=1e-3, abs=2e-2 if name in ("Reacher", "InvertedDoublePendulum") else 1e-4)


@pytest.mark.parametrize("name", TASKS)
def test_a_clip_is_a_second_and_a_half_and_nothing_ends_early(name):
    env = make(name, 2, seed=0)
    assert env.clip == CLIPS[name] <= env.horizon
    env.begin()
    random = np.random.default_rng(0)
    for t in range(min(env.horizon, 60)):
        moved = env.step(random.uniform(-1, 1, (2, env.action_size)))
        assert not moved.terminated.any() and moved.truncated.all() == (t + 1 == env.horizon)


@pytest.mark.parametrize("name", ["Pendulum-v1", "CartPole-v1"])
def test_classic_control_is_gymnasiums(name):
    env, theirs = make(name, 3, seed=1, variable_horizon=True), gymnasium.make(name).unwrapped
    env.begin()
    theirs.reset(seed=0)
    random = np.random.default_rng(0)
    for _ in range(60):
        theirs.state = env.states()[2]
        action = random.integers(0, 2, 3) if env.discrete else random.uniform(-1, 1, (3, 1)).astype(np.float32)
        theirs.steps_beyond_terminated = None
        seen, reward, ended, _, _ = theirs.step(action[2] if env.discrete else 2 * action[2])
        moved = env.step(action)
        np.testing.assert_allclose(moved.final[2], seen, rtol=1e-5, atol=1e-6)
        assert moved.rewards[2] == pytest.approx(reward, rel=1e-5) and moved.terminated[2] == ended


@pytest.mark.parametrize("name", ["HalfCheetah", "Pendulum-v1", "MountainCarContinuous-v0", "Acrobot-v1"])
def test_goes_on_exactly_from_what_it_kept(name):
    """Also environments whose state is hidden: their actions are taken again."""
    def play(env, steps, random):
        return [env.step(random.integers(0, env.action_size, 2) if env.discrete else
                         random.uniform(-1, 1, (2, env.action_size)).astype(np.float32)) for _ in range(steps)]

    one = make(name, 2, seed=5, variable_horizon=True)
    one.begin(staggered=True)
    play(one, 30, np.random.default_rng(0))
    kept = one.keep()
    after = play(one, 20, np.random.default_rng(1))
    other = make(name, 2, seed=5, variable_horizon=True)
    other.begin()
    other.restore(kept)
    for a, b in zip(after, play(other, 20, np.random.default_rng(1)), strict=True):
        np.testing.assert_array_equal(a.obs, b.obs)
        np.testing.assert_array_equal(a.rewards, b.rewards)


def test_a_new_episode_begins_where_the_last_was_cut_off():
    env = Corridor(2, 0)
    env.begin()
    for _ in range(19):
        env.step(np.ones((2, 1)))
    moved = env.step(np.ones((2, 1)))
    assert moved.truncated.all() and (moved.obs == 0).all() and (moved.final == 1).all() and (env.episode == 1).all()


def test_copies_are_spread_over_the_episode_and_their_first_ones_are_shorter():
    env = Corridor(4, 0)
    env.begin(staggered=True)
    ends = [np.flatnonzero(env.step(np.ones((4, 1))).truncated).tolist() for _ in range(25)]
    assert [(t + 1, who) for t, who in enumerate(ends) if who] == [(5, [3]), (10, [2]), (15, [1]), (20, [0]), (25, [3])]


@pytest.mark.parametrize(("name", "words"), [
    ("HalfCheeta", "did you mean 'HalfCheetah'"),
    ("CartPole-v1", "ends its episodes early"),
    ("Hopper-v5", "ends its episodes early"),
    ("Blackjack-v1", "shows a Tuple"),
])
def test_what_cannot_be_used_is_said(name, words):
    with pytest.raises(UserError, match=words):
        make(name, 2, seed=0)


def test_a_renderer_that_is_not_there_is_said_before_mujoco_falls_over_it():
    """Importing mujoco with MUJOCO_GL=osmesa raises where OSMesa is not installed, though nothing is drawn."""
    code = "from heed.control.environments import make; make('Hopper', 1, 0)"
    world = {**os.environ, "MUJOCO_GL": "nothing"}
    done = subprocess.run([sys.executable, "-c", code], env=world, capture_output=True, text=True)
    assert "UserError: MUJOCO_GL=nothing: that library is not here" in done.stderr


def test_images_are_refused():
    class Pictures(gymnasium.Env):
        observation_space = gymnasium.spaces.Box(0, 255, (84, 84, 3), np.uint8)
        action_space = gymnasium.spaces.Discrete(2)

    gymnasium.register("Pictures-v0", Pictures, max_episode_steps=10)
    with pytest.raises(UserError, match=r"shows images of shape \(84, 84, 3\): expected a vector"):
        make("Pictures-v0", 1, seed=0, variable_horizon=True)


def test_an_observation_that_is_no_number_stops_the_run():
    class Broken(Corridor):
        def _see(self):
            return np.where(self.x > 0.25, np.nan, self.x).astype(np.float32)

    env = Broken(2, 0)
    env.begin()
    with pytest.raises(RunError, match="Corridor gave an observation or reward that is not a number, in copy 0, step 2"):
        for _ in range(5):
            env.step(np.ones((2, 1)))


def test_the_base_says_what_a_world_must_offer():
    with pytest.raises(NotImplementedError):
        Batch(1, 0).begin()
