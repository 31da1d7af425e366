"""The key/value cache of sequences that are decoded together and all end at the same column.

    column        0 1 2 3 4 5 6 7 8     A row is right-aligned: its next token goes to `column`, whatever its length.
    row 0         . . p p p p r r [ ]   So one slice writes the new token of every row, one view covers all of them,
    row 1         . . . . . p p p [ ]   and a sliding window of w tokens is the last w columns, for every row alike.
    row 2         p p p r r r r r [ ]   What stands before a row's start is masked; positions are counted from there.
"""

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicCache, DynamicLayer, DynamicSlidingWindowLayer
from transformers.configuration_utils import PretrainedConfig

from heed.errors import UserError


def layer_windows(config: PretrainedConfig) -> list[int | None]:
    """The sliding window of each layer; None for full attention.  UserError for layers that keep another state."""
    windows = []
    for layer in DynamicCache(config=config).layers:
        if type(layer) not in (DynamicLayer, DynamicSlidingWindowLayer):
            raise UserError(
                f"the static_cache engine knows full and sliding-window attention; {config.model_type} has a layer "
                f"of kind {type(layer).__name__}: use the transformers engine"
            )
        windows.append(getattr(layer, "sliding_window", None))
    return windows


class SlotCache(Cache):
    """Per layer one tensor of keys and one of values [slots, heads, columns, head_dim], of which `rows` are live."""

    def __init__(self, slots: int, columns: int, windows: list[int | None], dtype: torch.dtype | None = None):
        super().__init__(layers=[])
        self.slots, self.columns, self.windows, self.dtype = slots, columns, windows, dtype
        self.keys: list[Tensor | None] = [None] * len(windows)
        self.values: list[Tensor | None] = [None] * len(windows)
        self.rows = 0
        self.first = 0  # the first column that any live row uses
        self.column = 0  # where the next token of every row goes

    def _allocate(self, layer: int, keys: Tensor, values: Tensor) -> None:
        # Zeros, for a masked column must hold a finite number: 0 probability times nan is nan.
        for store, like in ((self.keys, keys), (self.values, values)):
            shape = (self.slots, like.shape[1], self.columns, like.shape[3])
            store[layer] = torch.zeros(shape, dtype=self.dtype or like.dtype, device=like.device)

    def update(self, key_states: Tensor, value_states: Tensor, layer_idx: int, *args, **kwargs) -> tuple[Tensor, Tensor]:
        """Called by the attention modules: keys and values [rows, heads, 1, head_dim] in, all visible ones out."""
        if self.keys[layer_idx] is None:
            self._allocate(layer_idx, key_states, value_states)
        end = self.column + 1
        window = self.windows[layer_idx]
        first = self.first if window is None else max(self.first, end - window)
        keys = self.keys[layer_idx][: self.rows, :, first:end]
        values = self.values[layer_idx][: self.rows, :, first:end]
        keys[:, :, -1:].copy_(key_states)
        values[:, :, -1:].copy_(value_states)
        return keys, values

    def get_seq_length(self, layer_idx: int = 0) -> int:
        return self.column

    def place(self, layer: int, rows: slice, keys: Tensor, values: Tensor) -> None:
        """Copy a prompt's keys and values [heads, length, head_dim] into every row of `rows`, ending before `column`."""
        if self.keys[layer] is None:
            self._allocate(layer, keys[None], values[None])
        columns = slice(self.column - keys.shape[1], self.column)
        self.keys[layer][rows, :, columns] = keys
        self.values[layer][rows, :, columns] = values

    def move(self, source: int, target: int) -> None:
        for tensor in self._tensors():
            tensor[target, :, self.first : self.column] = tensor[source, :, self.first : self.column]

    def shift(self, columns: int) -> None:
        """Forget the first `columns` columns, which no live row uses, to make room at the end."""
        for tensor in self._tensors():
            kept = tensor[: self.rows, :, columns : self.column]
            tensor[: self.rows, :, : self.column - columns] = kept.clone()
        self.first -= columns
        self.column -= columns

    def _tensors(self) -> list[Tensor]:
        return [t for t in (*self.keys, *self.values) if t is not None]
