"""What a reward model learns from, and is measured on: rankings of several answers, or ratings of one.

Both kinds are used alike: `len`, `select(index)` for a batch, `loss`, `prompts` for what was asked, `said` for a line about
them, and `figures(model)` for the share of held-out judgements that the model agrees with.
"""

from typing import Any

from heed.errors import UserError

Figures = dict[str, Any]


class Rankings:
    """K-way rankings (Ouyang et al. 2022): agreement is a pair in the order the person gave."""

    def __init__(self, settings, tokenizer, length: int):
        from heed.algorithms.reward_model import RewardModel
        from heed.language.rankings import encode_rankings
        from heed.records import Ranking

        algorithm = RewardModel(ranking=settings.ranking, ties=settings.ties, normalise=settings.normalise,
                                label_smoothing=settings.label_smoothing,
                                center_rewards_coefficient=settings.center_rewards_coefficient)
        train, valid, test = load_judgements(settings, Ranking)
        self.rows, self.valid, self.test = (
            encode_rankings(tokenizer, rows, length, algorithm.usable, settings.use_margins) for rows in (train, valid, test))
        if not self.rows.groups:
            raise UserError(f"none of the {len(train)} rankings has two answers of different rank: nothing to learn from")
        ranked = self.rows.ranked if settings.batch_of == "prompts" else self.rows.ranked.pairs()
        self.loss, self.select, self.elements = algorithm.loss, ranked.select, len(ranked)
        self.prompts, self.micro_batch = [r.prompt for r in train], settings.micro_batch
        self.lineage = {"rankings": self.rows.groups, "pairs": self.rows.pairs, "tokens": tokens_of(ranked)}

    def __len__(self) -> int:
        return self.elements

    @property
    def said(self) -> str:
        return (f"{self.rows.groups:,} rankings, {self.rows.pairs:,} pairs ({self.rows.dropped} without a usable pair), "
                f"{self.valid.groups:,} held out")

    def figures(self, model) -> Figures:
        """Accuracy on held-out pairs, beside what one score for all and `the longer one wins` would reach; and log loss."""
        return named("eval", self._agreement(model, self.valid)) | named("test", self._agreement(model, self.test))

    def _agreement(self, model, rows) -> Figures:
        if not rows.groups:
            return {}
        scores = scored(model, rows.ranked.candidates, self.micro_batch * rows.ranked.ranks.shape[1])
        return agreement_with(rows, scores) | {"loss": log_loss(rows, scores)}


class Ratings:
    """Absolute scores: agreement is a score on the same side of the training ratings' middle as the person's."""

    def __init__(self, settings, tokenizer, length: int):
        from heed.algorithms.rating_model import Ordinal, Regression
        from heed.experience import Rated
        from heed.language.ratings import encode_ratings
        from heed.records import Rating

        train, valid, test = load_judgements(settings, Rating)
        self.rows, self.valid, self.test = (encode_ratings(tokenizer, rows, length) for rows in (train, valid, test))
        self.algorithm = {"ordinal": Ordinal, "regression": Regression}[settings.ratings_as].of(self.rows.scores)
        self.rated = Rated(self.rows.tokens, self.algorithm.targets(self.rows.scores))
        self.loss, self.select = self.algorithm.loss, self.rated.select
        self.prompts, self.micro_batch = [r.prompt for r in train], settings.micro_batch
        self.lineage = {"ratings": len(self.rated), "ratings_as": repr(self.algorithm)}

    def __len__(self) -> int:
        return len(self.rated)

    @property
    def said(self) -> str:
        return f"{len(self):,} ratings, {len(self.valid.scores):,} held out"

    def figures(self, model) -> Figures:
        """Accuracy on held-out ratings, beside the larger side and `longer than most is better`."""
        return named("eval", self._accuracy(model, self.valid)) | named("test", self._accuracy(model, self.test))

    def _accuracy(self, model, rows) -> Figures:
        import torch

        from heed.evaluation.estimate import by_cluster, share

        if not rows.scores:
            return {}
        high = self.algorithm.high_target(self.algorithm.targets(rows.scores))
        median = sorted(self.rows.lengths)[len(self.rows.lengths) // 2]

        def agreement(guess) -> dict[str, float]:
            right = (guess == high).double()
            return share(by_cluster(torch.stack([right, torch.ones_like(right)], 1).numpy(), rows.prompt_ids)).summary()

        guess = self.algorithm.high(scored(model, rows.tokens, self.micro_batch))
        mostly = self.algorithm.high_target(self.rated.given).float().mean() > 0.5
        return {"accuracy": agreement(guess), "accuracy_longer_wins": agreement(torch.tensor(rows.lengths) > median),
                "accuracy_constant": agreement(mostly.expand(len(high)))["value"]}


def agreement_with(rows, scores) -> Figures:
    """Accuracy of a score a candidate [N] on the pairs of encoded rankings, beside what rules that read nothing reach."""
    from heed.evaluation.metrics.preference import pairwise_accuracy

    ordered = [(g, a, b) for g, ranks in enumerate(rows.ranked.ranks.tolist()) for a, x in enumerate(ranks)
               for b, y in enumerate(ranks) if 0 < x < y]
    ids = [rows.prompt_ids[g] for g, _, _ in ordered]

    def agreement(values) -> dict[str, float]:
        return pairwise_accuracy([values[g][a] for g, a, _ in ordered], [values[g][b] for g, _, b in ordered], ids).summary()

    return {"accuracy": agreement(rows.ranked.by_group(scores).tolist()), "accuracy_longer_wins": agreement(rows.lengths),
            "accuracy_constant": 0.5}


def log_loss(rows, scores) -> dict[str, float]:
    """-log sigmoid of the difference, nats a pair (0.693 for a coin), the mean within a ranking and then over rankings: what
    training by all pairs minimises, so that the two lie on one curve."""
    from heed.equations.preference import kwise
    from heed.evaluation.metrics.means import mean

    found = kwise(rows.ranked.by_group(scores), rows.ranked.ranks)
    used = [g for g, pairs in enumerate(found.pairs.tolist()) if pairs]  # a ranking may be all ties
    return mean([found.loss[g].item() for g in used], [rows.prompt_ids[g] for g in used]).summary()


def tokens_of(ranked) -> int:
    """Tokens that the model reads in one pass over groups of candidates: a prompt once before all the answers of its group."""
    sizes = (ranked.ranks > 0).sum(1)
    first = sizes.cumsum(0) - sizes
    return int(ranked.candidates.prompt_lengths[first].sum() + ranked.candidates.completion_lengths.sum())


def load_judgements(settings, kind: type) -> tuple[list, list, list]:
    """(training, validation, test) judgements; each prompt is in one of them only."""
    from heed.language.datasets import load

    if (settings.store is None) == (settings.dataset is None):
        raise UserError("give either store (labels collected with heed) or dataset (a file of judgements)")
    stores = [settings.store] if isinstance(settings.store, str) else settings.store or []
    if settings.upto is not None and len(stores) != 1:
        raise UserError(f"upto = {settings.upto} numbers the answers of one store, found {len(stores)}")
    name = f"{kind.__name__.lower()}s"
    if settings.store is not None:
        train, valid = (read_stores(stores, name, split, settings.upto) for split in ("train", "valid"))
    else:
        train = load(settings.dataset, kind, split="train", limit=settings.max_rows)
        valid = load(settings.dataset, kind, split="valid")
    if not train:
        raise UserError(f"{settings.store or settings.dataset}: no {name} to train on")
    known = {r.prompt.id for r in [*train, *valid]}
    test = load(settings.test_dataset, kind, split=None) if settings.test_dataset else []
    return train[: settings.max_rows], valid, [r for r in test if r.prompt.id not in known]


def read_stores(stores: list[str], name: str, split: str, upto: int | None) -> list:
    """The rankings or ratings of a split, one store's after the other's."""
    from heed.feedback.store import open_store

    found = []
    for place in stores:
        with open_store(place, create=False) as store:
            found += getattr(store, name)(split=split, upto=upto)
    return found


def scored(model, rows, micro_batch: int):
    """A score a row [N], without a gradient."""
    import torch

    model.eval()
    with torch.no_grad():
        scores = torch.cat([model.score(rows.select(i)) for i in torch.arange(len(rows)).split(micro_batch)])
    model.train()
    return scores


def named(split: str, figures: Figures) -> Figures:
    """The figures with the split before their names."""
    return {f"{split}_{name}": value for name, value in figures.items()}


def plain(figures: Figures) -> dict[str, float]:
    """The figures without their intervals, for a curve."""
    return {k: v["value"] if isinstance(v, dict) else v for k, v in figures.items()}


LEARN_FROM: dict[str, type[Rankings] | type[Ratings]] = {"rankings": Rankings, "ratings": Ratings}
