"""The key/value cache of sequences that are decoded together and all end at the same column.

column        0 1 2 3 4 5 6 7 8 9   A row is right-aligned: its next token goes to `column`, whatever its length.
row 0         . . p p p p r r _ .   So one slice writes the new token of every row, and one tensor without gaps holds
row 1         . . . . . p p p _ .   what all of them attend to.  What does not belong to a row is masked (.), and its
row 2         p p p r r r r r _ .   positions are counted from its start.

Attention over all columns, a few empty ones included, reads memory in one stream.  Attention over the exact window
of a longer tensor was measured at a third of that speed: every head's part ends in a gap, which stops the prefetcher.
The tensors are therefore only a little longer than the longest row, and laid out anew when they are full.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from transformers.cache_utils import Cache


@dataclass
class _Store:
    """Keys or values of one layer: a view [slots, heads, capacity, head_dim] of memory for the most columns."""

    memory: Tensor
    heads: int
    width: int
    view: Tensor


class SlotCache(Cache):
    """Per layer one tensor of keys and one of values [slots, heads, capacity, head_dim], of which `rows` are live.

    `limit` bounds the columns, `column` is the first to be written; `windows` holds each layer's sliding window or None.
    """

    def __init__(
        self, slots: int, limit: int, windows: list[int | None], device: torch.device, dtype: torch.dtype, column: int
    ):
        super().__init__(layers=[])
        self.slots, self.limit, self.windows, self.dtype, self.device = slots, limit, windows, dtype, device
        self.column = column  # where the next token of every row goes
        self.capacity = min(column + self._room(column), limit)
        self.rows = 0
        self._stores: list[list[_Store]] = [[] for _ in windows]  # per layer keys and values, made at first sight
        self._spare: dict[int, Tensor] = {}  # of each size one memory that is not in use
        self.kinds = sorted(set(windows), key=lambda w: w or 0)  # None first: decode_attention relies on it
        # Added to the attention scores: 0 where a row may look, -inf elsewhere.
        self.mask = torch.full((slots, len(self.kinds), 1, self.capacity), -torch.inf, dtype=dtype, device=device)

    @staticmethod
    def _room(used: int) -> int:
        """Columns to leave free: few make attention read less, many make the next layout come later."""
        return 16 + used // 16

    def update(self, key_states: Tensor, value_states: Tensor, layer_idx: int, *args, **kwargs) -> tuple[Tensor, Tensor]:
        """Called by the attention modules: keys and values [rows, heads, 1, head_dim] in, those of all columns out."""
        keys, values = (store.view[: self.rows] for store in self._of(layer_idx, key_states, value_states))
        keys.narrow(2, self.column, 1).copy_(key_states)
        values.narrow(2, self.column, 1).copy_(value_states)
        return keys, values

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Columns in use before the present one."""
        return self.column

    def place(self, rows: slice, prompt: list[tuple[Tensor, Tensor]]) -> None:
        """Copy per layer keys and values [heads, length, head_dim] to each of `rows`, ending before `column`."""
        for layer, keys_values in enumerate(prompt):
            for store, found in zip(self._of(layer, *keys_values), keys_values, strict=True):
                store.view[rows, :, self.column - found.shape[1] : self.column] = found

    def open(self, rows: slice, starts: Tensor) -> None:
        """`rows` now hold the columns [start, column), each from its own of `starts` on, and nothing else."""
        columns = torch.arange(self.capacity, device=self.device)
        for kind, window in enumerate(self.kinds):
            first = starts if window is None else starts.clamp(min=self.column - window)
            visible = (columns >= first[:, None]) & (columns < self.column)
            self.mask[rows, kind, 0] = torch.zeros_like(visible, dtype=self.dtype).masked_fill(~visible, -torch.inf)

    def show(self) -> Tensor:
        """The mask [rows, kinds, 1, capacity] for tokens at the present column, which it makes visible."""
        mask = self.mask[: self.rows]
        mask[..., self.column] = 0
        for kind, window in enumerate(self.kinds):
            if window is not None and self.column >= window:
                mask[:, kind, :, self.column - window] = -torch.inf
        return mask

    def move(self, source: int, target: int) -> None:
        """Row `source` is from now on row `target`."""
        for store in self._all():
            store.view[target, :, : self.column] = store.view[source, :, : self.column]
        self.mask[target] = self.mask[source]

    def lay_out(self, forgotten: int) -> None:
        """Drop the first `forgotten` columns, which nobody needs, and make room at the end."""
        end, kept = self.column, self.column - forgotten
        self.column, self.capacity = kept, min(kept + self._room(kept), self.limit)
        for store in self._all():
            memory = self._spare.pop(store.memory.numel(), None)
            memory = torch.zeros_like(store.memory) if memory is None else memory
            view = self._view(memory, store.heads, store.width)
            view[: self.rows, :, :kept] = store.view[: self.rows, :, forgotten:end]
            self._spare[memory.numel()] = store.memory
            store.memory, store.view = memory, view
        mask = torch.full((*self.mask.shape[:3], self.capacity), -torch.inf, dtype=self.dtype, device=self.device)
        mask[..., :kept] = self.mask[..., forgotten:end]
        self.mask = mask

    def _of(self, layer: int, keys: Tensor, values: Tensor) -> list[_Store]:
        """The stores of `layer`, made for keys and values [..., heads, length, head_dim] when there are none yet."""
        if not self._stores[layer]:
            for like in (keys, values):
                heads, width = like.shape[-3], like.shape[-1]
                # Zeros, for a masked column must hold a finite number: probability 0 times nan is nan.
                size = self.slots * heads * self.limit * width
                memory = torch.zeros(size, dtype=self.dtype, device=self.device)
                self._stores[layer].append(_Store(memory, heads, width, self._view(memory, heads, width)))
        return self._stores[layer]

    def _view(self, memory: Tensor, heads: int, width: int) -> Tensor:
        size = self.slots * heads * self.capacity * width
        return memory[:size].view(self.slots, heads, self.capacity, width)

    def _all(self) -> list[_Store]:
        return [store for layer in self._stores for store in layer]
