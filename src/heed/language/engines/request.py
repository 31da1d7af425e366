"""What an engine may be asked for.  Checked before any work, with the numbers in the message."""

from collections.abc import Sequence
from math import isfinite

from transformers import PretrainedConfig

from heed.errors import UserError
from heed.protocols import Sampling


def check_sampling(sampling: Sampling) -> None:
    """Raises UserError for the first setting that has no meaning."""
    s = sampling
    wrong = {
        f"n={s.n}: expected at least 1": s.n < 1,
        f"max_tokens={s.max_tokens}: expected at least 1": s.max_tokens < 1,
        f"temperature={s.temperature}: expected 0 (greedy) or more": not (isfinite(s.temperature) and s.temperature >= 0),
        f"top_k={s.top_k}: expected 0 (off) or more": s.top_k < 0,
        f"top_p={s.top_p}: expected more than 0, at most 1 (off)": not 0 < s.top_p <= 1,
        f"beams={s.beams}: expected at least 1": s.beams < 1,
        f"beams={s.beams} with temperature={s.temperature}: beam search takes no samples; set temperature to 1 or 0": (
            s.beams > 1 and s.temperature not in (0, 1)
        ),
        f"n={s.n} with beams={s.beams}: beam search returns at most as many completions as it has beams": (
            s.beams > 1 and s.n > s.beams
        ),
    }
    for message, is_wrong in wrong.items():
        if is_wrong:
            raise UserError(f"sampling.{message}")


def check_prompts(prompts: Sequence[Sequence[int]], max_tokens: int, config: PretrainedConfig) -> None:
    """Raises UserError for an empty prompt, an id outside the vocabulary, or one too long for the model's context."""
    context = getattr(config, "max_position_embeddings", None)
    vocabulary = config.vocab_size
    for i, prompt in enumerate(prompts):
        if not len(prompt):
            raise UserError(f"prompt {i} is empty: a model needs at least one token to continue; put a BOS token there")
        if min(prompt) < 0 or max(prompt) >= vocabulary:
            bad = next(x for x in prompt if not 0 <= x < vocabulary)
            raise UserError(f"prompt {i} holds the token id {bad}; the model's ids are 0..{vocabulary - 1}")
        if context and len(prompt) + max_tokens > context:
            raise UserError(
                f"prompt {i} has {len(prompt)} tokens; with max_tokens={max_tokens} that is {len(prompt) + max_tokens}, "
                f"more than the model's context of {context}: shorten the prompt or set max_tokens to "
                f"{max(context - len(prompt), 0)} or less"
            )


def eos_ids(eos_token_id: int | Sequence[int]) -> list[int]:
    """One id or several, as a list."""
    return [eos_token_id] if isinstance(eos_token_id, int) else list(eos_token_id)
