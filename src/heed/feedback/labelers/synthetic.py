"""Answers from a score function, with the slips that people make.

A candidate with score s is seen as s + biases + noise * G, with G from the standard Gumbel distribution, and the
candidates are put in order of what is seen.  That is the Plackett-Luce model (Luce 1959; Plackett 1975) with weights
exp(s / noise); each pair follows Bradley-Terry (1952): P(i before j) = sigmoid((s_i - s_j) / noise).  Neighbours closer
than `tie_threshold` are tied, which for two candidates is the model of Rao and Kupper (1967).  `mistakes` are the slips of
the finger of Christiano et al. (2017), section 2.2.3 (they take 10 % uniformly random answers: mistakes=0.05 for pairs).
"""

import math
import random
from collections.abc import Mapping, Sequence

from heed.errors import UserError, nearest
from heed.protocols import Scorer
from heed.records import Candidate, Comparison, Judgement, content_id

# What each bias adds to a candidate's score, times its size: f(text, place), place 0 being the one shown first.
BIASES = {
    "words": lambda text, place: len(text.split()),
    "characters": lambda text, place: len(text),
    "position": lambda text, place: -place,
}


class SyntheticLabeler:
    """Ranks by `score`, a reward function with TRL's signature; a heed.protocols.Labeler.

    noise          Gumbel scale, in units of the score; 0 is exact
    mistakes       probability that two candidates of different rank, drawn uniformly, change places
    tie_threshold  seen scores at most this far apart are tied; a chain of such neighbours is one tie
    skip           probability of skipping a comparison
    biases         name from BIASES -> size, in units of the score per word, per character, per place further down

    Equal texts are always seen as equal.  An answer depends on the labeler's name, settings and `seed` and on the
    comparison, and on nothing else: not on when it is asked, nor on what else is asked.  Candidates are shown in a random
    order of the labeler's own, which is the order of the judgement's ranks.  Where `score` gives None for a candidate,
    the comparison is not rankable.
    """

    def __init__(
        self,
        score: Scorer,
        *,
        name: str = "synthetic",
        noise: float = 0.0,
        mistakes: float = 0.0,
        tie_threshold: float = 0.0,
        skip: float = 0.0,
        biases: Mapping[str, float] | None = None,
        seed: int = 0,
    ):
        biases = dict(sorted((biases or {}).items()))
        for bias in biases:
            if bias not in BIASES:
                raise UserError(f"unknown bias {bias!r}{nearest(bias, BIASES)}")
        for what, value in {"noise": noise, "tie_threshold": tie_threshold}.items():
            if not 0 <= value < math.inf:
                raise UserError(f"{what} is {value}; expected 0 or more")
        for what, value in {"mistakes": mistakes, "skip": skip}.items():
            if not 0 <= value <= 1:
                raise UserError(f"{what} is {value}; expected a probability between 0 and 1")
        self.score, self.name = score, name
        self.noise, self.mistakes, self.tie_threshold, self.skip = noise, mistakes, tie_threshold, skip
        self.biases = biases
        settings = (seed, *(float(x) for x in (noise, mistakes, tie_threshold, skip)), list(biases.items()))
        self._settings = repr(settings)
        self._asked: dict[str, Judgement] = {}
        self._ready: list[Judgement] = []

    def ask(self, comparisons: Sequence[Comparison]) -> None:
        """Answers at once; a comparison that was already asked is not answered again.  Raises UserError for bad scores."""
        new = [c for c in {c.id: c for c in comparisons}.values() if c.id not in self._asked]
        for comparison, scores in zip(new, score_candidates(self.score, new), strict=True):
            self._asked[comparison.id] = self.judge(comparison, scores)
            self._ready.append(self._asked[comparison.id])

    def answers(self) -> list[Judgement]:
        """What was answered since the last call."""
        ready, self._ready = self._ready, []
        return ready

    def judge(self, comparison: Comparison, scores: Sequence[float | None]) -> Judgement:
        """The answer to `comparison`, given the true score of each of its candidates."""
        id = content_id("judgement", self.name, self._settings, comparison.id)
        dice = random.Random(id)
        if dice.random() < self.skip:
            return Judgement(comparison.id, self.name, {}, "skipped", id=id)
        if any(s is None for s in scores):
            return Judgement(comparison.id, self.name, {}, "not_rankable", id=id)
        order = list(range(len(scores)))
        dice.shuffle(order)
        seen = self._look(comparison.candidates, scores, order, dice)
        ranks = _ranks(seen, self.tie_threshold)
        if dice.random() < self.mistakes:
            _swap(ranks, dice)
        return Judgement(comparison.id, self.name, {comparison.candidates[i].id: ranks[i] for i in order}, id=id)

    def _look(
        self, candidates: Sequence[Candidate], scores: Sequence[float], order: Sequence[int], dice: random.Random
    ) -> list[float]:
        """What the labeler makes of each candidate's score."""
        seen: dict[str, float] = {}
        for place, i in enumerate(order):
            text = candidates[i].text
            gumbel = -math.log(-math.log(1.0 - dice.random()) or 2**-53)  # random() may be 0, never 1
            bias = sum(size * BIASES[name](text, place) for name, size in self.biases.items())
            seen.setdefault(text, scores[i] + bias + self.noise * gumbel)
        return [seen[c.text] for c in candidates]


def score_candidates(score: Scorer, comparisons: Sequence[Comparison]) -> list[list[float | None]]:
    """The score of every candidate of every comparison, from one call with the prompts' columns beside them.

    Raises UserError when `score` returns something else than one number, or None, for each completion.
    """
    candidates = [(c.prompt, candidate) for c in comparisons for candidate in c.candidates]
    if not candidates:
        return []
    names = sorted({name for prompt, _ in candidates for name in prompt.columns} - {"prompts", "completions"})
    columns = {name: [prompt.columns.get(name) for prompt, _ in candidates] for name in names}
    values = score([prompt.trl() for prompt, _ in candidates], [c.text for _, c in candidates], **columns)
    values = list(values) if hasattr(values, "__iter__") else [values]
    called = f"score function {getattr(score, '__name__', type(score).__name__)!r}"
    if len(values) != len(candidates):
        raise UserError(f"{called} returned {len(values)} scores for {len(candidates)} completions")
    rest = iter(_checked(value, called, candidates[i][1]) for i, value in enumerate(values))
    return [[next(rest) for _ in c.candidates] for c in comparisons]


def _checked(value: float | None, called: str, candidate: Candidate) -> float | None:
    if value is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise UserError(f"{called} gave {value!r} for {candidate.text!r:.60}; expected a number or None")
    return number


def _ranks(seen: Sequence[float], threshold: float) -> list[int]:
    """Dense ranks, the greatest first; a new rank begins where the gap to the neighbour above exceeds `threshold`."""
    ranks, rank, above = [0] * len(seen), 0, math.inf
    for i in sorted(range(len(seen)), key=lambda i: -seen[i]):
        rank += above - seen[i] > threshold
        ranks[i], above = rank, seen[i]
    return ranks


def _swap(ranks: list[int], dice: random.Random) -> None:
    pairs = [(i, j) for i in range(len(ranks)) for j in range(i) if ranks[i] != ranks[j]]
    if pairs:
        i, j = dice.choice(pairs)
        ranks[i], ranks[j] = ranks[j], ranks[i]
