"""Attention over a packed row, for any transformers model: registered under the name "heed_packed".

transformers hands every attention layer's queries, keys and values to a function named in the model's config, with the
keyword arguments of the call.  Ours cuts the packed row into the rectangles of a Plan and puts the results back.
"""

import contextlib
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from heed.errors import UserError
from heed.language.batches import Packed

NAME = "heed_packed"
SHORT = 512  # up to this many keys the plain form below is the faster one in bfloat16 on a CPU


def packed_attention(module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None,
                     scaling: float | None = None, dropout: float = 0.0, packed: Packed | None = None,
                     sliding_window: int | None = None, softcap: float | None = None, **_) -> tuple[Tensor, None]:
    """query [1, H, N, D], key and value [1, H_kv, N, D] -> [1, N, H, D]."""
    if packed is None:
        raise RuntimeError("heed_packed attention was called without a packed batch")
    if softcap is not None:
        raise UserError("this model caps its attention logits, which packed attention does not do: set packing=false")
    q, k, v = query[0].transpose(0, 1), key[0].transpose(0, 1), value[0].transpose(0, 1)  # [N, H, D]
    if q.shape[1] != k.shape[1]:
        k, v = (x.repeat_interleave(q.shape[1] // x.shape[1], 1) for x in (k, v))
    dropout = dropout if module.training else 0.0
    pieces = []
    for bucket in packed.plan:
        b, length = bucket.queries.shape
        if bucket.whole:
            qb, kb, vb = (x[: b * length].unflatten(0, (b, length)) for x in (q, k, v))
        else:
            qb, kb, vb = q[bucket.queries], k[bucket.keys], v[bucket.keys]
        mask = bucket.mask
        if sliding_window is not None and bucket.keys.shape[1] > sliding_window:
            mask = _window(packed.position_ids[0], bucket, sliding_window)
        out = _attend(qb.transpose(1, 2), kb.transpose(1, 2), vb.transpose(1, 2), mask, dropout, scaling).transpose(1, 2)
        pieces.append(out.flatten(0, 1) if bucket.whole else out[bucket.real])
    result = pieces[0] if packed.order is None else torch.cat(pieces)[packed.order]
    return F.pad(result, (0, 0, 0, 0, 0, len(q) - len(result)))[None], None


def _attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, dropout: float, scaling: float | None) -> Tensor:
    """[b, H, L, D] against [b, H, M, D]; `mask` [b, 1, L, M] allows, None is causal."""
    half = torch.is_autocast_enabled("cpu") and q.device.type == "cpu"
    if half and not dropout and k.shape[2] <= SHORT:
        with torch.autocast("cpu", enabled=False):
            return _Short.apply(*(x.to(torch.bfloat16) for x in (q, k, v)), mask, scaling or q.shape[-1] ** -0.5)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout, is_causal=mask is None, scale=scaling)


class _Short(torch.autograd.Function):
    """softmax(q k' scale + mask) v with the probabilities kept: on a CPU in bfloat16 four times as fast as the fused
    kernel, whose backward dominates there (32 rows of 128 tokens: 9 against 39 ms), for memory L x M a head."""

    @staticmethod
    def forward(ctx, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, scale: float) -> Tensor:
        b, heads, length, _ = q.shape
        rows = [x.reshape(b * heads, *x.shape[2:]) for x in (q, k, v)]
        if mask is None:
            mask = torch.ones(length, length, dtype=torch.bool).tril()
        else:
            mask = mask.expand(b, heads, -1, -1).reshape(b * heads, *mask.shape[2:])
        add = torch.zeros(mask.shape, dtype=q.dtype).masked_fill_(~mask, -torch.inf)
        scores = torch.baddbmm(add.expand(b * heads, -1, -1), rows[0], rows[1].transpose(1, 2), alpha=scale)
        probabilities = torch.softmax(scores, -1)
        ctx.save_for_backward(*rows, probabilities)
        ctx.scale, ctx.shape = scale, (b, heads)
        return torch.bmm(probabilities, rows[2]).unflatten(0, (b, heads))

    @staticmethod
    def backward(ctx, grad: Tensor):
        q, k, v, p = ctx.saved_tensors
        grad = grad.reshape(q.shape)
        gv = torch.bmm(p.transpose(1, 2), grad)
        gs = torch._softmax_backward_data(torch.bmm(grad, v.transpose(1, 2)), p, -1, p.dtype)
        gq, gk = torch.bmm(gs, k).mul_(ctx.scale), torch.bmm(gs.transpose(1, 2), q).mul_(ctx.scale)
        return *(x.unflatten(0, ctx.shape) for x in (gq, gk, gv)), None, None


def _window(positions: Tensor, bucket, window: int) -> Tensor:
    """The bucket's mask, narrowed to the last `window` positions before each query."""
    queries, keys = positions[bucket.queries][:, :, None], positions[bucket.keys][:, None, :]
    near = (queries - keys < window)[:, None]
    if bucket.mask is not None:
        return near & bucket.mask
    steps = torch.arange(near.shape[-1], device=near.device)  # by place, not position: filling repeats a position
    return near & (steps[None] <= steps[:, None])


ALL_ATTENTION_FUNCTIONS.register(NAME, packed_attention)


@contextlib.contextmanager
def using_packed_attention(model: nn.Module) -> Iterator[None]:
    """The model attends by Plan inside the block, and as before after it."""
    config = model.config
    before = config._attn_implementation
    config._attn_implementation = NAME
    try:
        yield
    finally:
        config._attn_implementation = before


def twice_differentiable() -> contextlib.AbstractContextManager:
    """Attention whose gradient has a gradient, which TRPO's Fisher products need and the fast kernels have not."""
    from torch.nn.attention import SDPBackend, sdpa_kernel

    return sdpa_kernel(SDPBackend.MATH)
