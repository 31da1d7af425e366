"""What a method of `heed offline` reads: rankings as they are, or chosen and weighted examples (labels: offline_labels.py).

All kinds are used alike: `len`, `parts(policy, index)` for a step, `refer` to give them a reference, `said` for a line about
them, `tokens` for how much there is to read in one pass, and `figures(policy)` for what held-out judgements say.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from heed.errors import UserError
from heed.workflows.judgements import agreement_with, load_judgements, named

Figures = dict[str, Any]


class Compared:
    """Rankings, for methods that compare the answers of a prompt."""

    def __init__(self, settings, tokenizer, length: int, algorithm):
        from heed.algorithms.reward_model import RewardModel
        from heed.language.rankings import encode_rankings
        from heed.records import Ranking

        self.settings, self.algorithm = settings, algorithm
        rows = load_judgements(settings, Ranking)
        self.prompts = [row.prompt for row in rows[0]]
        train, self.valid, self.test = (encode_rankings(tokenizer, r, length, RewardModel().usable) for r in rows)
        if not train.groups:
            raise UserError(f"none of the {len(rows[0])} rankings has two answers of different rank: nothing to learn from")
        self.train, self.dropped, self.pairs = train.ranked, train.dropped, train.pairs

    def __len__(self) -> int:
        return len(self.train)

    @property
    def said(self) -> str:
        return (f"{len(self):,} rankings, {self.pairs:,} pairs ({self.dropped} without a usable pair), "
                f"{self.valid.groups:,} held out")

    @property
    def tokens(self) -> int:
        """Completion tokens of all rows."""
        return int(self.train.candidates.count)

    def refer(self, folder: Path, model: str, read: Any) -> None:
        """The reference's log-probabilities of the answers in the rows `read` and of all held-out ones, computed once and kept
        in the run; those of other answers are NaN."""
        found = referred(folder, model, self.settings, {"train": self.train.candidates, "valid": self.valid.ranked.candidates,
                                                        "test": self.test.ranked.candidates}, self.train.rows_of(read))
        self.train = replace(self.train, ref_logprobs=found["train"])
        self.valid, self.test = (replace(rows, ranked=replace(rows.ranked, ref_logprobs=found[name]))
                                 for name, rows in (("valid", self.valid), ("test", self.test)))

    def parts(self, policy, index) -> list:
        """The method's loss over the rankings `index`, and beside it the imitation of their best answers where asked for."""
        from heed.algorithms.raft import RAFT
        from heed.training.learner import Part

        batch, coef = self.train.select(index), self.settings.sft_coef
        parts = [Part(batch, self.algorithm.loss)]
        return [*parts, Part(RAFT().examples(batch), RAFT().loss, coef, "sft")] if coef else parts

    def figures(self, policy) -> Figures:
        """eval_accuracy: share of held-out pairs that the policy's log-probabilities (over the reference's, where there is
        one) order rightly; eval_loss, and log-probabilities of the best and the worst."""
        return named("eval", self._figures(policy, self.valid)) | named("test", self._figures(policy, self.test))

    def _figures(self, policy, rows) -> Figures:
        if not rows.groups:
            return {}
        logprobs = whole_logprobs(policy, rows.ranked.candidates, self.settings.micro_batch * rows.ranked.ranks.shape[1])
        ref = rows.ranked.ref_logprobs
        found = agreement_with(rows, logprobs if ref is None else logprobs - ref)
        ranks, by_group = rows.ranked.ranks, rows.ranked.by_group(logprobs)
        for name, chosen in (("chosen", ranks == 1), ("rejected", ranks == ranks.amax(1, keepdim=True))):
            found[f"logps/{name}"] = by_group[chosen].mean().item()
        return found


class Examples(Compared):
    """Rankings, for methods that imitate some of their answers, or all of them by weight."""

    def __init__(self, settings, tokenizer, length: int, algorithm):
        super().__init__(settings, tokenizer, length, algorithm)
        self.rows = self.examples()

    def examples(self):
        """The answers to learn from, as Tokens; how much each counts is in their mask."""
        return self.algorithm.examples(self.train)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def said(self) -> str:
        return f"{len(self):,} answers from {len(self.train):,} rankings, {self.valid.groups:,} held out"

    @property
    def tokens(self) -> int:
        return int(self.rows.completion_lengths.sum())

    def parts(self, policy, index) -> list:
        from heed.training.learner import Part

        return [Part(self.rows.select(index), self.algorithm.loss)]


class Conditioned(Examples):
    """Every answer behind a token that says how good it is.  The saved chat template asks for the best."""

    def __init__(self, settings, tokenizer, length: int, algorithm):
        import torch

        from heed.language.chat import ask_for_the_best, refuse_plain, reward_tokens

        self.words = torch.tensor(reward_tokens(tokenizer, algorithm.levels))
        super().__init__(settings, tokenizer, length - 1, algorithm)
        refuse_plain(self.prompts, settings.algorithm)
        ask_for_the_best(tokenizer, algorithm.levels)  # from now on: what was just encoded asked for nothing

    def begin(self, lm, lora_r: int) -> None:
        """Makes the tokens ready in a model that has never read them."""
        from heed.language.chat import begin_alike

        if not lora_r:
            first = self.train.candidates
            begin_alike(lm, self.words.tolist(), int(first.prompt_ids[0, first.prompt_lengths[0] - 1]))

    def examples(self):
        from heed.language.batches import told

        return told(self.train.candidates, self.words[self.algorithm.level(self.train)])

    def figures(self, policy) -> Figures:
        """As for Compared, all answers behind the token of the best."""
        from heed.language.batches import told

        best = self.words[-1]
        valid, test = (replace(r, ranked=replace(r.ranked, candidates=told(r.ranked.candidates, best))) if r.groups else r
                       for r in (self.valid, self.test))
        return named("eval", self._figures(policy, valid)) | named("test", self._figures(policy, test))


class RatedExamples(Examples):
    """Answers with absolute ratings, which weigh them."""

    def __init__(self, settings, tokenizer, length: int, algorithm):
        import torch

        from heed.experience import Rated
        from heed.language.ratings import encode_ratings
        from heed.records import Rating

        self.settings, self.algorithm = settings, algorithm
        train, valid, _ = load_judgements(settings, Rating)
        self.encoded, self.held_out = (encode_ratings(tokenizer, rows, length) for rows in (train, valid))
        self.rows = algorithm.examples(Rated(self.encoded.tokens, torch.tensor(self.encoded.scores)))

    @property
    def said(self) -> str:
        return f"{len(self):,} rated answers, {len(self.held_out.scores):,} held out"

    def figures(self, policy) -> Figures:
        """eval_loss: nats a token of the held-out answers rated above the training mean."""
        mean = sum(self.encoded.scores) / len(self.encoded.scores)
        good = [i for i, score in enumerate(self.held_out.scores) if score > mean]
        if not good:
            return {}
        import torch

        rows = self.held_out.tokens.select(torch.tensor(good))
        return {"eval_loss": (-whole_logprobs(policy, rows, self.settings.micro_batch).sum() / rows.count).item()}


def referred(folder: Path, model: str, settings, rows: dict[str, Any], read: Any) -> dict[str, Any]:
    """log p of each answer by the reference [N], by name of its set; from the run's file where an earlier start wrote it.
    Of the sets train and others only the answers `read` (a budget of tokens may read few of them), NaN elsewhere."""
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file, save_file

    from heed.language.models import disable_dropout, load_policy
    from heed.language.policy import Policy
    from heed.training.checkpoint import replace_folder

    place = folder / "reference"
    wanted = {name: read if name in ("train", "others") else torch.arange(len(r)) for name, r in rows.items()}
    try:
        found = load_file(place / "logprobs.safetensors")
        if {name: len(r) for name, r in rows.items()} == {name: len(v) for name, v in found.items()} and not any(
                found[name][index].isnan().any() for name, index in wanted.items()):
            return found
    except (OSError, SafetensorError):
        pass  # not computed yet, or damaged from outside
    reference = Policy(disable_dropout(load_policy(model)).eval(), packing=settings.packing)
    found = {name: torch.full((len(r),), torch.nan) for name, r in rows.items()}
    for name, index in wanted.items():
        if len(index):
            found[name][index] = whole_logprobs(reference, rows[name].select(index), 4 * settings.micro_batch)
    replace_folder(place, lambda part: save_file(found, part / "logprobs.safetensors"))
    return found


def whole_logprobs(policy, rows, micro_batch: int):
    """log p of each completion [N], without a gradient."""
    import torch

    policy.eval()
    with torch.no_grad():
        parts = [policy(rows.select(i)).logprobs.sum(1) for i in torch.arange(len(rows)).split(micro_batch) if len(i)]
    policy.train()
    return torch.cat(parts) if parts else torch.zeros(0)
