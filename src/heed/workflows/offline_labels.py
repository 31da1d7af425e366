"""What KTO reads: answers that are good or bad by themselves, from rankings or from ratings, each beside another's answer."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from heed.workflows.judgements import Figures, load_judgements
from heed.workflows.offline_rows import Compared, referred, whole_logprobs


class Labels(Compared):
    """Answers above the middle of their ranking as good, those below as bad, each by itself (KTO)."""

    def __init__(self, settings, tokenizer, length: int, algorithm):
        super().__init__(settings, tokenizer, length, algorithm)
        from heed.language.batches import mismatched

        ranks = self.train.ranks
        middle = (1 + ranks.amax(1, keepdim=True)) / 2
        kept = (ranks[ranks > 0] != middle.expand_as(ranks)[ranks > 0]).nonzero()[:, 0]
        self.good = (ranks < middle)[ranks > 0][kept]
        self.rows = self.train.candidates.select(kept)
        self.others = mismatched(self.rows, length)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def said(self) -> str:
        good = int(self.good.sum())
        return f"{good:,} good and {len(self) - good:,} bad answers, {self.valid.groups:,} rankings held out"

    @property
    def tokens(self) -> int:
        return int(self.rows.count)

    def refer(self, folder: Path, model: str, read: Any) -> None:
        from heed.experience import Labelled

        found = referred(folder, model, self.settings, {
            "train": self.rows, "others": self.others, "valid": self.valid.ranked.candidates,
            "test": self.test.ranked.candidates}, read)
        self.labelled = Labelled(self.rows, self.good, found["train"], self.others, found["others"])
        self.valid, self.test = (replace(rows, ranked=replace(rows.ranked, ref_logprobs=found[name]))
                                 for name, rows in (("valid", self.valid), ("test", self.test)))

    def parts(self, policy, index) -> list:
        from heed.training.learner import Part

        batch = self.algorithm.prepare(policy, self.labelled.select(index), self.settings.micro_batch)
        return [Part(batch, self.algorithm.loss)]


class RatedLabels(Labels):
    """Answers that were rated by themselves: good above the mean rating, bad below."""

    def __init__(self, settings, tokenizer, length: int, algorithm):
        import torch

        from heed.language.batches import mismatched
        from heed.language.ratings import encode_ratings
        from heed.records import Rating

        self.settings, self.algorithm = settings, algorithm
        train, valid, _ = load_judgements(settings, Rating)
        encoded, self.held_out = (encode_ratings(tokenizer, rows, length) for rows in (train, valid))
        self.middle = sum(encoded.scores) / len(encoded.scores)
        self.rows, self.good = encoded.tokens, torch.tensor(encoded.scores) > self.middle
        self.others = mismatched(self.rows, length)

    @property
    def said(self) -> str:
        good = int(self.good.sum())
        return f"{good:,} good and {len(self) - good:,} bad answers, {len(self.held_out.scores):,} held out"

    def refer(self, folder: Path, model: str, read: Any) -> None:
        from heed.experience import Labelled

        found = referred(folder, model, self.settings, {
            "train": self.rows, "others": self.others, "valid": self.held_out.tokens}, read)
        self.labelled = Labelled(self.rows, self.good, found["train"], self.others, found["others"])
        self.before = found["valid"]

    def figures(self, policy) -> Figures:
        """eval_accuracy: share of held-out answers that gained more than the mean of them if good, and less if bad."""
        import torch

        from heed.evaluation.estimate import by_cluster, share

        if not self.held_out.scores:
            return {}
        moved = whole_logprobs(policy, self.held_out.tokens, self.settings.micro_batch) - self.before
        good = torch.tensor(self.held_out.scores) > self.middle
        right = ((moved > moved.mean()) == good).double()
        rows = torch.stack([right, torch.ones_like(right)], 1).numpy()
        return {"eval_accuracy": share(by_cluster(rows, self.held_out.prompt_ids)).summary(),
                "eval_accuracy_constant": max(good.double().mean().item(), 1 - good.double().mean().item())}
