"""heed online: two rounds of a tiny world, whole, and stopped wherever it can be stopped."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from heed.config import dump, make
from heed.errors import RunError, UserError
from heed.feedback.desk import Desk
from heed.feedback.models import Models
from heed.feedback.store import open_store
from heed.records import new_id
from heed.workflows import online, ppo, rounds
from heed.workflows import run as runs
from heed.workflows.checkpoints import checkpoint_id, weights_sha256

NAMES = ["Ann", "Ben", "Cat", "Dan"]
SHORT = "def short(prompts, completions, **columns):\n    return [-0.1 * len(c) for c in completions]\n"
STOPS = [f"heed.{place}" for place in (
    "feedback.models.Models.open_round", "workflows.sample.run", "feedback.work.Work.ask", "feedback.models.Models.snapshot",
    "workflows.reward.mean_reward_of_sft", "workflows.ppo.Trainer._finish", "feedback.models.Models.register",
    "workflows.evaluate.text_figures", "feedback.models.Models.close_round", "training.run.Run.finish")]
FEW = {"max_length": 80, "batch_size": 8, "learning_rate": 1e-2, "num_train_epochs": 2, "shift_prompts": 8}


@pytest.fixture(scope="module", autouse=True)
def world(tmp_path_factory, in_this_process):
    """Stages in this process, a module of rewards, and prompts of all splits."""
    folder = tmp_path_factory.mktemp("world")
    splits = ["train"] * 40 + ["valid"] * 8 + ["test"] * 8
    (folder / "prompts.jsonl").write_text("".join(json.dumps({
        "prompt": [{"role": "user", "content": f"What has {NAMES[i % 4]} today, number {i}?"}], "split": split}) + "\n"
        for i, split in enumerate(splits)))
    (folder / "rewards_of_test_online.py").write_text(SHORT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "subprocess", in_this_process)
        patch.syspath_prepend(str(folder))
        yield str(folder / "prompts.jsonl")


def settings(sft, world, **more):
    return make(online.Online, {**dict(
        output_dir="out", model=sft, dataset=world, rounds=2, max_completion_length=8, duels=2,
        collect={"max_prompts": 14, "tasks": 12, "num_generations": 3, "labelers": 3, "noise": 0.3,
                 "reward_function": "rewards_of_test_online:short"},
        reward=FEW, ppo={"total_episodes": 16, "rollout_batch_size": 8, "learning_rate": 1e-3, "kl_stop": 1e6},
        evaluate={"max_prompts": 6, "num_generations": 2, "gold": "rewards_of_test_online:short"}), **more})


@pytest.fixture(scope="module")
def whole(sft, world, tmp_path_factory):
    """(folder, figures) of a run that nothing stopped; paths in it are relative, so that two runs can be compared."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("whole")
        patch.chdir(folder)
        return folder, online.run(settings(sft, world))


def content(path):
    """All that the store says, without the clock."""
    with open_store(path, create=False) as store:
        models = Models(store)
        return {
            "answers": [(j.id, j.comparison_id, j.labeler, list(j.ranks.items())) for j in store.judgements()],
            "candidates": [(c.id, [(a.id, a.text, a.made_by) for a in c.candidates]) for c in store.comparisons()],
            "checkpoints": sorted(models.checkpoints(), key=lambda c: c.id),
            "rounds": [(r.n, r.policies, r.snapshot, r.figures, r.answers, r.closed_at is None) for r in models.rounds()],
            "snapshots": [(s.id, s.watermark, s.answers) for s in models.snapshots()]}


def test_two_rounds(whole, sft):
    folder, figures = whole
    out = folder / "out"
    for n in (1, 2):
        stages = {p.name for p in (out / f"round-{n}").iterdir() if (p / "summary.json").exists()}
        assert stages == {"collect", "reward", "ppo", "evaluate", "duels"}
        assert "<svg" in (out / f"round-{n}" / "report.html").read_text()
        assert figures[f"round_{n}/agreement"]["low"] < 1
    assert {"win_rate/gold/round_2_vs_round_1", "win_rate/gold/round_1_vs_sft", "gold/round_2", "kl/round_2"} <= figures.keys()
    assert (figures["elo/sft"]["value"], figures["round_1/answers"], figures["round_2/answers"]) == (1000, 12, 26)
    assert 0 <= figures["round_2/reward_eval_accuracy"]["value"] <= 1, "some of the questions are held out"
    assert figures["elo/round_1"]["low"] < figures["elo/round_1"]["high"] and "elo/round_2" in figures, "by the duels"
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [(row["step"], row["answers"]) for row in rows] == [(1, 12), (2, 26)]


def test_everything_is_linked(whole, sft):
    folder, _ = whole
    found = content(folder / "out" / "store.db")
    first, second = (checkpoint_id(str(folder / f"out/round-{n}/ppo/model"), f"round-{n}") for n in (1, 2))
    of = {c.id: c for c in found["checkpoints"]}
    assert of[second].parent == first and of[first].parent == checkpoint_id(sft) and of[second].round == 2
    reward = of[of[second].reward]
    assert reward.id.startswith("round-2-reward@") and reward.snapshot == of[second].snapshot
    assert reward.parent == checkpoint_id(sft), "trained afresh, on all answers"
    assert of[second].sha256 == weights_sha256(str(folder / "out/round-2/ppo/model"))
    assert [(r[0], set(r[1]), r[5]) for r in found["rounds"]] == [
        (1, {checkpoint_id(sft)}, False), (2, {checkpoint_id(sft), first}, False)]  # fmt: skip
    assert set(found["rounds"][1][3]) == {"answers", "reward_accuracy", "gold", "proxy", "kl", "win_rate"}
    makers = [{maker for _, _, maker in shown} for _, shown in found["candidates"]]
    assert set.union(*makers) == {checkpoint_id(sft), first, second}
    assert all(m == {checkpoint_id(sft)} for m in makers[:12]), "the first round asks about the first policy"
    assert any(first in m for m in makers[14:26]), "and the second about the new one"


def test_a_reward_model_reads_its_snapshot_and_nothing_later(whole):
    folder, _ = whole
    out = folder / "out"
    for n in (1, 2):
        snapshot = json.loads((out / f"round-{n}" / "round.json").read_text())["snapshot"]
        made = json.loads((out / f"round-{n}" / "reward" / "lineage.json").read_text())
        with open_store(out / "store.db", create=False) as store:
            usable = [r for r in store.rankings(split="train", upto=snapshot["watermark"]) if any(r.pairs())]
        assert (made["upto"], made["rankings"]) == (snapshot["watermark"], len(usable))


def test_stopped_again_and_again_it_ends_the_same(whole, sft, world, tmp_path, monkeypatch):
    """Once at each of ten places of the first round, then at some of the second."""
    monkeypatch.chdir(tmp_path)
    for place in [*STOPS, *STOPS[2::3]]:
        with monkeypatch.context() as broken:
            def stop(*_, **__):
                raise KeyboardInterrupt
            broken.setattr(place, stop)
            with pytest.raises((KeyboardInterrupt, RunError)):
                online.run(settings(sft, world))
    figures = online.run(settings(sft, world))
    assert figures == whole[1]
    assert content(tmp_path / "out" / "store.db") == content(whole[0] / "out" / "store.db")
    for n in (1, 2):
        model = f"out/round-{n}/ppo/model"
        assert weights_sha256(str(tmp_path / model)) == weights_sha256(str(whole[0] / model))


def test_what_is_answered_while_a_model_trains_is_in_the_next_snapshot(sft, world, tmp_path, monkeypatch):
    """People answer; one of them goes on while PPO is at work."""
    monkeypatch.chdir(tmp_path)
    answered = []

    def somebody_answers(*_):
        with open_store("out/store.db") as store:
            desk = Desk(store)
            task = desk.claim("ann")
            answered.append(task.task)
            desk.submit("ann", task.task, new_id(), {"ranks": {item.letter: n for n, item in enumerate(task.items, 1)}})

    real = ppo.run
    monkeypatch.setattr("heed.workflows.answers.time", SimpleNamespace(sleep=somebody_answers))
    monkeypatch.setattr(ppo, "run", lambda s: (somebody_answers(), real(s))[1])
    online.run(settings(sft, world, duels=0, collect={"by": "human", "max_prompts": 14, "num_generations": 3, "tasks": 10,
                                                     "answers": 4}))  # fmt: skip
    made = [json.loads(Path(f"out/round-{n}/round.json").read_text())["snapshot"] for n in (1, 2)]
    assert [s["answers"] for s in made] == [4, 9], "4, the one while PPO was at work, 4 more"
    with open_store("out/store.db") as store:
        rows = {c.id: store.comparisons().index(c) for c in store.comparisons()}
        second = [rows[j.comparison_id] >= 10 for j in store.judgements()][5:9]
    assert all(second), "the newest policies' questions come first"


def test_more_rounds_go_on_behind_the_last(sft, world, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    one = online.run(settings(sft, world, rounds=1, duels=0, reward_models=2, reward_from="last", policy_from="sft"))
    assert online.run(settings(sft, world, rounds=1, duels=0, reward_models=2, reward_from="last", policy_from="sft")) == one
    ensemble = settings(sft, world, rounds=2, duels=0, reward_models=2, reward_from="last", policy_from="sft")
    two = online.run(ensemble)
    first = [{k: v for k, v in found.items() if k.startswith("round_1/")} for found in (one, two)]
    assert first[0] == first[1] and "round_1/answers" in one
    with pytest.raises(UserError, match="holds 2 rounds, and rounds = 1"):
        online.run(settings(sft, world, rounds=1))
    made = json.loads(Path("out/round-2/reward-2/lineage.json").read_text())
    assert made["parent"] == "out/round-1/reward-2/model", "each of the ensemble goes on from its own"
    with open_store("out/store.db") as store:
        of = {c.id: c for c in Models(store).checkpoints()}
    policies = [c for c in of.values() if c.id.startswith("round-") and c.role == "policy"]
    assert {c.parent for c in policies} == {checkpoint_id(sft)}
    assert of[of[policies[1].reward].parent].role == "reward"


def test_an_ensemble_chooses_once_there_is_one(sft, world):
    ensemble = settings(sft, world, reward_models=2, collect={"query": "disagreement"})
    line = [rounds.Policy("sft", "a", sft)]
    assert rounds.stages(ensemble, 1, line, 0)["collect"]["query"] == "random"
    second = rounds.stages(ensemble, 2, [*line, rounds.Policy("round_1", "b", "p", "r")], 0)
    assert second["collect"]["reward_model"] == ["out/round-1/reward/model", "out/round-1/reward-2/model"]
    assert second["ppo"]["reward_weights"] == [0.5, 0.5]
    assert second["collect"]["model"] == ["p", sft], "the newest first"


@pytest.mark.parametrize(("more", "message"), [
    ({"ppo": {"learning_rte": 1}}, "stage 'ppo': unknown key 'learning_rte'; did you mean 'learning_rate'"),
    ({"collect": {"queery": "random"}}, "stage 'collect': unknown key 'queery'; did you mean 'query'"),
    ({"reward": {"upto": 3}}, "reward.upto is filled in by heed online"),
    ({"store": "postgresql://me:secret@host/x"}, "PGPASSWORD"),
    ({"collect": {"reward_function": ""}}, "stage collect stopped"),
])  # fmt: skip
def test_wrong_settings_are_named(sft, world, tmp_path, monkeypatch, more, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message):
        online.run(settings(sft, world, **more))


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_the_same(whole, sft, world, tmp_path):
    """kill -9 of `heed online` and all of its stages, at seven moments; real processes."""
    config, dice = tmp_path / "online.yaml", random.Random(int(os.environ.get("HEED_KILL_SEED", 0)))
    config.write_text(dump(settings(sft, world)))
    path = os.pathsep.join([str(Path(world).parent), os.environ.get("PYTHONPATH", "")])
    kills, code = 0, None
    while code != 0:
        process = subprocess.Popen([sys.executable, "-m", "heed", "online", "--config", str(config)], cwd=tmp_path,
                                   env={**os.environ, "PYTHONPATH": path}, start_new_session=True)  # fmt: skip
        goal = len(list(tmp_path.rglob("*"))) + dice.randrange(1, 40)  # files that are there: a clock that load does not stop
        while process.poll() is None and (kills == 7 or len(list(tmp_path.rglob("*"))) < goal):
            time.sleep(0.05)
        if process.poll() is None:
            time.sleep(dice.random() * 2)
            kills += process.poll() is None
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        code = process.wait()
        assert code in (0, -signal.SIGKILL)
    assert kills >= 4, f"killed {kills} times only"
    assert json.loads((tmp_path / "out" / "summary.json").read_text()) == whole[1]
    assert content(tmp_path / "out" / "store.db") == content(whole[0] / "out" / "store.db")
    assert weights_sha256(str(tmp_path / "out/round-2/ppo/model")) == weights_sha256(str(whole[0] / "out/round-2/ppo/model"))
