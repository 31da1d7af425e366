"""heed control: from settings to an agent; stopped anywhere it ends the same; answers are heard once and never lost."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from safetensors.torch import load_file

from heed.config import make
from heed.control.environments import make as make_env
from heed.control.policy import Actor
from heed.control.rollout import evaluate
from heed.control.segments import Query, from_file
from heed.errors import UserError
from heed.workflows import control
from heed.workflows.control_agent import load_agent
from heed.workflows.control_labels import Labels

SMALL = {"env": "Pendulum-v1", "copies": 4, "steps": 60, "total_steps": 2400, "labels": 24, "hidden": [16],
         "first_reward_steps": 20, "reward_steps": 4, "reward_batch": 8, "ppo": {"num_ppo_epochs": 2, "num_mini_batches": 2},
         "save_steps": 3}
CLOCK = {"seconds", "cpu_seconds"}


def settings(place, **changes):
    return make(control.ControlSettings, {**SMALL, "output_dir": str(place), **changes})


def curve(place):
    rows = [json.loads(line) for line in (place / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if k not in CLOCK} for row in rows]


def same(a, b):
    """Two runs that ended the same: weights, figures, answers."""
    for name in ("policy.safetensors", "predictor.safetensors"):
        one, two = load_file(a / "model" / name), load_file(b / "model" / name)
        assert all((one[k] == two[k]).all() for k in one.keys() | two.keys()), name
    for one, two in zip(curve(a), curve(b), strict=True):
        assert one == two, {k: (one[k], two[k]) for k in one if one[k] != two.get(k)}
    heard = [[(line["round"], line["answers"]) for line in map(json.loads, (p / "labels.jsonl").read_text().splitlines())]
             for p in (a, b)]
    assert heard[0] == heard[1]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nobody stopped, with a teacher who errs."""
    place = tmp_path_factory.mktemp("control") / "whole"
    control.run(settings(place, teacher="mistake", query="disagreement"))
    return place


def test_a_run_leaves_figures_answers_and_an_agent(whole):
    summary = json.loads((whole / "summary.json").read_text())
    assert summary["labels/used"] == summary["labels/asked"] == 24 and summary["steps"] == 2400
    assert {"true_return", "cpu_seconds", "reward/correlation_step", "reward/correlation_segment"} <= summary.keys()
    last = curve(whole)[-1]
    assert {"steps", "true/return", "reward/ratio", "reward/held_out_accuracy", "labels/age", "labels/open"} <= last.keys()
    asked = sum(len(from_file(p)) // 2 for p in (whole / "queries").glob("*.npz"))
    assert asked == 24


def test_the_agent_that_is_kept_is_the_one_that_was_evaluated(whole):
    policy, normaliser, config = load_agent(whole / "model")
    returns = evaluate(make_env(config["env"], 16, 1_000_003), Actor(policy), normaliser)
    assert returns.mean() == pytest.approx(json.loads((whole / "summary.json").read_text())["true_return"])


@pytest.mark.parametrize("after", [1, 4, 7])
def test_stopped_after_any_round_it_ends_the_same(whole, tmp_path, monkeypatch, after):
    class Stop(Exception):
        pass

    real = control.Trainer.round

    def fragile(self, step):
        if step == after:
            raise Stop
        return real(self, step)

    monkeypatch.setattr(control.Trainer, "round", fragile)
    with pytest.raises(Stop):
        control.run(settings(tmp_path / "r", teacher="mistake", query="disagreement"))
    monkeypatch.setattr(control.Trainer, "round", real)
    control.run(settings(tmp_path / "r", teacher="mistake", query="disagreement"))
    same(whole, tmp_path / "r")


@pytest.mark.slow
def test_killed_at_twenty_moments_it_ends_the_same(whole, tmp_path):
    place, dice = tmp_path / "r", np.random.default_rng(0)
    words = [f"{k}={json.dumps(v) if isinstance(v, dict) else v}" for k, v in SMALL.items()]
    words += ["teacher=mistake", "query=disagreement", f"output_dir={place}"]
    kills = 0
    while not (place / "summary.json").exists():
        process = subprocess.Popen([sys.executable, "-m", "heed", "control", *words], start_new_session=True,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if kills < 20:
            before, began = place.exists() and len(list(place.rglob("*"))), time.monotonic()
            while process.poll() is None and time.monotonic() - began < 60 and (
                    not place.exists() or len(list(place.rglob("*"))) == before):
                time.sleep(0.01)
            time.sleep(dice.uniform(0, 0.4))
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            kills += 1
        else:
            assert process.wait() == 0, process.stderr.read()
    same(whole, place)


def test_it_may_learn_in_shorter_episodes_and_is_measured_in_whole_ones(tmp_path):
    found = control.run(settings(tmp_path / "short", reward="true", episode_steps=30))
    begun = [row["true/return"] for row in curve(tmp_path / "short") if "true/return" in row]
    assert min(begun) > -17 * 30 and found["true_return"] < -600, "no step of Pendulum costs more than 17"


def test_the_yardstick_learns_from_the_true_reward(tmp_path):
    summary = control.run(settings(tmp_path / "r", reward=True))
    assert not (tmp_path / "r" / "labels.jsonl").exists() and "true/return" in summary and "labels/used" not in summary


class Someone:
    """A teacher who answers when told to."""

    def __init__(self):
        self.asked, self.said = [], []

    def ask(self, queries):
        self.asked += [q.id for q in queries]

    def answers(self):
        said, self.said = self.said, []
        return said


def labels(place, teacher, **how):
    return Labels(place, teacher, how.pop("max_unanswered", None), poll=0.01)


@pytest.fixture
def pool(whole):
    return from_file(sorted((whole / "queries").glob("*.npz"))[0])


def test_the_last_word_counts_whenever_it_comes_and_an_unknown_question_not_at_all(tmp_path, pool):
    someone = Someone()
    some = labels(tmp_path, someone)
    some.ask(0, pool, [(0, 1), (2, 3)])
    someone.said = [("000000-0", 1.0), ("000000-0", 0.0), ("elsewhere-7", 1.0)]
    someone.said += [("000000-1", None)]
    some.collect(0, print)
    assert some.answers.preferred == [0.0] and some.unsure == 1 and not some.waiting
    someone.said = [("000000-0", 1.0), ("000000-1", None)]  # one has changed their mind, one has not
    some.collect(1, print)
    someone.said = [("000000-0", 1.0), ("000000-1", 0.5)]
    some.collect(2, print)
    assert some.answers.preferred == [1.0, 0.5] and some.unsure == 0 and len(some.answers.left) == 2
    again = labels(tmp_path, Someone())
    again.restore(1)
    assert again.answers.preferred == [1.0] and again.unsure == 1, "as it stood then"
    again.collect(2, print)
    assert again.answers.preferred == [1.0, 0.5]


def test_what_was_heard_is_heard_again_in_the_same_round_and_nobody_is_asked_twice(tmp_path, pool):
    someone = Someone()
    first = labels(tmp_path, someone)
    first.ask(0, pool, [(0, 1), (2, 3), (4, 5)])
    someone.said = [("000000-0", 1.0), ("000000-1", 0.5)]
    first.collect(0, print)
    someone.said = [("000000-2", 0.0)]
    first.collect(3, print)
    other = Someone()
    again = labels(tmp_path, other)
    again.restore(0)
    assert again.answers.preferred == [1.0, 0.5] and again.asked == 3 and other.asked == []
    for step in (1, 2, 3):
        again.collect(step, print)
        assert len(again.answers) == (3 if step == 3 else 2)
    np.testing.assert_array_equal(again.answers.left.obs, first.answers.left.obs)


def test_questions_nobody_answered_are_put_again(tmp_path, pool):
    first = labels(tmp_path, Someone())
    first.ask(0, pool, [(0, 1), (2, 3)])
    other = Someone()
    labels(tmp_path, other).restore(0)
    assert other.asked == ["000000-0", "000000-1"]


def test_a_line_cut_short_is_taken_off(tmp_path, pool):
    someone = Someone()
    some = labels(tmp_path, someone)
    some.ask(0, pool, [(0, 1), (2, 3)])
    someone.said = [("000000-0", 1.0), ("000000-1", 1.0)]
    some.collect(0, print)
    path = tmp_path / "labels.jsonl"
    kept = path.read_text()
    path.write_text(kept + '{"round": 1, "answers": [["0000')
    again = labels(tmp_path, Someone())
    again.restore(0)
    assert len(again.answers) == 2 and path.read_text() == kept


def test_training_waits_for_answers_or_goes_on_and_says_which(tmp_path, pool):
    """At most one open question: the first two answers are waited for, the third is not."""
    class Slow(Someone):
        def answers(self):
            return [(self.asked.pop(0), 1.0)] if self.asked else []

    said, slow = [], Slow()
    some = labels(tmp_path, slow, max_unanswered=1)
    some.ask(0, pool, [(0, 1), (2, 3), (4, 5)])
    some.collect(0, said.append)
    assert len(some.answers) == 2 and len(some.waiting) == 1
    assert said == ["control: waiting for answers: 2 questions are open, training goes on at 1",
                    "control: going on with 2 answers, 1 questions open"]


def test_a_teacher_who_never_says_anything_useful_stops_nobody(tmp_path):
    """All "can't tell": nothing to learn from, nothing to wait for, and counted."""
    some = labels(tmp_path, Someone(), max_unanswered=0)
    some.waiting = {"a": Query("a", None, None)}
    some._take(0, [("a", None)])
    assert some.unsure == 1 and not some._must_wait()


@pytest.mark.parametrize(("changes", "words"), [
    ({"env": "Pendulum-v2"}, "is no environment"),
    ({"clip_steps": 61}, "clip_steps = 61 is longer than steps = 60"),
    ({"episode_steps": 50, "clip_steps": 51}, "clip_steps = 51 is longer than the horizon = 50"),
    ({"episode_steps": 201}, "episode_steps = 201 is longer than an episode of Pendulum-v1, 200 steps"),
    ({"env": "InvertedPendulum", "clip_steps": 26}, "clip_steps = 26 is longer than the horizon = 25"),
    ({"labels": 1}, "a reward is learnt from at least 2 answers"),
    ({"agent": "ppp"}, "agent = 'ppp'"),
    ({"ppo": {"num_mini_batches": 999}}, "expected 1 to copies"),
    ({"teacher": "orakle"}, "teacher = 'orakle': expected"),
    ({"answers": "scores", "teacher": "mistake"}, "which only teacher=oracle says; teacher=mistake compares"),
    ({"judge": "nobody:home"}, "no module 'nobody'"),
    ({"env": "CartPole-v1"}, "ends its episodes early"),
])
def test_a_mistake_is_said_before_anything_is_done(tmp_path, changes, words):
    with pytest.raises(UserError, match=words):
        control.run(settings(tmp_path / "r", **changes))


@pytest.mark.parametrize("agent", ["trpo", "a2c", "reinforce"])
def test_other_agents_take_the_same_road(tmp_path, agent):
    summary = control.run(settings(tmp_path / "r", agent=agent, env="CartPole-v1", variable_horizon=True, total_steps=960,
                                   clip_steps=10, trpo={"num_critic_epochs": 1}))
    assert summary["labels/used"] == 24 and summary["true_return"] > 0
