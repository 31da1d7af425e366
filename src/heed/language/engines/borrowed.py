"""A model is lent for sampling while it is being trained, and handed back as it was found."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from transformers import PretrainedConfig, PreTrainedModel

from heed.errors import UserError

STOCK = ("sdpa", "eager", "flash_attention_2", "flash_attention_3")  # those that know how to mask a padded batch


def bare(model: nn.Module) -> PreTrainedModel:
    """The transformers model inside a peft wrapper; LoRA layers stay in it and stay switched on.

    Raises UserError for adapters that put virtual tokens before the prompt, which only the wrapper knows about.
    """
    if not hasattr(model, "get_base_model"):
        return model
    if model.active_peft_config.is_prompt_learning:
        raise UserError("adapters made of virtual tokens (prompt or prefix tuning) cannot be sampled from; use LoRA")
    return model.get_base_model()


class Attention:
    """Which attention function the modules of `model` look up at each call."""

    def __init__(self, model: PreTrainedModel):
        configs = [m.config for m in model.modules() if isinstance(getattr(m, "config", None), PretrainedConfig)]
        self._configs = {id(c): c for c in configs}.values()
        self._found = [c._attn_implementation for c in self._configs]
        self._used = first = model.config._attn_implementation
        # Training may have its own function in place, which need not understand padding or a cache.
        self.stock = first if first in STOCK else "sdpa" if model._supports_sdpa else "eager"

    def use(self, name: str) -> None:
        """From now on they look up `name`."""
        if name != self._used:
            self._used = name
            for config in self._configs:
                config._attn_implementation = name

    def restore(self) -> None:
        """As they were found."""
        for config, name in zip(self._configs, self._found, strict=True):
            config._attn_implementation = name


@contextmanager
def borrowed(model: PreTrainedModel, autocast: torch.dtype | None) -> Iterator[Attention]:
    """Inside: no dropout, no gradients, a stock attention function, products in `autocast` (None: the model's dtype).

    Modes and attention functions are restored afterwards, also after an error.
    """
    training = [m for m in model.modules() if m.training]
    attention = Attention(model)
    device = model.device.type
    try:
        model.eval()
        attention.use(attention.stock)
        # An enclosing autocast may hold copies of weights from before the last update; and copies made here,
        # without gradients, must not reach a training step that follows.
        torch.clear_autocast_cache()
        with torch.no_grad(), torch.autocast(device, dtype=autocast, enabled=autocast is not None):
            yield attention
    finally:
        torch.clear_autocast_cache()
        attention.restore()
        for module in training:
            module.training = True
