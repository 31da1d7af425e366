"""reward: a reward model from rankings (Ouyang et al. 2022, equation 1): the K answers of a prompt are one batch element.

Rankings come from a store (`store`) or a dataset (`dataset`: pairs, K-ranked rows, scored answers).  The model starts from
the SFT model with a fresh head, is trained for one epoch, and is shifted so that the SFT model's own answers score 0.
"""

from typing import Any, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt

from heed.errors import UserError
from heed.workflows.settings import Offline, loop_arguments, make_learner, open_run


class Reward(Offline):
    model: str  # hub name or directory of the SFT model to start from
    store: str | None = None  # rankings: path or URL of a store
    dataset: str | None = None  # rankings: a file or folder, a named dataset, a hub name
    max_length: PositiveInt = 512  # tokens of prompt and answer together; longer answers are cut at the end
    max_rows: PositiveInt | None = None  # how many rankings to read
    ties: Literal["drop", "half"] = "drop"  # tied pairs: drop (InstructGPT) or half (Christiano et al. 2017)
    normalise: Literal["pairs", "k_choose_2"] = "pairs"  # a ranking's loss is divided by its pairs, or by k_choose_2
    label_smoothing: float = Field(0.0, ge=0, lt=0.5)  # the share of answers taken to be flipped
    center_rewards_coefficient: NonNegativeFloat = 0.0  # pulls rewards towards mean 0; 0.01 is usual
    use_margins: bool = False  # how much better the winner was, where that was asked, becomes a margin
    shift_prompts: NonNegativeInt = 256  # prompts whose answers by `model` are given mean reward 0 afterwards
    max_completion_length: PositiveInt = 64  # tokens of those answers
    learning_rate: NonNegativeFloat = 1e-5
    batch_size: PositiveInt = 32  # prompts in an optimizer step (InstructGPT: 64)
    micro_batch: PositiveInt = 8  # prompts in memory at once, each with its K answers
    adam_epsilon: float = 1e-5


SETTINGS = Reward


def run(settings: Reward) -> dict[str, Any]:
    """Returns accuracy on validation rankings, with its interval and the length-only baseline beside it."""
    import torch

    from heed.algorithms.reward_model import RewardModel
    from heed.language.chat import add_chat_template, fit_embeddings, load_tokenizer
    from heed.language.models import context_length, disable_dropout, load_classifier, save
    from heed.language.policy import ScalarModel, base_of
    from heed.language.rankings import encode_rankings
    from heed.training.learner import Part
    from heed.training.loop import total_steps, train
    from heed.training.schedule import batch_indices, seed_everything

    run = open_run("reward", settings)
    if run.summary is not None:
        return run.summary
    algorithm = RewardModel(settings.ties, settings.normalise, settings.label_smoothing, settings.center_rewards_coefficient)
    seed_everything("init", settings.seed)
    tokenizer = load_tokenizer(settings.model)
    add_chat_template(tokenizer)
    classifier = disable_dropout(load_classifier(settings.model, fresh_head=True, lora_r=settings.lora_r,
                                                 lora_alpha=settings.lora_alpha))
    fit_embeddings(base_of(classifier), tokenizer)
    model = ScalarModel(classifier, packing=settings.packing)
    learner = make_learner(model, settings, ranks=run.ranks)
    train_rows, valid_rows = load_rankings(settings)
    length = min(settings.max_length, context_length(classifier))
    rows = encode_rankings(tokenizer, train_rows, length, algorithm.usable, settings.use_margins)
    held_out = encode_rankings(tokenizer, valid_rows, length, algorithm.usable, settings.use_margins)
    if not rows.groups:
        raise UserError(f"none of the {len(train_rows)} rankings has two answers of different rank: nothing to learn from")
    total = total_steps(rows.groups, settings.batch_size, settings.num_train_epochs, settings.max_steps)
    run.say(f"reward: {rows.groups:,} rankings, {rows.pairs:,} pairs ({rows.dropped} without a usable pair), "
          f"{held_out.groups:,} held out, {total} steps")

    def part_of(step: int) -> Part:
        index = batch_indices(step, rows.groups, settings.batch_size, settings.seed)
        return Part(rows.ranked.select(torch.tensor(index)), algorithm.loss)

    def evaluate() -> dict[str, float]:
        figures = accuracy(model, held_out, settings.micro_batch)
        return {k: v["value"] if isinstance(v, dict) else v for k, v in figures.items()}

    train(run, learner, name="reward", part_of=part_of, evaluate=evaluate, **loop_arguments(settings, total))
    if not run.ranks.first:
        return {}
    with run.phase("evaluate"):
        shift = mean_reward_of_sft(settings, model, tokenizer, [r.prompt for r in train_rows])
        base_of(classifier).config.heed_reward_shift = shift
        figures = accuracy(model, held_out, settings.micro_batch)
    run.log({k: v["value"] if isinstance(v, dict) else v for k, v in figures.items()}, step=total)
    run.artifact("model", lambda place: save(classifier, tokenizer, place))
    return run.finish({**figures, "reward_shift": shift}, parent=settings.model, store=settings.store,
                      dataset=settings.dataset, rankings=rows.groups, pairs=rows.pairs)


def load_rankings(settings: Reward):
    """(training, validation) rankings; each prompt is in one of them only."""
    from heed.records import Ranking

    if (settings.store is None) == (settings.dataset is None):
        raise UserError("reward: give either store (labels collected with heed) or dataset (a file of rankings)")
    if settings.store is not None:
        from heed.feedback.store import open_store

        store = open_store(settings.store, create=False)
        train, valid = store.rankings(split="train"), store.rankings(split="valid")
        where = settings.store
    else:
        from heed.language.datasets import load

        train = load(settings.dataset, Ranking, split="train", limit=settings.max_rows)
        valid, where = load(settings.dataset, Ranking, split="valid"), settings.dataset
    if not train:
        raise UserError(f"{where}: no rankings to train on")
    return train[: settings.max_rows], valid


def accuracy(model, rows, micro_batch: int) -> dict[str, Any]:
    """Held-out pairs ordered as the person did, beside what 'the longer one wins' would reach."""
    import torch

    from heed.evaluation.metrics.preference import pairwise_accuracy

    if not rows.groups:
        return {}
    model.eval()
    with torch.no_grad():
        scores = torch.cat([model.score(rows.ranked.select(i).candidates)
                            for i in torch.arange(rows.groups).split(micro_batch)])
    model.train()
    groups = rows.ranked.by_group(scores).tolist()
    ordered = [(g, a, b) for g, ranks in enumerate(rows.ranked.ranks.tolist()) for a, x in enumerate(ranks)
               for b, y in enumerate(ranks) if 0 < x < y]
    ids = [rows.prompt_ids[g] for g, _, _ in ordered]
    right = pairwise_accuracy([groups[g][a] for g, a, _ in ordered], [groups[g][b] for g, _, b in ordered], ids)
    longer = pairwise_accuracy([rows.lengths[g][a] for g, a, _ in ordered], [rows.lengths[g][b] for g, _, b in ordered], ids)
    return {"eval_accuracy": right.summary(), "eval_accuracy_longer_wins": longer.summary()}


def mean_reward_of_sft(settings: Reward, model, tokenizer, prompts) -> float:
    """Mean reward of what the SFT model answers; taken off later, so that 0 means `as good as SFT`."""
    import torch

    from heed.language.batches import make_tokens
    from heed.language.models import context_length, load_policy
    from heed.protocols import Sampling
    from heed.training.schedule import seed_of
    from heed.workflows.sample import encode_prompts, make_engine

    unique = list({p.id: p for p in prompts}.values())[: settings.shift_prompts]
    if not unique:
        return 0.0
    lm = load_policy(settings.model).eval()
    budget = min(settings.max_completion_length, context_length(lm) // 2)
    ids = encode_prompts(tokenizer, unique, min(settings.max_length, context_length(lm)) - budget)
    engine = make_engine("static_cache", lm, tokenizer)
    found = engine.generate(ids, Sampling(max_tokens=budget, seed=seed_of("shift", settings.seed)))
    rows = make_tokens(ids, [group[0].tokens for group in found])
    model.eval()
    with torch.no_grad():
        return torch.cat([model.score(rows.select(i)) for i in torch.arange(len(rows)).split(32)]).mean().item()
