"""The key/value cache of sequences that are decoded together and all end at the same column.

column        0 1 2 3 4 5 6 7 8 9   A row is right-aligned: its next token goes to `column`, whatever its length.
row 0         . . p p p p r r _ .   So one slice writes the new token of every row, and one tensor without gaps holds
row 1         . . . . . p p p _ .   what all of them attend to.  What does not belong to a row is masked (.), and its
row 2         p p p r r r r r _ .   positions are counted from its start.

Attention over all columns, a few empty ones included, reads memory in one stream.  Attention over the exact window
of a longer tensor was measured at a third of that speed: every head's part ends in a gap, which stops the prefetcher.
The tensors are therefore only a little longer than the longest row, and laid out anew when they are full.
"""

import torch
from torch import Tensor
from transformers.cache_utils import Cache


class SlotCache(Cache):
    """Per layer one tensor of keys and one of values [slots, heads, capacity, head_dim], of which `rows` are live.

    `limit` bounds the columns; `windows` is the sliding window of each layer or None; `dtype` None is that of the keys.
    """

    def __init__(
        self, slots: int, limit: int, windows: list[int | None], device: torch.device, dtype: torch.dtype, column: int
    ):
        super().__init__(layers=[])
        self.slots, self.limit, self.windows, self.dtype = slots, limit, windows, dtype
        self.column = column  # where the next token of every row goes
        self.capacity = min(column + self._room(column), limit)
        self.rows = 0
        self._keys: list[Tensor | None] = [None] * len(windows)
        self._values: list[Tensor | None] = [None] * len(windows)
        self._memory: dict[int, Tensor] = {}  # of each size in elements one buffer that is not in use
        self.kinds = sorted(set(windows), key=lambda w: w or 0)  # None first: decode_attention relies on it
        # Added to the attention scores: 0 where a row may look, -inf elsewhere.
        self.mask = torch.full((slots, len(self.kinds), 1, self.capacity), -torch.inf, dtype=dtype, device=device)

    @staticmethod
    def _room(used: int) -> int:
        """Columns to leave free: few make attention read less, many make the next layout come later."""
        return 16 + used // 16

    def _allocate(self, heads: int, width: int) -> Tensor:
        # Zeros, for a masked column must hold a finite number: probability 0 times nan is nan.
        return torch.zeros(self.slots * heads * self.limit * width, dtype=self.dtype, device=self.mask.device)

    def _laid_out(self, memory: Tensor, heads: int, width: int) -> Tensor:
        size = self.slots * heads * self.capacity * width
        return memory[:size].view(self.slots, heads, self.capacity, width)

    def _stores(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """The tensors of `layer`, made at first sight of keys and values [..., heads, length, head_dim]."""
        if self._keys[layer] is None:
            for store, like in ((self._keys, keys), (self._values, values)):
                heads, width = like.shape[-3], like.shape[-1]
                store[layer] = self._laid_out(self._allocate(heads, width), heads, width)
        return self._keys[layer], self._values[layer]

    def update(self, key_states: Tensor, value_states: Tensor, layer_idx: int, *args, **kwargs) -> tuple[Tensor, Tensor]:
        """Called by the attention modules: keys and values [rows, heads, 1, head_dim] in, those of all columns out."""
        keys, values = self._stores(layer_idx, key_states, value_states)
        keys, values = keys[: self.rows], values[: self.rows]
        keys.narrow(2, self.column, 1).copy_(key_states)
        values.narrow(2, self.column, 1).copy_(value_states)
        return keys, values

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Columns in use before the present one."""
        return self.column

    def open(self, row: int, start: int, prompt: list[tuple[Tensor, Tensor]]) -> None:
        """Row `row` now holds columns [start, column): per layer keys and values [heads, column - start, head_dim]."""
        for layer, (keys, values) in enumerate(prompt):
            stored_keys, stored_values = self._stores(layer, keys, values)
            stored_keys[row, :, start : self.column] = keys
            stored_values[row, :, start : self.column] = values
        self.mask[row] = -torch.inf
        for kind, window in enumerate(self.kinds):
            first = start if window is None else max(start, self.column - window)
            self.mask[row, kind, :, first : self.column] = 0

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
        for tensor in (*self._keys, *self._values):
            tensor[target, :, : self.column] = tensor[source, :, : self.column]
        self.mask[target] = self.mask[source]

    def lay_out(self, forgotten: int) -> None:
        """Drop the first `forgotten` columns, which nobody needs, and make room at the end."""
        old, kept = self.column, self.column - forgotten
        self.column, self.capacity = kept, min(kept + self._room(kept), self.limit)
        for store in (self._keys, self._values):
            for layer, tensor in enumerate(store):
                _, heads, _, width = tensor.shape
                memory = tensor._base
                spare = self._memory.pop(memory.numel(), None)
                spare = self._allocate(heads, width) if spare is None else spare
                store[layer] = self._laid_out(spare, heads, width)
                store[layer][: self.rows, :, :kept] = tensor[: self.rows, :, forgotten:old]
                self._memory[memory.numel()] = memory
        mask = torch.full((*self.mask.shape[:3], self.capacity), -torch.inf, dtype=self.dtype, device=self.mask.device)
        mask[..., :kept] = self.mask[..., forgotten:old]
        self.mask = mask
