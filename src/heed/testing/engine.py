"""What every sampling engine must do.  `check_engine(make)` runs it all; CHECKS are the single questions.

`make(model, eos_token_id=..., pad_token_id=...)` returns the engine over a transformers model, for example
`partial(make_engine, "static_cache")`.  Everything is checked against plain forwards of a tiny Llama on the CPU.
"""

from collections import Counter
from collections.abc import Callable
from itertools import product

import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from heed.errors import UserError
from heed.protocols import Completion, Engine, Sampling

MakeEngine = Callable[..., Engine]
PAD, EOS = 0, 3
PROMPTS = [[5, 1, 4, 9, 8, 7, 2], [6], [2, 2], [10, 1, 5, 6], [9]]  # of unlike lengths, so that padding shows


def tiny_model(vocab: int = 11, context: int = 64) -> PreTrainedModel:
    """Two layers with weights large enough that attention and position matter; the same every time."""
    config = LlamaConfig(
        vocab_size=vocab,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=context,
        attention_dropout=0.5,
    )
    model = LlamaForCausalLM(config)
    generator = torch.Generator().manual_seed(0)
    for weight in model.parameters():
        if weight.dim() == 2:
            torch.nn.init.normal_(weight, std=0.35, generator=generator)
    return model.eval()


def next_logprobs(model: PreTrainedModel, prompt: list[int], completion: list[int], temperature: float = 1.0) -> Tensor:
    """log softmax(logits / temperature) [completion, vocab] before each of its tokens, by one plain forward."""
    training = model.training
    with torch.no_grad():
        logits = model.eval()(torch.tensor([prompt + completion])).logits[0].float()
    model.train(training)
    return (logits[len(prompt) - 1 : -1] / temperature).log_softmax(-1)


def check_engine(make: MakeEngine) -> None:
    """Raises AssertionError at the first promise that the engine of `make` does not keep."""
    for check in CHECKS:
        check(make)


def _made(make: MakeEngine, model: PreTrainedModel | None = None, eos: int | list[int] = EOS) -> Engine:
    return make(model or tiny_model(), eos_token_id=eos, pad_token_id=PAD)


def _flat(found: list[list[Completion]]) -> list[Completion]:
    return [completion for row in found for completion in row]


def shapes_and_ends(make: MakeEngine) -> None:
    """n completions a prompt; at most max_tokens; EOS is kept, is the last token, and is what `finished` means."""
    for eos in (EOS, [EOS, 7]):
        ends = {eos} if isinstance(eos, int) else set(eos)
        found = _made(make, eos=eos).generate(PROMPTS, Sampling(n=4, max_tokens=9))
        assert [len(row) for row in found] == [4] * len(PROMPTS)
        for c in _flat(found):
            assert 1 <= len(c.tokens) <= 9 and len(c.logprobs) == len(c.tokens)
            assert all(type(t) is int for t in c.tokens) and all(type(x) is float for x in c.logprobs)
            assert not ends & set(c.tokens[:-1]), "went on after EOS"
            assert c.finished == (c.tokens[-1] in ends)
            assert c.finished or len(c.tokens) == 9, "stopped without EOS"
        assert {c.finished for c in _flat(found)} == {True, False}, "the check needs both kinds"
        assert {c.tokens[-1] for c in _flat(found) if c.finished} == ends, "an EOS id never ended a completion"
    assert all(len(c.tokens) == 1 for c in _flat(_made(make).generate(PROMPTS, Sampling(n=2, max_tokens=1))))
    assert _made(make).generate([], Sampling()) == []


def greedy_is_the_best_token(make: MakeEngine) -> None:
    """Temperature 0 takes the argmax of a plain forward, n times over, whatever the neighbours' lengths."""
    model = tiny_model()
    found = _made(make, model, eos=[]).generate(PROMPTS, Sampling(n=2, max_tokens=12, temperature=0))
    for prompt, (one, two) in zip(PROMPTS, found, strict=True):
        rows = next_logprobs(model, prompt, one.tokens)
        assert one.tokens == rows.argmax(-1).tolist()
        assert torch.allclose(torch.tensor(one.logprobs), rows.amax(-1), atol=1e-5), "greedy: softmax(logits)"
        assert one == two
        alone = _made(make, model, eos=[]).generate([prompt], Sampling(max_tokens=12, temperature=0))[0][0]
        assert alone.tokens == one.tokens, "padding changed a completion"


def almost_zero_is_greedy(make: MakeEngine) -> None:
    """A temperature near 0 takes the likeliest token, without overflow on the way."""
    engine = _made(make)
    cold = engine.generate(PROMPTS, Sampling(max_tokens=10, temperature=1e-4))
    greedy = engine.generate(PROMPTS, Sampling(max_tokens=10, temperature=0))
    assert [c.tokens for c in _flat(cold)] == [c.tokens for c in _flat(greedy)]


def logprobs_are_those_of_a_forward(make: MakeEngine) -> None:
    """Under softmax(logits / temperature), before top-k and top-p, to 1e-5."""
    model = tiny_model()
    for how in ({}, {"temperature": 0.6}, {"temperature": 1.7, "top_k": 3}, {"top_p": 0.6}):
        sampling = Sampling(n=3, max_tokens=10, **how)
        for prompt, row in zip(PROMPTS, _made(make, model).generate(PROMPTS, sampling), strict=True):
            for c in row:
                rows = next_logprobs(model, prompt, c.tokens, sampling.temperature)
                expected = rows.gather(1, torch.tensor(c.tokens)[:, None])[:, 0]
                assert torch.allclose(torch.tensor(c.logprobs), expected, atol=1e-5), how


def truncation_truncates(make: MakeEngine) -> None:
    """Every token is among the k likeliest, or in the smallest likeliest set that holds top_p; both bind."""
    model = tiny_model()
    for how in ({"top_k": 2}, {"top_p": 0.5}):
        sampling = Sampling(n=8, max_tokens=8, temperature=1.5, **how)
        seen = []
        for prompt, row in zip(PROMPTS, _made(make, model).generate(PROMPTS, sampling), strict=True):
            for c in row:
                rows = next_logprobs(model, prompt, c.tokens, 1.5)
                above = (rows > rows.gather(1, torch.tensor(c.tokens)[:, None])).float()  # what is likelier than it
                rank, mass = above.sum(1), (above * rows.exp()).sum(1)
                allowed = rank < 2 if "top_k" in how else mass < 0.5 + 1e-5
                assert allowed.all(), f"{how}: a token from outside"
                seen += rank.tolist()
        assert max(seen) > 0, f"{how}: only ever the best token"


def seeds_decide(make: MakeEngine) -> None:
    """The same seed gives the same, another seed and another sample something else; the global state is left alone."""
    engine = _made(make)
    sampling = Sampling(n=4, max_tokens=8, seed=5)
    first = engine.generate(PROMPTS, sampling)
    torch.manual_seed(99)
    before = torch.get_rng_state()
    assert engine.generate(PROMPTS, sampling) == first, "the same seed gave something else"
    assert torch.equal(torch.get_rng_state(), before), "the global random state was touched"
    assert engine.generate(PROMPTS, Sampling(n=4, max_tokens=8, seed=6)) != first, "another seed gave the same"
    same_prompt = engine.generate([PROMPTS[0]] * 4, sampling)
    assert len({tuple(c.tokens) for c in _flat(same_prompt)}) > 1, "samples repeat one another"


def samples_follow_the_distribution(make: MakeEngine) -> None:
    """Chi-square of two-token completions against their exact probabilities; a wrong sampler fails nearly always."""
    model, count = tiny_model(vocab=4), 4000
    for how in ({}, {"temperature": 0.5}, {"temperature": 2.0, "top_k": 3}):
        sampling = Sampling(n=count // 2, max_tokens=2, seed=1, **how)
        found = _made(make, model).generate([[1, 2], [1, 2]], sampling)  # equal prompts must not share their numbers
        seen = Counter(tuple(c.tokens) for c in _flat(found))
        exact = {}
        for first, second in product(range(4), range(4)):
            rows = next_logprobs(model, [1, 2], [first, second], sampling.temperature)
            if sampling.top_k:
                rows = rows.masked_fill(rows < rows.topk(3).values[:, -1:], -torch.inf).log_softmax(-1)
            p = rows.exp()
            if first == EOS:
                exact[(first,)] = p[0, first].item()
            else:
                exact[(first, second)] = (p[0, first] * p[1, second]).item()
        possible = {k: p for k, p in exact.items() if p > 0}
        assert set(seen) <= set(possible)
        chi2 = sum((seen[k] - count * p) ** 2 / (count * p) for k, p in possible.items())
        freedom = len(possible) - 1
        # Far above the mean of `freedom`: a right sampler passes for all but about one seed in 10^5.
        assert chi2 < freedom + 5 * (2 * freedom) ** 0.5, f"{how}: chi2 {chi2:.1f} with {freedom} degrees of freedom"


def mistakes_are_named(make: MakeEngine) -> None:
    """A request that makes no sense or does not fit is a UserError that says which part of it."""
    for prompts, sampling, needle in (
        ([[1], []], Sampling(max_tokens=3), "prompt 1 is empty"),
        ([[1] * 60], Sampling(max_tokens=5), "65"),
        ([[1, 11]], Sampling(max_tokens=3), "11"),
        ([[1]], Sampling(max_tokens=3, temperature=-1), "temperature"),
        ([[1]], Sampling(max_tokens=3, top_p=0), "top_p"),
        ([[1]], Sampling(max_tokens=0), "max_tokens"),
    ):
        try:
            _made(make).generate(prompts, sampling)
        except UserError as error:
            assert needle in str(error), f"{error} does not say {needle!r}"
        else:
            raise AssertionError(f"accepted {prompts} with {sampling}")


def the_model_is_handed_back(make: MakeEngine) -> None:
    """Mode, attention and gradients as they were, after success and after an error; dropout is off meanwhile."""
    model = tiny_model()
    model.train()
    model.lm_head.eval()
    model.model.norm.weight.requires_grad_(False)
    calm = _made(make).generate(PROMPTS, Sampling(max_tokens=6, temperature=0))

    def state() -> tuple:
        modes = [m.training for m in model.modules()]
        return modes, [p.requires_grad for p in model.parameters()], model.config._attn_implementation, model.generation_config

    before = state()
    engine = _made(make, model)
    assert [c.tokens for c in _flat(engine.generate(PROMPTS, Sampling(max_tokens=6, temperature=0)))] == [
        c.tokens for c in _flat(calm)
    ], "dropout was on while sampling"
    assert state() == before
    model(torch.tensor([PROMPTS[0]])).logits.sum().backward()
    assert model.lm_head.weight.grad is not None

    def broken(*args, **kwargs):
        raise RuntimeError("broken on purpose")

    model.lm_head.forward = broken
    try:
        engine.generate(PROMPTS, Sampling(max_tokens=2))
    except Exception:
        assert state() == before, "an error left the model changed"
    else:
        raise AssertionError("an error of the model was swallowed")


def updates_are_seen(make: MakeEngine) -> None:
    """An update of the weights in place changes what is sampled next."""
    model = tiny_model()
    engine = _made(make, model, eos=[])
    sampling = Sampling(max_tokens=10, temperature=0)
    before = engine.generate(PROMPTS, sampling)
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(-1.1)
    after = engine.generate(PROMPTS, sampling)
    assert after == _made(make, model, eos=[]).generate(PROMPTS, sampling)
    assert after != before


CHECKS: list[Callable[[MakeEngine], None]] = [
    shapes_and_ends,
    greedy_is_the_best_token,
    almost_zero_is_greedy,
    logprobs_are_those_of_a_forward,
    truncation_truncates,
    seeds_decide,
    samples_follow_the_distribution,
    mistakes_are_named,
    the_model_is_handed_back,
    updates_are_seen,
]
