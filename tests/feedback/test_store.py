"""What this store promises beyond the protocol: leases, overlap, who labels, what was shown, ratings."""

import random
from dataclasses import replace

import pytest
import sqlalchemy as sa

from heed.errors import UserError
from heed.feedback import schema
from heed.feedback.desk import Desk
from heed.feedback.store import open_store
from heed.feedback.work import Task, Work
from heed.records import Candidate, Comparison, Demonstration, Judgement, Rating
from heed.testing.store import ODD_TEXTS, answer, question


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store(tmp_path, clock):
    with open_store(tmp_path / "x.db", lease_seconds=60, clock=clock) as store:
        yield store


def rows(store, query):
    with store.database.reading() as db:
        return [tuple(row) for row in db.execute(query)]


def test_a_lease_that_ended_goes_to_the_next(store, clock):
    store.add([question(1)])
    assert store.claim("ann") == question(1)
    clock.now += 59
    assert store.claim("bob") is None
    clock.now += 1
    assert store.claim("bob") == question(1)
    assert store.claim("ann") is None
    clock.now += 60
    assert store.claim("ann") == question(1), "who once let it go may have it again"


def test_claiming_again_renews_the_lease(store, clock):
    store.add([question(1)])
    store.claim("ann")
    clock.now += 50
    store.claim("ann")
    clock.now += 50
    assert store.claim("bob") is None


def test_no_statement_of_the_daily_work_reads_a_whole_table(tmp_path, clock):
    """However much is in the store: claims, drafts, answers, corrections and the labeler's own pages find it by an index."""
    said = []
    with open_store(tmp_path / "x.db", clock=clock) as store:
        for engine in (store.database.readers, store.database.writer):
            sa.event.listen(engine, "before_cursor_execute", lambda *args: said.append((args[2], args[3])))
        desk, tasks = Desk(store), Work(store).ask([Task("rank", question(i).prompt, question(i).candidates) for i in range(3)])
        said.clear()
        desk.claim("ann")
        clock.now += 1000
        desk.claim("bob")
        desk.save_draft("bob", tasks[0], {}, 1)
        desk.submit("bob", tasks[0], "one", {"ranks": {"A": 1, "B": 2}})
        desk.revise("bob", "two", "one", {"ranks": {"A": 2, "B": 1}})
        desk.renew("ann", tasks[0])
        desk.my_work("bob")
        desk.progress("bob", 0.0)
        store.watermark()
        store.judgements(after=1)
        with store.database.reading() as db:
            once = dict(said)
            assert len(once) > 20
            for statement, values in once.items():
                values = values[0] if isinstance(values, list) else values
                plan = [row[3] for row in db.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)]
                scans = [step for step in plan if step.startswith("SCAN") and step.split()[1] in schema.metadata.tables]
                assert not scans, f"{scans} in {statement}"


def test_an_answer_after_the_lease_is_taken(store, clock):
    """Nobody's work is thrown away, and the question is not asked a third time."""
    store.add([question(1)])
    store.claim("ann")
    clock.now += 61
    assert store.claim("bob") == question(1)
    store.add([answer(question(1), "ann")])
    store.add([Judgement("q1", "bob", {}, "skipped")])
    assert store.claim("eve") is None
    assert [r.judgement.labeler for r in store.rankings()] == ["ann"]


def test_overlap_is_how_many_people_are_asked(tmp_path):
    store = open_store(tmp_path / "x.db", overlap=2)
    store.add([question(1), question(2)])
    assert [store.claim(name) for name in ("ann", "bob", "eve")] == [question(1), question(1), question(2)]
    store.add([answer(question(1), "ann"), answer(question(2), "uninvited")])
    assert store.claim("ann") is None, "one has the second question, somebody else has answered it"
    assert [n for n, in rows(store, sa.select(schema.tasks.c.open_slots))] == [0, 0]
    with pytest.raises(UserError, match="overlap"):
        open_store(tmp_path / "x.db", overlap=0)


def test_whatever_happens_slots_add_up(store, clock):
    """Random claims, answers, skips, changes of mind and passing time; open_slots = max(0, overlap - leased - submitted)."""
    store.overlap, dice, names = 2, random.Random(1), ["ann", "bob", "eve", "joe"]
    store.add([question(i) for i in range(6)])
    taken = sa.select(sa.func.count()).where(schema.assignments.c.task_id == schema.tasks.c.id,
                                             schema.assignments.c.state.in_(["leased", "submitted"])).scalar_subquery()
    for step in range(150):
        name, i = dice.choice(names), dice.randrange(6)
        held = {row for row, in rows(store, sa.select(schema.assignments.c.task_id).where(
            schema.assignments.c.labeler_id == name, schema.assignments.c.state.in_(["submitted", "skipped"])))}
        match dice.randrange(4):
            case 0 | 1:
                comparison = store.claim(name)
                assert comparison is None or comparison.id not in held, "asked again what they have answered"
            case 2:
                outcome = dice.choice(["answered", "skipped", "not_rankable"])
                judgement = answer(question(i), name, outcome=outcome, id=str(step))
                store.add([judgement if outcome == "answered" else replace(judgement, ranks={})])
            case 3:
                clock.now += dice.choice([1, 61])
        for overlap, free, n in rows(store, sa.select(schema.tasks.c.overlap, schema.tasks.c.open_slots, taken)):
            assert free == max(0, overlap - n)


def test_labelers_have_a_kind(store):
    store.introduce("robot", "synthetic")
    store.add([question(1), answer(question(1), "somebody"), answer(question(1), "robot")])
    assert store.labelers() == {"robot": "synthetic", "somebody": "unknown"}
    store.introduce("somebody", "human")
    store.introduce("robot", "synthetic")
    with pytest.raises(UserError, match="'robot' is synthetic"):
        store.introduce("robot", "human")
    assert store.labelers() == {"robot": "synthetic", "somebody": "human"}
    for nobody in (lambda: store.claim(""), lambda: store.add([question(1), answer(question(1), "")])):
        with pytest.raises(UserError, match="name"):
            nobody()


def test_the_order_on_the_screen_is_kept(store):
    asked = question(1, 4)
    shown = [asked.candidates[i].id for i in (2, 0, 3, 1)]
    store.add([asked, Judgement(asked.id, "ann", dict(zip(shown, (2, 1, 1, 3), strict=True)))])
    items = schema.ranking_items.c
    kept = rows(store, sa.select(items.completion_id, items.rank).order_by(items.shown_position))
    assert kept == list(zip(shown, (2, 1, 1, 3), strict=True))
    assert list(store.judgements()[0].ranks) == shown


def test_ratings_and_demonstrations_come_back(store):
    asked = [question(i, split=split) for i, split in enumerate(["train", "test"])]
    given = [Rating(c.prompt, c.candidates[1], "ann", {"overall": 6.0, "kind": 1.5}, 1.0, 7.0, f"r{c.id}") for c in asked]
    written = [Demonstration(c.prompt, text, "bob") for c in asked for text in ODD_TEXTS]
    store.add([*given, *written])
    store.add([*given[:1], *written[:3]])
    assert (store.ratings(), store.demonstrations()) == (given, written)
    assert (store.ratings(split="test"), store.demonstrations(split="train")) == (given[1:], written[: len(ODD_TEXTS)])
    assert store.judgements() == [] and store.comparisons() == []


def test_a_prompt_stays_in_its_split(store):
    """Whatever says otherwise later: nothing may be learned from what is tested on."""
    store.add([question(1, split="test")])
    moved = Comparison(question(1).prompt, question(1).candidates, "q2")
    store.add([moved, answer(moved)])
    assert store.rankings(split="train") == []
    assert [r.comparison.id for r in store.rankings(split="test")] == ["q2"]


@pytest.mark.parametrize(("candidate", "message"), [
    (Candidate("x", logprob=float("nan")), "log-probability"),
    (Candidate("x", tokens=(2**31,)), "whole numbers"),
    (Candidate("x", tokens=(1.5,)), "whole numbers"),
    (Candidate("x", sampling={"f": print}), "JSON"),
])  # fmt: skip
def test_impossible_candidates_are_refused(store, candidate, message):
    with pytest.raises(UserError, match=message):
        store.add([Comparison(question(1).prompt, (candidate, Candidate("y")))])


def test_tokens_and_infinite_logprobs_are_exact(store):
    tokens = (0, 2**31 - 1, 50256)
    made = (Candidate("x", tokens=tokens, logprob=-float("inf")), Candidate("y", tokens=(), logprob=-0.1 - 0.2))
    store.add([Comparison(question(1).prompt, made)])
    assert store.comparisons()[0].candidates == made


def test_more_than_one_statement_can_hold(store):
    """Ids go to the database in parts."""
    asked = [question(i) for i in range(1203)]
    store.add([*asked, *(answer(c) for c in asked)])
    store.add([*asked, *(answer(c) for c in asked), *(answer(c, "bob") for c in asked)])
    assert [r.comparison for r in store.rankings()] == asked * 2
