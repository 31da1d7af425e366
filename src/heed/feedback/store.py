"""Where feedback is kept, and the only place where people and training meet: one SQLite file, or PostgreSQL.

    store = open_store("runs/mine/store.db")
    store.add(comparisons)
    comparison = store.claim("ann")
    store.add([Judgement(comparison.id, "ann", {best: 1, other: 2})])
    rankings = store.rankings(split="train")

Nothing is ever changed or removed.  A labeler who answers a comparison again corrects the earlier answer: both stay on
record in `judgements()`, only the last gives a ranking.
"""

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal

import sqlalchemy as sa

from heed.errors import UserError
from heed.feedback import queue, reading, schema, writing
from heed.feedback.database import Database, open_database
from heed.feedback.rows import Batch
from heed.records import Comparison, Demonstration, Judgement, Ranking, Rating


def open_store(
    url_or_path: str | Path,
    create: bool = True,
    *,
    overlap: int = 1,
    lease_seconds: float = 900.0,
    clock: Callable[[], float] = time.time,
) -> "SQLStore":
    """The store at a path, at `sqlite:///path` or at `postgresql://user@host/name`, migrated to this version's schema.

    `overlap` labelers may claim each comparison added through it; a claim is held for `lease_seconds`.
    Raises UserError for a file that is not a store, a store of a newer heed, and (create=False) one that is not there.
    """
    if overlap < 1:
        raise UserError(f"overlap is {overlap}; expected at least 1 labeler a comparison")
    return SQLStore(open_database(url_or_path, create=create), overlap, lease_seconds, clock)


class SQLStore:
    """heed.protocols.Store on a Database; safe to share between threads and, as a file, between processes."""

    def __init__(self, database: Database, overlap: int, lease_seconds: float, clock: Callable[[], float]):
        self.database, self.overlap, self.lease_seconds, self.clock = database, overlap, lease_seconds, clock

    def add(self, records: Iterable[Comparison | Judgement | Rating | Demonstration]) -> None:
        """Append, all or nothing; on return it is on disk.  A record whose id is already there is left as it was.

        Ranks are kept without gaps (2, 2, 5 as 1, 1, 2); the order in which a judgement names its candidates is kept as
        the order in which they were shown.  Raises UserError for a judgement that does not fit its comparison, and for
        an id that already stands for another text.
        """
        batch = Batch.of(records)
        with self.database.writing() as db:
            writing.write(db, batch, self.overlap)

    def introduce(self, labeler: str, kind: Literal["human", "synthetic", "judge"]) -> None:
        """Say what a labeler is; one who was never introduced is kept as "unknown".  Raises UserError for a second kind."""
        with self.database.writing() as db:
            writing.introduce(db, [labeler], kind)
            table = schema.labelers
            known = db.scalar(sa.select(table.c.kind).where(table.c.id == labeler))
            if known not in (kind, "unknown"):
                raise UserError(f"labeler {labeler!r} is {known} in {self.database.name}, not {kind}; give another name")
            db.execute(sa.update(table).where(table.c.id == labeler).values(kind=kind))

    def claim(self, labeler: str) -> Comparison | None:
        """The oldest comparison that still wants an answer, now held by `labeler`; None when nothing is left for them.

        Claiming again before having answered gives the same comparison.
        """
        if not labeler:
            raise UserError("a claim needs the name of the labeler")
        with self.database.writing() as db:
            writing.introduce(db, [labeler])
            task = queue.claim(db, labeler, self.clock(), self.lease_seconds)
            return reading.comparisons(db, schema.tasks.c.id == task)[0] if task else None

    def comparisons(self, *, judged: bool | None = None) -> list[Comparison]:
        """In the order they arrived; `judged`: somebody gave a verdict, which a skip is not."""
        with self.database.reading() as db:
            return reading.comparisons(db, *([] if judged is None else [reading.judged() if judged else ~reading.judged()]))

    def judgements(self) -> list[Judgement]:
        """Everything that was answered, skips and corrected answers included, in the order it arrived."""
        with self.database.reading() as db:
            return reading.judgements(db)

    def rankings(self, *, split: str | None = None) -> list[Ranking]:
        """Answers that hold, one Ranking an answer, in the order they arrived: no skips, nothing corrected since."""
        with self.database.reading() as db:
            return reading.rankings(db, split)

    def ratings(self, *, split: str | None = None) -> list[Rating]:
        """In the order they arrived."""
        with self.database.reading() as db:
            return reading.ratings(db, split)

    def demonstrations(self, *, split: str | None = None) -> list[Demonstration]:
        """In the order they arrived."""
        with self.database.reading() as db:
            return reading.demonstrations(db, split)

    def labelers(self) -> dict[str, str]:
        """Name -> kind: human, synthetic, judge or unknown."""
        with self.database.reading() as db:
            return {name: kind for name, kind in db.execute(sa.select(schema.labelers).order_by(schema.labelers.c.id))}

    def close(self) -> None:
        """Let go of the file or the server."""
        self.database.close()

    def __enter__(self) -> "SQLStore":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
