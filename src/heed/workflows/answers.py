"""Asking and waiting: comparisons in, judgements in the store, the same however often it was killed on the way.

An answer's id follows from who gave it to what, so that whatever is given again is there already.
"""

import contextlib
import json
import math
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from heed.errors import RunError, UserError
from heed.records import Comparison, Judgement, Ranking, content_id
from heed.workflows.labelers import Answering, judge_log

AT_ONCE = 64  # comparisons in one transaction; their order in the store is the same however often the run was killed
Figures = dict[str, Any]
Worth = Callable[[Sequence[Comparison]], list[list[float]]]


@dataclass
class Answers:
    """What came back: every labeler's last word on each comparison; `scores`: the true ones, by comparison, where known."""

    judgements: list[Judgement] = field(default_factory=list)
    scores: dict[str, list[float]] = field(default_factory=dict)
    figures: Figures = field(default_factory=dict)


def refuse_password(store: str) -> None:
    """UserError for a store's address with a password, which would be saved with the run."""
    if re.match(r"\w+://[^/@]*:[^/]*@", store):
        raise UserError("store: its password would be saved with the run; put it into PGPASSWORD or ~/.pgpass instead")


def answer(settings: Answering, comparisons: Sequence[Comparison], store, crowd: Sequence, enough: int | None = None,
           worth: Worth | None = None) -> Answers:
    """Has the comparisons answered by `crowd`, or by people where there is none; returns when all are.

    `enough`: that many verdicts (answers that are no skips) are.  `worth`: what synthetic labelers believe candidates to be
    worth; by default what their reward function says, which is then the truth.
    """
    enough = settings.overlap * len(comparisons) if enough is None else min(enough, settings.overlap * len(comparisons))
    if not crowd:
        return from_people(settings, comparisons, store, enough)
    kind = "judge" if settings.by == "judge" else "synthetic"
    for labeler in crowd:
        store.introduce(labeler.name, kind)
    if kind == "judge":
        return from_judge(settings, comparisons, store, crowd, enough)
    return from_functions(settings, comparisons, store, crowd, enough, worth)


def from_functions(settings: Answering, comparisons: Sequence[Comparison], store, crowd: Sequence, enough: int,
                   worth: Worth | None = None) -> Answers:
    """Answers of synthetic labelers, now in the store, and the true scores by comparison."""
    from heed.feedback.labelers.synthetic import score_candidates
    from heed.training.progress import Progress

    given = {(j.comparison_id, j.labeler): j.id for j in store.judgements()}
    found, verdicts, bar = Answers(), 0, Progress("label", len(comparisons), unit="comparison")
    for some in _parts(comparisons):
        scores = worth(some) if worth else score_candidates(crowd[0].score, some)
        if worth is None:
            found.scores |= {c.id: s for c, s in zip(some, scores, strict=True) if None not in s}
        new = []
        for comparison, score in zip(some, scores, strict=True):
            for labeler in _asked(comparison, crowd, settings):
                if verdicts < enough:
                    new.append(labeler.judge(comparison, score))
                    verdicts += new[-1].outcome != "skipped"
        for judgement in new:
            if given.get((judgement.comparison_id, judgement.labeler), judgement.id) != judgement.id:
                raise UserError(f"the store already has answers of {judgement.labeler!r} to these samples, given under "
                                "other settings; give another store")
        store.add([*some, *new])
        found.judgements += new
        bar.advance(len(some))
        if verdicts >= enough:
            break
    bar.close()
    return found


def from_judge(settings: Answering, comparisons: Sequence[Comparison], store, crowd: Sequence, enough: int) -> Answers:
    """Answers of a language model.  Raises RunError where its server failed: the same command asks for those again."""
    from heed.training.progress import Progress

    (judge,) = crowd
    found, bar = Answers(), Progress("judge", len(comparisons), unit="comparison")
    for some in _parts(comparisons):
        judge.ask(some)
        new, ratings = judge.answers(), judge.ratings()
        store.add([*some, *new, *ratings])
        found.judgements += new
        bar.advance(len(some))
        if sum(j.outcome != "skipped" for j in found.judgements) >= enough:
            break
    bar.close()
    judge.calls.close()
    print(judge.said(), flush=True)
    failed = [j for j in found.judgements if _failed(j)]
    if failed:
        raise RunError(f"{len(failed)} of {len(found.judgements)} comparisons were skipped because the judge's server failed "
                       f"({failed[0].note}); the same command asks for these again and for nothing else")
    figures = {**judge.figures(), **log_totals(judge_log(settings))}
    found.figures = {f"judge/{name}": value for name, value in figures.items() if value == value}  # NaN: price not known
    return found


def from_people(settings: Answering, comparisons: Sequence[Comparison], store, enough: int) -> Answers:
    """Answers of people, as soon as there are `enough`; each comparison counts up to its overlap."""
    from heed.training.progress import Progress

    store.add(comparisons)
    wanted = {c.id for c in comparisons}
    bar = Progress("label", enough, unit="answer")
    latest: dict[tuple[str, str], Judgement] = {}
    read = 0
    while True:
        mark = store.watermark()  # before reading: what arrives meanwhile is read twice, which is harmless
        latest |= {(j.comparison_id, j.labeler): j for j in store.judgements(after=read) if j.comparison_id in wanted}
        read = mark
        verdicts = Counter(j.comparison_id for j in latest.values() if j.outcome != "skipped")
        done = min(enough, sum(min(n, settings.overlap) for n in verdicts.values()))
        bar.advance(done - bar.done)
        if done >= enough:
            bar.close()
            return Answers(list(latest.values()))
        time.sleep(settings.poll_seconds)


def summarise(
    comparisons: Sequence[Comparison], judgements: Sequence[Judgement], scores: Mapping[str, Sequence[float]]
) -> Figures:
    """comparisons, answers (skips not counted); skipped and not_rankable: shares of all that came back; ties: share of
    the pairs of candidates in the answers; agreement: with the true scores, and agreement/labelers: of two labelers on
    one comparison, both as shares of the pairs on which both sides have a preference.  Intervals are over prompts."""
    from heed.feedback.agreement import agree, between_labelers

    of = {c.id: c for c in comparisons}
    rankings = [Ranking(of[j.comparison_id], j) for j in judgements if j.outcome == "answered"]
    by_comparison: dict[str, list[Ranking]] = {}
    for r in rankings:
        by_comparison.setdefault(r.comparison.id, []).append(r)
    itself = [(r.prompt.id, agree(r.ranks, r.ranks)) for r in rankings]
    true = [(r.prompt.id, agree(r.ranks, [-s for s in scores[r.comparison.id]])) for r in rankings
            if r.comparison.id in scores]
    both = [(rs[0].prompt.id, a) for rs in by_comparison.values() for a in between_labelers(rs).values()]
    outcome = [(of[j.comparison_id].prompt.id, j.outcome) for j in judgements]
    rates = {
        "ties": [(id, a.both_tied, a.pairs) for id, a in itself],
        "skipped": [(id, o == "skipped", 1) for id, o in outcome],
        "not_rankable": [(id, o == "not_rankable", 1) for id, o in outcome],
        "agreement": [(id, a.same, a.same + a.opposite) for id, a in true],
        "agreement/labelers": [(id, a.same, a.same + a.opposite) for id, a in both],
    }
    counts = {"comparisons": len(comparisons), "answers": len(rankings)}
    return counts | {name: found for name, rows in rates.items() if (found := rate(rows))}


def rate(rows: Sequence[tuple[str, float, float]]) -> dict[str, float] | None:
    """A share with its interval from (prompt id, part, whole); None where the whole is nothing."""
    import numpy as np

    from heed.evaluation.estimate import by_cluster, share

    rows = [row for row in rows if row[2]]
    if not rows:
        return None
    clusters = by_cluster(np.array([row[1:] for row in rows], float), [row[0] for row in rows])
    return {k: round(v, 6) for k, v in share(clusters).summary().items()}


def log_totals(path: Path) -> Figures:
    """Of every call on record: how many, how many failed, tokens, seconds, dollars (NaN where prices are not known)."""
    rows = []
    for line in path.read_bytes().split(b"\n") if path.exists() else []:
        with contextlib.suppress(ValueError):  # a line that a kill cut short
            rows.append(json.loads(line))
    total: Figures = {"sent": len(rows), "failed": sum(bool(row["error"]) for row in rows)}
    for name in ("tries", "tokens_in", "tokens_out", "seconds", "cost"):
        total[name] = sum(math.nan if row[name] is None else row[name] for row in rows)
    return total


def _failed(judgement: Judgement) -> bool:
    """Skipped for a fault that may pass; a question that was refused, or that got no verdict twice, stays as it is."""
    lasting = re.search(r"questions: (refused,|the reply ends with no verdict)", judgement.note)
    return judgement.outcome == "skipped" and not lasting


def _parts(comparisons: Sequence[Comparison]) -> Iterator[Sequence[Comparison]]:
    yield from (comparisons[i : i + AT_ONCE] for i in range(0, len(comparisons), AT_ONCE))


def _asked(comparison: Comparison, crowd: Sequence, settings: Answering) -> list:
    """The `overlap` labelers of this comparison: drawn by a hash, so that every run draws the same."""
    return sorted(crowd, key=lambda x: content_id(str(settings.seed), x.name, comparison.id))[: settings.overlap]
