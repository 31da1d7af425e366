"""Files of rankings: what comes back is what was written, to the byte; a wrong row is named by its line."""

import json
import tempfile
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heed.errors import UserError
from heed.feedback.exchange import add_rankings, group_rows, read_groups, read_rows, write_groups, write_rows
from heed.feedback.pairs import pair_rows, read_pairs, text_pairs, write_pairs
from heed.feedback.parquet import to_dataset
from heed.feedback.store import open_store
from heed.records import Candidate, Comparison, Judgement, Message, Prompt, Ranking, split_of
from heed.testing.store import ODD_TEXTS, answer, question

SMALLEST = {"prompt": "hi", "completions": ["a", "b", "c"], "ranks": [2, 2, 5]}
PAIR = {"prompt": "hi", "chosen": "a", "rejected": "b"}


def ranking(i, ranks, labeler="ann", split="train", texts=None):
    asked = question(i, len(ranks), split)
    if texts:
        asked = replace(asked, candidates=tuple(replace(c, text=t) for c, t in zip(asked.candidates, texts, strict=True)))
    return Ranking(asked, answer(asked, labeler, ranks))


def chat(text):
    asked = Comparison(Prompt((Message("system", text), Message("user", "q")), {"k": [text, None, 0.5]}),
                       (Candidate(text), Candidate(text + "b", made_by=text)))  # fmt: skip
    return Ranking(asked, answer(asked, "labeler " + text, (2, 1), strength=0.5))


def through_a_store(folder, rankings):
    with open_store(Path(folder) / "fresh.db") as store:
        add_rankings(store, rankings)
        return store.rankings()


def lines(path, *rows):
    path.write_text("".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


JOINED = "\ud83d\ude00"  # two half surrogates: JSON gives them back as one character
SEVERAL = [ranking(1, (1, 2)), ranking(2, (3, 1, 1, 2), split="valid"), ranking(1, (2, 1), "bob"), ranking(3, (1, 1)),
           *map(chat, ODD_TEXTS)]  # fmt: skip


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_groups_come_back_to_the_byte(tmp_path, kind):
    a, b = tmp_path / f"a.{kind}", tmp_path / f"b.{kind}"
    assert write_groups(SEVERAL, a) == len(SEVERAL)
    write_groups(through_a_store(tmp_path, read_groups(a)), b)
    assert a.read_bytes() == b.read_bytes()
    rows = [row for _, row in read_rows(a)]
    assert rows[1]["ranks"] == [3, 1, 1, 2] and rows[1]["split"] == "valid"
    assert [row["weight"] for row in rows[:4]] == [0.5, 1.0, 0.5, 1.0], "two answers to one prompt"


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_pairs_come_back_to_the_byte(tmp_path, kind):
    a, b = tmp_path / f"a.{kind}", tmp_path / f"b.{kind}"
    write_pairs(SEVERAL, a)
    write_pairs(through_a_store(tmp_path, read_pairs(a)), b)
    assert a.read_bytes() == b.read_bytes()


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_the_strength_of_a_preference_is_trl_s_margin(tmp_path, kind):
    asked = question(1)
    rankings = [Ranking(asked, answer(asked, "ann", strength=2.0)), ranking(2, (1, 2)), ranking(3, (1, 2, 3))]
    write_pairs(rankings, tmp_path / f"a.{kind}")
    back = read_pairs(tmp_path / f"a.{kind}")
    assert [r.judgement.strength for r in back] == [2.0, None, None]
    write_pairs(back, tmp_path / f"b.{kind}")
    assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()
    assert [r.judgement.strength for r in read_pairs([{**PAIR, "margin": 1}, {**PAIR, "margin": 3.5}])] == [1.0, 3.5]


def test_one_form_gives_what_the_other_gave(tmp_path):
    kept = [r for r in SEVERAL if JOINED not in r.completions]
    for write, read in ((write_groups, read_groups), (write_pairs, read_pairs)):
        write(kept, tmp_path / "a.jsonl")
        write(kept, tmp_path / "a.parquet")
        one, other = (tmp_path / f"b{i}.jsonl" for i in range(2))
        write(read(tmp_path / "a.jsonl"), one)
        write(read(tmp_path / "a.parquet"), other)
        assert one.read_bytes() == other.read_bytes()


def test_parquet_columns_are_of_their_kind(tmp_path):
    """So that others read them: only what has no one kind is JSON."""
    arrow, files = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    write_groups([chat("ä"), chat("b")], tmp_path / "x.parquet")
    schema = files.read_schema(tmp_path / "x.parquet")
    assert schema.field("prompt").type == arrow.list_(arrow.struct([("role", arrow.string()), ("content", arrow.string())]))
    assert schema.field("completions").type == arrow.list_(arrow.string())
    assert schema.field("ranks").type == arrow.list_(arrow.int64())
    assert schema.field("strength").type == schema.field("weight").type == arrow.float64()
    assert [name for name in schema.names if name.endswith("_json")] == ["columns_json"]
    write_groups([chat("ä"), ranking(1, (1, 2))], tmp_path / "x.parquet")
    assert "prompt_json" in files.read_schema(tmp_path / "x.parquet").names, "texts and turns in one column"


def test_a_dataset_there_and_back(tmp_path):
    pytest.importorskip("datasets", reason="the library datasets is not installed")
    kept = [r for r in SEVERAL if JOINED not in r.completions]
    for rows, read in ((group_rows, read_groups), (pair_rows, read_pairs)):
        made = to_dataset(rows(kept))
        assert len(made) == len(list(rows(kept)))
        assert list(rows(read(made))) == list(rows(read(rows(kept))))
    assert read_groups(to_dataset([])) == []


def test_pairs_by_hand():
    """C(4, 2) - 1 tie = 5 pairs, winners in the order of the candidates."""
    pairs = text_pairs(ranking(1, (3, 1, 1, 2), texts="wxyz"))
    assert pairs == [("x", "w"), ("x", "z"), ("y", "w"), ("y", "z"), ("z", "w")]
    assert text_pairs(ranking(1, (1, 1, 1))) == []


def test_the_same_text_twice_is_one_candidate():
    assert text_pairs(ranking(1, (1, 1, 2), texts="xxy")) == [("x", "y")]
    assert text_pairs(ranking(1, (1, 3, 2), texts="xxy")) == [], "x is both better and worse than y"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers(1, 4), min_size=2, max_size=6), max_size=4), st.booleans())
def test_pairs_of_any_rankings_come_back(groups, conversation):
    rankings = []
    for i, ranks in enumerate(groups):
        prompt = Prompt((Message("user", "q"),) if conversation else "q")
        shown = tuple(Candidate(f"{k}", id=f"{i} {k}") for k in range(len(ranks)))
        asked = Comparison(prompt, shown, f"q{i}")
        rankings.append(Ranking(asked, Judgement(asked.id, "ann", dict(zip((c.id for c in shown), ranks, strict=True)))))
    with tempfile.TemporaryDirectory() as folder:
        a, b = Path(folder) / "a.jsonl", Path(folder) / "b.jsonl"
        write_pairs(rankings, a)
        back = read_pairs(a)
        write_pairs(back, b)
        assert a.read_bytes() == b.read_bytes()
    assert len(back) == sum(len(set(ranks)) > 1 for ranks in groups), "one ranking again, not a heap of pairs"


def test_pairs_that_no_ranking_explains_stay_pairs(tmp_path):
    circle = [{**PAIR, "chosen": a, "rejected": b, "group_id": "g"} for a, b in ("ab", "bc", "ca")]
    assert [r.completions for r in read_pairs(lines(tmp_path / "x.jsonl", *circle))] == [("a", "b"), ("b", "c"), ("c", "a")]
    incomplete = circle[:2]
    assert len(read_pairs(lines(tmp_path / "x.jsonl", *incomplete))) == 2, "a before b before c, but nobody compared a and c"
    star = [{**PAIR, "rejected": b, "group_id": "g"} for b in "bcd"]
    assert [r.ranks for r in read_pairs(lines(tmp_path / "x.jsonl", *star))] == [(1, 2, 2, 2)]


def test_plain_trl_rows(tmp_path):
    path = lines(tmp_path / "x.jsonl", PAIR, "\n", PAIR, {**PAIR, "chosen": "b"})
    with pytest.warns(UserWarning, match="1 rows"):
        rankings = read_pairs(path, split="test")
    assert [(r.completions, r.ranks, r.prompt.split) for r in rankings] == [(("a", "b"), (1, 2), "test")] * 2
    assert len(through_a_store(tmp_path, rankings)) == 2, "the same preference twice is two answers"


def test_the_smallest_group(tmp_path):
    path = lines(tmp_path / "x.jsonl", SMALLEST, SMALLEST)
    rankings = through_a_store(tmp_path, read_groups(path))
    assert [(r.completions, r.ranks) for r in rankings] == [(("a", "b", "c"), (1, 1, 2))] * 2
    assert rankings[0].prompt.split == split_of(rankings[0].prompt.id)


def test_importing_twice_changes_nothing(tmp_path):
    for write, read in ((write_groups, read_groups), (write_pairs, read_pairs)):
        with open_store(tmp_path / f"{write.__name__}.db") as store:
            store.add([x for r in SEVERAL if JOINED not in r.completions for x in (r.comparison, r.judgement)])
            before = store.comparisons(), store.judgements()
            write(store.rankings(), tmp_path / "x.jsonl")
            add_rankings(store, read(tmp_path / "x.jsonl"))
            assert (store.comparisons(), store.judgements()) == before


@pytest.mark.parametrize(("name", "content", "message"), [
    ("x.parquet", b"PAR1 and nothing else", "not a readable parquet file"),
    ("x.parquet", b"", "not a readable parquet file"),
    ("x.csv", b"a,b", r"ends with \.jsonl or \.parquet"),
])  # fmt: skip
def test_a_file_that_is_not_what_its_name_says(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_groups(tmp_path / name)


def test_a_wrong_row_is_named_wherever_it_stands(tmp_path):
    rows = list(group_rows([ranking(1, (1, 2)), ranking(2, (1, 2))]))
    rows[1]["ranks"] = [1]
    write_rows(rows, tmp_path / "x.parquet")
    with pytest.raises(UserError, match=r"x\.parquet, row 2: 1 ranks for 2.*expected prompt, completions, ranks; and"):
        read_groups(tmp_path / "x.parquet")
    with pytest.raises(UserError, match=r"^row 2: 1 ranks for 2"):
        read_groups(rows)
    with pytest.raises(UserError, match=r"^row 1: expected an object, found str"):
        read_groups(["x"])
    with pytest.raises(UserError, match=r"^row 1: columns_json is not valid JSON"):
        read_groups([{**SMALLEST, "columns_json": "{"}])


@pytest.mark.parametrize(("row", "message"), [
    ("{", "not valid JSON"),
    ("[1]\n", "expected an object, found list"),
    ({**SMALLEST, "ranks": [1, 2]}, "2 ranks for 3 completions"),
    ({**SMALLEST, "ranks": [1, 2, 0]}, "rank 0"),
    ({**SMALLEST, "ranks": [1, 2, "x"]}, "rank 'x'"),
    ({**SMALLEST, "ranks": None}, "ranks = None"),
    ({**SMALLEST, "completions": ["a", 1, "c"]}, "completions holds 1"),
    ({**SMALLEST, "completion_ids": ["x", "x", "y"]}, "3 different completion_ids"),
    ({**SMALLEST, "prompt": {"role": "user"}}, "prompt = "),
    ({**SMALLEST, "prompt": [{"role": "user"}]}, "prompt = "),
    ({**SMALLEST, "prompt": []}, "prompt = "),
    ({**SMALLEST, "split": "trian"}, "did you mean 'train'"),
    ({**SMALLEST, "lableer": "x"}, "did you mean 'labeler'"),
    ({**SMALLEST, "labeler": ""}, "labeler = ''"),
    ({**SMALLEST, "strength": "much"}, "strength = 'much'"),
    ({**SMALLEST, "strength": 10**400}, "strength"),
    ({**SMALLEST, "columns": [1]}, "columns = "),
    ({"prompt": "hi", "completion": ["a", "b"], "ranks": [1, 2]}, "completions"),
    ({**SMALLEST, "group_id": "g"}, "group_id 'g' was already at .*:1"),
])  # fmt: skip
def test_a_wrong_group_is_named_by_its_line(tmp_path, row, message):
    path = lines(tmp_path / "x.jsonl", {**SMALLEST, "group_id": "g"}, row)
    with pytest.raises(UserError, match=rf"x\.jsonl:2.*{message}"):
        read_groups(path)


@pytest.mark.parametrize(("row", "message"), [
    ({"prompt": "hi", "chosen": "a", "reject": "b"}, "no 'rejected'; did you mean 'reject'.*expected prompt, chosen"),
    ({**PAIR, "chosen": [{"role": "user", "content": "a"}]}, "one turn of the assistant"),
    ({**PAIR, "group_id": 3}, "group_id = 3"),
    ({**PAIR, "margin": "big"}, "margin = 'big'"),
    ({**PAIR, "group_id": "g", "prompt": "another"}, "another prompt"),
])  # fmt: skip
def test_a_wrong_pair_is_named_by_its_line(tmp_path, row, message):
    path = lines(tmp_path / "x.jsonl", {**PAIR, "group_id": "g"}, row)
    with pytest.raises(UserError, match=rf"x\.jsonl:2.*{message}"), warnings.catch_warnings():
        read_pairs(path)


def test_a_missing_file_names_its_neighbour(tmp_path):
    lines(tmp_path / "rankings.jsonl", SMALLEST)
    with pytest.raises(UserError, match=r"did you mean 'rankings\.jsonl'"):
        read_groups(tmp_path / "ranking.jsonl")
