"""evaluate: what the policy was trained on may be functions alone, weighted as they were in training."""

import json
from pathlib import Path

import pytest
import torch

from heed.workflows import evaluate
from heed.workflows.pretrain import load_texts


def lengths(tmp_path, monkeypatch):
    """A judge who counts characters; its module has one beside it, who gives 1 to all."""
    (tmp_path / "judges_of_test_evaluate.py").write_text(
        "def length(prompts, completions, **columns):\n    return [float(len(c)) for c in completions]\n"
        "def one(prompts, completions, **columns):\n    return [1.0 for c in completions]\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return "judges_of_test_evaluate:length"


def test_the_proxy_may_be_functions(data, base, tmp_path, monkeypatch):
    length = lengths(tmp_path, monkeypatch)
    found = evaluate.run(evaluate.Evaluate(
        output_dir=str(tmp_path / "out"), models={"base": base}, dataset=data["texts"], split="train", max_prompts=8,
        num_generations=2, max_completion_length=6, reward_weights=[1.0, 10.0],
        reward_functions=[length, "judges_of_test_evaluate:one"]))
    rows = [json.loads(line) for line in (tmp_path / "out" / "samples.jsonl").read_text().splitlines()]
    expected = [len(t) + 10 for row in rows for t in row["completions"]["base"]]
    assert [v for row in rows for v in row["proxy"]["base"]] == expected
    assert found["proxy/base"]["value"] == pytest.approx(sum(expected) / len(expected))


def test_perplexity_is_that_of_pretraining_between_bounds_over_texts(data, base, tmp_path, monkeypatch):
    found = evaluate.run(evaluate.Evaluate(
        output_dir=str(tmp_path / "out"), models={"base": base}, dataset=data["texts"], split="train", max_prompts=2,
        num_generations=1, max_completion_length=2, gold=lengths(tmp_path, monkeypatch), texts=data["texts"]))
    found = found["perplexity/base"]
    before = json.loads((Path(base).parent / "summary.json").read_text())["perplexity"]
    assert found["value"] == pytest.approx(before, rel=1e-5) and found["low"] < before < found["high"]
    assert found["n"] == len(load_texts(data["texts"], "valid", 200)) > 1


def test_nobody_else_is_told_the_word_that_a_policy_answers_behind(data, sft, reward, tmp_path, monkeypatch):
    """Policies trained behind reward tokens (Quark, conditional SFT): what is said of their answers is said of the text."""
    from heed.language.batches import Tokens, Told, told
    from heed.language.chat import ask_for_the_best, best_word, encode_prompt, load_tokenizer
    from heed.language.models import load_policy, save
    from heed.language.policy import Policy
    from heed.language.reward import make_reward
    from heed.workflows.sample import load_prompts

    lm, plain, asking, seen = load_policy(sft).eval(), load_tokenizer(sft), load_tokenizer(sft), []
    ask_for_the_best(asking, 3)
    word = best_word(asking)
    assert best_word(plain) is None and plain.decode([word]) == "\x03"
    with torch.no_grad():  # a word that says something
        lm.get_input_embeddings().weight[word] = 3.0
    save(lm, asking, tmp_path / "told")
    real = evaluate.Answers._kl
    monkeypatch.setattr(evaluate.Answers, "_kl", lambda self, lm, tokens: seen.append(tokens) or real(self, lm, tokens))
    evaluate.run(evaluate.Evaluate(
        output_dir=str(tmp_path / "out"), models={"sft": sft, "told": str(tmp_path / "told")}, reference="sft",
        reward_model=reward, dataset=data["demonstrations"], split="train", max_prompts=4, num_generations=2,
        max_completion_length=6))
    (rows,) = seen
    assert isinstance(rows, Told)
    prompts = [p for p in load_prompts(data["demonstrations"], "train", 4) for _ in range(2)]
    for ids, n, prompt in zip(rows.prompt_ids.tolist(), rows.prompt_lengths.tolist(), prompts, strict=True):
        assert ids[:n] == encode_prompt(plain, prompt), "the word stands in no prompt"
    text = Tokens(*(getattr(rows, f) for f in Tokens.__dataclass_fields__))
    said = [json.loads(line) for line in (tmp_path / "out" / "samples.jsonl").read_text().splitlines()]
    answers = [t for row in said for t in row["completions"]["told"]]
    proxy = make_reward([reward], [], [], plain)(text, prompts, answers)[0]
    assert [v for row in said for v in row["proxy"]["told"]] == pytest.approx(proxy.tolist(), abs=1e-4)
    with torch.no_grad():
        mine = Policy(lm)(told(text, word)).logprobs[:, 1:].sum(1)
        theirs = Policy(load_policy(sft).eval())(text).logprobs.sum(1)
    assert [v for row in said for v in row["kl"]["told"]] == pytest.approx((mine - theirs).tolist(), abs=1e-3)
