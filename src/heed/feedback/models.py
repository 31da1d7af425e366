"""Which model wrote what, and which answers made which model: rounds, checkpoints, snapshots and their lineage.

A completion names its checkpoint (`made_by`); a checkpoint names its parent, the reward model it was improved by, the
snapshot of answers it learnt from and the round that made it.  A snapshot is a watermark: "the answers up to number 1200"
are the same for ever, whatever is answered while a model trains.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from heed.errors import UserError, nearest
from heed.feedback import reading, schema
from heed.feedback.rows import SPLITS
from heed.feedback.schema import checkpoints, completions, prompts, round_policies, rounds, snapshots, submissions, tasks
from heed.feedback.store import SQLStore
from heed.records import content_id

ROLES = ("policy", "reward", "reference", "judge")


@dataclass(frozen=True)
class Checkpoint:
    """A model at a moment; the other ends of its edges are ids."""

    id: str
    role: str  # policy, reward, reference or judge
    path: str
    sha256: str = ""
    step: int = 0
    parent: str | None = None
    reward: str | None = None
    snapshot: str | None = None
    round: int | None = None


@dataclass(frozen=True)
class Snapshot:
    """The answers up to `watermark`, of one split or of all; `sha256` of their ids in order."""

    id: str
    watermark: int
    split: str | None
    answers: int
    sha256: str
    made_at: float


@dataclass(frozen=True)
class Round:
    """One turn of the loop: `policies` write what is judged; `snapshot` is what its training read."""

    n: int
    opened_at: float
    closed_at: float | None
    policies: tuple[str, ...]
    snapshot: str | None
    figures: Mapping[str, float]
    answers: int  # given to the tasks of this round


@dataclass(frozen=True)
class Node:
    """Something that was made, and what it was made of: (how, Node) of each part."""

    what: str  # completion, checkpoint, snapshot, prompt or round
    id: str
    label: str
    parts: tuple[tuple[str, "Node"], ...] = field(default=())


@dataclass(frozen=True)
class Models:
    """The models of a store."""

    store: SQLStore

    def register(self, checkpoint: Checkpoint) -> None:
        """Say where a model comes from.  Saying it again is harmless; saying something else raises UserError."""
        if checkpoint.role not in ROLES:
            raise UserError(f"unknown role {checkpoint.role!r}{nearest(str(checkpoint.role), ROLES)}")
        with self.store.database.writing() as db:
            known = _checkpoint(db, checkpoint.id)
            if known is not None and known != checkpoint:
                raise UserError(f"checkpoint {checkpoint.id!r} is already there and says something else; expected a new id")
            if known is not None:
                return
            for name, table, column in (("parent", checkpoints, checkpoints.c.id), ("reward", checkpoints, checkpoints.c.id),
                                        ("snapshot", snapshots, snapshots.c.id), ("round", rounds, rounds.c.n)):  # fmt: skip
                value = getattr(checkpoint, name)
                if value is not None and db.scalar(sa.select(column).where(column == value)) is None:
                    raise UserError(f"checkpoint {checkpoint.id!r}: its {name} {value!r} is not in {table.name}")
            db.execute(sa.insert(checkpoints), {
                "id": checkpoint.id, "role": checkpoint.role, "path": checkpoint.path, "sha256": checkpoint.sha256,
                "step": checkpoint.step, "parent_id": checkpoint.parent, "reward_id": checkpoint.reward,
                "snapshot_id": checkpoint.snapshot, "round_n": checkpoint.round, "made_at": self.store.clock()})  # fmt: skip

    def checkpoint(self, id: str) -> Checkpoint | None:
        """The checkpoint of that id."""
        with self.store.database.reading() as db:
            return _checkpoint(db, id)

    def checkpoints(self) -> list[Checkpoint]:
        """All of them, in the order they were made."""
        with self.store.database.reading() as db:
            ids = db.scalars(sa.select(checkpoints.c.id).order_by(checkpoints.c.made_at, checkpoints.c.id)).all()
            return [_checkpoint(db, id) for id in ids]

    def open_round(self, policies: Sequence[str]) -> int:
        """Begin the next round with these checkpoints; the round that is open stays, if it is of the same.

        Raises UserError where another round is open, or a checkpoint was never registered.
        """
        wanted = tuple(sorted(policies))
        with self.store.database.writing() as db:
            if last := _last_round(db):
                if last.closed_at is None and last.policies == wanted:
                    return last.n
                if last.closed_at is None:
                    raise UserError(f"round {last.n} is still open, with {', '.join(last.policies)}; close it first")
            for id in wanted:
                if _checkpoint(db, id) is None:
                    raise UserError(f"checkpoint {id!r} was never registered")
            n = last.n + 1 if last else 1
            db.execute(sa.insert(rounds), {"n": n, "opened_at": self.store.clock(), "figures": "{}"})
            db.execute(sa.insert(round_policies), [{"round_n": n, "checkpoint_id": id} for id in wanted])
            return n

    def close_round(self, n: int, snapshot: str | None = None, figures: Mapping[str, float] | None = None) -> None:
        """End it: what its training read, and the figures that came of it."""
        with self.store.database.writing() as db:
            done = db.execute(sa.update(rounds).where(rounds.c.n == n).values(
                closed_at=self.store.clock(), snapshot_id=snapshot, figures=json.dumps(dict(figures or {}))))  # fmt: skip
            if done.rowcount != 1:
                raise UserError(f"there is no round {n}")

    def rounds(self) -> list[Round]:
        """All of them, the first first."""
        with self.store.database.reading() as db:
            return [_round(db, row) for row in db.execute(sa.select(rounds).order_by(rounds.c.n)).all()]

    def snapshot(self, split: str | None = None) -> Snapshot:
        """Everything that was answered up to now.  The same answers are the same snapshot."""
        if split is not None and split not in SPLITS:
            raise UserError(f"unknown split {split!r}{nearest(split, SPLITS)}")
        with self.store.database.reading() as db:
            mark = reading.watermark(db)
            answers, digest = _digest(db, split, mark)
        id = content_id("snapshot", str(split), digest)
        row = {"id": id, "watermark": mark, "selection": json.dumps({"split": split}), "answers": answers, "sha256": digest,
               "made_at": self.store.clock()}  # fmt: skip
        with self.store.database.writing() as db:
            if (known := db.execute(sa.select(snapshots).where(snapshots.c.id == id)).first()) is None:
                db.execute(sa.insert(snapshots), row)
                known = db.execute(sa.select(snapshots).where(snapshots.c.id == id)).one()
            return _snapshot(known)

    def snapshots(self) -> list[Snapshot]:
        """All of them, the newest first."""
        with self.store.database.reading() as db:
            return [_snapshot(row) for row in db.execute(sa.select(snapshots).order_by(snapshots.c.watermark.desc()))]

    def lineage(self, id: str) -> Node:
        """What a checkpoint, a snapshot or a completion was made of, to its roots.  Raises UserError for an unknown id."""
        with self.store.database.reading() as db:
            for made in (_of_checkpoint, _of_snapshot, _of_completion):
                if node := made(db, id):
                    return node
            ids = db.scalars(sa.select(checkpoints.c.id)).all()
        raise UserError(f"neither a checkpoint nor a snapshot nor a completion is called {id!r:.80}{nearest(id, ids)}")


def _checkpoint(db: Connection, id: str) -> Checkpoint | None:
    row = db.execute(sa.select(checkpoints).where(checkpoints.c.id == id)).first()
    return row and Checkpoint(row.id, row.role, row.path, row.sha256, row.step, row.parent_id, row.reward_id,
                              row.snapshot_id, row.round_n)  # fmt: skip


def _last_round(db: Connection) -> Round | None:
    row = db.execute(sa.select(rounds).order_by(rounds.c.n.desc()).limit(1)).first()
    return row and _round(db, row)


def _round(db: Connection, row: sa.Row) -> Round:
    of = sa.select(round_policies.c.checkpoint_id).where(round_policies.c.round_n == row.n)
    answers = sa.select(sa.func.count()).select_from(submissions).join(tasks, tasks.c.id == submissions.c.task_id).where(
        tasks.c.round_n == row.n, submissions.c.outcome == "answered", reading.holds())  # fmt: skip
    policies = tuple(sorted(db.scalars(of)))
    return Round(row.n, row.opened_at, row.closed_at, policies, row.snapshot_id, json.loads(row.figures), db.scalar(answers))


def _snapshot(row: sa.Row) -> Snapshot:
    split = json.loads(row.selection)["split"]
    return Snapshot(row.id, row.watermark, split, row.answers, row.sha256, row.made_at)


def _digest(db: Connection, split: str | None, upto: int) -> tuple[int, str]:
    """(answers, sha256) of what holds at a watermark."""
    held = (submissions.c.outcome == "answered", submissions.c.seq <= upto, reading.holds(upto))
    answered = sa.select(submissions.c.id).where(*held).order_by(submissions.c.seq)
    if split is not None:  # what answers no task (an imported rating) has its prompt by way of its completion
        asked = sa.select(tasks.c.id).join(prompts).where(prompts.c.split == split)
        rated = sa.select(schema.ratings.c.submission_id, schema.ratings.c.completion_id)
        shown = rated.union(sa.select(schema.demonstrations.c.submission_id, schema.demonstrations.c.completion_id)).subquery()
        free = sa.select(shown.c.submission_id).join(completions, completions.c.id == shown.c.completion_id)
        free = free.join(prompts, prompts.c.id == completions.c.prompt_id).where(prompts.c.split == split)
        answered = answered.where(submissions.c.task_id.in_(asked)
                                  | submissions.c.task_id.is_(None) & submissions.c.id.in_(free))  # fmt: skip
    digest, n = sha256(), 0
    for id in db.scalars(answered):
        digest.update(id.encode("utf-8", "surrogatepass") + b"\n")
        n += 1
    return n, digest.hexdigest()


def _of_checkpoint(db: Connection, id: str) -> Node | None:
    row = _checkpoint(db, id)
    if row is None:
        return None
    parts = [("trained from", _of_checkpoint(db, row.parent)), ("improved by", _of_checkpoint(db, row.reward)),
             ("learnt from", _of_snapshot(db, row.snapshot))]  # fmt: skip
    if row.round is not None:
        parts.append(("made in", Node("round", str(row.round), f"round {row.round}")))
    return Node("checkpoint", id, f"{row.role}, step {row.step}, {row.path}", tuple((how, of) for how, of in parts if of))


def _of_snapshot(db: Connection, id: str) -> Node | None:
    row = db.execute(sa.select(snapshots).where(snapshots.c.id == id)).first()
    if row is None:
        return None
    by = sa.select(sa.func.count(sa.distinct(submissions.c.labeler_id))).where(submissions.c.seq <= row.watermark)
    return Node("snapshot", id, f"{row.answers:,} answers up to number {row.watermark:,}, {db.scalar(by)} labelers")


def _of_completion(db: Connection, id: str) -> Node | None:
    row = db.execute(sa.select(completions).where(completions.c.id == id)).first()
    if row is None:
        return None
    maker = _of_checkpoint(db, row.made_by) or Node("checkpoint", row.made_by, "never registered")
    if row.made_by == "human":
        maker = None
    parts = [("answers", Node("prompt", row.prompt_id, "")), ("written by", maker)]
    if row.edited_from_id is not None:
        parts.append(("edited from", _of_completion(db, row.edited_from_id)))
    label = " ".join(row.text.split())[:60]
    if row.sampling != "{}":
        label += f" | sampling {row.sampling}"
    return Node("completion", id, label, tuple((how, of) for how, of in parts if of))
