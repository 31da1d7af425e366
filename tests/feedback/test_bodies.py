"""What a page sends, read strictly: the whole answer or a message for each fault."""

import json
import random
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heed.errors import UserError
from heed.feedback.bodies import Answer, InvalidAnswer, from_fields, read_answer
from heed.feedback.forms import DEFAULTS, FLAGS, form_of
from heed.feedback.schema import KINDS

SHOWN = {"rank": "ABC", "pairwise": "AB", "clips": "AB", "rate": "A", "edit": "A", "review": "AB"}
GOOD = {
    "rank": {"ranks": {"A": 2, "B": 2, "C": 5}},
    "pairwise": {"preference": -3},
    "clips": {"preference": 0},
    "rate": {"ratings": {"A": {"overall": 6}}, "flags": {"A": {"hallucination": True, "violent": False}}},
    "demonstrate": {"text": "As I would say it."},
    "edit": {"text": "Better.", "reasons": ["wrong"]},
    "converse": {"leaf": "m7"},
    "live_compare": {"leaf": "m7"},
    "review": {"verdict": "resolved", "ranks": {"A": 1, "B": 2}},
}


def read(kind, body, form="{}"):
    return read_answer(kind, form_of(kind, form), SHOWN.get(kind, ""), body)


def faults(kind, body, form="{}"):
    with pytest.raises(InvalidAnswer) as error:
        read(kind, body, form)
    return error.value.fields


@pytest.mark.parametrize("kind", KINDS)
def test_a_good_answer_of_each_kind(kind):
    beside = {"note": "n", "seconds": 2.5, "opened_at": 7, "client": {"keyboard": True}}
    answer = read(kind, {**GOOD[kind], **beside})
    assert (answer.outcome, answer.note, answer.seconds, answer.opened_at) == ("answered", "n", 2.5, 7.0)


def test_ranks_lose_their_gaps():
    assert read("rank", GOOD["rank"]).ranks == {"A": 1, "B": 1, "C": 2}


@pytest.mark.parametrize(("preference", "ranks"), [(-4, (1, 2)), (-1, (1, 2)), (0, (1, 1)), (1, (2, 1)), (4, (2, 1))])
def test_a_preference_below_zero_is_for_a(preference, ranks):
    answer = read("pairwise", {"preference": preference})
    assert (answer.preference, tuple(answer.ranks.values())) == (preference, ranks)


def test_both_bad_needs_no_preference():
    answer = read("pairwise", {"both_bad": True})
    assert (answer.preference, answer.both_bad, answer.ranks) == (0, True, {"A": 1, "B": 1})


def test_what_cannot_be_ranked_has_a_reason():
    assert read("rank", {"outcome": "not_rankable", "reason": "nonsense"}).ranks == {}
    assert set(faults("rank", {"outcome": "not_rankable"})) == {"reason"}
    assert set(faults("rank", {"outcome": "not_rankable", "reason": "nonsense", **GOOD["rank"]})) == {"ranks"}


@pytest.mark.parametrize(("kind", "body", "named"), [
    ("rank", {}, {"ranks.A", "ranks.B", "ranks.C"}),
    ("rank", {"ranks": {"A": 1, "B": 2}}, {"ranks.C"}),
    ("rank", {"ranks": {"A": 1, "B": 2, "C": 0}}, {"ranks.C"}),
    ("rank", {"ranks": {"A": 1, "B": "2", "C": True}}, {"ranks.B", "ranks.C"}),
    ("rank", {"ranks": {"A": 1, "B": 2, "C": 3, "D": 4}}, {"ranks.D"}),
    ("rank", {"ranks": [1, 2, 3]}, {"ranks", "ranks.A", "ranks.B", "ranks.C"}),
    ("rank", {**GOOD["rank"], "rnaks": {}}, {"rnaks"}),
    ("rank", {**GOOD["rank"], "seconds": -1}, {"seconds"}),
    ("rank", {**GOOD["rank"], "seconds": float("nan")}, {"seconds"}),
    ("rank", {"outcome": "maybe"}, {"outcome"}),
    ("pairwise", {}, {"preference"}),
    ("pairwise", {"preference": 5}, {"preference"}),
    ("pairwise", {"preference": -1.5}, {"preference"}),
    ("pairwise", {"preference": 1, "both_bad": "yes"}, {"both_bad"}),
    ("rate", {"ratings": {"A": {"overall": 8}}}, {"ratings.A.overall"}),
    ("rate", {"ratings": {"A": {"overall": 1, "style": 2}, "B": {}}}, {"ratings.A.style", "ratings.B"}),
    ("rate", {**GOOD["rate"], "flags": {"A": {"violent": 1, "rude": True}}}, {"flags.A.violent", "flags.A.rude"}),
    ("demonstrate", {"text": " \n"}, {"text"}),
    ("demonstrate", {"text": "x" * 100_001}, {"text"}),
    ("demonstrate", {"text": 7}, {"text"}),
    ("edit", {"text": "x", "reasons": ["because"]}, {"reasons"}),
    ("converse", {}, {"leaf"}),
    ("review", {"verdict": "fine"}, {"verdict"}),
    ("review", {"verdict": "resolved"}, {"ranks.A", "ranks.B"}),
    ("review", {"verdict": "ambiguous", "ranks": {"A": 1, "B": 2}}, {"ranks"}),
])  # fmt: skip
def test_every_fault_is_said_beside_its_field(kind, body, named):
    assert set(faults(kind, body)) == named


def test_ties_only_where_the_form_has_them():
    assert set(faults("pairwise", {"preference": 0}, '{"tie": false}')) == {"preference"}
    assert read("pairwise", {"both_bad": True}, '{"tie": false}').preference == 0


def test_ratings_and_flags_beside_ranks():
    """As InstructGPT's labelers did: rate each, then rank."""
    form = json.dumps({"ratings": [{"name": "overall"}], "flags": list(FLAGS)})
    each = {letter: {"overall": 4} for letter in "ABC"}
    answer = read("rank", {**GOOD["rank"], "ratings": each, "flags": {"B": {"sexual": True}}}, form)
    assert answer.ratings == each and answer.flags["B"] == {"sexual": True}
    assert set(faults("rank", GOOD["rank"], form)) == {f"ratings.{letter}.overall" for letter in "ABC"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_form_without_javascript_says_the_same(kind):
    body = {**GOOD[kind], "note": "n", "seconds": 2}
    fields = list(flat(body))
    random.Random(0).shuffle(fields)
    assert read(kind, from_fields(fields)) == read(kind, body)


def flat(value, *path):
    if isinstance(value, dict):
        for name, part in value.items():
            yield from flat(part, *path, name)
    elif isinstance(value, list):
        yield from ((".".join(path), part) for part in value)
    else:
        yield ".".join(path), str(int(value)) if isinstance(value, bool) else str(value)


KEYS = st.sampled_from(["A", "B", "C", "ranks", "overall", "preference", "x", ""])
JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12)
FIELDS = ["outcome", "reason", "note", "seconds", "ranks", "preference", "both_bad", "ratings", "flags", "text", "leaf",
          "verdict", "reasons", "client", "opened_at"]  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(KINDS), st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=5))
def test_nonsense_is_refused_and_never_breaks(kind, body):
    try:
        assert isinstance(read(kind, body), Answer)
    except InvalidAnswer as error:
        assert error.fields and all(isinstance(message, str) for message in error.fields.values())


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(KINDS), st.lists(st.tuples(st.text("ranks.AB flgtiov", max_size=12), st.text("0123-.e", max_size=4))))
def test_nonsense_fields_never_break(kind, fields):
    with suppress(InvalidAnswer):
        read(kind, from_fields(fields))


@pytest.mark.parametrize(("kind", "form", "message"), [
    ("rnk", "{}", "did you mean 'rank'"),
    ("rank", '{"rating": []}', "did you mean 'ratings'"),
    ("rank", "[]", "expected an object"),
    ("rank", "{", "form of rank"),
    ("rate", '{"ratings": [{"name": "a.b"}]}', "full stop"),
    ("rate", '{"ratings": [{"name": "a", "low": 3, "high": 3}]}', "from 3 to 3"),
    ("rate", '{"ratings": [{"name": "a", "high": 70}]}', "a: high"),
    ("rate", '{"ratings": [{"nmae": "a"}]}', "nmae"),
    ("pairwise", '{"points": 0}', "at least 1 step"),
    ("pairwise", '{"points": "4"}', "whole number"),
])  # fmt: skip
def test_a_form_that_makes_no_sense_is_refused(kind, form, message):
    with pytest.raises(UserError, match=message):
        form_of(kind, form)


def test_every_kind_has_a_form():
    assert all(form_of(kind) == DEFAULTS[kind] for kind in KINDS)
