"""What a manager does: tasks, instructions, known answers."""

import pytest

from heed.errors import UserError
from heed.feedback.assignment import Media
from heed.feedback.bodies import InvalidAnswer
from heed.feedback.gold import Gold
from heed.feedback.work import Counts, Task
from heed.records import Candidate, Prompt

AB = {"ranks": {"A": 1, "B": 2}}


def two(n=2):
    return tuple(Candidate(f"text {i}") for i in range(n))


@pytest.mark.parametrize(("task", "message"), [
    (lambda: Task("rnk", Prompt("p")), "did you mean 'rank'"),
    (lambda: Task("rank", Prompt("p"), two(1)), "1 candidates to rank; expected 2 to 9"),
    (lambda: Task("rank", Prompt("p"), two(10)), "10 candidates"),
    (lambda: Task("pairwise", Prompt("p"), two(3)), "3 candidates to pairwise; expected 2"),
    (lambda: Task("demonstrate", Prompt("p"), two(1)), "expected 0"),
    (lambda: Task("rank", Prompt("p"), two(1) * 2), "twice"),
    (lambda: Task("rank", Prompt("p"), two(), overlap=0), "overlap"),
    (lambda: Task("rank", Prompt("p"), two(), mode="helpful"), "mode"),
    (lambda: Task("live_compare", Prompt("p")), "mode"),
    (lambda: Task("clips", Prompt("p"), two()), "a clip for each"),
    (lambda: Task("clips", Prompt("p"), (c := two()), {x.id: Media("../x", "video/mp4") for x in c}), "leads out"),
    (lambda: Task("clips", Prompt("p"), (c := two()), {x.id: Media("/etc/x", "video/mp4") for x in c}), "leads out"),
    (lambda: Task("review", Prompt("p")), "review"),
])  # fmt: skip
def test_a_task_that_cannot_be_done_is_refused(room, task, message):
    with pytest.raises(UserError, match=message):
        room.work.ask([Task("demonstrate", Prompt("fine")), task()])
    assert room.work.tasks() == []


def test_asking_again_changes_nothing(room):
    task = Task("rank", Prompt("p"), two(), id="t", priority=1)
    assert room.work.ask([task, task]) == room.work.ask([Task("rank", Prompt("p"), task.candidates, id="t", overlap=9)]) * 2
    assert [(t.priority, t.overlap) for t in room.work.tasks()] == [(1.0, 1)]


def test_seeing_how_it_stands(room):
    tasks = [room.ask() for _ in range(3)] + [room.ask("rate", "a")]
    room.claim("ann", ["rank"])
    room.submit("ann", tasks[0], {"ranks": {"A": 1, "B": 2, "C": 3}, "seconds": 30})
    assert room.work.counts() == {"rank": Counts(3, 2, 1), "rate": Counts(1, 1, 0)}
    assert room.work.labelers() == {"ann": (1, 30.0)}
    assert [t.task for t in room.work.tasks(kind="rank", after=tasks[0], limit=1)] == [tasks[1]]
    row = room.work.task(tasks[0])
    assert (row.answers, row.open_slots, [c.made_by for c in row.items]) == (1, 0, ["step-10"] * 3)
    with pytest.raises(UserError, match="no task 99"):
        room.work.task(99)


def test_changing_tasks(room):
    tasks = [room.ask(overlap=3), room.ask()]
    for who in ("ann", "bob"):
        room.claim(who)
    room.work.set("boss", tasks[:1], overlap=1, priority=-1)
    assert [(t.overlap, t.open_slots, t.priority) for t in room.work.tasks()] == [(1, 0, -1.0), (1, 1, 0.0)]
    room.work.set("boss", tasks, overlap=4)
    assert [t.open_slots for t in room.work.tasks()] == [2, 4]
    for wrong in ({"overlap": 0}, {"status": "private"}, {"kind": "rate"}):
        with pytest.raises(UserError):
            room.work.set("boss", tasks, **wrong)
    assert [t.status for t in room.work.tasks(status="open")] == ["open", "open"]


def test_instructions_have_versions(room):
    with pytest.raises(UserError, match="did you mean"):
        room.work.instruct("boss", "rate", "x", {"flag": []})
    versions = [room.work.instruct("boss", "rate", f"v{i}").version for i in range(3)]
    assert versions == [1, 2, 3] and [i.body for i in room.work.instructions("rate")] == ["v2", "v1", "v0"]
    assert room.work.instructions("rank") == []


def test_only_what_stands_side_by_side_is_reviewed(room):
    for task in (room.ask("converse", ""), 99):
        with pytest.raises(UserError, match="cannot be reviewed"):
            room.work.review(task, "boss")


def test_the_review_of_a_task_is_found(room):
    first, second = room.ask(id="x"), room.ask(id="y")
    assert room.work.reviews(["x", "y", "nothing"]) == {"x": (first, None), "y": (second, None)}
    room.work.review(first, "ada")
    again = room.work.review(first, "ada")
    assert room.work.reviews(["x"]) == {"x": (first, again)}


def test_gold_marks_pair_by_pair(room):
    """Three answers, expected a < b < c: right = the share of the three pairs, a tie on one side counts a half."""
    gold, task = Gold(room.store), room.ask("rank", "abc", overlap=9)
    gold.set("boss", task, {"ranks": {"A": 1, "B": 2, "C": 3}}, "because")
    marks = {"all": ("abc", 1.0), "none": ("cba", 0.0), "one": ("bac", 2 / 3), "tied": ("", 0.5)}
    for who, (order, _) in marks.items():
        shown = room.desk.claim(who)
        room.submit(who, task, {"ranks": {i.letter: order.index(i.text) + 1 if order else 1 for i in shown.items}})
    assert {a.labeler: a.right for a in gold.answers()} == {who: pytest.approx(right) for who, (_, right) in marks.items()}
    assert {a.note for a in gold.answers("one")} == {"because"}
    assert room.store.rankings() == [] and len(room.store.judgements()) == 4
    with pytest.raises(UserError, match="already"):
        gold.set("boss", task, {"ranks": {"A": 1, "B": 2, "C": 3}})


def test_gold_ratings_may_be_one_step_off(room):
    gold, task = Gold(room.store), room.ask("rate", "a", overlap=9)
    gold.set("boss", task, {"ratings": {"A": {"overall": 5}}})
    for who, value in (("ann", 5), ("bob", 4), ("eve", 7)):
        room.claim(who)
        room.submit(who, task, {"ratings": {"A": {"overall": value}}})
    assert [a.right for a in gold.answers()] == [1.0, 1.0, 0.0]


def test_a_quiz_is_a_pool_of_gold(room):
    gold = Gold(room.store)
    for _ in range(4):
        gold.set("boss", room.ask("rank", "ab", pool="screening", overlap=99), AB)
    work = room.ask("rank", "ab")
    while shown := room.desk.claim("ann", pool="screening"):
        room.submit("ann", shown.task, {"ranks": {i.letter: 1 + (i.text == "b") for i in shown.items}})
    assert gold.score("ann", "screening") == (4.0, 4) and gold.score("bob", "screening") == (0, 0)
    assert room.claim("ann") == work
    for wrong in (room.ask("demonstrate", ""), 99):
        with pytest.raises(UserError):
            gold.set("boss", wrong, AB)
    with pytest.raises(InvalidAnswer):
        gold.set("boss", room.ask("rank", "ab"), {"ranks": {"A": 1}})


def test_answers_given_before_it_was_gold_stay_in_their_snapshot(room):
    task = room.ask("rank", "ab", overlap=2)
    room.claim("ann")
    room.submit("ann", task, AB)
    mark = room.store.watermark()
    Gold(room.store).set("boss", task, AB)
    room.claim("bob")
    room.submit("bob", task, AB)
    assert room.store.rankings() == [] == room.store.rankings(upto=mark + 1)
    assert [r.judgement.labeler for r in room.store.rankings(upto=mark)] == ["ann"], "what was trained on stays what it was"
