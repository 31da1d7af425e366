"""What managers do on their pages: ask for more, have disagreements reviewed, see several answers taken together."""

import json

import pytest
from visitors import a_task, post

from heed.errors import UserError
from heed.feedback.assignment import Given
from heed.feedback.desk import Desk
from heed.web.asking import tasks_of
from heed.web.sheets import consensus


def given(*orders):
    return [Given(i, "answered", "", "", ranks) for i, ranks in enumerate(orders, start=1)]


def test_several_orders_taken_together():
    a, b = {"A": 1, "B": 2, "C": 3}, {"B": 1, "A": 2, "C": 2}
    assert consensus(given(a, a, b)) == [("A", 1), ("B", 2), ("C", 3)]
    assert consensus(given(a, b)) == [("A", 1), ("B", 1), ("C", 2)], "as many for A as for B"
    assert consensus(given(a)) == consensus([*given(a), Given(2, "not_rankable", "nonsense", "")]) == []


def test_lines_become_tasks():
    rows = [{"prompt": "What is a seal?", "completions": ["A mammal.", "A fish."], "made_by": ["step-1", "step-2"], "topic": 3},
            {"prompt": [{"role": "user", "content": "Hi"}], "completions": ["Hello.", "Bye.", "Go."]}]
    first, second = tasks_of("rank", "", "\n\n".join(map(json.dumps, rows)), overlap=2)
    assert [c.text for c in first.candidates] == ["A mammal.", "A fish."] and first.prompt.columns == {"topic": 3}
    assert [c.made_by for c in first.candidates] == ["step-1", "step-2"] and first.overlap == 2
    assert first.prompt.content[0].content == "What is a seal?" and len(second.candidates) == 3
    [plain] = tasks_of("demonstrate", "", "  Write a poem.  \n\n")
    assert plain.prompt.content[0].content == "Write a poem." and plain.candidates == ()
    splits = {task.prompt.split for task in tasks_of("demonstrate", "", "\n".join(f"prompt {i}" for i in range(200)))}
    assert splits == {"train", "valid", "test"}, "by a hash of the prompt"


@pytest.mark.parametrize(("kind", "text", "message"), [
    ("rank", "What is a seal?", "line 1: 0 completions; expected 2 to 9"),
    ("pairwise", '{"prompt": "x", "completions": ["a", "b", "c"]}', "line 1: 3 completions; expected 2 "),
    ("demonstrate", 'a\n{"prompt": "x", "completions": ["a"]}', "line 2: demonstrate is asked without"),
    ("rank", '{"prompt": "x", "completions": ["a", 3]}', "expected a list of texts"),
    ("rank", '{"prompt": "x", "completions": ["a", "b"], "made_by": ["m"]}', "a name for each"),
    ("edit", '{"promt": "x", "completions": ["a"]}', "line 1: prompt: expected"),
    ("rate", '{"prompt": ', "line 1: this is no JSON"),
    ("rate", "", "0 prompts"),
    ("clips", "x", "kind: expected one of"),
    ("review", "x", "kind: expected one of"),
])  # fmt: skip
def test_lines_that_mean_nothing_are_named(kind, text, message):
    with pytest.raises(UserError, match=message):
        tasks_of(kind, "", text)


def test_a_pasted_comparison_is_asked_and_ranked(browser, store):
    ada, ann = browser("ada", "manager"), browser("ann")
    row = json.dumps({"prompt": "What is a seal?", "completions": ["A mammal.", "A fish."]})
    fields = {"kind": "rank", "overlap": "1", "priority": "0", "pool": "", "prompts": row}
    assert "Done." in post(ada, "/manage/tasks", fields).text
    assert post(ada, "/manage/tasks", {**fields, "prompts": "no answers"}).status_code == 422
    page = post(ann, "/next").text
    assert "A mammal." in page and "A fish." in page and "import" not in page
    assert len(store.comparisons()) == 1


def test_what_people_differ_on_is_reviewed_worst_first(browser, store, work):
    ada, rob, desk = browser("ada", "manager"), browser("rob", "reviewer"), Desk(store)
    numbers = work.ask([a_task("rank", f"Question {i}", texts=["x", "y", "z"], overlap=2) for i in range(3)])
    for name, orders in (("ben", [(1, 2, 3), (1, 2, 3), (1, 2, 3)]), ("cat", [(1, 2, 3), (1, 3, 2), (3, 2, 1)])):
        for number, order in zip(numbers, orders, strict=True):
            shown = desk.claim(name)
            assert shown.task == number
            by_text = dict(zip("xyz", order, strict=True))
            desk.submit(name, number, f"{name}-{number}", {"ranks": {i.letter: by_text[i.text] for i in shown.items}})
    page = ada.get("/manage/quality").text
    assert page.index(f"/manage/tasks/{numbers[2]}") < page.index(f"/manage/tasks/{numbers[1]}")
    assert f"/manage/tasks/{numbers[0]}" not in page, "they agree on the first"
    assert "taken together" in ada.get(f"/manage/tasks/{numbers[1]}").text
    for _ in range(2):  # a second time asks nothing twice
        assert post(ada, "/manage/quality/reviews", most="20").status_code == 200
    reviews = work.reviews([row.id for row in work.tasks(kind="rank")])
    assert [bool(review) for _, review in sorted(reviews.values())] == [False, True, True]
    assert work.counts()["review"].tasks == 2
    first = post(rob, "/next", kind="review").text
    assert "Question 2" in first and "taken together" in first and "ben" not in first
