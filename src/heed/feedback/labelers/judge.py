"""A language model as labeler: absolute scores, pairs asked in both orders, or all answers at once.

score   each answer by itself on a scale (ChatLLaMA has text-davinci-003 score 0 to 5); equal scores are tied, and the
        scores are handed over by `ratings()` for those who learn from them directly
pair    every two answers, once in each order, because judges favour a place (Zheng et al. 2023, section 3.3); where the
        two replies disagree it is a tie, and counted.  Several answers are ranked by their points: 1 a win, 1/2 a tie
rank    all answers in one question

A reply that cannot be read is asked for once more.  A comparison of which any question stays without an answer is skipped
with a note; it is never guessed.
"""

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

from heed.errors import UserError, nearest
from heed.feedback.labelers import wording
from heed.feedback.labelers.calls import Calls, Model
from heed.records import Comparison, Judgement, Rating, content_id

MODES = ("score", "pair", "rank")


@dataclass(frozen=True)
class Question:
    """One request: what is asked, how its reply is read, and whom it is about."""

    form: str
    read: Callable[[str], Any]
    about: Mapping[str, Any]


class JudgeLabeler:
    """Asks a language model; a heed.protocols.Labeler.

    model    an Endpoint (heed.feedback.labelers.endpoint) or a Local function (heed.feedback.labelers.calls)
    mode     score, pair or rank, as above
    wanted   what is judged, to be read after "You judge"
    low, high   ends of the scale of mode=score
    log      jsonl file of every call; what stands in it is not asked again

    Answers are shown in a random order of this judge's own, which is the order of the judgement's ranks.  The same text
    twice is shown once, and tied.
    """

    def __init__(self, model: Model, *, name: str = "judge", mode: str = "pair", wanted: str = wording.WANTED, low: int = 0,
                 high: int = 5, log: str | Path | None = None, seed: int = 0):
        if mode not in MODES:
            raise UserError(f"unknown mode {mode!r} of a judge{nearest(mode, MODES)}")
        if not low < high:
            raise UserError(f"a judge's scale from {low} to {high}; expected low below high")
        self.name, self.mode, self.wanted, self.low, self.high, self.seed = name, mode, wanted, low, high, seed
        self.calls = Calls(model, log)
        self._settings = repr((model.id, mode, wanted, low, high, seed))
        self._count = dict.fromkeys(("asked_again", "unreadable", "skipped", "pairs", "disagreements", "first_twice"), 0)
        self._asked: set[str] = set()
        self._ready: list[Judgement] = []
        self._ratings: list[Rating] = []

    def ask(self, comparisons: Sequence[Comparison]) -> None:
        """Has the model answer, all comparisons at once; one that was asked before is not asked again.

        Raises UserError and RunError as the model does; what was answered until then is on record.
        """
        new = [c for c in {c.id: c for c in comparisons}.values() if c.id not in self._asked]
        shown = {c.id: self._shown(c) for c in new}
        questions = {c.id: self._questions(c, shown[c.id]) for c in new}
        read, notes, seconds = self._replies([q for asked in questions.values() for q in asked])
        for c in new:
            asked = questions[c.id]
            missing = [notes[q.form] for q in asked if read[q.form] is None]
            ranks = {} if missing else self._settle(c, shown[c.id], [read[q.form] for q in asked])
            note = f"{len(missing)} of {len(asked)} questions: {missing[0]}" if missing else ""
            self._count["skipped"] += bool(missing)
            self._ready.append(self._judgement(c, ranks, note, sum(seconds[q.form] for q in asked)))
            self._asked.add(c.id)

    def answers(self) -> list[Judgement]:
        """What was answered since the last call."""
        ready, self._ready = self._ready, []
        return ready

    def ratings(self) -> list[Rating]:
        """mode=score: the scores given since the last call."""
        ready, self._ratings = self._ratings, []
        return ready

    def figures(self) -> dict[str, float]:
        """Counts over everything asked through this object; tokens, seconds and cost (dollars) of what was sent.

        disagreements: pairs whose two orders got different replies; first_twice: those where the first shown won both.
        """
        counts = dict(self._count)
        if self.mode != "pair":
            counts = {k: v for k, v in counts.items() if k not in ("pairs", "disagreements", "first_twice")}
        return {**vars(self.calls.tally), **counts}

    def said(self) -> str:
        """The figures that a person should see, in one line."""
        f = self.figures()
        line = f"{self.name}: {f['sent']:,} questions sent, {f['cached']:,} answered from the log, {f['failed']:,} failed, " \
               f"{f['unreadable']:,} unreadable, {f['skipped']:,} comparisons skipped"
        if self.mode == "pair" and f["pairs"]:
            line += f"; {f['disagreements'] / f['pairs']:.0%} of {f['pairs']:,} pairs answered differently in the other order"
        cost = "" if math.isnan(f["cost"]) else f", {f['cost']:.2f} dollars"
        return f"{line}; {f['tokens_in']:,} tokens in, {f['tokens_out']:,} out{cost}"

    def _shown(self, comparison: Comparison) -> list[str]:
        texts = list(dict.fromkeys(c.text for c in comparison.candidates))
        if self.mode == "rank" and len(texts) > len(wording.LETTERS):
            raise UserError(f"comparison {comparison.id!r} has {len(texts)} answers; a judge ranks at most "
                            f"{len(wording.LETTERS)} at once, expected mode=pair or mode=score")
        random.Random(content_id(self.name, str(self.seed), comparison.id)).shuffle(texts)
        return texts

    def _questions(self, comparison: Comparison, texts: Sequence[str]) -> list[Question]:
        """Nothing where all texts are the same."""
        if len(texts) < 2 and self.mode != "score":
            return []
        ids = {c.text: c.id for c in comparison.candidates}

        def about(*shown: str) -> dict[str, Any]:
            return {"comparison": comparison.id, "mode": self.mode, "shown": [ids[text] for text in shown]}

        if self.mode == "score":
            return [Question(wording.score_form(comparison.prompt, text, self.low, self.high, self.wanted),
                             partial(wording.read_score, low=self.low, high=self.high), about(text)) for text in texts]
        orders = [texts] if self.mode == "rank" else [o for a, b in combinations(texts, 2) for o in ((a, b), (b, a))]
        return [Question(wording.compare_form(comparison.prompt, order, self.wanted),
                         partial(wording.read_order, n=len(order)), about(*order)) for order in orders]

    def _replies(self, questions: Sequence[Question]) -> tuple[dict[str, Any], dict[str, str], dict[str, float]]:
        """What each form's reply says (None: nothing), why it says nothing, and the seconds it took."""
        replies = self.calls.ask({q.form: q.about for q in questions})
        read, notes, seconds, again = {}, {}, {}, {}
        for q in questions:
            reply = replies[q.form]
            read[q.form] = None if reply.error else q.read(reply.text)
            notes[q.form], seconds[q.form] = reply.error, reply.seconds
            if read[q.form] is None and not reply.error:
                again[q.form] = q
        second = self.calls.ask({form + wording.AGAIN: q.about for form, q in again.items()})
        for form, q in again.items():
            reply = second[form + wording.AGAIN]
            read[form] = None if reply.error else q.read(reply.text)
            notes[form] = reply.error or f"the reply ends with no verdict, twice: {reply.text[-80:]!r}"
            seconds[form] += reply.seconds
            self._count["unreadable"] += read[form] is None and not reply.error
        self._count["asked_again"] += len(again)
        return read, notes, seconds

    def _settle(self, comparison: Comparison, texts: Sequence[str], read: Sequence[Any]) -> dict[str, int]:
        """Ranks by candidate id, in the order shown, from all replies to one comparison."""
        if self.mode == "rank":
            worth = dict(zip(texts, [-rank for rank in read[0]] if read else [0], strict=True))
        elif self.mode == "score":
            worth = dict(zip(texts, read, strict=True))
            self._ratings += [self._rating(comparison, c, worth[c.text]) for c in comparison.candidates]
        else:
            worth = dict.fromkeys(texts, 0.0)
            for (a, b), one, other in zip(combinations(texts, 2), read[::2], read[1::2], strict=True):
                points = self._points(one, other)
                worth[a] += points
                worth[b] += 1 - points
        levels = {value: rank for rank, value in enumerate(sorted(set(worth.values()), reverse=True), start=1)}
        return {c.id: levels[worth[text]] for text in texts for c in comparison.candidates if c.text == text}

    def _points(self, one: Sequence[int], other: Sequence[int]) -> float:
        """Points of the first of a pair, from the ranks given in its order and in the turned one."""
        straight, turned = _sign(one[1] - one[0]), _sign(other[0] - other[1])
        self._count["pairs"] += 1
        self._count["disagreements"] += straight != turned
        self._count["first_twice"] += straight > 0 > turned
        return (1 + straight) / 2 if straight == turned else 0.5

    def _judgement(self, comparison: Comparison, ranks: Mapping[str, int], note: str, seconds: float) -> Judgement:
        outcome = "answered" if ranks else "skipped"
        # What was said is part of the id: a comparison skipped for a fault may be answered later, and both are kept.
        id = content_id("judgement", self.name, self._settings, comparison.id, outcome, repr(list(ranks.items())))
        return Judgement(comparison.id, self.name, ranks, outcome, seconds=seconds, note=note, id=id)

    def _rating(self, comparison: Comparison, candidate: Any, score: float) -> Rating:
        id = content_id("rating", self.name, self._settings, comparison.id, candidate.id, str(score))
        return Rating(comparison.prompt, candidate, self.name, {"score": score}, self.low, self.high, id)


def _sign(x: int) -> int:
    return (x > 0) - (x < 0)
