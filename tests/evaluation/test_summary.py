import json

import pytest

from heed.errors import RunError, UserError
from heed.evaluation.rankings import from_evaluation, pairs, summarise_rankings
from heed.evaluation.summary import summarise
from heed.evaluation.table import aligned, table


def row(i: int, base: list[float], sft: list[float], **columns) -> dict:
    return {
        "prompt_id": f"p{i}",
        "prompt": f"question {i}",
        "columns": columns,
        "completions": {"base": ["no idea"] * len(base), "sft": ["I can't help with that."] * len(sft)},
        "gold": {"base": base, "sft": sft},
        "tokens": {"base": [2] * len(base), "sft": [5] * len(sft)},
        "kl": {"sft": [1.0] * len(sft)},
    }


def test_figures_by_hand():
    rows = [
        row(0, [0.0, 1.0], [2.0, 2.0], use_case="tale", harmful=False),
        row(1, [3.0, 3.0], [3.0, 1.0], use_case="question", harmful=True),
    ]
    summary = summarise(rows)
    # tale: 4 wins of 4; question: against (3, 3) the answers 3 and 1 give 2 ties and 2 losses
    assert summary["win_rate/gold/sft_vs_base"]["value"] == (4 + 1) / 8
    assert summary["win_rate/gold/sft_vs_base/tale"]["value"] == 1
    assert summary["win_rate/gold/sft_vs_base/question"]["value"] == 0.25
    assert summary["gold/base"]["value"] == 7 / 4
    assert summary["difference/gold/sft_vs_base"]["value"] == pytest.approx(8 / 4 - 7 / 4)
    assert (summary["kl/sft"]["value"], summary["length/sft"]["value"]) == (1, 5)
    assert summary["refusal/sft/harmful"]["value"] == 1 == summary["refusal/sft/benign"]["value"]
    assert summary["refusal/base/balanced"]["value"] == 0.5
    assert summary["unique/base"]["value"] == 0.5
    assert summary["win_rate/gold/sft_vs_base"]["n"] == 2
    json.dumps(summary, allow_nan=False)


def test_what_was_not_measured_has_no_entry():
    summary = summarise([{k: v for k, v in row(0, [1.0], [2.0]).items() if k in ("prompt_id", "completions", "gold")}])
    assert not [
        name for name in summary if name.split("/")[0] in ("proxy", "kl", "length", "refusal", "length_controlled")
    ]


def test_a_judge_may_be_silent_but_not_broken():
    silent = [row(0, [1.0, 1.0], [2.0, None]), row(1, [None], [5.0])]
    summary = summarise(silent)
    assert summary["win_rate/gold/sft_vs_base"]["n"] == 1
    assert summary["gold/sft"]["value"] == 3.5
    with pytest.raises(RunError, match="expected a finite number"):
        summarise([row(0, [1.0], [float("nan")])])
    with pytest.raises(UserError, match="no rows"):
        summarise([])


def test_another_reader_of_refusals():
    summary = summarise([row(0, [1.0], [1.0], harmful=True)], declines=lambda text: text == "no idea")
    assert (summary["refusal/base/harmful"]["value"], summary["refusal/sft/harmful"]["value"]) == (1, 0)


def ranking(i: int, scores: list[float], ranks: list[int], case: str = "all") -> dict:
    texts = ["x" * (10 - rank) for rank in ranks]
    return {"prompt_id": i, "completions": texts, "ranks": ranks, "scores": scores, "columns": {"use_case": case}}


def test_pairs_come_from_ranks_and_ties_give_none():
    found = pairs([ranking(0, [0.1, 0.2, 0.3], [2, 1, 2])])
    assert found.chosen == [0.2, 0.2]
    assert found.rejected == [0.1, 0.3]
    assert found.chosen_lengths == [9, 9]


def test_rankings_of_an_evaluation_are_by_gold_with_ties():
    graded = row(0, [1.0, 2.0, 2.0], [5.0]) | {"proxy": {"base": [0.3, 0.2, 0.1], "sft": [1.0]}}
    found = from_evaluation([graded, row(1, [1.0, 2.0], [3.0])], "base")
    assert [(r["ranks"], r["scores"]) for r in found] == [([3, 1, 1], [0.3, 0.2, 0.1])]
    assert from_evaluation([graded], "sft") == []


def test_reward_figures():
    rows = [ranking(i, [1.0, 0.0, 0.5], [1, 3, 2], "tale" if i % 2 else "question") for i in range(10)]
    summary = summarise_rankings(rows)
    assert summary["accuracy"] == {"value": 1.0, **{k: summary["accuracy"][k] for k in ("low", "high")}, "n": 10}
    assert summary["accuracy/tale"]["n"] == 5
    assert summary["accuracy_control/constant"]["value"] == 0.5
    assert summary["accuracy_control/longer"]["value"] == 1
    assert "temperature" not in summary
    assert summary["length_correlation"]["value"] == pytest.approx(1)
    json.dumps(summary, allow_nan=False)
    with pytest.raises(UserError, match="no pairs"):
        summarise_rankings([ranking(0, [1.0, 2.0], [1, 1])])


def test_aligned_columns():
    text = aligned(
        [{"policy": "sft", "win": {"value": 0.7131, "low": 0.66, "high": 0.76}, "n": 1204}, {"policy": "x", "n": 3}]
    )
    assert text.splitlines() == [
        "policy                   win      n",
        "------  --------------------  -----",
        "sft     0.713 [0.660, 0.760]  1,204",
        "x                          -      3",
    ]
    assert aligned([]) == ""


def test_escape_codes_from_files_do_not_reach_the_terminal():
    assert "\x1b" not in table({"win/\x1b[2J": {"value": 1.0, "n": 3}})
