"""Pretraining text beside the steps of PPO-ptx (Ouyang et al. 2022)."""

from collections.abc import Iterator
from typing import Any

from heed.errors import UserError


def pretraining_rows(settings, tokenizer, coef: float, name: str) -> Any:
    """The text as Tokens; None where the method gives it no weight."""
    from heed.workflows.pretrain import load_texts, text_rows

    if not coef:
        return None
    if not settings.pretraining_dataset:
        raise UserError(f"{name}.ptx_coef = {coef} needs pretraining_dataset")
    length = min(128, settings.max_prompt_length + settings.max_completion_length)
    return text_rows(tokenizer, load_texts(settings.pretraining_dataset, "train", None), length)


def batches_beside(texts, step: int, epochs: int, parts: int, completions: int, seed: int) -> Iterator[Any]:
    """Batches of text for one rollout: a quarter as many rows as there are completions."""
    import torch

    from heed.training.schedule import batch_indices

    per_step, rows = epochs * parts, max(1, completions // parts // 4)
    for i in range(per_step):
        yield texts.select(torch.tensor(batch_indices(step * per_step + i, len(texts), rows, seed)))
