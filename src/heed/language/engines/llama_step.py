"""One decoding step of the Llama family written out, without the overhead of its modules.

A step of a small model is mostly overhead: one of 1M parameters spends more than half of its time outside of matrix
products.  Here the products that share an input are one, rotary angles come from a table, and LoRA is added to the
weights once per call of the engine.  Other models go through their own forward.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedModel

from heed.language.engines.attention import attend
from heed.language.engines.slots import SlotCache

FAMILY = ("LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM")
ANGLES = ("default", "linear", "llama3", "yarn")  # rotary embeddings that depend on the position alone


def can_step(model: PreTrainedModel) -> bool:
    """Whether `LlamaStep` knows every part of `model`, and nobody listens to its modules."""
    if type(model).__name__ not in FAMILY or model.config.rope_parameters.get("rope_type") not in ANGLES:
        return False
    return _is_known(model) and type(model.lm_head) is nn.Linear


def _is_known(module: nn.Module) -> bool:
    """Made of transformers' own modules, plain linears and LoRA: nothing that a user or a library put in its place."""
    if module._forward_hooks or module._forward_pre_hooks or "forward" in vars(module):
        return False
    if _is_lora(module):
        return True
    ours = type(module) in (nn.Linear, nn.Embedding, nn.ModuleList) or type(module).__module__.startswith("transformers.")
    return ours and all(map(_is_known, module.children()))


def _is_lora(module: nn.Module) -> bool:
    """peft's linear layer with ordinary LoRA, not merged: no DoRA, no bias, no other variant."""
    if not hasattr(module, "lora_A") or type(module.get_base_layer()) is not nn.Linear or module.merged:
        return False
    variants = (getattr(module, name, {}) for name in ("lora_variant", "use_dora", "lora_bias"))
    return not any(any(v.values()) if isinstance(v, dict) else v for v in variants)


def _weight(module: nn.Module) -> Tensor:
    if type(module) is nn.Linear:
        return module.weight
    weight = module.get_base_layer().weight
    if module.disable_adapters:
        return weight
    return weight + sum(module.get_delta_weight(name) for name in module.active_adapters if name in module.lora_A)


class _Product:
    """float32 x [rows, in] -> [rows, out of all `modules`, one after the other], computed in `dtype`.

    On a CPU the weight is put once into oneDNN's own order: with the few rows of a step, streaming it from memory is
    the work, and torch's linear arranges it anew at every call.
    """

    def __init__(self, dtype: torch.dtype, *modules: nn.Module):
        plain = [m if type(m) is nn.Linear else m.get_base_layer() for m in modules]
        weight = torch.cat([_weight(m) for m in modules]).to(dtype)
        self.dtype = dtype
        self.bias = None if plain[0].bias is None else torch.cat([m.bias for m in plain]).to(dtype)
        self.packed = weight.device.type == "cpu" and torch.backends.mkldnn.is_available() and _gains(weight)
        self.weight = torch.ops.mkldnn._reorder_linear_weight(weight) if self.packed else weight

    def __call__(self, x: Tensor) -> Tensor:
        x = x.to(self.dtype)
        if self.packed:
            return torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, "none", [], "").float()
        return F.linear(x, self.weight, self.bias).float()


def _gains(weight: Tensor) -> bool:
    """Small float32 products are quicker without oneDNN's preparations (measured at 1 to 64 rows)."""
    return weight.numel() >= 2**16 if weight.dtype == torch.float32 else weight.dtype == torch.bfloat16


class _Norm:
    """RMSNorm of float32 x [..., width] in five operations; torch's own takes eight on a CPU."""

    def __init__(self, module: nn.Module):
        width = module.weight.numel()
        # x / sqrt(sum / width + eps) * w  =  x / sqrt(sum + width eps) * (w sqrt(width))
        self.weight = module.weight.float() * width**0.5
        self.floor = width * module.variance_epsilon

    def __call__(self, x: Tensor) -> Tensor:
        return x * (x * x).sum(-1, keepdim=True).add_(self.floor).rsqrt_() * self.weight


class _Layer:
    def __init__(self, layer: nn.Module, dtype: torch.dtype, kind: int):
        attention, mlp = layer.self_attn, layer.mlp
        self.kind = kind  # of mask
        self.before, self.between = _Norm(layer.input_layernorm), _Norm(layer.post_attention_layernorm)
        self.qkv = _Product(dtype, attention.q_proj, attention.k_proj, attention.v_proj)
        self.out = _Product(dtype, attention.o_proj)
        self.gate_up = _Product(dtype, mlp.gate_proj, mlp.up_proj)
        self.down = _Product(dtype, mlp.down_proj)
        self.activation = mlp.act_fn.forward
        normed = hasattr(attention, "q_norm")  # Qwen3
        self.q_norm, self.k_norm = (_Norm(attention.q_norm), _Norm(attention.k_norm)) if normed else (None, None)
        self.scaling = attention.scaling


class LlamaStep:
    """The weights of `model` as they are now, arranged for steps over `cache`; products in `autocast` if given."""

    def __init__(self, model: PreTrainedModel, cache: SlotCache, autocast: torch.dtype | None):
        self.model, self.cache = model, cache
        dtype = autocast or model.dtype
        self.layers = [
            _Layer(layer, dtype, cache.kinds.index(window))
            for layer, window in zip(model.model.layers, cache.windows, strict=True)
        ]
        self.last, self.head = _Norm(model.model.norm), _Product(dtype, model.lm_head)
        self.key_heads = model.config.num_key_value_heads
        self.heads = model.config.num_attention_heads
        positions = torch.arange(cache.limit, device=model.device)[None]
        cos, sin = model.model.rotary_emb(model.model.embed_tokens.weight, positions)
        # x cos + rotate_half(x) sin, where rotate_half is a roll by half a head whose first half is negated.
        sin = torch.cat([-sin[0, :, : sin.shape[-1] // 2], sin[0, :, sin.shape[-1] // 2 :]], -1)
        self.angles = torch.stack([cos[0], sin], 1)[:, :, None].float()  # [positions, 2, 1, head_dim]

    def __call__(self, tokens: Tensor, positions: Tensor) -> Tensor:
        """Logits [rows, vocab] after `tokens` [rows] at `positions` [rows], which are put into the cache."""
        with torch.autocast(tokens.device.type, enabled=False):  # the products know their dtype, all else is float32
            return self._logits(tokens, positions)

    def _logits(self, tokens: Tensor, positions: Tensor) -> Tensor:
        mask = self.cache.show()
        cos, sin = self.angles[positions].unbind(1)
        x = self.model.model.embed_tokens.weight[tokens].float()
        for i, layer in enumerate(self.layers):
            x = x + layer.out(self._attention(i, layer, layer.before(x), cos, sin, mask))
            gate, up = layer.gate_up(layer.between(x)).chunk(2, -1)
            x = x + layer.down(layer.activation(gate) * up)
        return self.head(self.last(x))

    def _attention(self, index: int, layer: _Layer, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor) -> Tensor:
        """[rows, width] -> [rows, heads * head_dim]."""
        rows, both = len(x), self.heads + self.key_heads
        qkv = layer.qkv(x).view(rows, both + self.key_heads, -1)
        qk = qkv[:, :both]
        if layer.q_norm is not None:
            qk = torch.cat([layer.q_norm(qk[:, : self.heads]), layer.k_norm(qk[:, self.heads :])], 1)
        qk = torch.addcmul(qk * cos, qk.roll(qk.shape[-1] // 2, -1), sin)
        keys, values = self.cache.update(qk[:, self.heads :, None], qkv[:, both:, None], index)
        grouped = qk[:, : self.heads].reshape(rows, self.key_heads, -1, qk.shape[-1])
        out = attend(grouped, keys, values, mask[:, layer.kind, None], layer.scaling)
        return out.reshape(rows, -1)
