"""heed compare: trainings of several methods and seeds on one page, every word of which comes from the figures."""

import json
import re

import pytest

from heed.config import make
from heed.errors import RunError, UserError
from heed.evaluation.comparison import conclude
from heed.workflows import compare
from heed.workflows import run as runner


@pytest.fixture
def short(tmp_path, monkeypatch):
    """Shorter is better."""
    (tmp_path / "terse.py").write_text(
        "def short(prompts, completions, **columns):\n    return [-0.1 * len(c) for c in completions]\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return "terse:short"


@pytest.fixture
def here(monkeypatch):
    """Stages run in this process, one after the other; what they were is kept."""
    ran = []

    def run_all(folder, stages, waits, jobs, keep_going=False):
        failed = runner.read_failed(folder)
        for name, (verb, values) in stages.items():
            if (folder / name / "summary.json").exists() or name in failed:
                continue
            ran.append(name)
            try:
                __import__(f"heed.workflows.{verb}", fromlist=["run"]).run(make(runner.kind_of(name, verb), values))
            except RunError as error:
                failed[name] = str(error)
                (folder / "failed.json").write_text(json.dumps(failed))
    monkeypatch.setattr(runner, "_run_all", run_all)
    return ran


def settings(data, sft, reward, short, out, **changes):
    common = {"micro_batch": 4, "learning_rate": 1e-2, "save_steps": 0}
    return make(compare.Compare, {**dict(
        name="tiny", output_dir=str(out), policy=sft, seeds=[0, 1],
        shared={"offline": {"dataset": data["rankings"], "max_length": 80, "batch_size": 8, "max_steps": 3, **common},
                "rl": {"dataset": data["demonstrations"], "reward_functions": short, "gold": short, "total_episodes": 16,
                       "rollout_batch_size": 8, "num_generations": 4, "max_completion_length": 8, **common}},
        methods={"DPO": {"verb": "offline", "algorithm": "dpo"}, "RLOO": {"verb": "rl", "algorithm": "rloo"},
                 "runaway": {"verb": "rl", "algorithm": "rloo", "kl_stop": -1e9}, "best of 3": {"best_of": 3},
                 "in two steps": {"stages": {"first": {"verb": "offline", "algorithm": "raft"},
                                             "second": {"verb": "offline", "algorithm": "dpo", "model": "@first/model"}}}},
        evaluate={"dataset": data["demonstrations"], "split": "train", "gold": short, "reward_functions": short,
                  "max_prompts": 12, "num_generations": 2, "max_completion_length": 8}), **changes})


def test_from_trainings_to_a_page(data, sft, reward, short, here, tmp_path):
    found = compare.run(settings(data, sft, reward, short, tmp_path / "out", budget={"tokens": 10}))
    assert {"DPO-s0", "DPO-s1", "RLOO-s0", "in_two_steps-first-s1", "in_two_steps-second-s1", "evaluate-s0"} <= set(here)
    assert here.index("in_two_steps-first-s1") < here.index("in_two_steps-second-s1")
    for name in ("DPO", "RLOO", "best of 3", "in two steps"):
        assert 0 <= found[f"win_rate/{name}_vs_start"]["value"] <= 1
    assert "gold/runaway" not in found
    assert found["kl/best of 3"] == pytest.approx(1.0986 - 2 / 3, abs=1e-3)
    assert found["win_rate/best of 3_vs_start"]["value"] > 0.6, "of three the shortest is shorter than any one"
    assert json.loads((tmp_path / "out" / "comparison.json").read_text()) == found
    page = (tmp_path / "out" / "compare.html").read_text()
    assert page.count("<svg") == 4 and "runaway" in page and "past the limit of -1e+09" in page
    text = re.sub(r"\s+", " ", re.sub("<[^>]+>", "", page))
    assert "Trainings failed: runaway (2)." in text
    assert "Over the budget: DPO used" in text
    assert "Reinforcement learning at its best (RLOO)" in text
    ran = len(here)
    again = compare.run(settings(data, sft, reward, short, tmp_path / "out", budget={"tokens": 10}))
    assert again == found and len(here) == ran, "what is done, or failed, is not done again"


def test_the_conclusion_follows_the_figures(data, sft, reward, short, here, tmp_path, monkeypatch):
    """Turned round, the same figures say the opposite."""
    from heed.evaluation import comparison
    seen = []
    monkeypatch.setattr(comparison, "conclude", lambda found: seen.append(found) or conclude(found))
    compare.run(settings(data, sft, reward, short, tmp_path / "out", seeds=[0]))
    (found,) = seen
    best, last = found.ranked[0], found.ranked[-1]
    assert best.name in conclude(found)[0]
    for m in found.methods:
        m.gold = m.gold and type(m.gold)(-m.gold.value, None, None, m.gold.n, "")
    assert last.name in conclude(found)[0] and best.name not in conclude(found)[0]


@pytest.mark.parametrize(("changes", "message"), [
    ({"evaluate": {"dataset": "d", "models": {"a": "b"}}}, "evaluate.models is filled in by heed compare; leave it out"),
    ({"budget": {"money": 1}}, "budget: 'money' is neither tokens nor seconds"),
    ({"methods": {"x": {"best_of": 2, "verb": "rl"}}}, "method 'x': best_of trains nothing and takes nothing else"),
    ({"policy": "@sftt/model", "start": {"sft": {"model": "m", "dataset": "d"}}},
     "'@sftt/model' speaks of a stage that is not there; did you mean 'sft'?"),
    ({"methods": {"x": {"verb": "offline", "algorithm": "dpoo"}}}, "algorithm = 'dpoo' is none of heed's here; did you mean"),
])
def test_a_slip_is_found_before_the_first_stage(changes, message, data, sft, reward, short, here, tmp_path):
    with pytest.raises(UserError) as caught:
        compare.run(settings(data, sft, reward, short, tmp_path / "out", **changes))
    assert message in str(caught.value) and not here and not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_failed_training_is_written_down_and_the_rest_goes_on(data, sft, short, tmp_path, monkeypatch):
    """Real processes: one whose KL is past its limit, one that waits for it, one that does not."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    common = {"model": sft, "dataset": data["demonstrations"], "max_prompts": 2, "max_completion_length": 4}
    stages = {"bad": {"verb": "rl", "algorithm": "rloo", **{k: v for k, v in common.items() if k != "max_prompts"},
                      "reward_functions": short, "num_generations": 2, "rollout_batch_size": 4, "total_episodes": 4,
                      "kl_stop": -1e9, "learning_rate": 1e-3},
              "after": {"verb": "sample", **common, "model": "@bad/model"}, "other": {"verb": "sample", **common}}
    recipe = {"name": "x", "output_dir": str(tmp_path / "out"), "stages": stages, "report": False, "keep_going": True}
    runner.run(make(runner.RunSettings, recipe))
    assert (tmp_path / "out" / "other" / "summary.json").exists() and not (tmp_path / "out" / "after").exists()
    assert "past the limit" in runner.read_failed(tmp_path / "out")["bad"]


@pytest.mark.slow
def test_killed_twice_it_ends_as_if_nothing_had_happened(data, sft, reward, short, tmp_path, monkeypatch):
    """kill -9 of the whole group in the middle of trainings; the same command, given again, goes on."""
    import os
    import signal
    import subprocess
    import sys
    import time

    import yaml

    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def begin(name):
        recipe = settings(data, sft, reward, short, tmp_path / name, seeds=[0]).model_dump()
        for verb in ("offline", "rl"):
            recipe["shared"][verb]["save_steps"] = 1
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump(recipe))
        return subprocess.Popen([sys.executable, "-m", "heed", "compare", "--config", str(path)], start_new_session=True,
                                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def figures(name):
        rows = (tmp_path / name / "evaluate-s0" / "samples.jsonl").read_text().splitlines()
        return [json.loads(row) for row in rows]

    for wanted in ("DPO-s0", "in_two_steps-second-s0"):  # a kill while each of these is at work
        process = begin("halves")
        while process.poll() is None and not (tmp_path / "halves" / wanted / "metrics.jsonl").exists():
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    for name in ("halves", "whole"):
        _, err = begin(name).communicate()
        assert (tmp_path / name / "compare.html").exists(), err.decode()
    assert figures("halves") == figures("whole")
