"""Packed rows against padded ones, for every kind of attention: the same numbers, the same gradients, fewer tokens."""

import pytest
import torch
import transformers as hf

from heed.errors import UserError
from heed.language import attention
from heed.language.batches import FILLING, make_tokens, pack, rectangle
from heed.language.policy import ActorCritic, Policy, ScalarModel

torch.set_num_threads(1)

SMALL = dict(vocab_size=40, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
             max_position_embeddings=64, initializer_range=0.2, pad_token_id=0, eos_token_id=1)  # fmt: skip
GPT2 = dict(vocab_size=40, n_embd=32, n_layer=2, n_head=4, n_positions=64, initializer_range=0.2, pad_token_id=0)
GQA = dict(num_key_value_heads=2, head_dim=8)
FAMILIES = {
    "gpt2": (hf.GPT2Config(**GPT2), hf.GPT2LMHeadModel, hf.GPT2ForSequenceClassification),
    "llama": (hf.LlamaConfig(**SMALL, num_key_value_heads=2), hf.LlamaForCausalLM, hf.LlamaForSequenceClassification),
    "qwen3": (hf.Qwen3Config(**SMALL, **GQA), hf.Qwen3ForCausalLM, hf.Qwen3ForSequenceClassification),
    "gemma": (hf.GemmaConfig(**SMALL, head_dim=8, num_key_value_heads=1), hf.GemmaForCausalLM,
              hf.GemmaForSequenceClassification),
    "gpt_neox": (hf.GPTNeoXConfig(**SMALL), hf.GPTNeoXForCausalLM, hf.GPTNeoXForSequenceClassification),
    "mistral, sliding": (hf.MistralConfig(**SMALL, num_key_value_heads=2, sliding_window=4), hf.MistralForCausalLM,
                         hf.MistralForSequenceClassification),
    "qwen2, partly sliding": (
        hf.Qwen2Config(**SMALL, num_key_value_heads=2, use_sliding_window=True, sliding_window=4,
                       layer_types=["sliding_attention", "full_attention"]),
        hf.Qwen2ForCausalLM, hf.Qwen2ForSequenceClassification),
}  # fmt: skip
BOTH = pytest.mark.parametrize("family", FAMILIES)


def built(family, classifier=False, **changes):
    torch.manual_seed(0)
    config, lm, scorer = FAMILIES[family]
    config = type(config)(**{**config.to_dict(), "num_labels": 1, **changes})
    return (scorer if classifier else lm)(config).eval()


def shared_rows(seed=0):
    """Three prompts of 9, 1 and 4 tokens with 3, 1 and 2 completions of 1 to 11 tokens."""
    g = torch.Generator().manual_seed(seed)

    def ids(n):
        return torch.randint(2, 40, (n,), generator=g).tolist()

    prompts, owners = [ids(9), ids(1), ids(4)], [0, 0, 0, 1, 2, 2]
    return make_tokens([prompts[o] for o in owners], [ids(n) for n in (11, 1, 6, 8, 3, 7)], groups=owners)


def many_rows():
    """Forty rows of lengths 2 to 30, so that attention runs over several rectangles."""
    g = torch.Generator().manual_seed(1)
    lengths = torch.randint(1, 16, (40, 2), generator=g).tolist()
    return make_tokens(*([torch.randint(2, 40, (n[k],), generator=g).tolist() for n in lengths] for k in (0, 1)))


@BOTH
@pytest.mark.parametrize("rows", [shared_rows(), many_rows()], ids=["shared prompts", "many lengths"])
def test_packed_log_probabilities_are_those_of_padded_rows(family, rows):
    lm = built(family)
    with torch.no_grad():
        packed, padded = (Policy(lm, packing=p)(rows, entropy=True) for p in (True, False))
    assert torch.allclose(packed.logprobs, padded.logprobs, atol=1e-5)
    assert torch.allclose(packed.entropy, padded.entropy, atol=1e-5)
    assert packed.logprobs.abs().sum() > 10


@BOTH
def test_packed_scores_and_values_are_those_of_padded_rows(family):
    model, rows = built(family, classifier=True), shared_rows()
    with torch.no_grad():
        packed, padded = (ScalarModel(model, packing=p) for p in (True, False))
        assert torch.allclose(packed.score(rows), padded.score(rows), atol=1e-5)
        here = rows.mask > 0
        assert torch.allclose(packed(rows)[here], padded(rows)[here], atol=1e-5)


@BOTH
def test_gradients_agree_too(family):
    gradients = []
    for packing in (True, False):
        lm = built(family)
        out = Policy(lm, packing=packing)(shared_rows(), entropy=True)
        (out.logprobs.sum() + out.entropy.sum()).backward()
        gradients.append(torch.cat([p.grad.flatten() for p in lm.parameters() if p.grad is not None]))
    assert (gradients[0] - gradients[1]).abs().max() < 1e-4 * gradients[1].abs().max()


def test_a_shared_trunk_gives_values_beside_log_probabilities():
    rows, model = shared_rows(), ActorCritic(Policy(built("llama")), None)
    torch.nn.init.normal_(model.value_head.weight)
    found = model(rows)
    model.policy.packing = False
    padded, here = model(rows), rows.mask > 0
    assert torch.allclose(found.values[here], padded.values[here], atol=1e-5) and found.values[here].std() > 0.1


def test_a_prompt_stands_once_before_all_its_completions():
    rows = shared_rows()
    tokens = int(rows.completion_lengths.sum())
    for share, real in ((True, 9 + 1 + 4 + tokens), (False, int(rows.prompt_lengths.sum()) + tokens)):
        packed = pack(rows, share_prompts=share)
        assert sum(int(bucket.real.sum()) for bucket in packed.plan) == real
        assert packed.input_ids.shape[1] == -(-real // FILLING) * FILLING
    lm = built("llama")
    with torch.no_grad():
        shared = Policy(lm)(rows).logprobs
        apart = Policy(lm)(make_tokens(*unpacked(rows))).logprobs
    assert torch.allclose(shared, apart, atol=1e-5)


def unpacked(rows):
    """(prompts, completions) as lists, each row a group of its own."""
    return ([p[:n].tolist() for p, n in zip(rows.prompt_ids, rows.prompt_lengths, strict=True)],
            [c[:n].tolist() for c, n in zip(rows.completion_ids, rows.completion_lengths, strict=True)])


def test_every_packed_token_is_a_real_one_and_knows_its_place():
    rows = shared_rows()
    packed = pack(rows)
    ids, positions = packed.input_ids[0], packed.position_ids[0]
    for i, (prompt, completion) in enumerate(zip(*unpacked(rows), strict=True)):
        places = packed.index[i, : len(completion)]
        assert ids[places].tolist() == completion
        assert positions[places].tolist() == list(range(len(prompt), len(prompt) + len(completion)))
        assert ids[packed.source[i, 0]] == prompt[-1], "the first token of a completion is predicted by the prompt's last"
        assert packed.source[i, 1 : len(completion)].tolist() == places[:-1].tolist()


@pytest.mark.parametrize("rows", [shared_rows(), many_rows(), make_tokens([[3, 4]] * 4, [[5, 6, 7]] * 4)],
                         ids=["shared prompts", "many lengths", "all alike"])
def test_the_rectangles_of_attention_cover_each_token_once_and_are_nearly_full(rows):
    packed = pack(rows)
    places = torch.cat([b.queries[b.real] for b in packed.plan])
    assert sorted(places.tolist()) == list(range(len(places))) and 0 <= packed.input_ids.shape[1] - len(places) < FILLING
    size = sum(b.queries.numel() for b in packed.plan)
    assert size < 1.7 * len(places), f"{size} places for {len(places)} tokens"


def test_equal_rows_need_no_gathering():
    packed = pack(make_tokens([[3, 4]] * 5, [[5, 6, 7]] * 5))
    assert len(packed.plan) == 1 and packed.plan[0].whole and packed.order is None


def test_rows_are_selected_and_cut_to_what_they_need():
    rows = shared_rows()
    few = rows.select(torch.tensor([4, 1]))
    assert few.prompt_ids.shape == (2, 9) and few.completion_ids.shape == (2, 3) and few.group.tolist() == [2, 0]
    assert float(few.count) == 3 + 1 and len(few) == 2
    lm = built("llama")
    with torch.no_grad():
        assert torch.allclose(Policy(lm)(few).logprobs, Policy(lm)(rows).logprobs[[4, 1], :3], atol=1e-5)


def test_a_masked_token_counts_for_nothing_but_is_read():
    """The user's turn in the middle of a conversation."""
    rows = make_tokens([[3, 4]], [[5, 6, 7, 8]], masks=[[1, 0, 0, 1]])
    whole = make_tokens([[3, 4]], [[5, 6, 7, 8]])
    policy = Policy(built("llama"))
    with torch.no_grad():
        found, all_of_it = policy(rows).logprobs[0], policy(whole).logprobs[0]
    assert found[[1, 2]].tolist() == [0, 0] and torch.allclose(found[[0, 3]], all_of_it[[0, 3]], atol=1e-6)
    assert float(rows.count) == 2


def test_ragged_rows_become_a_rectangle_and_no_rows_become_none():
    ids, lengths = rectangle([[1, 2, 3], [], [4]])
    assert ids.tolist() == [[1, 2, 3], [0, 0, 0], [4, 0, 0]] and lengths.tolist() == [3, 0, 1]
    assert rectangle([])[0].shape == (0, 0)


def test_the_model_attends_as_before_afterwards_whatever_happened():
    lm = built("llama")
    before = lm.config._attn_implementation
    Policy(lm)(shared_rows())
    assert lm.config._attn_implementation == before
    with pytest.raises(RuntimeError), attention.using_packed_attention(lm):
        lm(torch.tensor([[1, 2]]))  # without a packed batch
    assert lm.config._attn_implementation == before


def test_attention_that_caps_its_logits_is_refused_with_the_way_out():
    config = hf.Gemma2Config(**SMALL, **GQA, attn_logit_softcapping=5.0)
    lm = hf.Gemma2ForCausalLM(config).eval()
    with pytest.raises(UserError, match="set packing=false"):
        Policy(lm)(shared_rows())
    Policy(lm, packing=False)(shared_rows())


def short(half, mask_kind, shapes=(3, 2, 7, 8)):
    """(output, gradients) of attention over [b, heads, L, d] in float32, or through bfloat16's short form."""
    torch.manual_seed(0)
    b, heads, length, d = shapes
    q, k, v = (torch.randn(b, heads, length, d, requires_grad=True) for _ in range(3))
    mask = None
    if mask_kind == "ragged":
        mask = torch.rand(b, 1, length, length) > 0.3
        mask[..., 0] = True
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        out = attention._attend(q, k, v, mask, 0.0, 0.5)
    (out.float() * torch.randn(out.shape, generator=torch.Generator().manual_seed(1))).sum().backward()
    return [out.float(), q.grad, k.grad, v.grad]


@pytest.mark.parametrize("mask", ["causal", "ragged"])
def test_short_attention_in_bfloat16_is_close_to_float32(mask):
    for half, exact in zip(short(True, mask), short(False, mask), strict=True):
        assert not torch.equal(half, exact), "it was computed in bfloat16"
        assert (half - exact).abs().max() < 0.02 * exact.abs().max()


def test_long_attention_in_bfloat16_takes_the_other_way_and_agrees(monkeypatch):
    expected = short(True, "causal")
    monkeypatch.setattr(attention, "SHORT", 4)
    for found, half in zip(short(True, "causal"), expected, strict=True):
        assert (found - half).abs().max() < 0.03 * half.abs().max()


@BOTH
def test_under_bfloat16_the_log_probabilities_stay_close(family):
    lm, rows = built(family), shared_rows()
    with torch.no_grad():
        exact = Policy(lm)(rows).logprobs
        with torch.autocast("cpu", torch.bfloat16):
            half = Policy(lm)(rows).logprobs
    assert half.dtype == torch.float32 and (half - exact).abs().max() < 0.35
    assert (half - exact).abs().mean() < 0.04
