"""The recipes on real data, run whole: all of them cut down to a few steps, and the cheapest at a size where it must work.

Slow (`make test-slow`), and skipped where the data is absent (HEED_DATA, or ../shared/data beside the repository).
"""

import json
import os
from pathlib import Path

import pytest

from heed.config import make, read_recipe
from heed.workflows import run

ROOT = Path(__file__).parents[2]
FEW = {"pretrain": {"max_texts": 400, "max_steps": 4, "processes": 1, "eval_texts": 20},
       "sft": {"max_rows": 64, "max_steps": 4, "processes": 1},
       "reward": {"max_rows": 400, "max_steps": 4, "processes": 1, "shift_prompts": 16},
       "ppo": {"max_prompts": 64, "rollout_batch_size": 32, "total_episodes": 64},
       "evaluate": {"max_prompts": 12, "num_generations": 2}, "convert": {}}
NEEDS = {"imdb_ppo_small": "imdb", "stories_ppo_small": "stories260K", "hh_reward_small": "hh_rlhf",
         "tldr_reward_small": "summarize_from_feedback"}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def real_data():
    """The folder of public datasets."""
    folder = Path(os.environ.get("HEED_DATA", ROOT.parent / "shared" / "data")).absolute()
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set HEED_DATA")
    return folder


def play(name, folder, out, monkeypatch, changes):
    """The summaries of a recipe's stages, each stage with `changes[verb]` over its settings."""
    if not (folder / NEEDS[name]).is_dir():
        pytest.skip(f"{NEEDS[name]} is absent from {folder}")
    monkeypatch.setenv("HEED_DATA", str(folder))
    recipe = read_recipe(ROOT / "recipes" / f"{name}.yaml")
    stages = {stage: {**values, **changes.get(values.get("verb", stage), {})} for stage, values in recipe["stages"].items()}
    run.run(make(run.RunSettings, {**recipe, "output_dir": str(out), "stages": stages}))
    return {stage: json.loads((out / stage / "summary.json").read_text()) for stage in stages
            if (out / stage / "summary.json").exists()}


@pytest.mark.parametrize("name", NEEDS)
def test_a_recipe_runs_to_its_end(name, real_data, tmp_path, monkeypatch):
    found = play(name, real_data, tmp_path / "out", monkeypatch, FEW)
    last = list(found)[-1]
    assert "<svg" in (tmp_path / "out" / "report.html").read_text()
    if last == "evaluate":
        assert {"proxy/base", "proxy/ppo", "kl/ppo", "difference/proxy/ppo_vs_base"} <= found[last].keys()
    else:
        assert 0 < found[last]["test_accuracy"]["low"] < found[last]["test_accuracy"]["high"] < 1
        assert "test_accuracy_longer_wins" in found[last] and "test_accuracy_constant" in found[last]


def test_stories_get_better_by_more_than_chance(real_data, tmp_path, monkeypatch):
    """A sixth of the recipe's episodes."""
    changes = {"ppo": {"total_episodes": 2048}, "evaluate": {"num_generations": 4}}
    found = play("stories_ppo_small", real_data, tmp_path / "out", monkeypatch, changes)["evaluate"]
    assert found["difference/proxy/ppo_vs_base"]["low"] > 0.05
    assert 0 < found["kl/ppo"]["value"] < 40
    assert found["distinct_2/ppo"]["value"] > 0.5 * found["distinct_2/base"]["value"]
