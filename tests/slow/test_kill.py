"""kill -9 at random moments: the same command, given again until it is done, ends as if nothing had happened.

Twenty kills of real `heed` processes (the whole process group), spread over pretrain, sft, reward and ppo, each a checkpoint
every second step.  The weights must be the same bits, and metrics.jsonl the same lines but for the clock.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

KILLS = 5  # of each verb
CLOCK = {"seconds", "units_per_second"}
STEPS = 60


@pytest.fixture(scope="module")
def words(data, base, sft, reward):
    """The command of each verb, without its output_dir."""
    common = ["save_steps=2", "seed=3"]
    offline = [*common, f"max_steps={STEPS}", "batch_size=8", "micro_batch=4", "learning_rate=0.003"]
    tiny = "{hidden_size: 16, intermediate_size: 32, num_hidden_layers: 2, num_attention_heads: 2}"
    return {
        "pretrain": [*offline, f"dataset={data['texts']}", f"architecture={tiny}", "vocab_size=320", "max_length=24"],
        "sft": [*offline, f"model={base}", f"dataset={data['demonstrations']}", "max_length=80"],
        "reward": [*offline, f"model={sft}", f"dataset={data['rankings']}", "max_length=80", "shift_prompts=8",
                   "max_completion_length=8"],
        "ppo": [*common, f"model={sft}", f"reward_model={reward}", f"dataset={data['demonstrations']}", "kl_target=1.0",
                "kl_horizon=100", "ema=0.9", "max_completion_length=8", f"total_episodes={8 * STEPS}", "rollout_batch_size=8",
                "micro_batch=4", "learning_rate=0.001"],
    }  # fmt: skip


def start(verb, words, out):
    return subprocess.Popen([sys.executable, "-m", "heed", verb, *words, f"output_dir={out}"], start_new_session=True,
                            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def finish(process):
    _, err = process.communicate()
    assert process.returncode == 0, err


def lines(path):
    return path.read_bytes().count(b"\n") if path.exists() else 0


def kill_somewhere(verb, words, out, dice):
    """Wait for a random number of further lines of figures and a random moment more; returns whether it was still at work."""
    process = start(verb, words, out)
    goal = lines(out / "metrics.jsonl") + dice.randrange(0, STEPS // 3)
    while process.poll() is None and lines(out / "metrics.jsonl") < goal:
        time.sleep(0.002)
    time.sleep(dice.random() * 0.2)  # anywhere: between two steps, in a step, in the middle of a checkpoint
    alive = process.poll() is None
    if alive:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    return alive and process.returncode == -signal.SIGKILL


def figures(out):
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if k not in CLOCK} for row in rows]


@pytest.mark.parametrize("verb", ["pretrain", "sft", "reward", "ppo"])
def test_killed_and_continued_is_uninterrupted(verb, words, tmp_path, capsys):
    dice = random.Random(f"{verb} {os.environ.get('HEED_KILL_SEED', 0)}")
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    finish(start(verb, words[verb], whole))
    kills = 0
    while kills < KILLS:
        if (halves / "summary.json").exists():
            shutil.rmtree(halves)  # done before it was killed often enough: once more from the beginning
        kills += kill_somewhere(verb, words[verb], halves, dice)
    finish(start(verb, words[verb], halves))
    with capsys.disabled():
        print(f"\n{verb}: {kills} kills, figures of {len(figures(halves))} lines compared")
    assert (halves / "model" / "model.safetensors").read_bytes() == (whole / "model" / "model.safetensors").read_bytes()
    assert figures(halves) == figures(whole)
    assert json.loads((halves / "summary.json").read_text()) == json.loads((whole / "summary.json").read_text())
    left = [p.name for p in Path(halves).rglob("*") if p.name.endswith((".part", ".old"))]
    assert not left, "what killed processes left is swept away"
