"""Which split a record falls into, what a source string says, and one kind read as another."""

import sys
from types import SimpleNamespace

import pytest

from heed.errors import UserError
from heed.language.datasets import describe, detect, load
from heed.language.datasets.build import first_words
from heed.language.datasets.splits import SplitRule, named_split
from heed.records import Demonstration, Prompt, Ranking, Rating, Text, split_of

PAIRS = [{"prompt": f"question {i}", "chosen": "a", "rejected": "b"} for i in range(200)]


@pytest.mark.parametrize(
    ("name", "split"),
    [("harmless-base__test.jsonl.gz", "test"), ("valid2", "valid"), ("train_prefs", "train"), ("dev.json", "valid"),
     ("edit_b2_eval_test.json", "test"), ("latest.jsonl", None), ("contest/testset.json", None), (None, None)],
)  # fmt: skip
def test_the_last_word_that_is_a_split_counts(name, split):
    assert named_split(name) == split


def test_a_lone_file_is_divided_by_a_hash_of_the_prompt(write):
    path = write("train.jsonl", PAIRS)
    found = {split: load(path, Ranking, split) for split in ("train", "valid", "test")}
    assert sum(map(len, found.values())) == len(load(path, Ranking, None)) == 200
    assert all(r.prompt.split == split == split_of(r.prompt.id) for split, rows in found.items() for r in rows)


def test_a_file_named_test_is_all_test_until_told_otherwise(write):
    path = write("test.jsonl", PAIRS)
    assert len(load(path, Ranking, "test")) == 200
    with pytest.raises(UserError, match=r"nothing in the split 'train'; there: test 200.*\?split=hash"):
        load(path, Ranking, "train")
    assert load(path, Ranking, "valid") == []
    assert len(load(path + "?split=hash", Ranking, "train")) > 150
    assert len(load(path + "?split=train", Ranking, "train")) == 200


def test_a_folder_without_a_validation_file_takes_it_from_train_alone(write, tmp_path):
    write("train.jsonl", PAIRS)
    write("test.jsonl", PAIRS[:20])
    found = {split: load(str(tmp_path), Ranking, split) for split in ("train", "valid", "test")}
    assert len(found["test"]) == 20 and len(found["train"]) + len(found["valid"]) == 200 and found["valid"]
    write("valid.jsonl", PAIRS[:3])
    assert [len(load(str(tmp_path), Ranking, s)) for s in ("train", "valid", "test")] == [200, 3, 20]


def test_what_a_row_says_of_its_split_outranks_its_file():
    rule = SplitRule(given="test")
    assert rule.of("valid1", "key") == "valid" and rule.of(None, "key") == "test"
    assert SplitRule(given="train", forced=True).of("valid1", "key") == "train"


def test_one_long_text_is_cut_at_line_ends_into_three_splits(write):
    lines = [f"line {i}\n" for i in range(1000)]
    path = write("book.txt.xz", "".join(lines))
    parts = [load(path, Text, split)[0].text for split in ("train", "valid", "test")]
    assert "".join(parts) == "".join(lines).strip() and all(p.endswith("\n") for p in parts[:2])
    assert len(parts[0]) == pytest.approx(0.9 * len("".join(lines)), abs=20)


def test_marked_documents_and_folders_of_texts_are_separate(write, tmp_path):
    path = write("stories.txt", "one\n<|endoftext|>\ntwo<|endoftext|>\n")
    assert [t.text for t in load(path, Text, None)] == ["one", "two"]
    for i in range(3):
        write(f"folder/{i}.txt", f"text {i}")
    write("folder/notes.md", "not data")
    assert [t.text for t in load(str(tmp_path / "folder"), Text, None)] == ["text 0", "text 1", "text 2"]


def test_a_folder_passes_over_files_in_no_known_format(write, tmp_path, caplog):
    write("a.jsonl", PAIRS[:2])
    write("b.jsonl", [{"colour": "red"}])
    assert len(load(str(tmp_path), Ranking, None)) == 2 and "b.jsonl" in caplog.text
    with pytest.raises(UserError, match=r"b\.jsonl"):
        load(str(tmp_path / "b.jsonl"), Ranking, None)


@pytest.mark.parametrize("name", ["x.jsonl", "x.jsonl.gz", "x.jsonl.xz", "x.json", "x.json.gz"])
def test_the_same_rows_in_every_container(write, name):
    assert [r.prompt.content for r in load(write(name, PAIRS[:2]), Ranking, None)] == ["question 0", "question 1"]


def test_csv_and_parquet(write, tmp_path):
    path = write("x.csv", '﻿prompt,chosen,rejected,margin\n"two\nlines",a,b,0.5\n')
    (ranking,) = load(path, Ranking, None)
    assert ranking.prompt.content == "two\nlines" and ranking.judgement.strength == 0.5
    listed = write("k.csv", 'prompt,completions,ranks\np,"[""a"", ""b""]","[2, 1]"\n')
    assert load(listed, Ranking, None)[0].ranks == (2, 1)
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(arrow.Table.from_pylist(PAIRS), tmp_path / "x.parquet")
    assert len(load(str(tmp_path / "x.parquet"), Ranking, None)) == 200


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("", "this one is empty"),
        ("x.jsonl?format=hhh", "unknown format 'hhh'; did you mean 'hh'"),
        ("x.jsonl?split=tset", "unknown split 'tset'; did you mean 'test'"),
        ("x.jsonl?hash", "key=value pairs"),
        ("x.jsonl?chosen=better", "no column 'better' to rename; columns: prompt, chosen, rejected"),
        ("seal_bay:seven", "a world seed, a whole number"),
        ("seal_bey", "did you mean 'seal_bay'"),
    ],
)
def test_a_wrong_source_is_answered_with_what_was_meant(write, tmp_path, monkeypatch, source, says):
    write("x.jsonl", PAIRS)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=says):
        load(source, Ranking)


def test_what_is_asked_for_is_checked(write):
    path = write("x.jsonl", PAIRS)
    for want, split, limit in [(str, "train", None), (Ranking, "dev", None), (Ranking, "train", 0)]:
        with pytest.raises(UserError):
            load(path, want, split, limit)


def test_detection_goes_by_most_rows_so_that_one_broken_row_is_named(write):
    rows = [{"prompt": "p"}, *PAIRS[:3]]
    assert detect(rows) == "trl"
    hh = [{"chosen": "\n\nHuman: a\n\nAssistant: b", "rejected": "\n\nHuman: a\n\nAssistant: c"}] * 2
    with pytest.raises(UserError, match="line 1: 'chosen' should be a transcript"):
        load(write("hh.jsonl", [{"chosen": "no turns", "rejected": "here"}, *hh]), Ranking, None)


def test_a_format_can_be_forced(write):
    path = write("x.jsonl", [{"chosen": "\n\nHuman: a\n\nAssistant: b", "rejected": "\n\nHuman: a\n\nAssistant: c"}] * 2)
    assert load(path + "?format=trl", Ranking, None)[0].prompt.content == "\n\nHuman: a\n\nAssistant:"


def test_describe_is_one_line(write):
    path = write("hh/test.jsonl", PAIRS)
    assert describe(path) == "hh/test.jsonl: TRL columns (prompt/chosen/rejected), 200 rankings"


def test_the_same_file_twice_gives_equal_records_and_stops_at_the_limit(write):
    path = write("x.jsonl", PAIRS)
    assert load(path, Ranking) == load(path, Ranking)
    assert load(path, Ranking, limit=5) == load(path, Ranking)[:5]


# One kind as another


def test_rankings_as_prompts_demonstrations_and_texts(write):
    rows = [{"prompt": "p", "completions": ["x", "y", "z"], "ranks": [3, 1, 2]}] * 2
    path = write("x.jsonl", rows)
    assert [p.content for p in load(path, Prompt, None)] == ["p"]  # once
    assert [d.completion for d in load(path, Demonstration, None)] == ["y", "y"]
    assert load(path, Text, None)[0].text == "py"


def test_demonstrations_as_prompts_keep_the_reference_and_as_texts_the_whole_conversation_once(write):
    turns = [{"role": r, "content": c} for r, c in [("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d")]]
    path = write("x.jsonl", [{"messages": turns}])
    assert [p.columns["reference"] for p in load(path, Prompt, None)] == ["b", "d"]
    assert [t.text for t in load(path, Text, None)] == ["a\n\nb\n\nc\n\nd"]


def test_texts_as_prompts_to_continue(write):
    path = write("x.jsonl", [{"text": "Once upon a time there was a small red boat at sea."}])
    assert load(path, Prompt, None)[0].content == "Once upon a time there was a small"
    assert load(f"{path}?opening=2", Prompt, None)[0].content == "Once upon"
    with pytest.raises(UserError, match="opening should be a number of words, not 'two'"):
        load(f"{path}?opening=two", Prompt, None)
    with pytest.raises(UserError, match="takes no options"):
        load("seal_bay?opening=2", Prompt)
    assert first_words("  two  words ") == "  two  words" and first_words("") == ""


def test_ratings_of_one_prompt_by_one_labeler_become_a_ranking(write):
    rows = [
        {"prompt": "p", "completion": c, "label": label, "labeler": who}
        for c, label, who in [("a", True, "ann"), ("b", False, "ann"), ("c", True, "ann"), ("d", True, "bob")]
    ]
    (ranking,) = load(write("x.jsonl", rows), Ranking, None)
    assert dict(zip(ranking.completions, ranking.ranks, strict=True)) == {"a": 1, "b": 2, "c": 1}
    assert ranking.judgement.labeler == "ann"


# The hub, without a network


class Library(SimpleNamespace):
    """Stands in for the `datasets` library."""


def test_without_the_library_a_hub_name_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UserError, match=r"pip install 'heed\[hub\]'"):
        load("Anthropic/hh-rlhf", Ranking)


def test_a_hub_dataset_brings_its_own_splits(monkeypatch):
    asked = []

    def load_dataset(name, config):
        asked.append((name, config))
        return {"train": PAIRS, "validation": PAIRS[:2], "test": PAIRS[:3]}

    monkeypatch.setitem(sys.modules, "datasets", Library(load_dataset=load_dataset))
    assert [len(load("org/pairs:small", Ranking, s)) for s in ("train", "valid", "test")] == [200, 2, 3]
    assert asked == [("org/pairs", "small")] * 3


def test_what_the_hub_library_raises_becomes_one_sentence(monkeypatch):
    def load_dataset(name, config):
        raise ConnectionError("no route\nand a long story")

    monkeypatch.setitem(sys.modules, "datasets", Library(load_dataset=load_dataset))
    with pytest.raises(UserError, match=r"org/pairs: cannot be loaded from the hub \(no route\)$"):
        load("org/pairs", Rating)
