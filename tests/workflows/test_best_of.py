"""Best-of-n at inference, with any reward: what is kept is what the reward likes most of the very samples that were drawn."""

import json

import pytest
import torch

from heed.config import make
from heed.errors import UserError
from heed.language.batches import make_tokens
from heed.language.rollout import Acted, best_of
from heed.workflows import evaluate, sample


@pytest.fixture
def short(tmp_path, monkeypatch):
    """Shorter is better."""
    (tmp_path / "curt.py").write_text(
        "def short(prompts, completions, **columns):\n    return [-len(c) for c in completions]\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return "curt:short"


def test_the_best_of_each_few_by_hand():
    acted = Acted(list("aabb"), make_tokens([[1]] * 4, [[5], [6], [7], [8]]), ["w", "x", "y", "z"],
                  torch.tensor([True, False, False, True]))
    found = best_of(acted, torch.tensor([0.0, 1.0, 3.0, 2.0]), 2)
    assert (found.prompts, found.texts) == (["a", "b"], ["x", "y"])
    assert found.tokens.completion_ids.flatten().tolist() == [6, 7] and found.finished.tolist() == [False, False]


def test_sampling_keeps_the_best(data, sft, short, tmp_path):
    def texts(name, **changes):
        sample.run(make(sample.Sample, {**dict(output_dir=str(tmp_path / name), model=sft, dataset=data["demonstrations"],
                                               max_prompts=6, max_completion_length=8), **changes}))
        rows = [json.loads(line) for line in (tmp_path / name / "samples.jsonl").read_text().splitlines()]
        return [[c["text"] for c in row["completions"]] for row in rows]

    several = texts("several", num_generations=6)
    kept = texts("kept", num_generations=2, best_of=3, reward_functions=short)
    assert kept == [[min(row[:3], key=len), min(row[3:], key=len)] for row in several]


def test_nothing_to_choose_by_is_refused(data, sft, short, tmp_path):
    words = dict(output_dir=str(tmp_path / "s"), model=sft, dataset=data["demonstrations"], best_of=2)
    with pytest.raises(UserError, match="a reward is required"):
        sample.run(make(sample.Sample, words))
    common = dict(output_dir=str(tmp_path / "e"), models={"a": sft}, dataset=data["demonstrations"], split="train", gold=short,
                  max_prompts=2, max_completion_length=4)
    with pytest.raises(UserError, match="best_of chooses by the reward"):
        evaluate.run(make(evaluate.Evaluate, {**common, "best_of": {"a": 2}}))
    with pytest.raises(UserError, match="best_of names 'b', which is none of the models"):
        evaluate.run(make(evaluate.Evaluate, {**common, "best_of": {"b": 2}}))
