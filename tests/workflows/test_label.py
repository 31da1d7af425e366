"""heed label: samples in, ranked comparisons in the store, the same however often it was killed."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from heed.config import make
from heed.errors import RunError, UserError
from heed.feedback.exchange import read_groups
from heed.feedback.store import open_store
from heed.language.chat import load_tokenizer
from heed.language.models import new_model, save
from heed.records import Judgement, Message, Prompt, to_json
from heed.workflows.answers import summarise
from heed.workflows.checkpoints import weights_sha256
from heed.workflows.choosing import RewardModels
from heed.workflows.label import LabelSettings, part_of, read_samples, run

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


def values(figures):
    """The figures without their intervals, and without the clock."""
    return {k: v["value"] if isinstance(v, dict) else v for k, v in figures.items() if k != "seconds"}


def content(folder, name="out"):
    """All that training may see, in its order."""
    with open_store(folder / name / "store.db", create=False) as store:
        return ([(c.id, c.prompt, c.candidates) for c in store.comparisons()],
                [(j.id, j.comparison_id, j.labeler, list(j.ranks.items()), j.outcome) for j in store.judgements()])


def test_exact_labels(folder):
    figures = label(folder, reward_function="rewards_of_test_label:brevity")
    assert list(figures) == ["comparisons", "answers", "ties", "skipped", "not_rankable", "agreement", "seconds"]
    assert (figures["comparisons"], figures["answers"], figures["agreement"]["value"]) == (150, 150, 1.0)
    assert 0.97 < figures["agreement"]["low"] < figures["agreement"]["high"] == 1.0, "150 prompts cannot say exactly 1"
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
    assert figures["skipped"]["low"] < 0.1 < figures["skipped"]["high"]
    assert 0.5 < figures["agreement/labelers"]["value"] < figures["agreement"]["value"] < 1


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
    assert values(figures) == {"comparisons": 2, "answers": 1, "ties": pytest.approx(1 / 3, abs=1e-6),
                               "skipped": pytest.approx(1 / 3, abs=1e-6), "not_rankable": pytest.approx(1 / 3, abs=1e-6)}


def test_it_waits_until_people_have_answered(folder, monkeypatch):
    write(folder / "samples.jsonl", *(sample(i) for i in range(3)))
    looks = []

    def somebody_answers(seconds):
        looks.append(seconds)
        with open_store(folder / "out" / "store.db") as store:
            comparison = store.claim("ann")
            store.add([Judgement(comparison.id, "ann", {c.id: 1 for c in comparison.candidates})])

    monkeypatch.setattr("heed.workflows.answers.time.sleep", somebody_answers)
    figures = label(folder, by="human", poll_seconds=0.5)
    assert looks == [0.5] * 3
    assert (figures["answers"], figures["ties"]["value"]) == (3, 1.0)


def test_a_reward_that_says_nothing_ranks_nothing(folder):
    figures = label(folder, reward_function="rewards_of_test_label:silent")
    assert (figures["answers"], figures["not_rankable"]["value"]) == (0, 1.0)


def test_figures_by_hand(folder):
    a, b = read_samples(str(write(folder / "x.jsonl", sample(1), sample(2))))
    given = [Judgement(c.id, name, dict(zip((x.id for x in c.candidates), ranks, strict=True)))
             for c, name, ranks in ((a, "x", (1, 2, 3)), (a, "y", (2, 1, 1)), (b, "x", (1, 1, 1)))]  # fmt: skip
    given.append(Judgement(b.id, "y", {}, "skipped"))
    figures = summarise([a, b], given, {a.id: [3.0, 2.0, 1.0]})
    # ties: none, 1 of 3, 3 of 3.  agreement on a: x 3 of 3, y 0 of the 2 it decided.  x with y: 0 of 2.
    assert values(figures) == {"comparisons": 2, "answers": 3, "ties": pytest.approx(4 / 9, abs=1e-6), "skipped": 0.25,
                               "not_rankable": 0.0, "agreement": 0.6, "agreement/labelers": 0.0}


@pytest.mark.parametrize(("more", "message"), [
    ({}, "reward_function"),
    ({"reward_function": "rewards_of_test_label:brevety"}, "did you mean 'brevity'"),
    ({**NOISY, "overlap": 4}, "overlap = 4"),
    ({"by": "judge"}, "judge.model"),
    ({"by": "judge", "overlap": 2, "judge": {"model": "x"}}, "more labelers than the one judge"),
    ({"by": "judge", "judge": {"model": "x", "url": "ftp://here"}}, "expected http"),
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


LENGTH = re.compile(r'<answer(?: name="(\w)")?>\n(.*?)\n</answer>', re.DOTALL)


def shorter_is_better(question):
    """A judge in three lines: the length of what stands between the tags."""
    lengths = {name: len(text) for name, text in LENGTH.findall(question)}
    if "" in lengths:
        return f"VERDICT: {max(0, 5 - lengths[''] // 8)}"
    levels = sorted(set(lengths.values()))
    return "VERDICT: " + " > ".join(" = ".join(n for n, x in lengths.items() if x == level) for level in levels)


@pytest.fixture
def server():
    """An OpenAI-compatible server; `server.down` holds texts to which it fails, `server.asked` every question."""
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["messages"][0]["content"]
            httpd.asked.append(question)
            down = any(text in question for text in httpd.down)
            body = {"choices": [{"message": {"content": shorter_is_better(question)}}],
                    "usage": {"prompt_tokens": 100, "completion_tokens": 2}}
            self.send_response(503 if down else 200)
            self.end_headers()
            self.wfile.write(b"" if down else json.dumps(body).encode())

        def log_message(self, *_):
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.asked, httpd.down = [], []
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    yield httpd
    httpd.shutdown()
    httpd.server_close()


def judged(folder, server, name="out", **more):
    judge = {"url": f"http://127.0.0.1:{server.server_port}/v1", "model": "m", "price_in": 1.0, "price_out": 10.0, **more}
    return label(folder, name, by="judge", judge=judge)


def test_a_judge_on_a_server(folder, server, capsys):
    write(folder / "samples.jsonl", *(sample(i) for i in range(9)))
    figures = judged(folder, server)
    pairs = figures["judge/pairs"]
    assert (figures["answers"], figures["judge/sent"], figures["judge/disagreements"]) == (9, 2 * pairs, 0)
    assert figures["judge/cost"] == pytest.approx(2 * pairs * (100 * 1 + 2 * 10) / 1e6)
    assert f"judge: {2 * pairs} questions sent, 0 answered from the log" in capsys.readouterr().out
    with open_store(folder / "out" / "store.db", create=False) as store:
        assert store.labelers() == {"judge": "judge"}
        for ranking in store.rankings():
            lengths = [len(text) for text in ranking.completions]
            assert list(ranking.ranks) == [1 + sorted(set(lengths)).index(x) for x in lengths]


def test_what_a_server_failed_to_answer_is_asked_again_and_nothing_else(folder, server, monkeypatch):
    monkeypatch.setattr("heed.feedback.labelers.endpoint.LONGEST_PAUSE", 1e-3)
    write(folder / "samples.jsonl", *(sample(i) for i in range(1, 5)))
    server.down.append("question 2")
    with pytest.raises(RunError, match="1 of 4 comparisons were skipped because the judge's server failed"):
        judged(folder, server)
    assert not (folder / "out" / "summary.json").exists()
    server.down.clear()
    server.asked.clear()
    figures = judged(folder, server)
    assert server.asked and all("question 2" in question for question in server.asked)
    assert (figures["answers"], figures["skipped"]["value"]) == (4, 0)
    outcomes = [(j[1], j[4]) for j in content(folder)[1]]
    assert len(outcomes) == 5 and [o for _, o in outcomes].count("skipped") == 1, "the skip is on record, the answer holds"
    with open_store(folder / "out" / "store.db", create=False) as store:
        assert len(store.rankings()) == 4


def test_scores_of_a_judge_are_ratings(folder, server):
    write(folder / "samples.jsonl", sample(1), sample(2))
    judged(folder, server, mode="score")
    with open_store(folder / "out" / "store.db", create=False) as store:
        ratings = store.ratings()
        assert [(r.low, r.high, r.labeler) for r in ratings] == [(0, 5, "judge")] * 6
        assert all(r.scores["score"] == max(0, 5 - len(r.candidate.text) // 8) for r in ratings)
        assert len(store.rankings()) == 2


def test_a_local_checkpoint_as_judge(folder, sft):
    """It reads the question through its chat template, and the same checkpoint says the same again."""
    tokenizer = load_tokenizer(sft)
    model = new_model({"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
                       "max_position_embeddings": 1024}, tokenizer)
    save(model, tokenizer, folder / "judge")
    write(folder / "samples.jsonl", sample(1, k=2))
    judge = {"model": str(folder / "judge"), "max_tokens": 6}
    figures = label(folder, by="judge", judge=judge)
    assert (figures["judge/sent"], figures["judge/unreadable"], figures["skipped"]["value"]) == (4, 2, 1.0), "it only babbles"
    rows = [json.loads(line) for line in (folder / "out" / "judge.jsonl").read_text().splitlines()]
    assert all(row["reply"] and weights_sha256(str(folder / "judge")) in row["model"] for row in rows)
    label(folder, "again", by="judge", judge=judge)
    again = [json.loads(line) for line in (folder / "again" / "judge.jsonl").read_text().splitlines()]
    assert [row["reply"] for row in again] == [row["reply"] for row in rows]
    short = label(folder, "short", by="judge", judge={"model": sft, "max_tokens": 6})
    assert short["skipped"]["value"] == 1.0, "a question that does not fit is not judged by half"


def test_a_part_of_the_prompts_is_within_a_larger_one(folder):
    comparisons = read_samples(str(folder / "samples.jsonl"))
    parts = [{c.id for c in part_of(comparisons, *bounds)} for bounds in ((0, 0.1), (0, 0.5), (0.1, 1), (0, 1))]
    assert parts[0] < parts[1] < parts[3] and parts[0] | parts[2] == parts[3] and not parts[0] & parts[2]
    assert len(parts[3]) == 150 and 50 < len(parts[1]) < 100
    for bounds in ((0.5, 0.5), (-1, 1), (0, 2)):
        with pytest.raises(UserError, match="two numbers from 0 to 1"):
            part_of(comparisons, *bounds)
    with pytest.raises(UserError, match="holds none of 150"):
        part_of(comparisons, 0, 1e-9)


def test_a_reward_model_labels_the_rest(folder, reward, sft):
    """People answer a tenth; what they taught a reward model answers the others, exactly as it scores them."""
    write(folder / "samples.jsonl", *(
        {**sample(i), "completions": [{"text": "Ann has a net." + " And more." * ((i + n) % 3)} for n in range(3)]}
        for i in range(30)))
    label(folder, "people", part=[0, 0.3], reward_function="rewards_of_test_label:brevity")
    figures = label(folder, "model", part=[0.3, 1], reward_model=reward)
    assert "agreement" not in figures, "what it believes is not the truth"
    with open_store(folder / "people" / "store.db", create=False) as store:
        people = store.rankings()
    with open_store(folder / "model" / "store.db", create=False) as store:
        rest = store.rankings()
        assert store.labelers() == {"reward-model-1": "synthetic"}
    assert len(people) + len(rest) == 30 and not {r.prompt.id for r in people} & {r.prompt.id for r in rest}
    scores = RewardModels([reward]).means([r.comparison for r in rest])
    assert all((s[a] > s[b]) for r, s in zip(rest, scores, strict=True) for a, b in r.pairs())
    with pytest.raises(UserError, match="or reward_model, not both"):
        label(folder, "both", reward_model=reward, reward_function="rewards_of_test_label:brevity")
