"""Who samples.  One plain table; every engine keeps `heed.protocols.Engine`."""

from importlib import import_module
from typing import TYPE_CHECKING

from heed.errors import UserError, nearest
from heed.protocols import Engine

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

# name -> module:class.  Resolved when used, so that reading the table imports neither torch nor transformers.
ENGINES = {
    "transformers": "heed.language.engines.transformers:TransformersEngine",
    "static_cache": "heed.language.engines.static_cache:StaticCacheEngine",
}


def make_engine(
    name: str,
    model: "PreTrainedModel",
    *,
    eos_token_id: int | list[int],
    pad_token_id: int,
    autocast: "torch.dtype | None" = None,
) -> Engine:
    """The engine called `name` over `model`, a decoder-only causal language model that it holds by reference.

    `autocast` is the dtype of the matrix products while sampling; None samples in the model's own.
    Raises UserError for a name that is not in `ENGINES`.
    """
    if name not in ENGINES:
        raise UserError(f"there is no engine {name!r}{nearest(name, ENGINES)}")
    module, _, attribute = ENGINES[name].partition(":")
    kind = getattr(import_module(module), attribute)
    return kind(model, eos_token_id=eos_token_id, pad_token_id=pad_token_id, autocast=autocast)
