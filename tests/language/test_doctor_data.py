"""The doctor on small datasets with one fault each, and on one without."""

import json

import pytest

from heed.language.doctor_data import CHECKS, check
from heed.language.findings import Finding, wilson


@pytest.fixture
def doctor(tmp_path):
    """doctor(rows) -> findings about a file of these rows."""

    def examined(rows, name="rows.jsonl"):
        path = tmp_path / name
        path.write_text("".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows))
        return check(str(path))

    return examined


def pair(i, chosen="a good answer", rejected="bad", **more):
    return {"prompt": f"question {i}", "chosen": f"{chosen} {i}", "rejected": f"{rejected} {i}", **more}


def said(findings, *words):
    """The one finding that speaks of all these words."""
    (found,) = [f for f in findings if all(w in f.what for w in words)]
    return found


def levels(findings):
    return [f.level for f in findings]


def test_sound_data_has_nothing_wrong_with_it(doctor):
    rows = [pair(i, *("longer answer", "short")[:: 1 if i % 2 else -1], labeler=f"w{i % 3}") for i in range(2500)]
    findings = doctor(rows)
    assert set(levels(findings)) == {"ok"}
    assert "2,500 rankings; different prompts or texts: 2," in said(findings, "TRL columns").what


def test_the_gravest_comes_first_and_every_finding_is_a_sentence(doctor):
    findings = doctor([pair(0), '{"prompt": 1}\n', pair(0), pair(1, chosen="<br>")])
    order = [("error", "warning", "ok").index(level) for level in levels(findings)]
    assert order == sorted(order) and len(set(order)) == 3
    assert all((isinstance(f, Finding) and f.what and f.what[0].isupper()) or "rows.jsonl" in f.what or f.what[0].isdigit()
               for f in findings)  # fmt: skip


def test_broken_rows_are_all_found_not_only_the_first(doctor):
    rows = [pair(i) for i in range(10)] + ['{"prompt": "p", \n'] + [pair(11, margin="wide")] * 7
    errors = [f for f in doctor(rows) if f.level == "error"]
    assert "line 11: not a JSON value" in errors[0].what and "line 12: 'margin' should be a number" in errors[1].what
    assert errors[5].what == "3 more broken rows"


def test_what_cannot_be_read_at_all_is_one_finding(doctor, tmp_path):
    (finding,) = check(str(tmp_path / "absent.jsonl"))
    assert finding.level == "error" and "absent.jsonl" in finding.what
    (finding,) = doctor([{"colour": "red"}])
    assert "no format that heed knows" in finding.what


def test_empty_prompts_and_answers(doctor):
    findings = doctor([pair(i) for i in range(8)] + [{"prompt": " ", "chosen": "a", "rejected": ""}] * 2)
    assert said(findings, "prompts are empty").what.startswith("2 (20.0%)")
    empty = said(findings, "answers are empty")
    assert empty.what.startswith("2 (10.0%)") and empty.where.endswith("rows.jsonl, line 9")


def test_repeats(doctor):
    found = said(doctor([pair(0), pair(1), pair(0), pair(0)]), "repeats")
    assert found.what == "2 (50.0%) of the rankings are repeats" and found.where.endswith("line 3")


def test_prompts_in_several_splits(doctor):
    rows = [pair(i, split="train") for i in range(50)] + [pair(i, split="test") for i in range(49, 60)]
    found = said(doctor(rows), "several splits")
    assert found.level == "error" and found.what.startswith("1 (1.7%)") and found.where.endswith("line 51")
    assert said(doctor(rows[:50]), "No prompt or text").level == "ok"


def test_nothing_to_train_on(doctor):
    found = said(doctor([pair(0)], "test.jsonl"), "Nothing in the training split")
    assert found.level == "warning" and "?split=hash" in found.advice


def test_identical_answers_and_ties(doctor):
    same = {"prompt": "p", "chosen": "x", "rejected": "x"}
    found = said(doctor([pair(0), pair(1), pair(2), same]), "compare a text with itself")
    assert found.level == "warning" and found.what.startswith("1 (25.0%)")
    assert said(doctor([same]), "compare a text with itself").level == "error"
    tied = [{"prompt": f"p{i}", "completions": ["x", "y"], "ranks": [1, 1 + (i == 0)]} for i in range(10)]
    found = said(doctor(tied), "are ties")
    assert found.level == "warning" and found.what.startswith("9 (90.0%)")
    assert said(doctor(tied[1:]), "No ranking prefers anything").level == "error"


@pytest.mark.parametrize(("share", "level"), [(0.5, "ok"), (0.9, "warning"), (0.1, "warning")])
def test_length_bias(doctor, share, level):
    rows = [pair(i, *("long answer", "no")[:: 1 if i < 200 * share else -1]) for i in range(200)]
    found = said(doctor(rows), "The longer answer wins")
    assert found.level == level and f"{share:.1%} of the time" in found.what
    assert level == "ok" or "length" in found.advice


def test_length_is_counted_per_ranking_not_per_pair(doctor):
    """One long ranking of five does not outweigh thirty rankings of two."""
    rows = [{"prompt": f"p{i}", "completions": ["aaa", "b"], "ranks": [2, 1]} for i in range(30)]
    rows.append({"prompt": "k", "completions": ["a" * n for n in range(9, 0, -1)], "ranks": list(range(1, 10))})
    assert f"{1 / 31:.1%} of the time" in said(doctor(rows), "The longer answer wins").what


def test_position_bias(doctor):
    def shown(i, first):
        return {"prompt": f"p{i}", "completions": ["xx", "yy"], "ranks": [1, 2] if first else [2, 1]}

    lean = said(doctor([shown(i, i % 4 > 0) for i in range(200)]), "What stands first wins")
    assert lean.level == "warning" and "75.0%" in lean.what
    assert said(doctor([shown(i, i % 2) for i in range(200)]), "What stands first wins").level == "ok"
    assert said(doctor([pair(i) for i in range(30)]), "always stands first").level == "ok"


def test_single_classes(doctor):
    def rows(goods, bads):
        return [{"prompt": f"p{i}", "completion": "c", "label": i < goods} for i in range(goods + bads)]

    assert said(doctor(rows(10, 0)), "Every 'label' is 1").level == "error"
    assert said(doctor(rows(98, 2)), "of the 'label' scores are 1").level == "warning"
    assert said(doctor(rows(6, 4)), "'label' scores: 0: 4, 1: 6").level == "ok"


def test_long_and_dirty_texts(doctor):
    findings = doctor([pair(0), {"prompt": "p" * 9000, "chosen": "a\x1b[0m", "rejected": "AT&amp;T <br/>"}])
    assert "1 (50.0%) of the prompts are over 8,000 characters, the longest 9,000" in said(findings, "over 8,000").what
    assert said(findings, "control characters").where.endswith("line 2") and said(findings, "HTML").level == "warning"
    assert not [f for f in doctor([pair(0, chosen="if a < b and b > c & d")]) if "HTML" in f.what]


def test_labelers(doctor):
    findings = doctor([pair(i, labeler="ann" if i else "bob") for i in range(10)])
    assert said(findings, "ann gave 9 (90.0%) of the labels").level == "warning"
    assert "not named" in said(doctor([pair(0)]), "labelers").what


def test_conflicts_between_people_are_normal_and_with_oneself_are_not(doctor):
    there = {"prompt": "p", "chosen": "x", "rejected": "y"}
    back = {"prompt": "p", "chosen": "y", "rejected": "x"}
    agreed = [{"prompt": f"p{i}", "chosen": "x", "rejected": "y", "labeler": w} for i in range(3) for w in ("ann", "bob")]
    between = doctor([*agreed, {**there, "labeler": "ann"}, {**back, "labeler": "bob"}])
    assert said(between, "judged both ways").level == "ok" and "1 (25.0%)" in said(between, "judged both ways").what
    within = said(doctor([*agreed, {**there, "labeler": "ann"}, {**back, "labeler": "ann"}]), "judged both ways")
    assert within.level == "warning" and "1 of them by the same labeler" in within.what
    assert "3 pairs were judged more than once, all alike" in said(doctor(agreed), "all alike").what


def test_few_rankings_are_said_to_be_few(doctor):
    assert "Only 3 rankings" in said(doctor([pair(i) for i in range(3)]), "Only").what


def test_wilson_by_hand_and_at_its_bounds():
    """For 8 of 10: (0.8 + 0.192 +- 1.96 sqrt(0.016 + 0.0096)) / 1.384 = 0.490, 0.943 (Wilson 1927)."""
    assert wilson(0.8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert wilson(1.0, 5)[1] == pytest.approx(1) and wilson(0.0, 5)[0] == pytest.approx(0)


def test_every_check_survives_an_empty_sight():
    from heed.language.findings import Seen

    assert [f.what for examine in CHECKS for f in examine(Seen("x"))] == ["No row that can be used"]
