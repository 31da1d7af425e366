"""heed prompts: raw prompts in, prompts worth asking out, in a form that every other verb reads."""

import json

import pytest

from heed.errors import UserError
from heed.records import Prompt
from heed.workflows.prompts import Prompts, run


def rows(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_what_is_kept_is_a_dataset_of_prompts(tmp_path):
    from heed.language.datasets import load

    raw = tmp_path / "raw.jsonl"
    asked = [{"prompt": "Write a poem about seals.", "user": "u1", "source": "playground"},
             {"prompt": "write a  POEM about seals.", "user": "u2"},  # the same opening
             {"prompt": "Summarize: seals swim. Mail me at ann@example.org", "user": "u1"},
             {"prompt": "What do seals eat?", "user": "u1"},  # one too many of this user
             {"prompt": [{"role": "user", "content": "Where do seals sleep?"}]}]
    raw.write_text("".join(json.dumps(row) + "\n" for row in asked))
    out = tmp_path / "out"
    summary = run(Prompts(dataset=str(raw), output_dir=str(out), per_user=2))
    kept = rows(out / "prompts.jsonl")
    assert [row["prompt"] for row in kept] == [asked[0]["prompt"], asked[2]["prompt"], asked[4]["prompt"]]
    assert kept[0]["split"] == kept[1]["split"] and kept[0]["user"] == kept[1]["user"] != "u1"  # a hash of it
    assert (kept[0]["source"], kept[1]["use_case"], kept[1]["pii"]) == ("playground", "summarization", ["email"])
    assert [row["reason"] for row in rows(out / "dropped.jsonl")] == ["same_opening", "over_per_user"]
    assert summary == json.loads((out / "summary.json").read_text())
    assert (summary["read"], summary["kept"], summary["dropped/same_opening"], summary["pii/email"]) == (5, 3, 1, 1)
    read = [p for split in ("train", "valid", "test") for p in load(str(out / "prompts.jsonl"), Prompt, split=split)]
    assert sorted(str(p.trl()) for p in read) == sorted(str(row["prompt"]) for row in kept)


def test_a_row_without_a_prompt_is_named(tmp_path):
    raw = tmp_path / "raw.jsonl"
    raw.write_text('{"prompt": "a"}\n{"promt": "b"}\n')
    with pytest.raises(UserError, match=r"raw.jsonl:2"):
        run(Prompts(dataset=str(raw), output_dir=str(tmp_path / "out")))
