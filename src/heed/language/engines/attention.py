"""Attention of one new token a row over a cache, for any transformers model that looks its attention up by name."""

import sys

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, PretrainedConfig
from transformers.cache_utils import DynamicCache, DynamicLayer, DynamicSlidingWindowLayer

from heed.errors import UserError

DECODE = "heed_decode"


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


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor, scaling: float) -> Tensor:
    """[rows, key heads, query heads that share one, d] over [rows, key heads, columns, d], in the keys' dtype.

    `mask` [rows, 1, 1, columns] is added to the scores.  The result is in the query's dtype.
    """
    dtype, query = query.dtype, query.to(key.dtype)
    if query.is_cuda:
        return scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=scaling).to(dtype)
    # Two batched products stream through the cache; the fused kernel of the CPU takes up to twice as long.
    scores = torch.matmul(query * scaling, key.transpose(2, 3)).add_(mask)
    return torch.matmul(scores.softmax(-1), value).to(dtype)


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
    """[rows, heads, 1, d] over keys and values [rows, key heads, columns, d] -> [rows, 1, heads, d].

    `attention_mask` [rows, kinds, 1, columns] is SlotCache's.  Computed in the keys' dtype, whatever autocast says.
    """
    sliding = extra.get("sliding_window") is not None
    mask = attention_mask[:, -1:] if sliding else attention_mask[:, :1]
    with torch.autocast(query.device.type, enabled=False):
        if any(extra.get(name) is not None for name in ("softcap", "s_aux", "position_bias")):
            own = sys.modules[type(module).__module__].eager_attention_forward
            out = own(module, query.to(key.dtype), key, value, mask, scaling=scaling, **extra)[0]
            return out.to(query.dtype), None
        rows, heads, _, width = query.shape
        grouped = query.reshape(rows, key.shape[1], -1, width)  # query heads beside the key head that they share
        out = attend(grouped, key, value, mask, width**-0.5 if scaling is None else scaling)
    return out.reshape(rows, 1, heads, value.shape[-1]), None


AttentionInterface.register(DECODE, decode_attention)
