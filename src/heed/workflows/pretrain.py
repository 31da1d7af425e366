"""pretrain: a causal language model, and its tokenizer, from plain text (next-token prediction, Radford et al. 2018).

Every document is a row of its own, cut where it is longer than max_length.  Without `model`, a tokenizer is trained on the
texts and a small model is made from `architecture`; with it, that model is trained further.
"""

import math
from typing import Any

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt

from heed.errors import UserError
from heed.workflows.settings import Offline, Schedule, loop_arguments, make_learner, open_run


class Pretrain(Offline):
    dataset: str  # texts: a named dataset (seal_bay), a file or folder, a hub name
    model: str | None = None  # a model to train further; without it a new one is made
    architecture: dict[str, Any] = {}  # of a new model: model_type and keys of its transformers config
    vocab_size: int = Field(1024, ge=261)  # of a new tokenizer; 256 bytes and 5 special tokens at least
    max_length: int = Field(128, ge=2)  # tokens in a row; longer documents are cut
    max_texts: PositiveInt | None = None  # how many texts to read
    learning_rate: NonNegativeFloat = 3e-3
    lr_scheduler_type: Schedule = "cosine"
    warmup_ratio: NonNegativeFloat = 0.03
    adam_beta2: float = 0.95
    weight_decay: NonNegativeFloat = 0.1
    batch_size: PositiveInt = 32
    eval_texts: NonNegativeInt = 200  # validation texts the final loss is measured on


SETTINGS = Pretrain


def run(settings: Pretrain) -> dict[str, Any]:
    """Returns loss, perplexity and bits per byte on validation text."""
    import torch

    from heed.algorithms.sft import SFT
    from heed.language.models import context_length, load_policy, new_model, save
    from heed.language.policy import Policy
    from heed.training.learner import Part
    from heed.training.loop import total_steps, train
    from heed.training.schedule import batch_indices, seed_everything

    run = open_run("pretrain", settings)
    if run.summary is not None:
        return run.summary
    texts = load_texts(settings.dataset, "train", settings.max_texts)
    tokenizer = _tokenizer(settings, texts)
    seed_everything("init", settings.seed)
    lm = load_policy(settings.model, lora_r=settings.lora_r, lora_alpha=settings.lora_alpha) if settings.model \
        else new_model(settings.architecture, tokenizer)
    if settings.max_length > context_length(lm):
        raise UserError(f"max_length = {settings.max_length} is more than the {context_length(lm)} tokens that the model "
                        "attends to: lower it, or raise max_position_embeddings in architecture")
    policy = Policy(lm, packing=settings.packing)
    learner = make_learner(policy, settings, ranks=run.ranks)
    rows = text_rows(tokenizer, texts, settings.max_length)
    held_out = load_texts(settings.dataset, "valid", settings.eval_texts)
    total = total_steps(len(rows), settings.batch_size, settings.num_train_epochs, settings.max_steps)
    run.say(f"pretrain: {len(texts):,} texts, {int(rows.count):,} tokens, "
          f"{sum(p.numel() for p in lm.parameters()):,} parameters, {total} steps")

    def part_of(step: int) -> Part:
        index = batch_indices(step, len(rows), settings.batch_size, settings.seed)
        return Part(rows.select(torch.tensor(index)), SFT().loss)

    def evaluate() -> dict[str, float]:
        return text_loss(policy, tokenizer, held_out, settings.max_length, settings.micro_batch)

    train(run, learner, name="pretrain", part_of=part_of, evaluate=evaluate, **loop_arguments(settings, total))
    if not run.ranks.first:
        return {}
    with run.phase("evaluate"):
        figures = evaluate()
    run.log(figures, step=total)
    run.artifact("model", lambda place: save(lm, tokenizer, place))
    return run.finish(figures, dataset=settings.dataset, parent=settings.model, texts=len(texts))


def load_texts(dataset: str, split: str, limit: int | None) -> list[str]:
    """The texts of a split; all of them where the dataset has only one."""
    from heed.language.datasets import load
    from heed.records import Text

    rows = [t.text for t in load(dataset, Text, split=split, limit=limit) if t.text.strip()]
    if not rows and split == "train":
        raise UserError(f"{dataset}: no text in it")
    return rows


def _tokenizer(settings: Pretrain, texts: list[str]):
    from heed.language.chat import load_tokenizer, train_tokenizer

    return load_tokenizer(settings.model) if settings.model else train_tokenizer(texts, settings.vocab_size)


def text_rows(tokenizer, texts: list[str], length: int):
    """Documents as rows of their own, EOS before and behind; long ones in pieces of `length`, each from the last one's end.

    A row never reads another document: nothing in it can be explained by a neighbour.
    """
    from heed.language.batches import make_tokens

    end, rows = tokenizer.eos_token_id, []
    for start in range(0, len(texts), 1000):
        for ids in tokenizer(texts[start : start + 1000], add_special_tokens=False)["input_ids"]:
            ids = [end, *ids, end]
            rows += [ids[i : i + length] for i in range(0, len(ids) - 1, length - 1)]
    return make_tokens([r[:1] for r in rows], [r[1:] for r in rows])


def text_loss(policy, tokenizer, texts: list[str], length: int, micro_batch: int) -> dict[str, float]:
    """Mean nats a token (EOS included), perplexity, and bits a byte, over texts one by one."""
    if not texts:
        return {}
    nll, tokens, utf8_bytes = (sum(values) for values in text_losses(policy, tokenizer, texts, length, micro_batch))
    loss = nll / tokens
    return {"eval_loss": loss, "perplexity": math.exp(min(loss, 50)), "bits_per_byte": nll / math.log(2) / max(1, utf8_bytes)}


def text_losses(policy, tokenizer, texts: list[str], length: int, micro_batch: int) -> tuple[list[float], list[int], list[int]]:
    """-log p of each text (nats, EOS included), its tokens and its bytes, of at most its first `length` - 1 tokens."""
    from heed.language.batches import make_tokens
    from heed.language.chat import encode_completion
    from heed.workflows.offline_rows import whole_logprobs

    start = tokenizer.eos_token_id  # what stands before a document in the blocks
    rows = make_tokens([[start]] * len(texts), [encode_completion(tokenizer, t)[: length - 1] for t in texts])
    tokens = rows.completion_lengths.tolist()
    read = [len(tokenizer.decode(r[:n], skip_special_tokens=True).encode())
            for r, n in zip(rows.completion_ids, tokens, strict=True)]
    return (-whole_logprobs(policy, rows, micro_batch)).tolist(), tokens, read
