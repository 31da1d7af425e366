"""The engines keep the contract, agree with one another over architectures, and the fast one is fast for the right reasons."""

from functools import partial

import pytest
import torch
import transformers as hf

from heed.errors import UserError
from heed.language.engines import ENGINES, make_engine
from heed.language.engines.llama_step import can_step
from heed.language.engines.sampler import truncate, uniforms
from heed.language.engines.slots import SlotCache
from heed.language.engines.static_cache import StaticCacheEngine
from heed.protocols import Sampling
from heed.testing.engine import CHECKS, EOS, PAD, PROMPTS, tiny_model

SMALL = dict(
    vocab_size=23, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
    max_position_embeddings=64, bos_token_id=1, eos_token_id=3, pad_token_id=0,
)  # fmt: skip
GQA = dict(num_key_value_heads=2, head_dim=8)
MIXED = dict(sliding_window=5, layer_types=["sliding_attention", "full_attention"])
MODELS = {
    "gpt2": lambda: hf.GPT2LMHeadModel(
        hf.GPT2Config(n_embd=32, n_layer=2, n_head=4, vocab_size=23, n_positions=64, bos_token_id=1, eos_token_id=3)
    ),
    "llama": lambda: hf.LlamaForCausalLM(hf.LlamaConfig(**SMALL, num_key_value_heads=2)),
    "qwen2, with biases": lambda: hf.Qwen2ForCausalLM(hf.Qwen2Config(**SMALL, num_key_value_heads=2)),
    "qwen3": lambda: hf.Qwen3ForCausalLM(hf.Qwen3Config(**SMALL, **GQA)),
    "gemma": lambda: hf.GemmaForCausalLM(hf.GemmaConfig(**SMALL, head_dim=8, num_key_value_heads=1)),
    "gemma2, softcapped and partly sliding": lambda: hf.Gemma2ForCausalLM(hf.Gemma2Config(**SMALL, **GQA, **MIXED)),
    "gpt_neox": lambda: hf.GPTNeoXForCausalLM(hf.GPTNeoXConfig(**SMALL)),
    "mistral, sliding": lambda: hf.MistralForCausalLM(hf.MistralConfig(**SMALL, num_key_value_heads=2, sliding_window=5)),
}


def built(name: str) -> hf.PreTrainedModel:
    model = MODELS[name]()
    generator = torch.Generator().manual_seed(3)
    for weight in model.parameters():
        if weight.dim() == 2:
            torch.nn.init.normal_(weight, std=0.2, generator=generator)
    return model


def engine_of(name: str, model: hf.PreTrainedModel, eos=(EOS, 7), **extra):
    return make_engine(name, model, eos_token_id=list(eos), pad_token_id=PAD, **extra)


def static(model: hf.PreTrainedModel, slots: int = 64, eos=(EOS,), **extra) -> StaticCacheEngine:
    return StaticCacheEngine(model, eos_token_id=list(eos), pad_token_id=PAD, slots=slots, **extra)


def tokens(found) -> list[list[list[int]]]:
    return [[c.tokens for c in row] for row in found]


@pytest.mark.parametrize("check", CHECKS, ids=lambda c: c.__name__)
@pytest.mark.parametrize("name", ENGINES)
def test_contract(name, check):
    check(partial(make_engine, name))


def test_contract_with_few_slots():
    """Refilled slots and shifted columns keep every promise, too."""
    for check in CHECKS:
        if check.__name__ != "samples_follow_the_distribution":  # thousands of rows, three at a time
            check(lambda model, **ids: StaticCacheEngine(model, slots=3, **ids))


@pytest.mark.parametrize("name", MODELS)
def test_engines_agree(name):
    model = built(name)
    reference, fast = engine_of("transformers", model), static(model, slots=3, eos=(EOS, 7))
    prompts = [*PROMPTS, [8, 4, 4, 1, 2, 9, 10, 5, 6, 7, 7, 1, 3]]
    sampling = Sampling(max_tokens=20, temperature=0)
    expected, found = reference.generate(prompts, sampling), fast.generate(prompts, sampling)
    assert tokens(found) == tokens(expected)
    for (e,), (f,) in zip(expected, found, strict=True):
        assert f.finished == e.finished
        assert f.logprobs == pytest.approx(e.logprobs, abs=1e-5)


@pytest.mark.parametrize("name", ["llama", "qwen2, with biases", "qwen3", "mistral, sliding"])
def test_the_written_out_step_is_the_model_s_own(name):
    model = built(name)
    with torch.no_grad():
        for part, weight in model.named_parameters():
            if "norm" in part or "bias" in part:
                weight.add_(torch.linspace(-0.5, 0.5, weight.numel()))
    assert can_step(model)
    sampling = Sampling(n=3, max_tokens=20, temperature=0.7)
    written_out = static(model, slots=4).generate(PROMPTS, sampling)
    model.model.layers[0].register_forward_hook(lambda *args: None)
    assert not can_step(model), "somebody listens to a module that the written-out step never calls"
    own = static(model, slots=4).generate(PROMPTS, sampling)
    assert tokens(written_out) == tokens(own)
    for left, right in zip(written_out, own, strict=True):
        for a, b in zip(left, right, strict=True):
            assert a.logprobs == pytest.approx(b.logprobs, abs=1e-5)


def test_lora_is_sampled_with_its_adapter():
    from peft import LoraConfig, get_peft_model

    model = built("llama")
    sampling = Sampling(max_tokens=12, temperature=0)
    plain = static(model).generate(PROMPTS, sampling)
    adapted = get_peft_model(model, LoraConfig(r=4, target_modules=["q_proj", "v_proj"], lora_dropout=0.5))
    for name, weight in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.5, generator=torch.Generator().manual_seed(0))
    adapted.train()
    expected = engine_of("transformers", adapted, eos=[EOS]).generate(PROMPTS, sampling)
    found = static(adapted).generate(PROMPTS, sampling)
    assert can_step(model)
    assert tokens(found) == tokens(expected) != tokens(plain)
    assert adapted.training
    with adapted.disable_adapter():
        assert tokens(static(adapted).generate(PROMPTS, sampling)) == tokens(plain)
    adapted.merge_adapter()
    assert tokens(static(adapted).generate(PROMPTS, sampling)) == tokens(expected)


@pytest.mark.parametrize("how", [{"use_dora": True}, {"lora_bias": True}, {"target_modules": ["embed_tokens"]}])
def test_other_adapters_go_through_the_model(how):
    from peft import LoraConfig, get_peft_model

    model = built("llama")
    get_peft_model(model, LoraConfig(r=2, **({"target_modules": ["q_proj"]} | how)))
    assert not can_step(model)
    sampling = Sampling(max_tokens=4, temperature=0)
    expected = engine_of("transformers", model, eos=[EOS]).generate(PROMPTS, sampling)
    assert tokens(static(model).generate(PROMPTS, sampling)) == tokens(expected)


def test_virtual_tokens_are_refused():
    from peft import PromptTuningConfig, get_peft_model

    adapted = get_peft_model(built("llama"), PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=2))
    with pytest.raises(UserError, match="LoRA"):
        static(adapted)


@pytest.mark.parametrize(
    "model",
    [
        lambda: hf.MambaForCausalLM(hf.MambaConfig(vocab_size=23, hidden_size=16, num_hidden_layers=1)),  # no keys
        lambda: hf.BloomForCausalLM(hf.BloomConfig(vocab_size=23, hidden_size=16, n_layer=1, n_head=2)),  # ALiBi
    ],
)
def test_what_it_cannot_decode_is_refused(model):
    with pytest.raises(UserError, match="use the transformers engine"):
        static(model()).generate(PROMPTS, Sampling(max_tokens=2))


def test_a_model_it_gets_wrong_is_refused():
    """The self-check at first use looks at logits, not at names: here positions are counted from the wrong end."""
    model = built("llama")
    rotary = model.model.rotary_emb
    forward = rotary.forward
    rotary.forward = lambda x, position_ids: forward(x, position_ids - position_ids[:, -1:] % 2)
    assert not can_step(model), "a patched module is not the one that is written out"
    with pytest.raises(UserError, match="differ"):
        static(model).generate(PROMPTS, Sampling(max_tokens=2))


def test_an_unknown_engine_is_named():
    with pytest.raises(UserError, match="did you mean 'static_cache'"):
        make_engine("static", tiny_model(), eos_token_id=EOS, pad_token_id=PAD)


def test_completions_do_not_depend_on_their_company():
    model = tiny_model()
    sampling = Sampling(n=6, max_tokens=12, seed=4)
    whole = static(model, slots=64).generate(PROMPTS, sampling)
    for slots in (1, 2, 5, 7, 29):
        assert tokens(static(model, slots=slots).generate(PROMPTS, sampling)) == tokens(whole)
    fewer = static(model).generate(PROMPTS[:2], Sampling(n=3, max_tokens=12, seed=4))
    assert tokens(fewer) == [row[:3] for row in tokens(whole)[:2]]


def test_columns_are_reused(monkeypatch):
    """A long queue through two slots: the cache is laid out anew, and stays about as long as its longest row."""
    model = tiny_model()
    engine = static(model, slots=2, eos=())
    widths = []
    lay_out = SlotCache.lay_out
    monkeypatch.setattr(SlotCache, "lay_out", lambda self, by: lay_out(self, by) or widths.append(self.capacity))
    prompts = [[1 + i % 10] * (1 + i % 7) for i in range(12)]
    sampling = Sampling(n=2, max_tokens=9)
    found = engine.generate(prompts, sampling)
    assert tokens(found) == tokens(static(model, slots=64, eos=()).generate(prompts, sampling))
    assert len(widths) > 3
    assert max(widths) <= 7 + 9 + 16 + 1  # longest prompt, completion, room


def test_a_prompt_is_read_once_for_its_samples():
    model = tiny_model()
    engine = static(model, eos=())
    engine.generate([[1]], Sampling(max_tokens=1))  # the self-check
    shapes = []
    handle = model.model.embed_tokens.register_forward_hook(lambda m, args, out: shapes.append(tuple(args[0].shape)))
    engine.generate([[5, 1, 4, 9]], Sampling(n=8, max_tokens=5))
    handle.remove()
    assert shapes == [(1, 3)] + [(8, 1)] * 5


def test_finished_rows_cost_nothing():
    model = tiny_model()
    engine = static(model)
    sampling = Sampling(n=4, max_tokens=12, seed=1)
    engine.generate([[1]], Sampling(max_tokens=1))
    rows = []
    handle = model.model.embed_tokens.register_forward_hook(lambda m, args, out: rows.append(args[0].shape))
    found = engine.generate(PROMPTS, sampling)
    handle.remove()
    lengths = [len(c.tokens) for row in found for c in row]
    assert sum(n for n, width in rows if width == 1 and n > 1) + sum(n for n, width in rows[1:] if n == 1) == sum(lengths)
    assert len(set(lengths)) > 3


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_autocast(name, kind):
    """bfloat16 products: near float32, not equal to it, and the next training step keeps its gradients."""
    model = built(kind)
    exact = engine_of(name, model).generate(PROMPTS, Sampling(max_tokens=1, temperature=0))
    with torch.autocast("cpu", torch.bfloat16):
        found = engine_of(name, model, autocast=torch.bfloat16).generate(PROMPTS, Sampling(max_tokens=1, temperature=0))
        plain = engine_of(name, model).generate(PROMPTS, Sampling(max_tokens=1, temperature=0))
        model(torch.tensor([PROMPTS[0]])).logits.float().sum().backward()
    assert plain == exact, "without `autocast` the engine is exact, also inside somebody else's autocast"
    assert all(p.grad is not None for p in model.parameters())
    pairs = [(a[0].logprobs[0], b[0].logprobs[0]) for a, b in zip(found, exact, strict=True)]
    assert all(a == pytest.approx(b, abs=0.1) for a, b in pairs)
    assert any(a != b for a, b in pairs)


def test_beams_find_the_likeliest():
    """With as many beams as continuations, beam search is exhaustive; only the transformers engine has it."""
    model = tiny_model(vocab=4)
    from itertools import product

    from heed.testing.engine import next_logprobs

    def score(pair):
        rows = next_logprobs(model, [1, 2], list(pair))
        return rows[0, pair[0]].item() + rows[1, pair[1]].item()

    best = sorted(product(range(4), repeat=2), key=score, reverse=True)[:3]
    engine = make_engine("transformers", model, eos_token_id=[], pad_token_id=PAD)
    found = engine.generate([[1, 2]], Sampling(n=3, max_tokens=2, beams=16))[0]
    assert [tuple(c.tokens) for c in found] == best
    assert [sum(c.logprobs) for c in found] == pytest.approx([score(b) for b in best], abs=1e-5)
    with pytest.raises(UserError, match="needs the transformers engine"):
        static(model).generate([[1, 2]], Sampling(beams=2))
    with pytest.raises(UserError, match="as many"):
        engine.generate([[1, 2]], Sampling(n=3, beams=2))


def test_uniforms_are_uniform_and_unrelated():
    rows = torch.cat([uniforms(seed, [(i, k) for i in range(8) for k in range(16)], 256) for seed in (0, 1)])
    assert rows.min() >= 0 and rows.max() < 1
    counts = torch.histc(rows, 64, 0, 1)
    expected = rows.numel() / 64
    assert ((counts - expected) ** 2 / expected).sum() < 63 + 5 * (2 * 63) ** 0.5
    apart = torch.corrcoef(rows) - torch.eye(len(rows))
    assert apart.abs().max() < 6 / 256**0.5  # neighbours in seed, prompt and sample
    assert torch.equal(uniforms(7, [(2, 3)], 10), uniforms(7, [(0, 0), (2, 3)], 20)[1:, :10])
    assert not torch.equal(uniforms(-1, [(0, 0)], 10), uniforms(1, [(0, 0)], 10))


def test_truncation_by_hand():
    logits = torch.tensor([[0.5, 0.25, 0.125, 0.125]]).log()
    assert truncate(logits, 0, 1.0).isfinite().tolist() == [[True, True, True, True]]
    assert truncate(logits, 2, 1.0).isfinite().tolist() == [[True, True, False, False]]
    assert truncate(logits, 0, 0.6).isfinite().tolist() == [[True, True, False, False]]
    assert truncate(logits, 0, 0.4).isfinite().tolist() == [[True, False, False, False]]
    assert truncate(logits, 2, 0.6).isfinite().tolist() == [[True, False, False, False]]  # 2/3 of what top-k left
    assert truncate(logits, 3, 1.0).isfinite().tolist() == [[True, True, True, True]]  # a tie with the third stays
