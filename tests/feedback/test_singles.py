"""Files of demonstrations and ratings: what comes back is what was written."""

import pytest

from heed.errors import UserError
from heed.feedback.exchange import read_rows
from heed.feedback.singles import (
    read_demonstrations,
    read_ratings,
    write_demonstrations,
    write_ratings,
    write_unpaired,
)
from heed.feedback.store import open_store
from heed.records import Candidate, Demonstration, Message, Prompt, Rating
from heed.testing.store import ODD_TEXTS

CHAT = Prompt((Message("user", "hi"),), {"k": [1, None]}, "valid")


def rating(text, who="ann", prompt=CHAT, **scores):
    return Rating(prompt, Candidate(text, "step-1"), who, scores or {"helpful": 3}, 1, 7)


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
@pytest.mark.parametrize(("write", "read", "records", "kept"), [
    (write_demonstrations, read_demonstrations, [Demonstration(CHAT, "hello", "ann"), Demonstration(Prompt("p"), "x"),
                                                 *(Demonstration(Prompt(t), t) for t in ODD_TEXTS)], "demonstrations"),
    (write_ratings, read_ratings, [rating("a", helpful=3, kind=7), rating("b", "bob", Prompt("p"), helpful=1.5),
                                   *(rating(t, prompt=Prompt(t)) for t in ODD_TEXTS)], "ratings"),
], ids=["demonstrations", "ratings"])  # fmt: skip
def test_there_and_back(tmp_path, kind, write, read, records, kept):
    a, b = tmp_path / f"a.{kind}", tmp_path / f"b.{kind}"
    assert write(records, a) == len(records)
    assert [r.prompt for r in read(a)][:2] == [r.prompt for r in records][:2]
    with open_store(tmp_path / "x.db") as store:
        store.add(read(a))
        write(getattr(store, kept)(), b)
    assert a.read_bytes() == b.read_bytes()


def test_the_smallest_rows():
    (shown,) = read_demonstrations([{"prompt": "p", "completion": "c"}])
    assert (shown.prompt.content, shown.completion, shown.author) == ("p", "c", "human")
    row = {"prompt": "p", "completion": "c", "scores": {"x": 2}, "low": 1, "high": 5}
    one, other = read_ratings([row, {**row, "labeler": "bob"}])
    assert one.candidate == other.candidate and one.id != other.id, "two people on one answer"


def test_unpaired_rows_leave_out_the_middle(tmp_path):
    """On a scale from 1 to 7 the middle is 4."""
    ratings = [rating("a", helpful=5), rating("b", helpful=4), rating("c", helpful=1), rating("d", kind=7)]
    assert write_unpaired(ratings, "helpful", tmp_path / "x.jsonl") == 2
    assert [(row["completion"][0]["content"], row["label"]) for _, row in read_rows(tmp_path / "x.jsonl")] == [
        ("a", True), ("c", False)]  # fmt: skip


@pytest.mark.parametrize(("read", "row", "message"), [
    (read_demonstrations, {"prompt": "p", "completions": "c"}, "no 'completion'; did you mean 'completions'.*expected prompt"),
    (read_demonstrations, {"prompt": "p", "completion": [{"role": "user", "content": "c"}]}, "one turn of the assistant"),
    (read_demonstrations, {"prompt": "p", "completion": "c", "split": "tset"}, "did you mean 'test'"),
    (read_ratings, {"prompt": "p", "completion": "c", "scores": {"x": 9}, "low": 1, "high": 5}, "x = 9; expected.*from 1 to 5"),
    (read_ratings, {"prompt": "p", "completion": "c", "scores": {"x": "3"}, "low": 1, "high": 5}, "x = '3'"),
    (read_ratings, {"prompt": "p", "completion": "c", "scores": {"x": 3}, "low": 1}, "no 'high'.*scores, low, high"),
])  # fmt: skip
def test_a_wrong_row_is_named(read, row, message):
    with pytest.raises(UserError, match=rf"^row 1: .*{message}"):
        read([row])
