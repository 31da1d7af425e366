"""The desk: what is on the screen is what is kept, nothing is lost, nothing is kept twice."""

import json
import random
import threading
from collections import Counter

import pytest
import sqlalchemy as sa

from heed.errors import UserError
from heed.feedback import schema
from heed.feedback.assignment import Media, NotAssigned
from heed.feedback.bodies import InvalidAnswer
from heed.feedback.desk import Desk, TooLate
from heed.feedback.filing import Conflict
from heed.feedback.gold import Gold
from heed.feedback.work import Task
from heed.records import Candidate, Prompt
from heed.testing.store import ODD_TEXTS

ABC = {"ranks": {"A": 1, "B": 2, "C": 2}}


def count(room, table, *where):
    with room.store.database.reading() as db:
        return db.scalar(sa.select(sa.func.count()).select_from(table).where(*where))


def slots_add_up(room):
    """open_slots = max(0, overlap - leased - submitted), for every task that anybody may claim."""
    a = schema.assignments.c
    taken = sa.select(sa.func.count()).where(a.task_id == schema.tasks.c.id, a.state.in_(["leased", "submitted"]))
    with room.store.database.reading() as db:
        rows = db.execute(sa.select(schema.tasks.c.overlap, schema.tasks.c.open_slots, taken.scalar_subquery()))
        return all(free == max(0, overlap - n) for overlap, free, n in rows)


def test_what_was_on_the_screen_is_what_is_kept(room):
    """Random weak orders over 2 to 9 answers: the rank given to a letter belongs to the text that stood under it."""
    dice, wanted = random.Random(0), []
    for k in [2, 3, 4, 5, 6, 7, 8, 9] * 3:
        texts = [f"text {i}" for i in range(k)]
        task = room.ask("rank", texts)
        shown = room.desk.claim("ann")
        assert shown.task == task and sorted(item.text for item in shown.items) == sorted(texts)
        ranks = {item.letter: dice.randint(1, k) for item in shown.items}
        room.submit("ann", task, {"ranks": ranks})
        levels = sorted(set(ranks.values()))
        wanted.append([(item.text, levels.index(ranks[item.letter]) + 1) for item in shown.items])
    rankings = room.store.rankings()
    for ranking, screen in zip(rankings, wanted, strict=True):
        text = {c.id: c.text for c in ranking.comparison.candidates}
        assert [(text[id], rank) for id, rank in ranking.judgement.ranks.items()] == screen, "in the order shown"
        assert dict(zip(ranking.completions, ranking.ranks, strict=True)) == dict(screen)


def test_the_order_is_random_and_stays(room):
    task = room.ask("rank", "abcdefgh", overlap=30)
    orders = {}
    for i in range(30):
        orders[i] = [item.text for item in room.desk.claim(f"person {i}").items]
    assert len(set(map(tuple, orders.values()))) > 20
    room.clock.now += 10_000
    assert [item.text for item in room.desk.claim("person 3").items] == orders[3], "after its lease ended as well"
    assert [item.text for item in room.desk.assignment("person 5", task).items] == orders[5]


def test_an_assignment_gives_nothing_away(room):
    """No model, no completion, no item number, no column of the dataset: it is shown as it is."""
    room.ask("rank", "ab")
    seen = repr(room.desk.claim("ann"))
    assert not [secret for secret in ("step-10", "c0.0", "c0.1", "t0", "secret", "gold") if secret in seen]


def test_any_text_goes_both_ways(room):
    for text in ODD_TEXTS:
        task = room.ask("edit", [text + "."], prompt=Prompt(text))
        shown = room.desk.claim("ann")
        assert (shown.prompt.content, shown.items[0].text) == (text, text + ".")
        room.submit("ann", task, {"text": text + "!", "note": text})
    assert [r.completions for r in room.store.rankings()] == [(text + ".", text + "!") for text in ODD_TEXTS]
    assert [d.body["note"] for d in room.desk.my_work("ann")][::-1] == [json.loads(json.dumps(t)) for t in ODD_TEXTS]


def test_sending_again_is_harmless(room):
    task = room.ask()
    room.claim("ann")
    first = room.submit("ann", task, ABC, "one")
    assert [room.submit("ann", task, ABC, "one") for _ in range(3)] == [
        type(first)("one", task, "replay", first.seq)] * 3  # fmt: skip
    assert first.outcome == "new" and len(room.store.judgements()) == 1


def test_the_same_id_with_something_else_is_a_conflict(room):
    task, other = {"ranks": {"A": 3, "B": 2, "C": 1}}, room.ask(overlap=2)
    room.claim("ann"), room.claim("bob")
    room.submit("ann", other, ABC, "one")
    with pytest.raises(Conflict) as error:
        room.submit("ann", other, task, "one")
    assert error.value.stored == ABC
    with pytest.raises(Conflict) as error:
        room.submit("bob", other, ABC, "one")
    assert error.value.stored is None, "nobody is shown what is another's"
    with pytest.raises(Conflict, match="revise") as error:
        room.submit("ann", other, task, "two")
    assert error.value.stored == ABC and len(room.store.judgements()) == 1


def test_the_very_bytes_are_kept(room):
    task, raw = room.ask(), b'{ "ranks": {"C":2,"A":1, "B":2} }\n'
    room.claim("ann")
    room.submit("ann", task, json.loads(raw), "one", raw=raw)
    with room.store.database.reading() as db:
        assert bytes(db.scalar(sa.select(schema.submissions.c.raw))) == raw
    with pytest.raises(Conflict):
        room.submit("ann", task, json.loads(raw), "one", raw=raw.strip())


def test_an_answer_that_is_not_whole_leaves_nothing(room):
    task = room.ask()
    room.claim("ann")
    room.desk.save_draft("ann", task, {"ranks": {"A": 1}}, 3)
    with pytest.raises(InvalidAnswer) as error:
        room.submit("ann", task, {"ranks": {"A": 1}})
    assert set(error.value.fields) == {"ranks.B", "ranks.C"}
    assert count(room, schema.submissions) == 0 and room.desk.draft("ann", task).rev == 3


@pytest.mark.parametrize("id", ["", "x", "a b", "é" * 8, "x" * 65, None, 7, "../../x"])
def test_an_id_is_plain(room, id):
    task = room.ask()
    room.claim("ann")
    with pytest.raises(InvalidAnswer, match="submission_id"):
        room.desk.submit("ann", task, id, ABC)


def test_nobody_reaches_what_is_anothers(room):
    task = room.ask(overlap=2)
    room.claim("ann")
    room.submit("ann", task, ABC, "anns")
    desk = room.desk
    for reach in (lambda: desk.assignment("bob", task), lambda: desk.renew("bob", task), lambda: desk.draft("bob", task),
                  lambda: desk.save_draft("bob", task, {}, 1), lambda: desk.submit("bob", task, "bobs", ABC),
                  lambda: desk.skip("bob", task, "bobs", "other"), lambda: desk.revise("bob", "bobs", "anns", ABC),
                  lambda: desk.undo("bob", "bobs", "anns"), lambda: desk.done("bob", "anns"),
                  lambda: desk.assignment("ann", task + 1)):  # fmt: skip
        with pytest.raises(NotAssigned):
            reach()
    assert room.desk.my_work("bob") == [] and len(room.store.judgements()) == 1


def test_by_priority_then_arrival(room):
    tasks = [room.ask(priority=p) for p in (0, 2, 1, 2, -1)]
    got = []
    while task := room.claim("ann"):
        got.append(task)
        room.submit("ann", task, ABC)
    assert got == [tasks[i] for i in (1, 3, 2, 0, 4)]


def test_kinds_pools_and_what_is_closed(room):
    rank, rate = room.ask(), room.ask("rate", "a")
    room.ask(pool="experts", priority=9)
    paused, cancelled = room.ask(priority=5), room.ask(priority=5)
    room.work.set("boss", [paused], status="paused")
    room.work.set("boss", [cancelled], status="cancelled")
    assert room.claim("ann", ["rate"]) == rate
    assert room.claim("ann", ["rank"]) == rank, "holding one of another kind is no hindrance"
    assert room.claim("bob") is None
    assert room.claim("bob", pool="experts") is not None
    with pytest.raises(UserError, match="did you mean 'rank'"):
        room.claim("ann", ["rnk"])
    room.work.set("boss", [paused], status="open")
    assert room.claim("eve") == paused


def test_who_is_paused_gets_nothing_new(room):
    tasks = [room.ask(), room.ask()]
    room.claim("ann")
    with room.store.database.writing() as db:
        db.execute(sa.update(schema.labelers).values(paused=1))
    assert room.claim("ann") == tasks[0], "what is in hand stays"
    room.submit("ann", tasks[0], ABC)
    assert room.claim("ann") is None


def test_a_late_answer_is_kept_and_marked(room):
    task = room.ask(lease_seconds=60)
    room.claim("ann")
    room.clock.now += 61
    assert room.claim("bob") == task
    assert room.submit("ann", task, ABC).outcome == "late"
    assert room.submit("bob", task, ABC).outcome == "new"
    assert [j.labeler for j in room.store.judgements()] == ["ann", "bob"]
    assert count(room, schema.submissions, schema.submissions.c.late == 1) == 1


def test_late_without_harm_is_not_late(room):
    task = room.ask(lease_seconds=60)
    room.claim("ann")
    room.clock.now += 61
    assert room.claim("bob", ["rate"]) is None  # somebody looked, and the lease was ended
    assert room.submit("ann", task, ABC).outcome == "new", "the place was still free"
    assert room.claim("bob") is None and slots_add_up(room)


def test_an_answer_to_a_cancelled_task_is_kept(room):
    task = room.ask()
    room.claim("ann")
    room.work.set("boss", [task], status="cancelled")
    assert room.submit("ann", task, ABC).outcome == "late"
    assert len(room.store.rankings()) == 1


def test_renewing_keeps_the_place(room):
    task = room.ask(lease_seconds=60)
    room.claim("ann")
    for _ in range(5):
        room.clock.now += 50
        assert room.desk.renew("ann", task) == room.clock.now + 60
    assert room.claim("bob") is None
    room.clock.now += 61
    assert room.claim("bob") == task
    ended = room.desk.renew("ann", task)
    assert ended <= room.clock.now and slots_add_up(room), "somebody else has it"


def test_a_skip_goes_to_another_and_never_comes_back(room):
    task = room.ask()
    room.claim("ann")
    with pytest.raises(InvalidAnswer):
        room.desk.skip("ann", task, "s1", "lazy")
    assert room.desk.skip("ann", task, "s1", "expertise", "no idea").outcome == "new"
    assert room.desk.skip("ann", task, "s1", "expertise", "no idea").outcome == "replay"
    assert room.claim("ann") is None and room.claim("bob") == task
    assert [j.outcome for j in room.store.judgements()] == ["skipped"]


def test_undo_gives_the_task_back_with_what_was_said(room):
    task = room.ask()
    room.claim("ann")
    room.submit("ann", task, ABC, "one")
    back = room.desk.undo("ann", "two", "one")
    assert (back.task, back.state, back.draft.body) == (task, "leased", ABC)
    assert room.store.rankings() == [] and room.desk.my_work("ann") == []
    assert room.claim("bob") is None and room.claim("ann") == task, "it is in hand, not in the queue"
    assert room.desk.undo("ann", "two", "one").state == "leased", "pressing twice is harmless"
    room.submit("ann", task, {"ranks": {"A": 2, "B": 1, "C": 3}}, "three")
    assert [r.judgement.id for r in room.store.rankings()] == ["three"] and slots_add_up(room)
    assert [j.outcome for j in room.store.judgements()] == ["answered", "skipped", "answered"], "all of it is on record"
    with pytest.raises(Conflict):
        room.desk.undo("ann", "four", "one")


def test_undoing_a_skip_takes_no_place_from_anybody(room):
    task = room.ask()
    room.claim("ann")
    room.desk.skip("ann", task, "s1", "other")
    room.claim("bob")
    with pytest.raises(Conflict, match="somebody else"):
        room.desk.undo("ann", "s2", "s1")
    room.desk.skip("bob", task, "s3", "other")
    assert room.desk.undo("ann", "s2", "s1").state == "leased"
    assert room.claim("eve") is None and slots_add_up(room)


def test_revising_within_the_time(room):
    task = room.ask()
    room.claim("ann")
    room.submit("ann", task, ABC, "one")
    better = {"ranks": {"A": 2, "B": 1, "C": 3}}
    assert room.desk.revise("ann", "two", "one", better).outcome == "new"
    assert room.desk.revise("ann", "two", "one", better).outcome == "replay"
    with pytest.raises(Conflict, match="since"):
        room.desk.revise("ann", "three", "one", ABC)
    with pytest.raises(InvalidAnswer):
        room.desk.revise("ann", "four", "two", {})
    assert [r.judgement.id for r in room.store.rankings()] == ["two"]
    assert [d.submission_id for d in room.desk.my_work("ann")] == ["two"]
    room.clock.now += 86_401
    assert not room.desk.done("ann", "two").revisable
    with pytest.raises(TooLate):
        room.desk.revise("ann", "five", "two", ABC)
    with pytest.raises(TooLate):
        room.desk.undo("ann", "six", "two")


def test_drafts(room):
    task = room.ask()
    room.claim("ann")
    assert room.desk.draft("ann", task) is None
    assert room.desk.save_draft("ann", task, {"ranks": {"A": 1}}, 2).rev == 2
    assert room.desk.save_draft("ann", task, {"ranks": {}}, 1).body == {"ranks": {"A": 1}}, "an older one came later"
    room.clock.now += 1
    saved = room.desk.save_draft("ann", task, {"text": ODD_TEXTS[-1], "x": [None, 1.5]}, 3)
    assert room.desk.claim("ann").draft == saved and saved.saved_at == room.clock.now
    for body, rev in (({"text": "x" * 300_001}, 4), ({}, -1), ({}, True), ({}, "5")):
        with pytest.raises(InvalidAnswer):
            room.desk.save_draft("ann", task, body, rev)
    room.submit("ann", task, ABC)
    assert room.desk.draft("ann", task) is None


def test_pairs_keep_the_strength_and_who_stood_where(room):
    for preference in (-4, -1, 0, 2):
        task = room.ask("pairwise", ["left", "right"])
        shown = {item.letter: item.text for item in room.desk.claim("ann").items}
        room.submit("ann", task, {"preference": preference})
        ranking = room.store.rankings()[-1]
        by_text = dict(zip(ranking.completions, ranking.ranks, strict=True))
        assert (by_text[shown["A"]], by_text[shown["B"]]) == {-1: (1, 2), 0: (1, 1), 1: (2, 1)}[
            (preference > 0) - (preference < 0)]  # fmt: skip
        assert ranking.judgement.strength == (abs(preference) or None)
    p = schema.preferences.c
    with room.store.database.reading() as db:
        kept = db.execute(sa.select(p.preference, p.points).join(schema.submissions).order_by(schema.submissions.c.seq))
        assert [tuple(row) for row in kept] == [(-4, 4), (-1, 4), (0, 4), (2, 4)]


def test_ratings_come_with_their_scales_and_flags(room):
    room.work.instruct("boss", "rate", "# How", {"ratings": [{"name": "overall", "high": 7}, {"name": "safe", "high": 5}]})
    task = room.ask("rate", "ab")
    shown = room.desk.claim("ann")
    assert shown.instructions.body == "# How" and not shown.instructions.acknowledged
    room.desk.acknowledge("ann", shown.instructions.id)
    assert room.desk.assignment("ann", task).instructions.acknowledged
    given = {"A": {"overall": 7, "safe": 1}, "B": {"overall": 2, "safe": 5}}
    room.submit("ann", task, {"ratings": given, "flags": {"B": {"opinion": True, "violent": False}}}, "one")
    of = {item.text: given[item.letter] for item in shown.items}
    found = {}
    for rating in room.store.ratings():
        found.setdefault(rating.candidate.text, {}).update(rating.scores)
        assert (rating.low, rating.high) == (1.0, {"overall": 7.0, "safe": 5.0}[next(iter(rating.scores))])
    assert found == of and len({r.id for r in room.store.ratings()}) == 4
    assert count(room, schema.flags) == 2


def test_the_instructions_of_the_claim_hold_for_the_answer(room):
    """A version that is published while somebody works does not change what they see or how it is read."""
    task = room.ask("pairwise", "ab", overlap=2)
    first = room.work.instruct("boss", "pairwise", "one", {"points": 2})
    assert room.desk.claim("ann").form.points == 2
    second = room.work.instruct("boss", "pairwise", "two", {"points": 6})
    assert room.desk.assignment("ann", task).instructions.id == first.id
    with pytest.raises(InvalidAnswer):
        room.submit("ann", task, {"preference": 6})
    assert room.desk.claim("bob").instructions.id == second.id
    assert [i.version for i in room.work.instructions("pairwise")] == [2, 1]


def test_writing_and_editing(room):
    room.ask("demonstrate", "")
    room.submit("ann", room.claim("ann"), {"text": "as I would"}, "one")
    task = room.ask("edit", ["bad"])
    room.claim("ann")
    with pytest.raises(InvalidAnswer, match="unchanged"):
        room.submit("ann", task, {"text": " bad "})
    room.submit("ann", task, {"text": "good", "reasons": ["wrong", "style"]}, "two")
    assert [(d.completion, d.author) for d in room.store.demonstrations()] == [("as I would", "ann")]
    edited = room.store.rankings()[0]
    assert (edited.completions, edited.ranks) == (("bad", "good"), (2, 1))
    assert edited.comparison in room.store.comparisons() and edited.comparison.candidates[1].made_by == "human"
    room.desk.revise("ann", "three", "two", {"text": "better"})
    assert [r.completions for r in room.store.rankings()] == [("bad", "better")]


def test_clips_are_compared_like_texts(room):
    pair = (Candidate("", id="seg1"), Candidate("", id="seg2"))
    media = {c.id: Media(f"{c.id}.mp4", "video/mp4", c.id) for c in pair}
    room.work.ask([Task("clips", Prompt("which flips better?"), pair, media)])
    shown = room.desk.claim("ann")
    assert {item.media.path for item in shown.items} == {"seg1.mp4", "seg2.mp4"}
    room.submit("ann", shown.task, {"preference": -1})
    assert room.store.rankings()[0].judgement.ranks == {
        shown.items[0].media.sha256: 1, shown.items[1].media.sha256: 2}  # fmt: skip


def test_a_review_sees_who_said_what_without_names(room):
    task = room.ask("rank", "ab", overlap=2)
    for who, ranks in (("ann", {"A": 1, "B": 2}), ("bob", {"A": 1, "B": 1})):
        room.claim(who)
        room.submit(who, task, {"ranks": ranks, "note": f"by {len(ranks)}"})
    said = {r.judgement.labeler: dict(zip(r.completions, r.ranks, strict=True)) for r in room.store.rankings()}
    review = room.work.review(task, "boss")
    assert room.claim("eve") is None, "reviews are asked for"
    shown = room.desk.claim("eve", ["review"])
    assert shown.task == review and "ann" not in repr(shown) and "bob" not in repr(shown)
    texts = {item.letter: item.text for item in shown.items}
    assert [{texts[k]: v for k, v in given.ranks.items()} for given in shown.answers] == [said["ann"], said["bob"]]
    room.submit("eve", review, {"verdict": "resolved", "ranks": {"A": 1, "B": 2}})
    assert len(room.store.rankings()) == 2, "a review is no vote: its author saw the others"
    assert count(room, schema.reviews) == 1 and count(room, schema.ranking_items) == 6


def test_progress_and_my_work(room):
    tasks = [room.ask() for _ in range(7)] + [room.ask("rate", "a")]
    room.clock.now += 86_400
    for i, task in enumerate(tasks[:5]):
        room.claim("ann", ["rank"])
        room.clock.now += 10
        room.submit("ann", task, ABC, f"answer {i}".replace(" ", "-"))
    room.claim("ann", ["rank"])
    room.desk.skip("ann", tasks[5], "skip-1", "other")
    room.claim("ann", ["rank"])
    seen = room.desk.progress("ann", room.clock.now - 25)
    assert (seen.today, seen.total, seen.held) == (3, 5, {"rank": tasks[6]})
    assert seen.open["rank"] == 0 and seen.open["rate"] == 1
    assert room.desk.progress("bob", 0).open["rank"] == 1, "the one that was skipped"
    first = room.desk.my_work("ann", limit=4)
    assert [d.task for d in first] == [tasks[i] for i in (5, 4, 3, 2)] and first[0].reason == "other"
    assert [d.task for d in room.desk.my_work("ann", before=first[-1].seq)] == [tasks[1], tasks[0]]
    assert first[1].body == ABC and first[1].revisable and not first[1].prompt.columns


def test_gold_is_mixed_in(room):
    for i in range(40):
        task = room.ask("rank", "ab", overlap=50)
        if i % 2:
            Gold(room.store).set("boss", task, {"ranks": {"A": 1, "B": 2}})
    with room.store.database.reading() as db:
        known = set(db.scalars(sa.select(schema.tasks.c.seq).where(schema.tasks.c.gold == 1)))
    always, never = Desk(room.store, gold_share=1.0), Desk(room.store, gold_share=1e-12)
    assert [always.claim(f"p{i}").task in known for i in range(5)] == [True] * 5
    assert [never.claim(f"q{i}").task in known for i in range(5)] == [False] * 5
    assert room.store.rankings() == []


def test_a_crowd_at_the_desk(room):
    """Threads that claim, skip, answer and send everything twice: no task too often, nobody twice, nothing left over."""
    overlap, crowd = 2, 8
    tasks = [room.ask("pairwise", "ab", overlap=overlap) for _ in range(30)]
    faults = []

    def work(name):
        dice = random.Random(name)
        try:
            while task := room.claim(name):
                if dice.random() < 0.2:
                    room.desk.skip(name, task, f"{name}-{task}-s", "other")
                else:
                    outcomes = {room.submit(name, task, {"preference": 1}, f"{name}-{task}").outcome for _ in range(2)}
                    assert outcomes == {"new", "replay"}, outcomes
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=work, args=(f"p{i}",)) for i in range(crowd)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
    answered = [j for j in room.store.judgements() if j.outcome == "answered"]
    per_task = Counter(j.comparison_id for j in answered)
    assert max(per_task.values()) == overlap and max(Counter((j.comparison_id, j.labeler) for j in answered).values()) == 1
    assert slots_add_up(room) and len(per_task) == len(tasks)
