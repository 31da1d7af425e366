"""Getting models in and out: by hub name, from a directory, or new from a config; out as Hugging Face directories."""

import logging
import math
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import nn
from transformers import CONFIG_MAPPING, AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification
from transformers.utils import logging as hf_logging

from heed.errors import UserError, nearest
from heed.language.policy import base_of
from heed.training.checkpoint import refuse_pickle

# What heed's small models are when nothing else is said: about a million parameters, learnt in minutes on a CPU.
SMALL = {"model_type": "llama", "hidden_size": 128, "intermediate_size": 352, "num_hidden_layers": 4,
         "num_attention_heads": 4, "max_position_embeddings": 256, "tie_word_embeddings": False,
         "initializer_range": 0.08}  # about 1/sqrt(hidden_size)


def new_model(settings: dict[str, Any], tokenizer) -> nn.Module:
    """A causal language model made from a config: any transformers `model_type` with its own keys."""
    values = {**SMALL, **settings}
    if settings.get("model_type", "llama") != "llama":
        values = dict(settings)
    kind = values.pop("model_type")
    if kind not in CONFIG_MAPPING:
        raise UserError(f"architecture: transformers has no model_type {kind!r}{nearest(kind, CONFIG_MAPPING)}")
    known = AutoConfig.for_model(kind)
    for key in values:
        if not hasattr(known, key):
            raise UserError(f"architecture: {kind} has no {key!r}{nearest(key, vars(known))}")
    try:
        config = AutoConfig.for_model(kind, vocab_size=len(tokenizer), pad_token_id=tokenizer.pad_token_id,
                                      eos_token_id=tokenizer.eos_token_id, bos_token_id=tokenizer.bos_token_id, **values)
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    except Exception as error:  # configurations and models raise whatever their authors chose
        raise UserError(f"architecture {settings!r}: {' '.join(str(error).split())}") from None
    if kind == "llama" and not config.tie_word_embeddings:
        _keep_tokens_apart(model)
    return model


@torch.no_grad()
def _keep_tokens_apart(model: nn.Module) -> None:
    """Starting weights under which a small model learns to copy (an asked name, say) in half the steps, or at all.

    With one scale for every matrix, what attention and MLP add at the start is several times what the embedding says, and
    which token stood here is lost in it.  So: embeddings of unit scale, and layers that begin by adding little.
    """
    nn.init.normal_(model.get_input_embeddings().weight, std=1.0)
    nn.init.normal_(model.get_output_embeddings().weight, std=0.02)
    for name, weight in model.named_parameters():
        if name.endswith(("o_proj.weight", "down_proj.weight")):
            weight *= 0.1


def load_policy(name: str, *, lora_r: int = 0, lora_alpha: int = 32) -> nn.Module:
    """A causal language model by hub name or directory, in float32; with `lora_r` > 0, with fresh LoRA adapters on it."""
    if _is_classifier(load_config(name)):
        raise UserError(f"{name} is a reward model and writes nothing; expected a language model, for example the one from "
                        "which it was trained")
    model = _load(AutoModelForCausalLM, name)
    return _with_lora(model, "CAUSAL_LM", lora_r, lora_alpha) if lora_r else model


def load_classifier(name: str, *, fresh_head: bool, lora_r: int = 0, lora_alpha: int = 32,
                    beside: nn.Module | None = None) -> nn.Module:
    """A one-label sequence classifier (reward or value model) on the backbone of `name`.

    A fresh head is drawn from N(0, 1/sqrt(d + 1)) (Stiennon et al. 2020); else the directory must hold a trained one.
    `beside` is a policy with LoRA adapters: frozen weights that both have are then in memory once.  A reward model that was
    trained with LoRA on the policy's own base comes as its adapters and head, of the rank that they have.
    """
    if not fresh_head and not _is_classifier(load_config(name)):
        raise UserError(f"{name} is not a reward model (its config says {load_config(name).architectures}); "
                        "train one with `heed reward`")
    model = None if fresh_head or beside is None else _unmerged(name)
    if model is None:
        model = _load(AutoModelForSequenceClassification, name, num_labels=1)
        if fresh_head:
            d = model.score.in_features
            nn.init.normal_(model.score.weight, std=1 / math.sqrt(d + 1))
        if lora_r:
            model = _with_lora(model, "SEQ_CLS", lora_r, lora_alpha)
    if beside is not None:
        share_weights(model, beside)
    return model


def _unmerged(name: str) -> nn.Module | None:
    """The reward model `name` as adapters on the model that they were trained on; None where either is not to be had."""
    from peft import PeftConfig, PeftModel

    place = Path(name) / "adapter"
    if not (place / "adapter_model.safetensors").is_file():
        return None
    try:
        began_as = PeftConfig.from_pretrained(place).base_model_name_or_path
        base = _load(AutoModelForSequenceClassification, began_as, num_labels=1)
        base.config.heed_reward_shift = getattr(load_config(name), "heed_reward_shift", 0.0)
        model = PeftModel.from_pretrained(base, place, is_trainable=True)
    except (UserError, ValueError, RuntimeError, TypeError):  # the base has gone, or fits no more
        return None
    return model if _merges_into(model, Path(name)) else None


@torch.no_grad()
def _merges_into(model: nn.Module, place: Path) -> bool:
    """Whether adapters and base come to the weights in `place`; they do not where the base was trained anew since."""
    for file in place.glob("*.safetensors"):
        with safe_open(file, "pt") as kept:
            for name in kept.keys():  # noqa: SIM118
                path, _, kind = name.rpartition(".")
                module = base_of(model).get_submodule(path)
                if hasattr(module, "get_delta_weight") and kind == "weight":
                    weight = module.get_base_layer().weight + module.get_delta_weight("default")
                elif hasattr(module, "modules_to_save"):
                    weight = getattr(module.modules_to_save["default"], kind)
                else:
                    weight = getattr(module.get_base_layer() if hasattr(module, "get_base_layer") else module, kind)
                if not torch.allclose(weight, kept.get_tensor(name), atol=1e-6):
                    return False
    return True


def share_weights(model: nn.Module, other: nn.Module) -> None:
    """Let frozen weights of `model` be those of `other` where name and value are the same."""
    theirs = {name: p for name, p in other.named_parameters() if not p.requires_grad}
    for name, p in model.named_parameters():
        same = theirs.get(name)
        if not p.requires_grad and same is not None and p.dtype == same.dtype and torch.equal(p, same):
            p.data = same.data


def save(model: nn.Module, tokenizer, place: Path) -> None:
    """A Hugging Face directory (safetensors, tokenizer, chat template); LoRA is merged, and its adapter kept beside."""
    hf_logging.disable_progress_bar()
    if hasattr(model, "merge_and_unload"):
        import copy

        model.save_pretrained(place / "adapter")
        model = copy.deepcopy(model).merge_and_unload()
    model.save_pretrained(place)
    tokenizer.save_pretrained(place)


def context_length(model: nn.Module) -> int:
    """How many tokens the model can attend to at once."""
    config = base_of(model).config
    return int(getattr(config, "max_position_embeddings", None) or getattr(config, "n_positions", None) or 1 << 30)


def disable_dropout(model: nn.Module) -> nn.Module:
    """Reward models and policies under reinforcement learning are trained without dropout."""
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    for name in ("attention_dropout", "attn_pdrop", "attn_dropout"):  # read at each call by attention layers
        for module in model.modules():
            if isinstance(getattr(module, name, None), float):
                setattr(module, name, 0.0)
    return model


def device() -> torch.device:
    """Where to compute: the GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _load(auto: type, name: str, **kwargs: Any) -> nn.Module:
    load_config(name)
    quiet = logging.getLogger("transformers").level
    hf_logging.set_verbosity_error()  # a new `score` head is expected, and said by whoever asked for it
    hf_logging.disable_progress_bar()
    try:
        return auto.from_pretrained(name, dtype=torch.float32, use_safetensors=True, trust_remote_code=False, **kwargs)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise UserError(f"cannot load {name}: {str(error).splitlines()[0]}") from None
    finally:
        logging.getLogger("transformers").setLevel(quiet)


def load_config(name: str):
    """The transformers config of a hub name or directory; UserError where there is none."""
    check_place(name)
    try:
        return AutoConfig.from_pretrained(name, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"cannot load {name}: {str(error).splitlines()[0]}") from None


def check_place(name: str, *instead: str) -> None:
    """UserError for what can be no model: a pickle, a folder without config.json (or a file of `instead`), a path that is
    not there.  `organisation/name` may be the hub's, unless there is a folder `organisation` here.
    """
    refuse_pickle(name)
    path = Path(name)
    if any((path / file).is_file() for file in ("config.json", *instead)):
        return
    local = path.exists() or name.startswith((".", "/", "~")) or name.count("/") > 1 or name.endswith("/model")
    if local or ("/" in name and path.parent.is_dir()):
        if (path / "model" / "config.json").is_file():
            raise UserError(f"{name} is the folder of a run; its model is {path / 'model'}")
        beside = [p.name for p in path.parent.iterdir() if p.is_dir()] if path.parent.is_dir() else []
        hint = nearest(path.name, beside) if path.parent != Path() and len(beside) < 12 else ""
        raise UserError(f"no model at {name}: expected a Hugging Face directory with config.json{hint}")


def _is_classifier(config) -> bool:
    return any("SequenceClassification" in name for name in config.architectures or [])


def _with_lora(model: nn.Module, task: str, r: int, alpha: int) -> nn.Module:
    from peft import LoraConfig, get_peft_model

    keep = ["score"] if task == "SEQ_CLS" else None
    return get_peft_model(model, LoraConfig(task_type=task, r=r, lora_alpha=alpha, lora_dropout=0.0,
                                            target_modules="all-linear", modules_to_save=keep))
