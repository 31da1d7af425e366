"""The recipes that close the loop, whole, with a model of a few thousand parameters and a few prompts (slow)."""

import json
import os
from pathlib import Path

import pytest

from heed.config import make, read_recipe
from heed.workflows import run

ROOT = Path(__file__).parents[2]
FEW = {"max_prompts": 24, "chunk": 24, "max_completion_length": 8}
REWARD = {"processes": 1, "shift_prompts": 8, "max_length": 80}

pytestmark = pytest.mark.slow


@pytest.fixture
def play(sft, tmp_path, monkeypatch):
    """play(name, changes) -> the summaries of a recipe's stages, with `changes` of some.

    The judge is another: what a model this small writes is all alike to Seal Bay's.
    """
    (tmp_path / "rewards_of_test_loops.py").write_text(
        "def short(prompts, completions, **columns):\n    return [-0.2 * len(c) for c in completions]\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))

    def call(name, changes):
        recipe = read_recipe(ROOT / "recipes" / f"{name}.yaml")
        for stage, few in changes.items():
            recipe["stages"][stage] = {k: {**old, **few[k]} if isinstance(few.get(k), dict) else few.get(k, old)
                                       for k, old in {**few, **recipe["stages"][stage]}.items()}  # fmt: skip
        text = json.dumps(recipe["stages"]).replace("runs/seal_bay_ppo_1m/sft/model", sft)
        stages = json.loads(text.replace("heed.language.datasets.seal_bay:gold", "rewards_of_test_loops:short"))
        run.run(make(run.RunSettings, {**recipe, "output_dir": str(tmp_path / "out"), "stages": stages}))
        return {stage: json.loads((tmp_path / "out" / stage / "summary.json").read_text()) for stage in stages}

    return call


def test_online_seal_bay(play):
    few = {"collect": FEW, "reward": REWARD, "ppo": {"total_episodes": 16, "rollout_batch_size": 8}, "duels": 4,
           "evaluate": {"max_prompts": 6, "num_generations": 2}, "max_completion_length": 8}
    found = play("online_seal_bay", {"online": few})["online"]
    assert {"elo/sft", "elo/round_1", "elo/round_3", "win_rate/gold/round_3_vs_round_2", "round_3/agreement"} <= found.keys()
    assert found["round_3/answers"] > found["round_2/answers"] > found["round_1/answers"]


def test_weak_supervision_seal_bay(play):
    found = play("weak_supervision_seal_bay", {
        "sample": {**FEW, "max_prompts": 120}, "sample_test": {"max_prompts": 40}, "reward_100": REWARD,
        "people_1": {"part": [0, 0.1]}, "rest_1": {"part": [0.1, 1]}, "people_10": {"part": [0, 0.3]},
        "rest_10": {"part": [0.3, 1]}})  # fmt: skip
    for few, rest in (("people_1", "rest_1"), ("people_10", "rest_10")):
        assert found[few]["comparisons"] + found[rest]["comparisons"] == found["people_100"]["comparisons"] == 120
        assert "agreement" in found[few] and "agreement" not in found[rest]
    for name in ("reward_1", "reward_10", "reward_100", "reward_weak_1", "reward_weak_10"):
        assert 0 < found[name]["test_accuracy"]["low"] < found[name]["test_accuracy"]["high"] < 1
