"""Prompts and completions as tensors, and how to lay them end to end without padding.

At rest a batch is rectangular (ids only, a few bytes a token).  A model sees it packed: one row of real tokens, a prompt
standing once before its K completions, every token with its own position.  Linear layers then work on real tokens (and fewer
than FILLING of filling), and attention runs over a few rectangles of similar length (`Plan`), never over other rows' tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from heed.errors import UserError

IGNORED = 0  # id written where there is no token; never read
FILLING = 64  # lengths of packed rows are multiples of this


@dataclass(frozen=True)
class Tokens:
    """Rows of prompt + completion.  Rows with the same `group` have the same prompt and lie next to each other.

    prompt_ids [B, P] and completion_ids [B, T] are filled from the left; lengths [B] say how far.
    A token of a completion counts where `mask` [B, T] is 1.
    """

    prompt_ids: Tensor
    prompt_lengths: Tensor
    completion_ids: Tensor
    completion_lengths: Tensor
    group: Tensor
    mask: Tensor

    def __len__(self) -> int:
        return len(self.group)

    @property
    def count(self) -> Tensor:
        """How many tokens count."""
        return self.mask.sum()

    def select(self, index: Tensor) -> "Tokens":
        """The rows `index`, cut to their own longest prompt and completion."""
        rows = replace(self, **{f.name: getattr(self, f.name)[index] for f in fields(self)})
        p, t = int(rows.prompt_lengths.max()), int(rows.completion_lengths.max())
        return replace(rows, prompt_ids=rows.prompt_ids[:, :p], completion_ids=rows.completion_ids[:, :t],
                       mask=rows.mask[:, :t])


def make_tokens(prompts: Sequence[Sequence[int]], completions: Sequence[Sequence[int]],
                masks: Sequence[Sequence[int]] | None = None, groups: Sequence[int] | None = None) -> Tokens:
    """Rows of ids as Tokens; without `masks` every token of a completion counts."""
    prompt_ids, prompt_lengths = rectangle(prompts)
    completion_ids, completion_lengths = rectangle(completions)
    mask = (torch.arange(completion_ids.shape[1])[None] < completion_lengths[:, None]).float()
    if masks is not None:
        mask = rectangle(masks)[0].float()
    group = torch.arange(len(prompts)) if groups is None else torch.as_tensor(groups)
    return Tokens(prompt_ids, prompt_lengths, completion_ids, completion_lengths, group, mask)


def told(rows: Tokens, ids: Tensor | int) -> Tokens:
    """Each completion behind one more token, [N] or one for all, which does not count and stands for something to go by."""
    column = torch.as_tensor(ids, device=rows.mask.device).expand(len(rows))[:, None]
    return replace(rows, completion_ids=torch.cat([column, rows.completion_ids], 1),
                   completion_lengths=rows.completion_lengths + 1,
                   mask=torch.cat([torch.zeros_like(rows.mask[:, :1]), rows.mask], 1))


@dataclass(frozen=True)
class Told(Tokens):
    """Rows that a policy reads behind a token each, `word` [B]; whoever else reads them sees prompt and completion alone."""

    word: Tensor
    words: tuple[int, ...]  # all there are, from the worst to the best

    @classmethod
    def best(cls, rows: Tokens, words: Sequence[int]) -> "Told":
        """`rows`, each behind the last of `words`."""
        return cls(**{f.name: getattr(rows, f.name) for f in fields(Tokens)}, words=tuple(words),
                   word=torch.full((len(rows),), words[-1], device=rows.mask.device))

    def behind(self, level: Tensor) -> "Told":
        """The same rows, each behind the word of its level [B]."""
        return replace(self, word=torch.tensor(self.words, device=self.word.device)[level])

    def select(self, index: Tensor) -> "Told":
        """The rows `index`."""
        plain = Tokens.select(Tokens(**{f.name: getattr(self, f.name) for f in fields(Tokens)}), index)
        return Told(**vars(plain), word=self.word[index], words=self.words)


def mismatched(rows: Tokens, max_length: int) -> Tokens:
    """Each prompt with the completion of another prompt, cut to `max_length` tokens together; UserError for a single prompt."""
    if len(torch.unique(rows.group)) < 2:
        raise UserError("one prompt has no answers to others: at least two are needed")
    index = (torch.arange(len(rows), device=rows.group.device) + len(rows) // 2) % len(rows)  # half the rows away
    lengths = torch.minimum(rows.completion_lengths[index], (max_length - rows.prompt_lengths).clamp(min=1))
    real = torch.arange(rows.mask.shape[1], device=rows.mask.device)[None] < lengths[:, None]
    return replace(rows, completion_ids=rows.completion_ids[index], completion_lengths=lengths, mask=rows.mask[index] * real,
                   group=torch.arange(len(rows), device=rows.group.device))


def rectangle(rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Ragged rows as [B, longest], filled from the left, and their lengths [B]."""
    lengths = torch.tensor([len(r) for r in rows])
    width = int(lengths.max()) if len(rows) else 0
    flat = torch.tensor([i for r in rows for i in r], dtype=torch.long)
    ids = torch.full((len(rows), width), IGNORED)
    ids[torch.arange(width)[None] < lengths[:, None]] = flat
    return ids, lengths


@dataclass(frozen=True)
class Bucket:
    """Queries attending to keys, as rectangles of positions in the packed row.

    `queries` [b, L] and `keys` [b, M] index packed tokens; `real` [b, L] marks queries that are not filling.
    `mask` [b, 1, L, M] allows keys; None is plain causal attention with keys = queries.
    """

    queries: Tensor
    keys: Tensor
    real: Tensor
    mask: Tensor | None
    whole: bool  # every packed token, in order, without filling: no gathering needed


@dataclass(frozen=True)
class Packed:
    """Real tokens end to end.  `source` and `index` [B, T] say where completion tokens are predicted and stand.

    Up to FILLING - 1 tokens that nothing reads stand at the end, so that N takes few values: for every new shape of a product
    a CPU library compiles a kernel and keeps it (in bfloat16 some 2 ms and 2 MB each).
    """

    input_ids: Tensor  # [1, N]
    position_ids: Tensor  # [1, N]
    source: Tensor  # [B, T] the packed token whose output predicts completion token t
    index: Tensor  # [B, T] the packed token that is completion token t
    plan: tuple[Bucket, ...]
    order: Tensor | None  # puts the buckets' outputs, laid end to end, back in packed order


def pack(rows: Tokens, share_prompts: bool = True) -> Packed:
    """Lay rows end to end; with `share_prompts`, the prompt of neighbouring rows of one group stands once."""
    B, T = rows.completion_ids.shape
    device = rows.completion_ids.device
    n, m = rows.prompt_lengths, rows.completion_lengths
    first = torch.ones(B, dtype=torch.bool, device=device)
    if share_prompts:
        first[1:] = rows.group[1:] != rows.group[:-1]
    owner = torch.cummax(torch.where(first, torch.arange(B, device=device), 0), 0).values  # row that holds the prompt
    shared = torch.bincount(owner, minlength=B)[owner] > 1
    own = torch.where(first, n, 0)
    ends = (own + m).cumsum(0)
    completion_start = ends - m
    prompt_start = (ends - m - own)[owner]

    steps = torch.arange(T, device=device)[None]
    index = completion_start[:, None] + steps
    here = steps < m[:, None]
    index = torch.where(here, index, 0)
    source = torch.where(steps == 0, (prompt_start + n - 1)[:, None], index - 1)
    source = torch.where(here, source, 0).clamp(min=0)

    width = rows.prompt_ids.shape[1]
    columns = torch.arange(width, device=device)[None]
    in_prompt = (columns < n[:, None]) & first[:, None]
    ids = torch.cat([torch.where(in_prompt, rows.prompt_ids, -1), torch.where(here, rows.completion_ids, -1)], 1)
    positions = torch.cat([columns.expand(B, -1), n[:, None] + steps.expand(B, -1)], 1)
    real = torch.cat([in_prompt, here], 1)
    total = int(ends[-1])
    plan, order = _plan(total, prompt_start, completion_start, n, m, first, shared)
    ids, positions = (F.pad(x[real], (0, -total % FILLING))[None] for x in (ids, positions))
    return Packed(ids, positions, source, index, plan, order)


def _plan(total: int, prompt_start: Tensor, completion_start: Tensor, n: Tensor, m: Tensor, first: Tensor,
          shared: Tensor) -> tuple[tuple[Bucket, ...], Tensor | None]:
    """Rows of their own are causal segments; a shared prompt is one too, and its completions are branches of it."""
    alone = ~shared
    starts = torch.cat([prompt_start[alone], prompt_start[shared & first]])
    lengths = torch.cat([(n + m)[alone], n[shared & first]])
    kept = lengths > 0
    buckets = [_causal(starts[kept][i], lengths[kept][i], total) for i in _by_length(lengths[kept])]
    for i in _by_length((n + m)[shared]):
        buckets.append(_branches(prompt_start[shared][i], n[shared][i], completion_start[shared][i], m[shared][i]))
    if len(buckets) == 1 and buckets[0].whole:
        return (buckets[0],), None
    places = torch.cat([b.queries[b.real] for b in buckets])
    order = torch.empty_like(places)
    order[places] = torch.arange(len(places), device=places.device)
    return tuple(buckets), order


def _by_length(lengths: Tensor, waste: float = 1.3) -> list[Tensor]:
    """Indices of rows in groups whose longest is at most `waste` times their shortest (and never tiny groups)."""
    if len(lengths) == 0:
        return []
    order = lengths.argsort(stable=True)
    groups, start = [], 0
    values = lengths[order].tolist()
    for i in range(1, len(values)):
        if values[i] > waste * values[start] and i - start >= 8:
            groups.append(order[start:i])
            start = i
    return [*groups, order[start:]]


def _causal(starts: Tensor, lengths: Tensor, total: int) -> Bucket:
    steps = torch.arange(int(lengths.max()), device=starts.device)[None]
    real = steps < lengths[:, None]
    places = torch.where(real, starts[:, None] + steps, starts[:, None])
    whole = places.numel() == total and bool((starts[1:] > starts[:-1]).all())
    return Bucket(places, places, real, None, whole)


def _branches(prompt_start: Tensor, n: Tensor, completion_start: Tensor, m: Tensor) -> Bucket:
    steps = torch.arange(int(m.max()), device=n.device)[None]
    before = torch.arange(int(n.max()), device=n.device)[None]
    real = steps < m[:, None]
    queries = torch.where(real, completion_start[:, None] + steps, completion_start[:, None])
    in_prompt = before < n[:, None]
    keys = torch.cat([torch.where(in_prompt, prompt_start[:, None] + before, 0), queries], 1)
    causal = steps[0][:, None] >= steps[0][None]
    allowed = torch.cat([in_prompt[:, None].expand(-1, steps.shape[1], -1), causal.expand(len(n), -1, -1)], 2)
    return Bucket(queries, keys, real, allowed[:, None], False)
