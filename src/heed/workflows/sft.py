"""sft: supervised fine-tuning on demonstrations, the loss on the assistant's words only (Ouyang et al. 2022, step 1).

Multi-turn conversations learn from every assistant turn.  Prompts of more than max_prompt_length tokens keep their end;
answers that do not fit in max_length are left out and counted, never cut in the middle.
"""

from collections.abc import Sequence
from typing import Any

from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt

from heed.errors import UserError
from heed.workflows.settings import Offline, Schedule, loop_arguments, make_learner, open_run


class SFTSettings(Offline):
    model: str  # hub name or directory of the model to start from
    dataset: str  # demonstrations: a named dataset (seal_bay), a file or folder, a hub name
    max_length: PositiveInt = 256  # tokens of prompt and answer together
    max_prompt_length: PositiveInt = 512  # tokens kept of a prompt
    max_rows: PositiveInt | None = None  # how many demonstrations to read
    learning_rate: NonNegativeFloat = 1e-4
    lr_scheduler_type: Schedule = "cosine"
    num_train_epochs: PositiveFloat = 2.0
    batch_size: PositiveInt = 32


SETTINGS = SFTSettings


def run(settings: SFTSettings) -> dict[str, Any]:
    """Returns loss and perplexity on validation demonstrations."""
    import torch

    from heed.algorithms.sft import SFT
    from heed.language.chat import add_chat_template, fit_embeddings, load_tokenizer
    from heed.language.datasets import load
    from heed.language.models import context_length, load_policy, save
    from heed.language.policy import Policy, base_of
    from heed.records import Demonstration
    from heed.training.learner import Part
    from heed.training.loop import total_steps, train
    from heed.training.schedule import batch_indices, seed_everything

    run = open_run("sft", settings)
    if run.summary is not None:
        return run.summary
    seed_everything("init", settings.seed)
    tokenizer = load_tokenizer(settings.model)
    add_chat_template(tokenizer)
    lm = load_policy(settings.model, lora_r=settings.lora_r, lora_alpha=settings.lora_alpha)
    fit_embeddings(base_of(lm), tokenizer)
    policy = Policy(lm, packing=settings.packing)
    learner = make_learner(policy, settings, ranks=run.ranks)
    limits = (min(settings.max_length, context_length(lm)), settings.max_prompt_length)
    rows, dropped = encode(tokenizer, load(settings.dataset, Demonstration, split="train", limit=settings.max_rows), *limits)
    if not len(rows):
        raise UserError(f"{settings.dataset}: no demonstration fits in max_length = {limits[0]} tokens")
    held_out, _ = encode(tokenizer, load(settings.dataset, Demonstration, split="valid"), *limits)
    total = total_steps(len(rows), settings.batch_size, settings.num_train_epochs, settings.max_steps)
    run.say(f"sft: {len(rows):,} demonstrations ({dropped} too long and left out), {total} steps")

    def part_of(step: int) -> Part:
        index = batch_indices(step, len(rows), settings.batch_size, settings.seed)
        return Part(rows.select(torch.tensor(index)), SFT().loss)

    def evaluate() -> dict[str, float]:
        return response_loss(policy, held_out, settings.micro_batch)

    train(run, learner, name="sft", part_of=part_of, evaluate=evaluate, **loop_arguments(settings, total))
    if not run.ranks.first:
        return {}
    with run.phase("evaluate"):
        figures = evaluate()
    run.log(figures, step=total)
    run.artifact("model", lambda place: save(lm, tokenizer, place))
    return run.finish(figures, dataset=settings.dataset, parent=settings.model, demonstrations=len(rows), dropped=dropped)


def encode(tokenizer, rows: Sequence, max_length: int, max_prompt_length: int):
    """Demonstrations as Tokens with the assistant's words masked in, and how many were too long."""
    from heed.language.batches import make_tokens
    from heed.language.chat import encode_demonstration, truncate_prompt

    kept = []
    for row in rows:
        prompt, completion, mask = encode_demonstration(tokenizer, row)
        prompt = truncate_prompt(prompt, max_prompt_length)
        if completion and len(prompt) + len(completion) <= max_length:
            kept.append((prompt, completion, mask))
    columns = [list(c) for c in zip(*kept, strict=True)] or [[], [], []]
    return make_tokens(*columns), len(rows) - len(kept)


def response_loss(policy, rows, micro_batch: int) -> dict[str, float]:
    """Mean nats a response token, and perplexity."""
    import math

    import torch

    if not len(rows):
        return {}
    policy.eval()
    with torch.no_grad():
        total = sum(policy(rows.select(i)).logprobs.sum().item() for i in torch.arange(len(rows)).split(micro_batch))
    policy.train()
    loss = -total / float(rows.count)
    return {"eval_loss": loss, "perplexity": math.exp(min(loss, 50))}
