"""For managers: how the work goes, how good it is, what the data is, what the rounds brought."""

import os
import tempfile
import threading
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from fastapi import APIRouter
from starlette.background import BackgroundTask
from starlette.responses import FileResponse, Response

from heed.errors import UserError, nearest
from heed.feedback.agreement import REFERENCES, Agreement, disputes, matrix, rate_between
from heed.feedback.exchange import write_groups
from heed.feedback.gold import Gold
from heed.feedback.habits import length_bias, pace, position_bias
from heed.feedback.reliability import coefficient, of_two, preferences, rated, reliability
from heed.feedback.singles import write_demonstrations, write_ratings
from heed.feedback.store import SQLStore
from heed.feedback.transcripts import write_transcripts
from heed.records import Ranking
from heed.web import charts
from heed.web.guard import Manager, Visit
from heed.web.pages import go, page
from heed.web.routes.manage_work import number

router = APIRouter(prefix="/manage")
CHANCE = {"alpha_nominal": "Krippendorff's alpha", "fleiss": "Fleiss' kappa", "ac1": "Gwet's AC1"}
KAPPAS = 2_000_000  # answers to compare for the kappa of each two labelers; where there are more, nobody waits for them
SHOWN = 10  # tasks in the list of those on which people differ
DRAWN = 16  # labelers in the drawing of who agrees with whom; those with the most in common
EXPORTS = {
    "groups": (write_groups, "rankings", "every answer with its candidates, ranks and labeler: what training reads"),
    "transcripts": (write_transcripts, "rankings", "pairs of transcripts, chosen and rejected, in HH's shape"),
    "demonstrations": (write_demonstrations, "demonstrations", "what people wrote, in TRL's shape"),
    "ratings": (write_ratings, "ratings", "marks on every scale"),
}  # fmt: skip
_computed: WeakKeyDictionary[SQLStore, tuple[int, dict[str, Any]]] = WeakKeyDictionary()
_computing = threading.Lock()


@router.get("", include_in_schema=False)
def rounds(visit: Manager) -> Response:
    """What there is, and what each round brought."""
    models = visit.site.models
    found = models.rounds()
    names = sorted({name for one in found for name in one.figures})
    drawn = {}
    for name in names:
        points = [(float(one.n), one.figures[name]) for one in found if name in one.figures]
        if len(points) > 1:
            share = all(0 <= value <= 1 for _, value in points)
            drawn[name] = charts.line(points, f"{name}, by round", share)
    return page(visit, "manage_rounds.html", tab="rounds", counts=visit.site.work.counts(), rounds=found[::-1], names=names,
                drawn=drawn, checkpoints=models.checkpoints()[::-1])


@router.get("/quality", include_in_schema=False)
def quality(visit: Manager) -> Response:
    """How far people agree, and what they do that has nothing to do with the answers."""
    return page(visit, "manage_quality.html", tab="quality", references=REFERENCES, differing=differing(visit, SHOWN),
                **figures_of(visit.site.store))


@router.post("/quality/reviews", include_in_schema=False)
def ask_reviews(visit: Manager) -> Response:
    """Have reviewers look at what people differ on most, the worst first; nothing is asked twice."""
    waiting = [row for row in differing(visit, None) if row[2] is None][: number(visit.form, "most", 1, 1000)]
    for task, agreement, _ in waiting:
        visit.site.work.review(task, visit.name, priority=1 - agreement.rate)
    return go("/manage/quality", said="done")


@router.get("/data", include_in_schema=False)
def data(visit: Manager) -> Response:
    """Snapshots, and files to take away."""
    return page(visit, "manage_data.html", tab="data", snapshots=visit.site.models.snapshots(), exports=EXPORTS,
                watermark=visit.site.store.watermark())


@router.post("/data/snapshot", include_in_schema=False)
def snapshot(visit: Manager) -> Response:
    """Everything that was answered up to now, under a name."""
    made = visit.site.models.snapshot(visit.form.get("split") or None)
    visit.site.people.log(visit.name, "snapshot", made.id)
    return go("/manage/data", said="done")


@router.get("/data/{kind}.jsonl", include_in_schema=False)
def export(visit: Manager, kind: str, snapshot: str = "") -> Response:
    """A file; of a snapshot, the same bytes for ever."""
    if kind not in EXPORTS:
        raise UserError(f"there is no such file{nearest(kind, EXPORTS)}")
    write, read, _ = EXPORTS[kind]
    chosen: dict[str, Any] = {}
    if snapshot:
        found = next((one for one in visit.site.models.snapshots() if one.id == snapshot), None)
        if found is None:
            raise UserError("there is no such snapshot")
        chosen = {"split": found.split, "upto": found.watermark}
    visit.site.people.log(visit.name, "export", kind, snapshot=snapshot)
    return _file(write, getattr(visit.site.store, read)(**chosen), f"{kind}{'-' + snapshot if snapshot else ''}.jsonl")


@router.get("/audit", include_in_schema=False)
def audit(visit: Manager, before: int | None = None) -> Response:
    """What was done, and by whom."""
    found = visit.site.people.audit(before, 100)
    return page(visit, "manage_audit.html", tab="audit", found=found, more=found[-1].seq if len(found) == 100 else None)


def figures_of(store: SQLStore) -> dict[str, Any]:
    """Everything on the page about quality; computed once for each state of the store."""
    with _computing:
        mark = store.watermark()
        known = _computed.get(store)
        if known is None or known[0] != mark:
            _computed[store] = known = (mark, _figures(store))
        return known[1]


def differing(visit: Visit, most: int | None) -> list[tuple[int, Agreement, int | None]]:
    """(number of the task, how its labelers agree, number of its review) where people differ, the worst first."""
    found = figures_of(visit.site.store)["disputes"][:most]
    known = visit.site.work.reviews([id for id, _ in found])
    return [(known[id][0], agreement, known[id][1]) for id, agreement in found if id in known]


def _figures(store: SQLStore) -> dict[str, Any]:
    rankings, ratings = store.rankings(), store.ratings()
    agreement, units = rate_between(rankings), preferences(rankings)
    chance = [(title, reliability(name, units)) for name, title in CHANCE.items()]
    chance += [(f"alpha: {scale}", reliability("alpha_ordinal", rated(ratings, scale)))
               for scale in sorted({name for rating in ratings for name in rating.scores})]
    habits = [("the first shown wins", position_bias(rankings)), ("the longer one wins", length_bias(rankings))]
    shares = (0.0, 0.25, 0.5, 0.75, 1.0)
    return {
        "answers": len(rankings), "agreement": agreement, **_matrix(rankings, units), "paces": pace(rankings),
        "gold": _gold(store), "disputes": disputes(rankings),
        "rate": charts.intervals([("two labelers", agreement)], 0.4, 1.0, (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
                                 references=REFERENCES, title="How often two labelers prefer the same answer"),
        "chance": charts.intervals(chance, -0.2, 1.0, (-0.2, 0.0, 0.2, 0.4, 0.6, 0.8, 1.0), share=False,
                                   title="Agreement beyond chance, with 95 % intervals"),
        "habits": charts.intervals(habits, 0.0, 1.0, shares, references={"neither": 0.5}, title="Position and length"),
    }  # fmt: skip


def _matrix(rankings: list[Ranking], units: list) -> dict[str, Any]:
    """Who agrees with whom: a picture of those with the most in common, and (names, counts, Cohen's kappa) of each pair."""
    names, cells = matrix(rankings)
    common = {name: sum(cell.pairs for cell in row if cell) for name, row in zip(names, cells, strict=True)}
    place = {name: i for i, name in enumerate(names)}
    drawn = sorted(sorted(names, key=lambda name: -common[name])[:DRAWN])
    found = [[cells[place[a]][place[b]] for b in drawn] for a in drawn]
    pairs = [(a, b, cells[i][j]) for i, a in enumerate(names) for j, b in enumerate(names) if i < j and cells[i][j]]
    few = len(pairs) * len(units) <= KAPPAS
    rows = [(a, b, cell, coefficient("cohen", of_two(units, a, b)) if few else None) for a, b, cell in pairs]
    picture = charts.matrix(drawn, [[cell.rate if cell else None for cell in row] for row in found],
                            "How often each two labelers agree, in per cent of the pairs") if drawn else ""
    return {"names": names, "drawn": drawn, "picture": picture, "pairs": rows}


def _gold(store: SQLStore) -> list[tuple[str, float, int]]:
    """(labeler, share that was right, questions), those in need of help first."""
    marks: dict[str, list[float]] = {}
    for answer in Gold(store).answers():
        marks.setdefault(answer.labeler, []).append(answer.right)
    return sorted(((name, sum(of) / len(of), len(of)) for name, of in marks.items()), key=lambda row: row[1])


def _file(write: Callable[[Any, str], Any], records: Any, name: str) -> Response:
    handle, path = tempfile.mkstemp(suffix=".jsonl")
    os.close(handle)
    try:
        write(records, path)
    except BaseException:
        os.unlink(path)
        raise
    return FileResponse(path, media_type="application/jsonl", filename=name, background=BackgroundTask(os.unlink, path))
