"""heed label: samples in, ranked comparisons in the store, the same however often it was killed."""

import json
import os
import signal
import subprocess
import sys

import pytest

from heed.config import make
from heed.errors import UserError
from heed.feedback.exchange import read_groups
from heed.feedback.store import open_store
from heed.records import Judgement, Message, Prompt, to_json
from heed.workflows.label import LabelSettings, read_samples, run, summarise

REWARDS = """
import os
def brevity(prompts, completions, **columns):
    return [-len(text) for text in completions]
def silent(prompts, completions, **columns):
    return [None for _ in completions]
calls = []
def killed(prompts, completions, **columns):
    calls.append(1)
    if len(calls) == 3:
        os.kill(os.getpid(), 9)
    return brevity(prompts, completions)
if os.path.exists("killed before"):
    killed = brevity
"""
NOISY = dict(reward_function="rewards_of_test_label:brevity", noise=2.0, mistakes=0.1, skip=0.1, tie_threshold=0.5,
             labelers=3, overlap=2)  # fmt: skip


def sample(i, k=3, **more):
    prompt = Prompt((Message("user", f"question {i}"),), {"use_case": "chat"}, "valid" if i % 5 == 0 else "train")
    completions = [{"id": f"{i}.{n}", "text": "word " * (1 + (i + n * n) % 7), "tokens": [i, n], "logprob": -1.5 * n}
                   for n in range(k)]  # fmt: skip
    return {"prompt": to_json(prompt), "completions": completions, "made_by": "step-7", "sampling": {"seed": 3}, **more}


def write(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "rewards_of_test_label", raising=False)
    (tmp_path / "rewards_of_test_label.py").write_text(REWARDS)
    write(tmp_path / "samples.jsonl", *(sample(i) for i in range(150)))
    return tmp_path


def label(folder, name="out", **more):
    return run(make(LabelSettings, {"output_dir": str(folder / name), "samples": str(folder / "samples.jsonl"), **more}))


def content(folder, name="out"):
    """All that training may see, in its order."""
    with open_store(folder / name / "store.db", create=False) as store:
        return ([(c.id, c.prompt, c.candidates) for c in store.comparisons()],
                [(j.id, j.comparison_id, j.labeler, list(j.ranks.items()), j.outcome) for j in store.judgements()])


def test_exact_labels(folder):
    figures = label(folder, reward_function="rewards_of_test_label:brevity")
    assert figures == {"comparisons": 150, "answers": 150, "ties": figures["ties"], "skipped": 0, "not_rankable": 0,
                       "agreement": 1.0, "seconds": figures["seconds"]}  # fmt: skip
    with open_store(folder / "out" / "store.db", create=False) as store:
        rankings = store.rankings()
        assert store.labelers() == {"synthetic-1": "synthetic"}
        assert len(store.rankings(split="valid")) == 30
    for i, ranking in enumerate(rankings):
        assert [c.id for c in ranking.comparison.candidates] == [f"{i}.{n}" for n in range(3)]
        lengths = [len(text) for text in ranking.completions]
        assert list(ranking.ranks) == [1 + sorted(set(lengths)).index(x) for x in lengths]
    first = rankings[1].comparison.candidates[1]
    assert (first.made_by, first.tokens, first.logprob, dict(first.sampling)) == ("step-7", (1, 1), -1.5, {"seed": 3})
    read = read_groups(folder / "out" / "rankings.jsonl")
    assert [(r.prompt, r.completions, r.ranks) for r in read] == [(r.prompt, r.completions, r.ranks) for r in rankings]


def test_a_crowd(folder):
    figures = label(folder, **NOISY)
    comparisons, judgements = content(folder)
    asked = {id: sorted(j[2] for j in judgements if j[1] == id) for id, _, _ in comparisons}
    assert all(len(set(names)) == 2 for names in asked.values())
    shares = [sum(j[2] == f"synthetic-{i}" for j in judgements) / 300 for i in (1, 2, 3)]
    assert shares == pytest.approx([1 / 3] * 3, abs=0.08), "the work is shared"
    assert figures["answers"] == sum(j[4] == "answered" for j in judgements)
    assert figures["skipped"] == pytest.approx(0.1, abs=0.06)
    assert 0.5 < figures["agreement/labelers"] < figures["agreement"] < 1


def test_killed_and_started_again_it_ends_the_same(folder):
    """kill -9 while the third part is scored: two parts are in the store, and the next start adds the third."""
    whole = {**NOISY, "reward_function": "rewards_of_test_label:killed"}
    settings = {"output_dir": str(folder / "out"), "samples": str(folder / "samples.jsonl"), **whole}
    code = ("import json, sys; from heed.config import make; from heed.workflows.label import LabelSettings, run; "
            "run(make(LabelSettings, json.loads(sys.argv[1])))")  # fmt: skip
    process = subprocess.run([sys.executable, "-c", code, json.dumps(settings)], env=os.environ, capture_output=True)
    assert process.returncode == -signal.SIGKILL, process.stderr.decode()
    partial = content(folder)
    assert len(partial[0]) == 128
    (folder / "killed before").touch()
    label(folder, **whole)
    label(folder, "at once", **whole)
    assert content(folder) == content(folder, "at once")
    assert content(folder)[1][: len(partial[1])] == partial[1]
    assert label(folder, **whole)["comparisons"] == 150, "and a finished run says again what it said"


def test_people(folder):
    """Their answers are there when the run looks for them; skips wait for somebody else."""
    write(folder / "samples.jsonl", sample(1), sample(2))
    asked = read_samples(str(folder / "samples.jsonl"))
    with open_store(folder / "people.db") as store:
        ranks = {c.id: 1 + (n > 0) for n, c in enumerate(asked[0].candidates)}
        store.add([*asked, Judgement(asked[0].id, "ann", ranks), Judgement(asked[1].id, "ann", {}, "skipped"),
                   Judgement(asked[1].id, "bob", {}, "not_rankable")])  # fmt: skip
    figures = label(folder, by="human", store=str(folder / "people.db"))
    assert {k: v for k, v in figures.items() if k != "seconds"} == {
        "comparisons": 2, "answers": 1, "ties": pytest.approx(1 / 3, abs=1e-6), "skipped": pytest.approx(1 / 3, abs=1e-6),
        "not_rankable": pytest.approx(1 / 3, abs=1e-6)}  # fmt: skip


def test_it_waits_until_people_have_answered(folder, monkeypatch):
    write(folder / "samples.jsonl", *(sample(i) for i in range(3)))
    looks = []

    def somebody_answers(seconds):
        looks.append(seconds)
        with open_store(folder / "out" / "store.db") as store:
            comparison = store.claim("ann")
            store.add([Judgement(comparison.id, "ann", {c.id: 1 for c in comparison.candidates})])

    monkeypatch.setattr("heed.workflows.label.time.sleep", somebody_answers)
    figures = label(folder, by="human", poll_seconds=0.5)
    assert looks == [0.5] * 3
    assert (figures["answers"], figures["ties"]) == (3, 1.0)


def test_a_reward_that_says_nothing_ranks_nothing(folder):
    figures = label(folder, reward_function="rewards_of_test_label:silent")
    assert (figures["answers"], figures["not_rankable"]) == (0, 1.0)


def test_figures_by_hand(folder):
    a, b = read_samples(str(write(folder / "x.jsonl", sample(1), sample(2))))
    given = [Judgement(c.id, name, dict(zip((x.id for x in c.candidates), ranks, strict=True)))
             for c, name, ranks in ((a, "x", (1, 2, 3)), (a, "y", (2, 1, 1)), (b, "x", (1, 1, 1)))]  # fmt: skip
    given.append(Judgement(b.id, "y", {}, "skipped"))
    figures = summarise([a, b], given, {a.id: [3.0, 2.0, 1.0]})
    # ties: none, 1 of 3, 3 of 3.  agreement on a: x 3 of 3, y 0 of the 2 it decided.  x with y: 0 of 2.
    assert figures == {"comparisons": 2, "answers": 3, "ties": pytest.approx(4 / 9, abs=1e-6), "skipped": 0.25,
                       "not_rankable": 0.0, "agreement": 0.6, "agreement/labelers": 0.0}  # fmt: skip


@pytest.mark.parametrize(("more", "message"), [
    ({}, "reward_function"),
    ({"reward_function": "rewards_of_test_label:brevety"}, "did you mean 'brevity'"),
    ({**NOISY, "overlap": 4}, "overlap = 4"),
    ({**NOISY, "biases": {"word": 1}}, "did you mean 'words'"),
    ({**NOISY, "noise": -1}, "noise"),
    ({**NOISY, "store": "postgresql://me:secret@host/x"}, "PGPASSWORD"),
])  # fmt: skip
def test_wrong_settings_are_named(folder, more, message):
    with pytest.raises(UserError, match=message):
        label(folder, **more)
    assert label(folder, reward_function="rewards_of_test_label:brevity")["answers"] == 150, "a mistake leaves nothing"


def test_answers_under_other_settings_are_not_mixed(folder):
    label(folder, **NOISY, store=str(folder / "shared.db"))
    with pytest.raises(UserError, match="other settings"):
        label(folder, "second", **{**NOISY, "noise": 3.0}, store=str(folder / "shared.db"))


@pytest.mark.parametrize(("row", "message"), [
    ({"prompt": "hi"}, "prompt = 'hi'"),
    (sample(1, prompt={"text": "hi"}), "not a prompt"),
    (sample(1, k=1), "at least 2"),
    (sample(1, completions=["a", "b"]), "completions holds 'a'"),
    (sample(1, completions=[{"txt": "a"}]), "no 'text'; did you mean 'txt'"),
    (sample(1, made_by=None), "made_by = None"),
])  # fmt: skip
def test_a_wrong_sample_is_named_by_its_line(folder, row, message):
    with pytest.raises(UserError, match=rf"x\.jsonl:2: .*{message}"):
        read_samples(str(write(folder / "x.jsonl", sample(0), row)))


def test_no_samples(folder):
    with pytest.raises(UserError, match="holds no samples"):
        read_samples(str(write(folder / "x.jsonl")))
