"""Where feedback is kept, and the only place where people and training meet: one SQLite file, or PostgreSQL.

    store = open_store("runs/mine/store.db")
    store.add(comparisons)
    comparison = store.claim("ann")
    store.add([Judgement(comparison.id, "ann", {best: 1, other: 2})])
    rankings = store.rankings(split="train")

Nothing is ever changed or removed.  A labeler who answers a comparison again corrects the earlier answer: both stay on
record in `judgements()`, only the last gives a ranking.
"""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa

from heed.errors import UserError
from heed.feedback import forms, queue, reading, schema, writing
from heed.feedback.database import Database, open_database
from heed.feedback.rows import Batch
from heed.records import Comparison, Demonstration, Judgement, Ranking, Rating

LOOK_AGAIN = 0.25  # seconds


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
        self._ending, self._none_ended, self._introduced = threading.Lock(), -1.0, set[str]()

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
        found = self.draw(labeler, forms.RANKED, lease_seconds=self.lease_seconds)
        if found is None:
            return None
        with self.database.reading() as db:
            return reading.comparisons(db, schema.tasks.c.id == found[1])[0]

    def draw(self, labeler: str, kinds: Sequence[str], **how: Any) -> queue.Drawn | None:
        """The task that `labeler` now works on, or None; see `heed.feedback.queue.claim`."""
        now = self.clock()
        self._end_leases(now)
        with self.database.writing(ordered=False) as db:
            if labeler not in self._introduced:
                writing.introduce(db, [labeler])
            found = queue.claim(db, labeler, now, kinds, **how)
        self._introduced.add(labeler)
        return found

    def _end_leases(self, now: float) -> None:
        """Give places back, where some lease has ended; nobody looks again in the moment after none had."""
        if 0 <= now - self._none_ended < LOOK_AGAIN:
            return
        with self.database.reading() as db:
            ended = queue.expired(db, now)
        if not ended:
            self._none_ended = now
        elif self._ending.acquire(blocking=False):  # where somebody is at it already, others need not wait
            try:
                with self.database.writing(ordered=False) as db:
                    queue.expire(db, now)
            finally:
                self._ending.release()

    def comparisons(self, *, judged: bool | None = None) -> list[Comparison]:
        """In the order they arrived; `judged`: somebody gave a verdict, which a skip is not.

        An edit is a comparison of what was written with what it was made from; these come last.
        """
        with self.database.reading() as db:
            if judged is None:
                return reading.comparisons(db) + reading.edits(db)
            if not judged:
                return reading.comparisons(db, ~reading.judged())
            return reading.comparisons(db, reading.judged()) + reading.edits(db, reading.holds())

    def watermark(self) -> int:
        """The number of the last answer of any kind: whatever is read `upto` here is the same for ever."""
        with self.database.reading() as db:
            return reading.watermark(db)

    def judgements(self, *, after: int = 0) -> list[Judgement]:
        """Everything that was answered, skips and corrected answers included, in the order it arrived; `after` a watermark."""
        with self.database.reading() as db:
            return reading.judgements(db, schema.submissions.c.seq > after)

    def rankings(self, *, split: str | None = None, upto: int | None = None) -> list[Ranking]:
        """Answers that hold, one Ranking an answer, in the order they arrived: no skips, nothing corrected since, no gold.

        `upto`: as things stood at that watermark.
        """
        with self.database.reading() as db:
            return reading.rankings(db, split, upto)

    def ratings(self, *, split: str | None = None, upto: int | None = None) -> list[Rating]:
        """In the order they arrived; what was corrected since is left out."""
        with self.database.reading() as db:
            return reading.ratings(db, split, upto)

    def demonstrations(self, *, split: str | None = None, upto: int | None = None) -> list[Demonstration]:
        """In the order they arrived; what was corrected since is left out."""
        with self.database.reading() as db:
            return reading.demonstrations(db, split, upto)

    def labelers(self) -> dict[str, str]:
        """Name -> kind: human, synthetic, judge or unknown."""
        table = schema.labelers
        with self.database.reading() as db:
            return {name: kind for name, kind in db.execute(sa.select(table.c.id, table.c.kind).order_by(table.c.id))}

    def close(self) -> None:
        """Let go of the file or the server."""
        self.database.close()

    def __enter__(self) -> "SQLStore":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
