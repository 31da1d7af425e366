"""What heed writes, heed reads: ranked groups and records."""

import pytest

from heed.errors import UserError
from heed.language.datasets import load
from heed.language.datasets.build import ranking, rating
from heed.records import Comparison, Demonstration, Judgement, Message, Prompt, Ranking, Rating, Text, to_json

PROMPT = Prompt((Message("user", "Say something."),), {"use_case": "chat"})
RANKING = ranking(PROMPT, ["a", "b", "c"], [2, 1, 2], labeler="ann", strength=2.0, made_by=["sft", "sft", "ppo"])


@pytest.mark.parametrize(
    "record",
    [Text("t", "valid"), PROMPT, Demonstration(PROMPT, "c"), RANKING, rating(PROMPT, "a", {"overall": 3}, 1, 7)],
)
def test_every_record_comes_back_as_it_was(write, record):
    (back,) = load(write("records.jsonl", [to_json(record)]), type(record), None)
    assert back == record


def test_comparisons_and_judgements_in_one_file_are_joined(write):
    records = [RANKING.comparison, RANKING.judgement, Judgement("elsewhere", "bob", {"x": 1, "y": 2})]
    records.append(Judgement(RANKING.comparison.id, "eve", {}, outcome="skipped"))
    (back,) = load(write("records.jsonl", map(to_json, records)), Ranking, None)
    assert back == RANKING


def test_a_group_as_feedback_is_exported_keeps_its_ids(write):
    row = {
        "group_id": "g", "prompt": PROMPT.trl(), "completions": ["a", "b", "c"], "ranks": [2, 1, 2],
        "completion_ids": ["x", "y", "z"], "made_by": ["sft", "sft", "ppo"], "comparison_id": "k", "prompt_id": "p",
        "columns": {"use_case": "chat"}, "split": "test", "labeler": "ann", "strength": 2.0, "weight": 1.0,
    }  # fmt: skip
    (back,) = load(write("groups.jsonl", [row]), Ranking, "test")
    assert back.judgement.ranks == {"x": 2, "y": 1, "z": 2} and back.ranks == (2, 1, 2)
    assert (back.judgement.id, back.comparison.id, back.prompt.id) == ("g", "k", "p")
    assert back.prompt.columns == {"use_case": "chat"} and back.judgement.strength == 2.0
    assert [c.made_by for c in back.comparison.candidates] == ["sft", "sft", "ppo"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"ranks": [1, 2]}, "'ranks' should be as many entries as there are completions (3)"),
        ({"ranks": [1, 2, 2.5]}, "'ranks.2' should be a whole number, not the float 2.5"),
        ({"ranks": [1, 2, None]}, "'ranks.2' should be a number, not null"),
        ({"completions": ["a"]}, "two or more"),
        ({"completions": ["a", 1, "c"]}, "'completions' should be a list of texts"),
        ({"completion_ids": ["x", "x", "y"]}, "a different id for each completion"),
        ({"columns": 3}, "'columns' should be an object"),
        ({"prompt": 3}, 'text or a list of {"role", "content"}'),
    ],
)
def test_a_wrong_group_names_its_line_and_key(write, change, says):
    good = {"prompt": "p", "completions": ["a", "b", "c"], "ranks": [1, 2, 3]}
    with pytest.raises(UserError) as error:
        load(write("groups.jsonl", [good, {**good, **change}]), Ranking, None)
    assert "groups.jsonl, line 2" in str(error.value) and says in str(error.value)


def broken(**change):
    row = to_json(RANKING)
    row["judgement"] = {**row["judgement"], **change}
    return row


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (broken(ranks={"nobody": 1, "noone": 2}), "stands on one side only"),
        (broken(ranks={c.id: "1" for c in RANKING.comparison.candidates}), "ranks should be whole numbers"),
        ({"kind": "Rating", "prompt": {"content": "p"}}, "Rating"),
        ({"kind": "Ranking", "judgement": {}, "comparison": 3}, "Ranking"),
        ({"kind": "Demonstration", "completion": "c"}, "Demonstration"),
        (broken(ranks=3), "Ranking"),
        ({"kind": "Text", "txt": "t"}, "Text"),
        ({"kind": "Prompt", "content": 5}, "Prompt"),
        ({"kind": "Prompt", "content": [{"role": "user"}]}, "Prompt"),
    ],
)
def test_a_broken_record_is_named_not_crashed_on(write, row, says):
    with pytest.raises(UserError, match=r"records.jsonl, line 2") as error:
        load(write("records.jsonl", [to_json(RANKING), row]), Ranking, None)
    assert says in str(error.value)


def test_forcing_a_split_moves_records_too(write):
    path = write("records.jsonl", [to_json(r) for r in (RANKING, Text("t"), Demonstration(PROMPT, "c"))])
    for want in (Ranking, Text, Demonstration):
        assert len(load(path + "?split=test", want, "test")) == 1
        assert load(path + "?split=test", want, "valid") == []


def test_a_comparison_alone_is_a_prompt_and_no_ranking_without_a_fitting_answer(write):
    path = write("records.jsonl", [to_json(Comparison(PROMPT, RANKING.comparison.candidates))])
    assert load(path, Prompt, None) == [PROMPT]
    skipped = to_json(Ranking(RANKING.comparison, Judgement(RANKING.comparison.id, "ann", {}, outcome="skipped")))
    with pytest.raises(UserError, match="1 x questions that were not answered"):
        load(write("skipped.jsonl", [skipped]), Ranking, None)
    with pytest.raises(UserError, match="ranks other candidates than comparison"):
        other = Judgement(RANKING.comparison.id, "eve", {"nobody": 1, "noone": 2})
        load(write("other.jsonl", [to_json(RANKING.comparison), to_json(other)]), Ranking, None)
    with pytest.raises(UserError, match="holds comparisons, which cannot be read as ratings"):
        load(path, Rating, None)
