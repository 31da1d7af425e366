"""heed offline: every method of the table on rankings, resumable to the bit, its reference asked once."""

import json
from pathlib import Path

import pytest
from safetensors.torch import load_file

from heed.config import make
from heed.errors import UserError
from heed.workflows import methods, offline, sample


def settings(out, sft, dataset, algorithm, **changes):
    return make(offline.OfflineSettings, {**dict(
        output_dir=str(out), algorithm=algorithm, model=sft, dataset=dataset, max_length=80, batch_size=8, micro_batch=4,
        max_steps=6, learning_rate=1e-2), **changes})


def jsonl(path):
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def written(path, rows):
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return str(path)


@pytest.fixture(scope="module")
def rankings(data):
    """Enough prompts that some are held out; the longer answer, which is the shorter one and more, is the worse."""
    def answer(text):
        return [{"role": "assistant", "content": text}]
    rows = [{"prompt": [{"role": "user", "content": f"What has {name} today, number {i}?"}],
             "chosen": answer(f"{name} has a {thing}."), "rejected": answer(f"{name} has a {thing}. And more, and more.")}
            for i in range(80) for name, thing in (("Ann", "boat"), ("Ben", "net"), ("Cat", "rope"))]
    return written(data["place"] / "many.jsonl", rows)


@pytest.fixture(scope="module")
def rated(data, rankings):
    """The same answers, the short ones with five stars."""
    return written(data["place"] / "rated.jsonl", [
        {"user_input": r["prompt"][0]["content"], "completion": r[side][0]["content"], "score": stars} for r in jsonl(rankings)
        for side, stars in (("chosen", 5.0), ("rejected", 1.0))])


@pytest.mark.parametrize("algorithm", sorted(methods.OFFLINE))
def test_every_method_learns_that_short_is_better(algorithm, data, rankings, rated, sft, tmp_path):
    dataset = rated if algorithm == "rating_weighted" else rankings
    found = offline.run(settings(tmp_path / "run", sft, dataset, algorithm, max_steps=12))
    rows = jsonl(tmp_path / "run" / "metrics.jsonl")
    assert rows[-2]["loss"] < rows[0]["loss"]
    if algorithm != "rating_weighted":
        assert found["eval_accuracy"]["value"] > 0.6
        assert found["eval_logps/chosen"] > found["eval_logps/rejected"]
    assert (tmp_path / "run" / "reference").is_dir() == methods.OFFLINE[algorithm].reference
    found = sample.run(sample.Sample(output_dir=str(tmp_path / "sample"), model=str(tmp_path / "run" / "model"),
                                       dataset=data["demonstrations"], max_prompts=2, max_completion_length=4))
    assert found["completions"] == 8


def test_kto_from_answers_rated_by_themselves(rated, rankings, sft, tmp_path):
    found = offline.run(settings(tmp_path / "run", sft, rated, "kto", learn_from="ratings", max_steps=12))
    assert found["eval_accuracy"]["value"] > 0.6
    with pytest.raises(UserError, match="dpo learns from rankings; learn_from = 'ratings' is for kto and rating_weighted"):
        settings(tmp_path / "dpo", sft, rated, "dpo", learn_from="ratings")


@pytest.mark.parametrize("algorithm", ["dpo", "kto", "conditional_sft"])
def test_interrupted_and_continued_is_uninterrupted(algorithm, data, sft, tmp_path, interrupted, ended_alike):
    def begin(out):
        return settings(out, sft, data["rankings"], algorithm, save_steps=1, sft_coef=0.1)

    offline.run(begin(tmp_path / "whole"))
    interrupted(lambda: offline.run(begin(tmp_path / "halves")))
    offline.run(begin(tmp_path / "halves"))
    ended_alike(tmp_path / "whole", tmp_path / "halves")


def test_the_reference_is_asked_once(data, sft, tmp_path):
    """A started run reads what it kept, whatever has become of the reference."""
    first = settings(tmp_path / "run", sft, data["rankings"], "dpo", max_steps=1)
    offline.run(first)
    (tmp_path / "run" / "summary.json").unlink()
    kept = tmp_path / "run" / "reference" / "logprobs.safetensors"
    before = kept.stat().st_mtime_ns
    offline.run(first)
    assert kept.stat().st_mtime_ns == before


@pytest.mark.parametrize("algorithm", ["dpo", "kto"])
def test_the_reference_is_asked_of_what_is_read(algorithm, rankings, sft, tmp_path):
    """A budget ends before the first epoch does: the rest of the rows would be read by the reference alone."""
    offline.run(settings(tmp_path / "run", sft, rankings, algorithm, max_steps=2))
    found = load_file(tmp_path / "run" / "reference" / "logprobs.safetensors")
    rows = 2 * 8 * (2 if algorithm == "dpo" else 1)  # two steps of eight rankings of two answers, or of eight answers
    assert found["train"].isfinite().sum() == rows < len(found["train"]) and found["valid"].isfinite().all()
    offline.run(settings(tmp_path / "long", sft, rankings, algorithm, num_train_epochs=1, max_steps=-1))
    all_of_them = load_file(tmp_path / "long" / "reference" / "logprobs.safetensors")
    assert all_of_them["train"].isfinite().all()
    asked = found["train"].isfinite()
    assert found["train"][asked].numpy() == pytest.approx(all_of_them["train"][asked].numpy(), abs=1e-4)


def test_at_the_first_step_the_policy_is_its_reference(data, sft, tmp_path):
    """beta times nothing: log 2, and with LoRA too, whose base is the reference."""
    for name, lora in (("whole", {}), ("lora", {"lora_r": 2})):
        offline.run(settings(tmp_path / name, sft, data["rankings"], "dpo", max_steps=1, **lora))
        assert jsonl(tmp_path / name / "metrics.jsonl")[0]["loss"] == pytest.approx(0.693147, abs=1e-5)


@pytest.mark.parametrize(("changes", "message"), [
    ({"algorithm": "dpoo"}, "algorithm = 'dpoo' is none of heed's here; did you mean 'dpo'?"),
    ({"parameters": {"bta": 1}}, "parameters of dpo: unknown key 'bta'; did you mean 'beta'?"),
    ({"parameters": {"beta": "much"}}, "parameters of dpo: beta = 'much': expected a valid number"),
])
def test_a_slip_is_named(changes, message, data, sft, tmp_path):
    with pytest.raises(UserError) as caught:
        offline.run(settings(tmp_path / "run", sft, data["rankings"], **{"algorithm": "dpo", **changes}))
    assert message in str(caught.value)
    assert not (tmp_path / "run").exists()
