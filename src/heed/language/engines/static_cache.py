"""The fast engine: preallocated caches, a prompt computed once for its samples, finished rows replaced at once.

It runs the model's own modules; only the cache they write to and the attention over it are heed's.
"""

import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, PreTrainedModel
from transformers.cache_utils import DynamicCache

from heed.errors import UserError
from heed.language.engines.borrowed import Attention, bare, borrowed
from heed.language.engines.request import check_prompts, check_sampling, eos_ids
from heed.language.engines.sampler import pick, uniforms
from heed.language.engines.slots import SlotCache, layer_windows
from heed.protocols import Completion, Sampling

PREFILL = 4096  # tokens a prefill takes at once: enough to fill the machine, little memory


def decode_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor,
    scaling: float | None = None,
    dropout: float = 0.0,
    **extra,
) -> tuple[Tensor, None]:
    """One query a row over cached keys: [rows, heads, 1, d] -> [rows, 1, heads, d].  In the keys' dtype."""
    mask = attention_mask[..., -key.shape[2] :]  # a sliding layer sees the last columns only
    dtype, query = query.dtype, query.to(key.dtype)
    if any(extra.get(name) is not None for name in ("softcap", "s_aux", "position_bias")):
        own = sys.modules[type(module).__module__].eager_attention_forward
        out, _ = own(module, query, key, value, mask, scaling=scaling, **extra)
        return out.to(dtype), None
    rows, heads, _, width = query.shape
    grouped = query.reshape(rows, key.shape[1], -1, width)  # query heads beside the key head that they share
    with torch.autocast(query.device.type, enabled=False):
        out = scaled_dot_product_attention(grouped, key, value, attn_mask=mask, scale=scaling)
    return out.reshape(rows, 1, heads, value.shape[-1]).to(dtype), None


AttentionInterface.register("heed_decode", decode_attention)


class StaticCacheEngine:
    """Greedy and sampled completions over a cache of `slots` rows.

    `model` is a decoder-only `*ForCausalLM` with full or sliding-window attention, with or without LoRA, held by
    reference: an update of its weights is seen at once.  At the first use two short sequences are decoded and
    compared with a plain forward; a model that this engine would get wrong is refused with a UserError.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        *,
        eos_token_id: int | Sequence[int],
        pad_token_id: int,
        slots: int = 64,
        autocast: torch.dtype | None = None,
    ):
        self.model = bare(model)
        self.eos = eos_ids(eos_token_id)
        self.pad = pad_token_id
        self.slots = slots
        self.autocast = autocast
        self.windows = layer_windows(self.model.config)
        self._checked = False

    def generate(self, prompts: Sequence[Sequence[int]], sampling: Sampling) -> list[list[Completion]]:
        """As `heed.protocols.Engine`; a completion depends on its prompt, the seed, and the two numbers
        (place of the prompt, place of the sample), not on what else is decoded beside it.

        Raises UserError for a request that makes no sense or does not fit the model's context, and for beam search.
        """
        check_sampling(sampling)
        if sampling.beams > 1:
            raise UserError(f"sampling.beams={sampling.beams} needs the transformers engine; static_cache has no beams")
        check_prompts(prompts, sampling.max_tokens, self.model.config)
        samples = 1 if sampling.temperature == 0 else sampling.n  # greedy: all the same, do it once
        with borrowed(self.model, self.autocast) as attention:
            if not self._checked:
                check_decoding(self, attention)
                self._checked = True
            found = Decoding(self, attention, prompts, sampling, samples).run()
        return [row * (sampling.n // samples) for row in found]

    def cache(self, slots: int, columns: int) -> SlotCache:
        on_cpu = self.model.device.type == "cpu"
        # Under autocast keys come out float32 from some models' rotary embedding and bfloat16 from others'.
        dtype = None if self.autocast is None else torch.float32 if on_cpu else self.autocast
        return SlotCache(slots, columns, self.windows, dtype)


@dataclass
class Row:
    """A sequence being decoded.  Columns: its prompt is [start, answer), its completion begins at `answer`."""

    prompt: int
    sample: int
    start: int
    answer: int


class Decoding:
    """One call of `generate`: the queue of completions to make, and the rows in work."""

    def __init__(
        self,
        engine: StaticCacheEngine,
        attention: Attention,
        prompts: Sequence[Sequence[int]],
        sampling: Sampling,
        samples: int,
    ):
        self.model, self.attention, self.prompts, self.sampling = engine.model, attention, prompts, sampling
        self.eos = torch.tensor(engine.eos, device=self.model.device)
        self.found: list[list[Completion | None]] = [[None] * samples for _ in prompts]
        # Longest prompts first: neighbours of like length waste least, and the order changes no result.
        order = sorted(range(len(prompts)), key=lambda i: -len(prompts[i]))
        self.queue = deque((i, k) for i in order for k in range(samples))
        self.unread = deque(order)  # prompts not yet prefilled
        self.read: dict[int, list[tuple[Tensor, Tensor]]] = {}  # prompt -> per layer keys and values

        longest = max(map(len, prompts), default=0)
        slots = min(engine.slots, len(self.queue))
        room = 1 if len(self.queue) <= slots else 3  # with a queue the columns move on: shift them back now and then
        columns = longest + room * sampling.max_tokens
        self.cache = engine.cache(slots, columns)
        self.cache.column = longest - 1
        device = self.model.device
        self.rows: list[Row] = []
        self.starts = torch.zeros(slots, dtype=torch.long, device=device)
        self.tokens = torch.zeros(slots, columns, dtype=torch.long, device=device)
        self.logprobs = torch.zeros(slots, columns, device=device)
        self.uniforms = torch.zeros(slots, columns + sampling.max_tokens, device=device)
        dtype = self.cache.dtype or self.model.dtype
        self.mask = torch.zeros(slots, 1, 1, columns, dtype=dtype, device=device)  # added to attention scores

    def run(self) -> list[list[Completion]]:
        self.fill()
        while self.rows:
            self.step()
        return self.found

    def fill(self) -> None:
        """Queued completions take the free slots."""
        free = self.cache.slots - len(self.rows)
        for prompt, sample in [self.queue.popleft() for _ in range(min(free, len(self.queue)))]:
            self.begin(prompt, sample)
        self.settle()

    def settle(self) -> None:
        """After rows came or went."""
        self.cache.rows = len(self.rows)
        self.cache.first = min((row.start for row in self.rows), default=0)
        self.due = min((row.answer for row in self.rows), default=0) + self.sampling.max_tokens - 1

    def begin(self, prompt: int, sample: int) -> None:
        """A row whose last prompt token is the next to be fed; what stands before it comes from the prefill."""
        ids = self.prompts[prompt]
        slot, column = len(self.rows), self.cache.column
        row = Row(prompt, sample, start=column - len(ids) + 1, answer=column + 1)
        self.rows.append(row)
        if len(ids) > 1:
            if prompt not in self.read:
                self.prefill()
            for layer, (keys, values) in enumerate(self.read[prompt]):
                self.cache.place(layer, slice(slot, slot + 1), keys, values)
            if sample == len(self.found[prompt]) - 1:
                del self.read[prompt]
        self.starts[slot] = row.start
        self.mask[slot, ..., : row.start] = -torch.inf
        self.mask[slot, ..., row.start :] = 0
        self.tokens[slot, row.start : row.answer] = torch.tensor(ids)
        count = self.sampling.max_tokens
        self.uniforms[slot, row.answer : row.answer + count] = uniforms(self.sampling.seed, prompt, sample, count)

    def prefill(self) -> None:
        """Keys and values of the next prompts, without their last tokens, by one forward with the model's own attention.

        Padded on the right: causal attention then needs no mask, and no row ever sees padding.
        """
        batch = [self.unread.popleft()]
        width = len(self.prompts[batch[0]]) - 1
        while self.unread and (len(batch) + 1) * width <= PREFILL and len(self.prompts[self.unread[0]]) > 1:
            batch.append(self.unread.popleft())
        ids = torch.zeros(len(batch), width, dtype=torch.long)
        for j, i in enumerate(batch):
            ids[j, : len(self.prompts[i]) - 1] = torch.tensor(self.prompts[i][:-1])
        cache = DynamicCache()
        self.attention.use(self.attention.stock)
        self.model(input_ids=ids.to(self.model.device), past_key_values=cache, use_cache=True, logits_to_keep=1)
        for j, i in enumerate(batch):
            end = len(self.prompts[i]) - 1
            self.read[i] = [(layer.keys[j, :, :end], layer.values[j, :, :end]) for layer in cache.layers]

    def step(self) -> None:
        """One token for every row."""
        if self.cache.column + 1 == self.tokens.shape[1]:
            self.shift()
        count, column = len(self.rows), self.cache.column
        logits = self.forward()
        token, logprob = pick(logits, self.uniforms[:count, column + 1], self.sampling)
        self.tokens[:count, column + 1] = token
        self.logprobs[:count, column + 1] = logprob
        self.cache.column += 1
        ended = torch.isin(token, self.eos)
        if column + 1 >= self.due or ended.any():
            self.retire(ended.tolist())

    def forward(self) -> Tensor:
        """Logits [rows, vocab] after the token at the present column, which is put into the cache."""
        cache, count = self.cache, len(self.rows)
        end = cache.column + 1
        self.attention.use("heed_decode")
        return self.model(
            input_ids=self.tokens[:count, cache.column : end],
            attention_mask=self.mask[:count, ..., cache.first : end],
            position_ids=(cache.column - self.starts[:count])[:, None],
            past_key_values=cache,
            use_cache=True,
        ).logits[:, -1]

    def retire(self, ended: list[bool]) -> None:
        """Write down what is finished, close the gaps with the last rows, and fill what is free."""
        end = self.cache.column + 1
        for slot in reversed(range(len(self.rows))):
            row = self.rows[slot]
            if ended[slot] or end - row.answer == self.sampling.max_tokens:
                tokens, logprobs = (x[slot, row.answer : end].tolist() for x in (self.tokens, self.logprobs))
                self.found[row.prompt][row.sample] = Completion(tokens, logprobs, ended[slot])
                last = self.rows.pop()
                if last is not row:
                    self.rows[slot] = last
                    self.move(len(self.rows), slot)
        self.fill()

    def move(self, source: int, target: int) -> None:
        self.cache.move(source, target)
        for tensor in (self.starts, self.tokens, self.logprobs, self.uniforms, self.mask):
            tensor[target] = tensor[source]

    def shift(self) -> None:
        """Move everything left, as far as the rows and the longest prompt still to come allow."""
        longest = max((len(self.prompts[i]) for i, _ in self.queue), default=1)
        by = min(self.cache.first, self.cache.column - longest + 1)
        for tensor in (self.tokens, self.logprobs, self.uniforms, self.mask):
            tensor[..., :-by] = tensor[..., by:].clone()
        self.mask[..., -by:] = 0
        self.starts -= by
        for row in self.rows:
            row.start -= by
            row.answer -= by
        self.cache.shift(by)
        self.settle()


def check_decoding(engine: StaticCacheEngine, attention: Attention) -> None:
    """Decode two short sequences of unlike length and compare with a plain forward; UserError where they differ."""
    model, vocabulary = engine.model, engine.model.config.vocab_size
    advice = f"the static_cache engine cannot decode {type(model).__name__}: use the transformers engine"
    rows = [[(7 * i + 3 * j) % vocabulary for i in range(length)] for j, length in enumerate((3, 6))]
    try:
        decoding = Decoding(engine, attention, [r[:-2] for r in rows], Sampling(max_tokens=4), 1)
        decoding.fill()
        logits = []
        for back in (2, 1):
            decoding.tokens[:2, decoding.cache.column] = torch.tensor([rows[r.prompt][-back - 1] for r in decoding.rows])
            logits.append(decoding.forward())
            decoding.cache.column += 1
        order = [r.prompt for r in decoding.rows]
        attention.use(attention.stock)
        plain = [model(input_ids=torch.tensor([rows[i]], device=model.device), use_cache=False).logits[0] for i in order]
    except (AttributeError, IndexError, KeyError, NotImplementedError, RuntimeError, TypeError, ValueError) as error:
        raise UserError(f"{advice} ({type(error).__name__}: {error})") from error
    expected = torch.stack([torch.stack([p[-3], p[-2]]) for p in plain], 1).float()
    gap = (torch.stack(logits).float() - expected).abs().max()
    exact = torch.float32 if engine.autocast is None and model.dtype == torch.float32 else None
    tolerance = (1e-3 if exact else 0.2) * expected.std()
    if not gap <= tolerance:
        raise UserError(f"{advice} (its logits differ by {gap.item():.2g} from those of a plain forward)")
