"""Whatever is handed in: one sentence with the file, the line and the key, and never a traceback of ours."""

import gzip
import io
import pickle
import tarfile
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from heed.errors import UserError
from heed.language.datasets import describe, load
from heed.language.datasets.formats import FORMATS
from heed.records import KINDS, Ranking, Rating, Text

PAIR = '{"prompt": "p", "chosen": "a", "rejected": "b"}\n'


def zipped(name):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, b"x")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("empty.jsonl", "", "the file is empty"),
        ("blank.jsonl", "\n \n", "the file is empty"),
        ("none.json", "[]", "an empty list"),
        ("header.csv", "prompt,chosen,rejected\n", "no rows"),
        ("plain.jsonl", "hello\n", "line 1: not a JSON value (Expecting value at column 1)"),
        ("cut.jsonl", PAIR + '{"prompt": "p", "cho', "line 2: not a JSON value (Unterminated string"),
        ("cut.json", '[{"prompt": "p"},\n {"prom', "not a JSON file (Unterminated string starting at column 3 of line 2)"),
        ("many.jsonl", "[\n" + PAIR, "a file with one JSON value over many lines is .json"),
        ("twice.jsonl", '{"prompt": "p", "chosen": "a", "chosen": "b"}', "line 1: not a JSON value (the key 'chosen' stands"),
        ("nan.jsonl", '{"prompt": "p", "score": NaN}', "NaN is not a JSON number"),
        ("deep.jsonl", "[" * 100_000, "nested too deeply"),
        ("nul.jsonl", '{"text": "a\\u0000b"}', "line 1: not a JSON value (a NUL byte in a text)"),
        ("half.jsonl", '{"text": "a\\ud800b"}', "half a surrogate pair in a text"),
        ("half_key.jsonl", '{"text": "a", "\\udfff": 1}', "half a surrogate pair in a text"),
        ("latin.jsonl", '{"text": "caf\xe9"}'.encode("latin-1"), "line 1: not UTF-8 text (byte 0xe9)"),
        ("latin.txt", "caf\xe9".encode("latin-1"), "not UTF-8 text (byte 0xe9)"),
        ("nul.txt", "a\0b", "a NUL byte in a text"),
        ("list.jsonl", PAIR + "[1, 2]\n", "line 2: a row should be an object with named columns, not a list"),
        ("number.jsonl", PAIR + "7\n", "line 2: a row should be an object with named columns, not a int"),
        ("cells.csv", "prompt,chosen,rejected\np,a,b\np,a\n", "line 3: 2 cells under 3 column names"),
        ("same.csv", "prompt,prompt\na,b\n", "the first line should name each column once; 'prompt'"),
        ("quote.csv", 'text\n"a\n', "line 2: not CSV (unexpected end of data)"),
        ("nul.csv", "text\na\0b\n", "NUL"),
        ("pairs.parquet", "PAR0", "not a readable parquet file"),
        ("model.pkl", pickle.dumps([1]), "heed never unpickles data"),
        ("model.bin", b"anything", "heed never unpickles data"),
        ("rows.jsonl", pickle.dumps([{"text": "x"}], protocol=4), "looks like a pickle"),
        ("rows.json", zipped("data.pkl"), "looks like a pickle or an archive of one"),
        ("rows.tsv", "a\tb\n", "heed reads .jsonl, .json, .csv, .parquet, .txt"),
        ("broken.tar.xz", b"not a tar at all", "not a readable tar file"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(write, name, content, says):
    with pytest.raises(UserError) as error:
        load(write(name, content), Ranking, None)
    assert name in str(error.value) and says in str(error.value)


def test_a_file_that_is_not_packed_as_its_name_says(write, tmp_path):
    (tmp_path / "pairs.jsonl.gz").write_bytes(PAIR.encode())
    (tmp_path / "pairs.jsonl").write_bytes(gzip.compress(PAIR.encode()))
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(PAIR.encode() * 1000)[:40])
    for name, says in [
        ("pairs.jsonl.gz", "the name says .gz but the bytes are not gz"),
        ("pairs.jsonl", "rename it to pairs.jsonl.gz"),
        ("cut.jsonl.gz", "broken or cut-off compressed file"),
    ]:
        with pytest.raises(UserError, match=says):
            load(str(tmp_path / name), Ranking, None)


def test_a_tar_is_read_in_place_and_only_its_plain_texts(tmp_path, write):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in [("../../aclImdb/train/pos/5_9.txt", b"fine"), ("x.py", b"import os")]:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
        link = tarfile.TarInfo("train/neg/1_1.txt")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    before = set(tmp_path.parent.rglob("*"))
    (text,) = load(write("reviews.tar.xz", buffer.getvalue()), Text, None)
    assert text.text == "fine" and set(tmp_path.parent.rglob("*")) - before == {tmp_path / "reviews.tar.xz"}


def test_a_missing_file_offers_the_nearest(write, tmp_path):
    write("pairs.jsonl", PAIR)
    with pytest.raises(UserError, match=r"no dataset, file or folder .*pair.jsonl'; did you mean 'pairs.jsonl'"):
        load(str(tmp_path / "pair.jsonl"), Ranking)
    (tmp_path / "void").mkdir()
    with pytest.raises(UserError, match="in this folder"):
        load(str(tmp_path / "void"), Ranking)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"chosen": None}, "'chosen' should be text or a list of"),
        ({"chosen": 7}, '\'chosen\' should be text or a list of {"role", "content"}, not the int 7'),
        ({"chosen": [{"role": "assistant", "content": "a"}]}, "of the same kind as 'chosen'"),
        ({"prompt": [{"role": "assistent", "content": "a"}]}, "should be system, user or assistant, not 'assistent'"),
        ({"prompt": [{"content": "a"}]}, "'prompt.0' should be a turn"),
        ({"prompt": [{"role": "user", "content": 3}]}, "the content at 'prompt.0' should be text, not int"),
        ({"margin": "wide"}, "'margin' should be a number, not the text 'wide'"),
        ({"margin": [1]}, "'margin' should be a number"),
        ({"labeler": {}}, "'labeler' should be a name"),
    ],
)
def test_a_wrong_value_names_line_key_and_what_was_expected(write, change, says):
    rows = [{"prompt": "p", "chosen": "a", "rejected": "b"}] * 2
    with pytest.raises(UserError) as error:
        load(write("pairs.jsonl", [*rows, {**rows[0], **change}]), Ranking, None)
    assert "pairs.jsonl, line 3: " in str(error.value) and says in str(error.value)
    assert "prompt, chosen, rejected" in str(error.value)  # what a row of this format looks like


def test_a_missing_column_names_the_line_and_the_nearest_column(write):
    rows = [{"history": "h", "human_ref_A": "a", "human_ref_B": "b", "labels": 1}] * 2
    rows.append({"history": "h", "human_ref_A": "a", "human_ref_b": "b", "labels": 1})
    with pytest.raises(UserError, match=r"line 3: no 'human_ref_B'; did you mean 'human_ref_b'"):
        load(write("shp.jsonl", rows), Ranking, None)


def test_unknown_columns_are_answered_with_the_nearest_format_and_how_to_rename(write):
    path = write("pairs.jsonl", [{"Prompt": "p", "Chosen": "a", "refused": "b"}])
    with pytest.raises(UserError, match=r"prompt, chosen, rejected.*missing: .*\?prompt=Prompt"):
        load(path, Ranking, None)
    (ranking,) = load(f"{path}?prompt=Prompt&chosen=Chosen&rejected=refused", Ranking, None)
    assert ranking.completions == ("a", "b")


@pytest.mark.parametrize(
    ("rows", "want", "says"),
    [
        ([{"prompt": "p", "chosen": "a", "rejected": "a"}] * 3, Ranking, "the same text in every row"),
        ([{"prompt": "p", "completions": ["a", "b"], "ranks": [1, 1]}] * 3, Ranking, "every comparison is a tie"),
        ([{"prompt": "p", "completion": "c", "label": True}] * 3, Rating, "every label is True; both are needed"),
        ([{"conversations": [{"from": "human", "value": "hi"}]}], Text, "1 x no assistant turn after a user's"),
        ([{"prompt": "p"}], Ranking, "holds prompts, which cannot be read as rankings"),
    ],
)
def test_a_file_with_nothing_to_learn_from_says_so(write, rows, want, says):
    with pytest.raises(UserError, match=says):
        load(write("rows.jsonl", rows), want, None)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["role", "content", "text", "from"]), inner),
    max_leaves=5,
)
columns = sorted({c for m in FORMATS for s in __import__(FORMATS[m], fromlist=["SHAPES"]).SHAPES for c in s})
wild = st.dictionaries(st.sampled_from([*columns, "input", "history", "axes", "split", "margin", "path"]), values, max_size=6)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(row=wild, kind=st.sampled_from([None, *KINDS]), form=st.sampled_from(list(FORMATS)))
def test_no_row_whatsoever_crashes_a_reader(write, row, kind, form):
    """Every format is forced on rows of its columns with values of any kind."""
    path = write("rows.jsonl", [row if kind is None else {**row, "kind": kind}])
    for source in (path, f"{path}?format={form}"):
        try:
            describe(source)
        except UserError as error:
            assert "rows.jsonl" in str(error)
