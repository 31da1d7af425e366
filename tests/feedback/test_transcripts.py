"""HH transcripts: what is written is read back, and what they cannot hold is left out and counted."""

import gzip
import json
import os
import warnings
from pathlib import Path

import pytest

from heed.errors import UserError
from heed.feedback.exchange import add_rankings
from heed.feedback.store import open_store
from heed.feedback.transcripts import read_transcripts, transcript_rows, write_transcripts
from heed.records import Candidate, Comparison, Message, Prompt, Ranking
from heed.testing.store import ODD_TEXTS, answer

DATA = Path(os.environ.get("HEED_DATA") or Path(__file__).parents[3] / "shared" / "data")
ROW = {"chosen": "\n\nHuman: hi\n\nAssistant: hello", "rejected": "\n\nHuman: hi\n\nAssistant: go away"}


def talk(*texts, ranks=(1, 2), turns=(("user", "hi"),)):
    asked = Comparison(Prompt(tuple(Message(*turn) for turn in turns)), tuple(Candidate(t) for t in texts))
    return Ranking(asked, answer(asked, ranks=ranks))


def test_a_transcript_by_hand():
    long = (("user", "hi"), ("assistant", "hello"), ("user", "and?"))
    (row,) = transcript_rows([talk("yes", "no", ranks=(2, 1), turns=long)])
    assert row["chosen"] == "\n\nHuman: hi\n\nAssistant: hello\n\nHuman: and?\n\nAssistant: no"
    assert row["rejected"] == "\n\nHuman: hi\n\nAssistant: hello\n\nHuman: and?\n\nAssistant: yes"


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_transcripts_come_back_to_the_byte(tmp_path, kind):
    rankings = [talk("a", "b", "c", ranks=(2, 1, 1)), talk(" x\n\n", "Human: y\n"), talk("", "Assistant: z", ranks=(2, 1)),
                *(talk(t, t + "!", turns=(("user", t),)) for t in ODD_TEXTS)]  # fmt: skip
    a, b = tmp_path / f"a.{kind}", tmp_path / f"b.{kind}"
    write_transcripts(rankings, a)
    with open_store(tmp_path / "x.db") as store:
        add_rankings(store, read_transcripts(a))
        back = store.rankings()
    write_transcripts(back, b)
    assert a.read_bytes() == b.read_bytes()
    assert sorted(back[0].completions) == ["a", "b", "c"] and len(back) == len(rankings), "K-way again"


def test_a_text_prompt_becomes_a_turn():
    asked = Comparison(Prompt("hi"), (Candidate("a"), Candidate("b")))
    (back,) = read_transcripts(transcript_rows([Ranking(asked, answer(asked))]))
    assert back.prompt.content == (Message("user", "hi"),) and back.completions == ("a", "b")


@pytest.mark.parametrize("ranking", [
    talk("a", "b", turns=(("system", "be kind"), ("user", "hi"))),
    talk("a", "so\n\nHuman: I said\n\nAssistant: that"),
    talk("a", "b", turns=(("user", "x\n\nAssistant: y"),)),
], ids=["system", "completion", "prompt"])  # fmt: skip
def test_what_a_transcript_cannot_hold_is_left_out(ranking):
    with pytest.warns(UserWarning, match="1 pairs left out"):
        rows = list(transcript_rows([ranking, talk("a", "b")]))
    assert len(rows) == 1


def test_rows_that_part_earlier_are_left_out():
    apart = {"chosen": "\n\nHuman: hi\n\nAssistant: a\n\nHuman: x\n\nAssistant: c",
             "rejected": "\n\nHuman: hi\n\nAssistant: b\n\nHuman: x\n\nAssistant: c"}  # fmt: skip
    human = {key: text + "\n\nHuman: bye" for key, text in ROW.items()}
    with pytest.warns(UserWarning, match="2 rows left out"):
        assert len(read_transcripts([ROW, apart, human])) == 1


@pytest.mark.parametrize(("row", "message"), [
    ({"chosen": "hi", "rejected": "ho"}, "row 1: chosen = 'hi': expected at least two turns"),
    ({**ROW, "rejected": "\n\nHuman: hi"}, "row 1: rejected"),
    ({"chosen": ROW["chosen"]}, "no 'rejected'.*expected chosen, rejected: transcripts that open"),
    ({**ROW, "rejected": None}, "rejected = None"),
    ({**ROW, "group_id": 1}, "group_id = 1"),
])  # fmt: skip
def test_a_wrong_row_is_named(row, message):
    with pytest.raises(UserError, match=message):
        read_transcripts([row])


def test_the_real_file():
    """2,312 pairs of harmless-base: every row is read, or left out for a reason that is counted."""
    path = DATA / "hh_rlhf" / "harmless-base__test.jsonl.gz"
    if not path.exists():
        pytest.skip(f"no {path}: set HEED_DATA to the folder that holds hh_rlhf/")
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        rankings = read_transcripts(rows)
    assert len(rows) == 2312
    counted = sum(int(str(w.message).split()[0]) for w in said)
    assert len(rankings) + counted == len(rows) and counted < 20
    written = {(row["chosen"], row["rejected"]) for row in rows}
    assert all((row["chosen"], row["rejected"]) in written for row in transcript_rows(rankings)), "as Anthropic wrote it"
