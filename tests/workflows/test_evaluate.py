"""evaluate: what the policy was trained on may be functions alone, weighted as they were in training."""

import json

import pytest

from heed.workflows import evaluate


def test_the_proxy_may_be_functions(data, base, tmp_path, monkeypatch):
    (tmp_path / "judges_of_test_evaluate.py").write_text(
        "def length(prompts, completions, **columns):\n    return [float(len(c)) for c in completions]\n"
        "def one(prompts, completions, **columns):\n    return [1.0 for c in completions]\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    found = evaluate.run(evaluate.Evaluate(
        output_dir=str(tmp_path / "out"), models={"base": base}, dataset=data["texts"], split="train", max_prompts=8,
        num_generations=2, max_completion_length=6, reward_weights=[1.0, 10.0],
        reward_functions=["judges_of_test_evaluate:length", "judges_of_test_evaluate:one"]))
    rows = [json.loads(line) for line in (tmp_path / "out" / "samples.jsonl").read_text().splitlines()]
    expected = [len(t) + 10 for row in rows for t in row["completions"]["base"]]
    assert [v for row in rows for v in row["proxy"]["base"]] == expected
    assert found["proxy/base"]["value"] == pytest.approx(sum(expected) / len(expected))
