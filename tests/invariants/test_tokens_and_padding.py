"""What a token's log-probability may depend on: its own past, the temperature, and nothing else."""

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from heed.algorithms.sft import SFT
from heed.language.batches import make_tokens, pack
from heed.language.chat import (
    decode,
    encode_completion,
    encode_demonstration,
    load_tokenizer,
    train_tokenizer,
    truncate_prompt,
)
from heed.language.engines import make_engine
from heed.language.models import disable_dropout
from heed.language.policy import Policy
from heed.language.rollout import act
from heed.protocols import Completion, Sampling
from heed.records import Demonstration, Message, Prompt


def alone(policy, rows, i):
    """Log-probabilities of row i, computed without company and without anything of heed's: by its definition."""
    prompt = rows.prompt_ids[i, : rows.prompt_lengths[i]]
    completion = rows.completion_ids[i, : rows.completion_lengths[i]]
    logits = policy.lm(torch.cat([prompt, completion])[None]).logits[0, len(prompt) - 1 : -1] / policy.temperature
    return logits.log_softmax(-1).gather(1, completion[:, None])[:, 0]


@pytest.mark.parametrize("packing", [True, False])
def test_company_changes_no_log_probability(lm, rows, packing):
    """Neither neighbours, nor their lengths, nor a shared prompt, nor where padding would have stood."""
    policy = Policy(lm, temperature=0.7, packing=packing)
    found = policy(rows).logprobs
    for i, n in enumerate(rows.completion_lengths.tolist()):
        assert torch.allclose(found[i, :n], alone(policy, rows, i), atol=1e-5)
        assert found[i, n:].abs().sum() == 0


def test_positions_begin_anew_with_every_row(rows, monkeypatch):
    monkeypatch.setattr("heed.language.batches.FILLING", 1)
    packed = pack(rows, share_prompts=False)
    lengths = (rows.prompt_lengths + rows.completion_lengths).tolist()
    assert packed.position_ids[0].tolist() == [i for n in lengths for i in range(n)]


def test_completions_of_a_shared_prompt_go_on_where_it_ends(rows, monkeypatch):
    """The prompt stands once, and each of its three completions takes up the positions behind it."""
    monkeypatch.setattr("heed.language.batches.FILLING", 1)
    packed = pack(rows)
    assert packed.input_ids.shape[1] == 3 + 5 + int(rows.completion_lengths.sum())
    positions = packed.position_ids[0][packed.index]
    for i, n in enumerate(rows.completion_lengths.tolist()):
        assert positions[i, :n].tolist() == list(range(rows.prompt_lengths[i], rows.prompt_lengths[i] + n))


def test_filling_is_never_read(lm, rows, monkeypatch):
    monkeypatch.setattr("heed.language.batches.FILLING", 1)
    bare = Policy(lm)(rows).logprobs
    monkeypatch.setattr("heed.language.batches.FILLING", 64)
    assert torch.allclose(Policy(lm)(rows).logprobs, bare, atol=1e-6)


def test_rubbish_behind_the_end_is_never_read(lm, rows):
    from dataclasses import replace

    behind = torch.arange(rows.completion_ids.shape[1])[None] >= rows.completion_lengths[:, None]
    spoilt = replace(rows, completion_ids=rows.completion_ids.masked_fill(behind, 33))
    assert torch.equal(Policy(lm)(rows).logprobs, Policy(lm)(spoilt).logprobs)


def test_pad_is_not_eos_and_eos_is_learnt(tokenizer, tmp_path):
    """Where PAD is EOS, the mask that hides padding hides the end, and the model never learns to stop."""
    assert tokenizer.pad_token_id != tokenizer.eos_token_id
    tokenizer.save_pretrained(tmp_path)
    loaded = load_tokenizer(str(tmp_path))
    loaded.pad_token = loaded.eos_token
    loaded.save_pretrained(tmp_path / "as_many_do")
    mended = load_tokenizer(str(tmp_path / "as_many_do"))
    assert mended.pad_token_id != mended.eos_token_id
    for row in (Demonstration(Prompt("the sea"), " the wall"),
                Demonstration(Prompt((Message("user", "the sea"),)), "the wall")):  # fmt: skip
        _, completion, mask = encode_demonstration(tokenizer, row)
        assert completion[-1] == tokenizer.eos_token_id and mask[-1] == 1


def test_only_the_assistants_words_are_learnt(tokenizer):
    turns = (Message("user", "the sea"), Message("assistant", "the gull"), Message("user", "the wall"))
    prompt, completion, mask = encode_demonstration(tokenizer, Demonstration(Prompt(turns), "stood"))
    learnt = [t for t, m in zip(completion, mask, strict=True) if m]
    assert learnt == [*encode_completion(tokenizer, "the gull"), *encode_completion(tokenizer, "stood")]
    assert "sea" in decode(tokenizer, prompt) and "wall" in decode(tokenizer, completion)


def test_a_long_prompt_keeps_its_end():
    assert truncate_prompt([1, 2, 3, 4], 3) == [2, 3, 4] and truncate_prompt([1, 2], 3) == [1, 2]


def test_nothing_is_cut_from_the_distribution_unless_asked():
    plain = Sampling()
    assert (plain.top_k, plain.top_p, plain.temperature, plain.beams) == (0, 1.0, 1.0, 1)


@pytest.mark.parametrize("name", ["static_cache", "transformers"])
def test_the_policy_that_is_trained_is_the_one_that_sampled(lm, name):
    """The engine's log-probabilities and the training model's agree, at a temperature that is not 1."""
    engine = make_engine(name, lm, eos_token_id=[1, 2, 3, 4, 5, 6], pad_token_id=0)  # so that some end early
    prompts = [[5, 9, 7], [8, 4, 6, 30, 22]]
    found = engine.generate(prompts, Sampling(n=4, max_tokens=8, temperature=0.7, seed=3))
    completions = [c for group in found for c in group]
    rows = make_tokens([prompts[i // 4] for i in range(8)], [c.tokens for c in completions], groups=[i // 4 for i in range(8)])
    logprobs = Policy(lm, temperature=0.7)(rows).logprobs
    for i, c in enumerate(completions):
        assert logprobs[i, : len(c.tokens)].tolist() == pytest.approx(c.logprobs, abs=1e-4)
    assert len({len(c.tokens) for c in completions}) > 1


class Dictating:
    """An engine that says what it is told."""

    def __init__(self, ids):
        self.ids = ids

    def generate(self, prompts, sampling):
        return [[Completion(self.ids, [0.0] * len(self.ids), True)] for _ in prompts]


def test_sampled_ids_are_kept_even_where_the_text_would_be_tokenised_otherwise(tokenizer):
    """'the' letter by letter: decoded and tokenised again it would be other tokens, with other log-probabilities."""
    whole = tokenizer("the", add_special_tokens=False)["input_ids"]
    letters = [tokenizer(c, add_special_tokens=False)["input_ids"][0] for c in "the"]
    assert decode(tokenizer, letters) == "the" and len(whole) < len(letters)
    acted = act(Dictating([*letters, 1]), tokenizer, [Prompt("x")], [[7]], Sampling())
    assert acted.tokens.completion_ids.tolist() == [[*letters, 1]] and acted.texts == ["the"]


def test_dropout_is_switched_off_whatever_the_mode():
    model = GPT2LMHeadModel(GPT2Config(n_embd=16, n_layer=1, n_head=2, vocab_size=20, n_positions=16)).train()
    ids = torch.arange(6)[None]
    assert not torch.equal(model(ids).logits, model(ids).logits)
    disable_dropout(model)
    assert torch.equal(model(ids).logits, model(ids).logits)


def test_under_bf16_the_softmax_and_the_weights_stay_float32(lm, rows):
    with torch.autocast("cpu", torch.bfloat16):
        found = Policy(lm)(rows)
    assert found.logprobs.dtype == torch.float32 and all(p.dtype == torch.float32 for p in lm.parameters())
    exact = Policy(lm)(rows).logprobs
    assert not torch.equal(found.logprobs, exact) and torch.allclose(found.logprobs, exact, atol=0.1)


def test_every_response_token_weighs_the_same(lm, rows):
    """Not every response: a mean over each row first would make the tokens of short ones count more."""
    loss = SFT().loss(Policy(lm), rows)
    assert loss.count == rows.completion_lengths.sum()
    assert torch.allclose(loss.total, -sum(alone(Policy(lm), rows, i).sum() for i in range(6)), atol=1e-4)


def test_a_new_tokenizer_knows_the_roles():
    ids = train_tokenizer(["a b"], 270).convert_tokens_to_ids(["<|pad|>", "<|eos|>", "<|user|>", "<|assistant|>", "<|system|>"])
    assert len(set(ids)) == 5 and None not in ids
