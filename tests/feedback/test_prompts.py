"""Collecting prompts: what is kept, what is dropped and why, and what is flagged and left alone."""

import json
from collections import Counter

import pytest

from heed.errors import UserError
from heed.feedback.prompts import USE_CASES, Dropped, collect, guess_use_case, personal, read_prompts
from heed.records import Message, Prompt, split_of


def some(*prompts, **columns):
    return [(f"row {i}", Prompt(p, columns)) for i, p in enumerate(prompts, start=1)]


def test_prompts_that_open_alike_are_one():
    long = "Summarise this for a busy reader who has never heard of it: "
    collected = collect(some(long + "first", "hello", long.upper() + "second", " hello\n", "hello there", ""), prefix=50)
    assert [p.content for p in collected.prompts] == [long + "first", "hello", "hello there"]
    assert collected.dropped == [Dropped("row 3", "same_opening", "as row 1"), Dropped("row 4", "same_opening", "as row 2"),
                                 Dropped("row 6", "empty")]  # fmt: skip


def test_a_common_system_turn_is_no_common_opening():
    system = Message("system", "You are a helpful assistant. " * 10)
    talks = [(system, Message("user", text)) for text in ("one", "two", "one")]
    assert len(collect(some(*talks)).prompts) == 2


def test_two_hundred_of_a_user():
    prompts = [(f"r{i}", Prompt(f"question {i}", {"user": f"u{i % 2}"})) for i in range(500)]
    prompts += [(f"n{i}", Prompt(f"nobody's question {i}")) for i in range(300)]
    collected = collect(prompts)
    assert Counter(p.columns.get("user") for p in collected.prompts).most_common() == [
        (None, 300), *[(user, 200) for user in dict.fromkeys(p.columns["user"] for p in collected.prompts[:2])]]  # fmt: skip
    assert collected.summary()["dropped/over_per_user"] == 100
    assert collected.prompts[0].content == "question 0", "the first ones"


def test_all_of_a_user_is_in_one_split_and_his_name_in_none():
    prompts = [(f"{i}", Prompt(f"question {i}", {"user": f"ann{i % 40}@example.com"})) for i in range(400)]
    kept = collect(prompts).prompts
    splits = {(p.columns["user"], p.split) for p in kept}
    assert len(splits) == 40 and {split for _, split in splits} == {"train", "valid", "test"}
    assert all(p.split == split_of(p.columns["user"]) for p in kept)
    assert "example.com" not in repr([p.columns for p in kept])
    assert [p.id for p in kept] == [p.id for _, p in prompts], "a prompt keeps its id"


def test_what_looks_personal_is_flagged_and_stays():
    text = "My mail is ann.b@mail.example.org, my phone +44 20 7946 0958."
    (kept,) = collect(some(text)).prompts
    assert kept.content == text and kept.columns["pii"] == ["email", "phone"]


@pytest.mark.parametrize(("text", "found"), [
    ("write to a.b+c@mail.example.co.uk.", [("email", "a.b+c@mail.example.co.uk")]),
    ("call (512) 555-0202 or 020 7946 0958", [("phone", "(512) 555-0202"), ("phone", "020 7946 0958")]),
    ("+1 917-444-6321", [("phone", "+1 917-444-6321")]),
    ("pay with 4111 1111 1111 1111 please", [("card", "4111 1111 1111 1111")]),
    ("pay with 378282246310005", [("card", "378282246310005")]),
    ("from 8.8.8.8 and 2001:4860:4860::8888", [("ip", "8.8.8.8"), ("ip", "2001:4860:4860::8888")]),
    ("4111 1111 1111 1112 fails Luhn's check", []),
    ("0000 0000 0000 0000", []),
    ("at home: 127.0.0.1, 192.168.0.1, ::1, 10.1.2.3", []),
    ("version 1.2.3, 300.1.1.1, at 12:30:45, on 2023-10-11", []),
    ("1 2 3 4 5 6 7 8 9 10 and 1,000,000,000 and 3.14159265358979", []),
    ("sum of 123456789 and 987654321, user@host, @ann, C++::std", []),
])  # fmt: skip
def test_personal_by_hand(text, found):
    assert personal(text) == found


@pytest.mark.parametrize(("text", "use_case"), [
    ("Write a story about a bear", "generation"),
    ("Who built the statue of liberty?", "open_qa"),
    ("List five ideas for a birthday", "brainstorming"),
    ("Translate into French: good day", "rewrite"),
    ("Summarize the following for a second-grader: ...", "summarization"),
    ("What is the sentiment of this tweet?", "classification"),
    ("Based on the passage, who won?", "closed_qa"),
    ("Extract all names from this letter", "extract"),
    ("You: How are you?\nFriend: fine\nYou:", "chat"),
    ((Message("user", "hi"), Message("assistant", "hello"), Message("user", "write me a poem")), "chat"),
    ((Message("system", "x"), Message("user", "Write a poem")), "generation"),
    ("banana", "other"),
])  # fmt: skip
def test_use_cases_are_guessed(text, use_case):
    assert use_case in USE_CASES
    assert guess_use_case(Prompt(text)) == use_case
    assert collect(some(text)).prompts[0].columns["use_case_guessed"] is True


def test_use_cases_that_are_given_stay():
    (kept,) = collect(some("Write a poem", use_case="Open QA", topic="x")).prompts
    assert kept.columns == {"topic": "x", "use_case": "open_qa", "use_case_guessed": False, "pii": []}
    with pytest.raises(UserError, match=r"row 1: unknown use_case 'summary'.*did you mean 'summarization'"):
        collect(some("x", use_case="summary"))


def test_nothing_goes_missing():
    """Everything read was kept or dropped, for a reason."""
    collected = collect(some("a?", "a?", "b", "", "call (512) 555-0202", user="u"), per_user=2)
    assert collected.summary() == {
        "read": 5, "dropped/empty": 1, "dropped/over_per_user": 1, "dropped/same_opening": 1, "kept": 2, "no_user": 0, "pii": 0,
        "split/train": 2, "use_case/open_qa": 1, "use_case/other": 1, "use_case_guessed": 2}  # fmt: skip


def test_a_file_of_prompts(tmp_path):
    rows = [{"prompt": "hi", "user": "u1"}, {"prompt": [{"role": "user", "content": "hello"}], "use_case": "chat"}]
    path = tmp_path / "prompts.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    collected = collect(read_prompts(path))
    assert [p.content for p in collected.prompts] == ["hi", (Message("user", "hello"),)]
    assert collect([*read_prompts(path)] * 2).dropped[0] == Dropped(f"{path}:1", "same_opening", f"as {path}:1")
    path.write_text('{"prompt": "a"}\n{"promt": "b"}\n')
    with pytest.raises(UserError, match=r"prompts\.jsonl:2: no 'prompt'; did you mean 'promt'"):
        collect(read_prompts(path))
