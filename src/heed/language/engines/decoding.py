"""One call of the static-cache engine: a queue of completions to make, and the rows in work."""

import inspect
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

import torch
from torch import Tensor
from transformers import PreTrainedModel
from transformers.cache_utils import DynamicCache

from heed.language.engines.attention import DECODE
from heed.language.engines.borrowed import Attention
from heed.language.engines.llama_step import LlamaStep
from heed.language.engines.sampler import pick, uniforms
from heed.language.engines.slots import SlotCache
from heed.protocols import Completion, Sampling

PREFILL = 2048  # tokens a prefill takes at once: enough to fill the machine, little memory


@dataclass
class Row:
    """A sequence being decoded.  Columns: its prompt is [start, answer), its completion begins at `answer`."""

    prompt: int
    sample: int
    start: int
    answer: int


class Decoding:
    """`samples` completions of each prompt by `model`, at most `slots` at once, ended by the ids `eos`.

    `cache_dtype` is that of keys and values; `written_out` takes LlamaStep in place of the model's forward.
    The model must be `borrowed`, with `attention` and `autocast`.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        attention: Attention,
        windows: list[int | None],
        prompts: Sequence[Sequence[int]],
        sampling: Sampling,
        *,
        samples: int,
        slots: int,
        eos: list[int],
        cache_dtype: torch.dtype,
        autocast: torch.dtype | None,
        written_out: bool,
    ):
        self.model, self.attention, self.prompts, self.sampling = model, attention, prompts, sampling
        self.takes_cache = cache_argument(model)
        self.eos = torch.tensor(eos, dtype=torch.long, device=model.device)
        self.found: list[list[Completion | None]] = [[None] * samples for _ in prompts]
        # Longest prompts first: neighbours of like length waste least, and the order changes no result.
        order = sorted(range(len(prompts)), key=lambda i: -len(prompts[i]))
        self.queue = deque((i, k) for i in order for k in range(samples))
        self.unread = deque(order)  # prompts not yet prefilled
        self.read: dict[int, list[tuple[Tensor, Tensor]]] = {}  # prompt -> per layer keys and values
        self.rows: list[Row] = []

        longest = max(map(len, prompts), default=0)
        slots = min(slots, len(self.queue))
        limit = longest + sampling.max_tokens
        self.cache = SlotCache(slots, limit + limit // 16 + 16, windows, model.device, cache_dtype, column=longest - 1)
        self.written_out = LlamaStep(model, self.cache, autocast) if written_out else None
        # By row and column, like the cache.  Uniforms are drawn for all of a completion when it begins.
        width = self.cache.limit + 1
        self.starts = torch.zeros(slots, dtype=torch.long, device=model.device)
        self.tokens = torch.zeros(slots, width, dtype=torch.long, device=model.device)
        self.logprobs = torch.zeros(slots, width, device=model.device)
        self.uniforms = torch.zeros(slots, width + sampling.max_tokens, device=model.device)

    def run(self) -> list[list[Completion]]:
        """Every completion, by prompt and sample."""
        self.fill()
        while self.rows:
            self.step()
        return self.found

    def fill(self) -> None:
        """Queued completions take the free slots.  Each starts with its last prompt token still to be fed."""
        free, column, count = self.cache.slots - len(self.rows), self.cache.column, self.sampling.max_tokens
        new = [self.queue.popleft() for _ in range(min(free, len(self.queue)))]
        taken = slice(len(self.rows), len(self.rows) + len(new))
        for prompt, group in groupby(new, key=itemgetter(0)):
            samples = [sample for _, sample in group]
            start = column - len(self.prompts[prompt]) + 1
            slots = slice(len(self.rows), len(self.rows) + len(samples))
            self.rows += [Row(prompt, sample, start, column + 1) for sample in samples]
            self.cache.place(slots, self.keys_values(prompt))
            if samples[-1] == len(self.found[prompt]) - 1:
                self.read.pop(prompt, None)
        if new:
            device = self.model.device
            self.starts[taken] = torch.tensor([row.start for row in self.rows[taken]], device=device)
            self.tokens[taken, column] = torch.tensor([self.prompts[i][-1] for i, _ in new], device=device)
            drawn = uniforms(self.sampling.seed, new, count)
            self.uniforms[taken, column + 1 : column + 1 + count] = drawn.to(device)
            self.cache.open(taken, self.starts[taken])
        self.cache.rows = len(self.rows)
        self.due = min((row.answer for row in self.rows), default=0) + count - 1

    def keys_values(self, prompt: int) -> list[tuple[Tensor, Tensor]]:
        """Of all tokens of `prompt` but the last, per layer [heads, length, head_dim]."""
        if len(self.prompts[prompt]) == 1:
            return []
        if prompt not in self.read:
            self.prefill()
        return self.read[prompt]

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
        self.model(input_ids=ids.to(self.model.device), use_cache=True, logits_to_keep=1, **{self.takes_cache: cache})
        for j, i in enumerate(batch):
            end = len(self.prompts[i]) - 1
            self.read[i] = [(layer.keys[j, :, :end], layer.values[j, :, :end]) for layer in cache.layers]

    def step(self) -> None:
        """One token for every row."""
        if self.cache.column == self.cache.capacity:
            self.lay_out()
        count, answer = len(self.rows), self.cache.column + 1
        token, logprob = pick(self.forward(), self.uniforms[:count, answer], self.sampling)
        self.tokens[:count, answer] = token
        self.logprobs[:count, answer] = logprob
        self.cache.column = answer
        ended = torch.isin(token, self.eos)
        if answer == self.due or ended.any():
            self.retire(ended.tolist())

    def forward(self) -> Tensor:
        """Logits [rows, vocab] after the token at the present column, which is put into the cache."""
        cache, count = self.cache, len(self.rows)
        tokens, positions = self.tokens[:count, cache.column], cache.column - self.starts[:count]
        if self.written_out is not None:
            return self.written_out(tokens, positions)
        self.attention.use(DECODE)
        return self.model(
            input_ids=tokens[:, None],
            attention_mask=cache.show(),
            position_ids=positions[:, None],
            use_cache=True,
            **{self.takes_cache: cache},
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
        """Close a gap."""
        self.cache.move(source, target)
        for tensor in (self.starts, self.tokens, self.logprobs, self.uniforms):
            tensor[target] = tensor[source]

    def lay_out(self) -> None:
        """Move everything left, as far as the rows and the longest prompt still to come allow."""
        longest = max((len(self.prompts[i]) for i, _ in self.queue), default=1)
        by = min(min(row.start for row in self.rows), self.cache.column - longest + 1)
        self.cache.lay_out(by)
        if by:
            for tensor in (self.tokens, self.logprobs, self.uniforms):
                tensor[:, :-by] = tensor[:, by:].clone()
            self.starts -= by
            for row in self.rows:
                row.start -= by
                row.answer -= by
            self.due -= by


def cache_argument(model: PreTrainedModel) -> str:
    """What the model calls its cache: `cache` where transformers (5.24) has renamed it, else `past_key_values`."""
    return "cache" if "cache" in inspect.signature(model.forward).parameters else "past_key_values"
