"""Conversations: a tree of messages, two replies at a time, and what is learnt from them."""

import pytest
import sqlalchemy as sa

from heed.errors import UserError
from heed.feedback import schema
from heed.feedback.assignment import NotAssigned
from heed.feedback.bodies import InvalidAnswer
from heed.records import Candidate, Message, Prompt

HELLO = Prompt((Message("system", "Be kind."),), {}, "test")


def pair(*texts):
    return tuple(Candidate(text, "step-20") for text in texts)


def turn(room, task, message_id, parent, text, preference):
    """Say something, get two replies, choose; the reply that was chosen."""
    room.talks.say("ann", task, message_id, parent, "user", text)
    shown = room.talks.replies("ann", task, message_id, pair(f"{text} yes", f"{text} no"))
    room.submit("ann", shown.task, {"preference": preference})
    return next(said for said in room.talks.thread("ann", task) if said.turn == shown.task and said.chosen)


@pytest.mark.parametrize("mode", ["helpful", "red_team"])
def test_a_live_comparison(room, mode):
    task = room.ask("live_compare", "", prompt=HELLO, mode=mode)
    assert room.claim("ann") == task
    first = turn(room, task, "m1", None, "hi", -3)
    second = turn(room, task, "m2", first.id, "more", 2)
    room.submit("ann", task, {"leaf": second.id}, "the-end")
    rankings = room.store.rankings()
    opening = (Message("system", "Be kind."), Message("user", "hi"))
    prompts = [opening, (*opening, Message("assistant", first.text), Message("user", "more"))]
    assert [r.prompt.content for r in rankings] == prompts
    assert {r.prompt.split for r in rankings} == {"test"}, "a conversation stays in the split that it began in"
    for ranking, chosen in zip(rankings, (first, second), strict=True):
        best = dict(zip(ranking.ranks, ranking.completions, strict=True))[1]
        assert (best == chosen.text) == (mode == "helpful"), "in red_team mode they chose the more harmful one"
    assert [r.judgement.strength for r in rankings] == [3.0, 2.0]
    with room.store.database.reading() as db:
        pressed = db.scalars(sa.select(schema.preferences.c.preference).order_by(schema.preferences.c.preference)).all()
    assert pressed == [-3, 2], "what was pressed is kept as it was"
    assert room.claim("bob") is None, "turns are nobody else's"


def test_the_letters_are_those_of_the_screen(room):
    task = room.ask("live_compare", "", mode="helpful")
    room.claim("ann")
    room.talks.say("ann", task, "m1", None, "user", "hi")
    shown = room.talks.replies("ann", task, "m1", pair("x", "y"))
    assert shown.mode == "helpful" and not shown.form.tie
    text = {item.letter: item.text for item in shown.items}
    replies = room.talks.thread("ann", task)[1:]
    assert {r.letter: r.text for r in replies} == text and {r.chosen for r in replies} == {None}
    room.submit("ann", shown.task, {"preference": -1})
    assert {r.text: r.chosen for r in room.talks.thread("ann", task)[1:]} == {text["A"]: True, text["B"]: False}


def test_asked_again_the_first_pair_stays(room):
    """A reload in the middle, or a page that asks twice, never shows two pairs for one message."""
    task = room.ask("live_compare", "", mode="helpful")
    room.claim("ann")
    assert room.talks.say("ann", task, "m1", None, "user", "hi") == room.talks.say("ann", task, "m1", None, "user", "hi")
    first = room.talks.replies("ann", task, "m1", pair("x", "y"))
    assert room.talks.replies("ann", task, "m1", pair("v", "w")) == first
    assert len(room.talks.thread("ann", task)) == 3
    with pytest.raises(UserError, match="expected two"):
        room.talks.replies("ann", task, "m1", pair("x"))
    with pytest.raises(InvalidAnswer):
        room.talks.replies("ann", task, room.talks.thread("ann", task)[1].id, pair("x", "y"))


def test_playing_both_sides(room):
    task = room.ask("converse", "", prompt=Prompt("Plan a trip."))
    room.claim("ann")
    say = room.talks.say
    say("ann", task, "m1", None, "user", "Where to?")
    drafts = room.talks.suggest("ann", task, "m1", pair("Rome", "Oslo"))
    say("ann", task, "m2", "m1", "assistant", "Rome", drafts[0][0])
    say("ann", task, "m3", "m2", "user", "Why?")
    say("ann", task, "m4", "m3", "assistant", "It is warm.", None)
    say("ann", task, "m5", "m1", "assistant", "Oslo, of course", drafts[1][0])  # another branch
    assert [s.parent_id for s in room.talks.thread("ann", task)] == [None, "m1", "m2", "m3", "m1"]
    assert room.talks.prompt("ann", task, "m3").content == tuple(
        Message(role, text) for role, text in (("user", "Where to?"), ("assistant", "Rome"), ("user", "Why?")))  # fmt: skip
    room.submit("ann", task, {"leaf": "m4"})
    assert {(len(d.prompt.content), d.completion) for d in room.store.demonstrations()} == {(1, "Rome"), (3, "It is warm.")}
    with room.store.database.reading() as db:
        maker = {row.text: row.made_by for row in db.execute(sa.select(schema.completions))}
        edited = db.scalar(sa.select(schema.completions.c.edited_from_id).where(
            schema.completions.c.text == "Oslo, of course"))  # fmt: skip
    assert (maker["Rome"], maker["Oslo, of course"], edited) == ("step-20", "human", drafts[1][0])


def test_a_conversation_is_rated_at_its_end(room):
    room.work.instruct("boss", "live_compare", "", {"ratings": [{"name": "overall"}]})
    task = room.ask("live_compare", "", mode="helpful")
    room.claim("ann")
    last = turn(room, task, "m1", None, "hi", 1)
    with pytest.raises(InvalidAnswer):
        room.submit("ann", task, {"leaf": last.id})
    room.submit("ann", task, {"leaf": last.id, "ratings": {"A": {"overall": 6}}})
    rating = room.store.ratings()[0]
    assert (rating.candidate.text, rating.scores) == (last.text, {"overall": 6.0})


def test_what_is_refused(room):
    both, live, other = room.ask("converse", ""), room.ask("live_compare", "", mode="helpful"), room.ask()
    for _ in (both, live, other):
        for kind in ("converse", "live_compare", "rank"):
            room.claim("ann", [kind])
    say = room.talks.say
    say("ann", both, "m1", None, "user", "hi")
    draft = room.talks.suggest("ann", both, "m1", pair("x"))[0][0]
    for fault in (("m2", "m1", "user", "again"), ("m2", "m1", "assistant", " "), ("m2", "m1", "assistant", "x" * 100_001),
                  ("m2", "m1", "system", "x"), ("m 2", "m1", "assistant", "x"), ("m2", None, "user", "x", draft)):  # fmt: skip
        with pytest.raises(InvalidAnswer):
            say("ann", both, *fault)
    with pytest.raises(InvalidAnswer):
        say("ann", live, "m2", None, "assistant", "hi")
    with pytest.raises(InvalidAnswer, match="taken"):
        say("ann", live, "m1", None, "user", "hi")
    for reach in (lambda: say("ann", both, "m2", "nowhere", "user", "x"), lambda: say("bob", both, "m2", None, "user", "x"),
                  lambda: room.talks.thread("bob", both), lambda: say("ann", other, "m2", None, "user", "x")):  # fmt: skip
        with pytest.raises(NotAssigned):
            reach()
    for leaf in ("nowhere", "m1"):
        with pytest.raises(InvalidAnswer):
            room.submit("ann", both, {"leaf": leaf})
    assert [s.id for s in room.talks.thread("ann", both)] == ["m1"] and room.talks.thread("ann", live) == []
