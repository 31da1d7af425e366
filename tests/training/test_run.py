"""The folder of a stage: what it holds when done, and that it never goes on under other settings."""

import json

import pytest
import yaml
from training_world import make_batch, make_model, squared

from heed.config import Settings
from heed.errors import RunError, UserError
from heed.training.learner import Learner, Part
from heed.training.run import Run, guard


class Stage(Settings):
    output_dir: str
    learning_rate: float = 0.1
    save_steps: int = 5
    names: list[str] = []


def begun(tmp_path):
    """A run that has a checkpoint to go on from."""
    run = open_run(tmp_path)
    run.open()
    run.save({"model": Learner(make_model(), lr=0.1)}, 1, {}, keep=1)


def open_run(tmp_path, **changes):
    return Run(str(tmp_path / "stage"), Stage(output_dir=str(tmp_path / "stage"), **changes))


def test_a_finished_stage_has_its_files_and_is_not_done_again(tmp_path):
    run = open_run(tmp_path)
    assert run.summary is None
    run.open()
    with run.phase("train"):
        run.log({"loss": 1.0}, step=1)
    run.finish({"loss": 0.5, "accuracy": {"value": 0.7, "low": 0.6, "high": 0.8, "n": 9}}, parent="gpt2")
    folder = tmp_path / "stage"
    assert sorted(p.name for p in folder.iterdir() if p.name != ".lock") == [
        "config.yaml", "lineage.json", "metrics.jsonl", "samples.jsonl", "summary.json", "time.json"]
    assert json.loads((folder / "lineage.json").read_text())["parent"] == "gpt2"
    assert set(json.loads((folder / "time.json").read_text())) == {"train"}
    assert yaml.safe_load((folder / "config.yaml").read_text())["learning_rate"] == 0.1
    assert open_run(tmp_path).summary == run.summary


def test_other_settings_are_refused_and_named(tmp_path):
    begun(tmp_path)
    with pytest.raises(UserError, match=r"holds a run with learning_rate = 0.1, now 0.2: give another output_dir, or remove"):
        open_run(tmp_path, learning_rate=0.2)
    with pytest.raises(UserError, match=r"learning_rate = 0.1, now 0.2 \(and 1 more settings differ\)"):
        open_run(tmp_path, learning_rate=0.2, names=["x"])


def test_settings_that_change_no_result_may_differ(tmp_path):
    begun(tmp_path)
    open_run(tmp_path, save_steps=7)


def test_a_setting_that_is_newer_than_the_run_had_its_default(tmp_path):
    begun(tmp_path)
    config = tmp_path / "stage" / "config.yaml"
    config.write_text(config.read_text().replace("learning_rate: 0.1\n", ""))
    open_run(tmp_path)
    with pytest.raises(UserError, match=r"learning_rate = 0.1, now 0.2"):
        open_run(tmp_path, learning_rate=0.2)


def test_a_mistake_leaves_nothing_behind(tmp_path):
    """Neither a run that was never opened, nor one that stopped before it had anything to go on from."""
    open_run(tmp_path, learning_rate=7.0)
    assert not (tmp_path / "stage").exists()
    open_run(tmp_path, learning_rate=7.0).open()
    open_run(tmp_path, learning_rate=0.1).open()
    assert yaml.safe_load((tmp_path / "stage" / "config.yaml").read_text())["learning_rate"] == 0.1


def test_a_file_in_its_place_is_said(tmp_path):
    (tmp_path / "stage").write_text("")
    with pytest.raises(UserError, match="is a file; expected a folder"):
        open_run(tmp_path)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_figure_that_is_no_number_is_no_result(tmp_path, bad):
    run = open_run(tmp_path)
    run.open()
    with pytest.raises(RunError, match=r"eval_loss is .* in the end: training has diverged"):
        run.finish({"tokens": 3, "eval_loss": bad})
    assert not (tmp_path / "stage" / "summary.json").exists()


def test_it_goes_on_from_its_checkpoint_with_its_clock_and_its_curve(tmp_path):
    def steps(run, learner, first, last):
        for step in range(first, last):
            run.log(learner.step(Part(make_batch(seed=step), squared)), step=step + 1)

    run, learner = open_run(tmp_path), Learner(make_model(), lr=0.1)
    assert run.resume({"model": learner}, total=4, name="stage") == {}
    steps(run, learner, 0, 2)
    run.phases["train"] = 5.0
    run.before = 100.0  # as if it had worked for that long
    run.save({"model": learner}, 2, {"kl": 0.3}, keep=1)
    steps(run, learner, 2, 3)  # lost: it is killed here

    again, restored = open_run(tmp_path), Learner(make_model(seed=5), lr=0.1)
    state = again.resume({"model": restored}, total=4, name="stage")
    assert (again.step, state["kl"], again.phases["train"]) == (2, 0.3, 5.0) and again.seconds >= 100
    steps(again, restored, 2, 4)
    rows = [json.loads(line) for line in (tmp_path / "stage" / "metrics.jsonl").read_text().splitlines()]
    assert [r["step"] for r in rows] == [1, 2, 3, 4]

    whole = Learner(make_model(), lr=0.1)
    for step, row in enumerate(rows):
        assert row["loss"] == whole.step(Part(make_batch(seed=step), squared))["loss"], f"step {step}"


def test_two_processes_do_not_work_in_one_folder(tmp_path):
    """The second is told; when the first has ended, however it ended, there is nothing in the way."""
    import os

    ready, done = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        try:
            run = open_run(tmp_path)
            run.open()
        finally:
            os.write(ready[1], b"x")
            os.read(done[0], 1)
            os._exit(1)
    os.read(ready[0], 1)
    try:
        with pytest.raises(UserError, match=r"another process is at work in .*stage"):
            open_run(tmp_path).open()
    finally:
        os.write(done[1], b"x")
        os.waitpid(child, 0)
    open_run(tmp_path).open()


def test_killed_at_the_very_end_the_last_figures_stand_once(tmp_path):
    learner = Learner(make_model(), lr=0.1)
    for _ in range(3):  # twice killed between its last figures and its summary
        run = open_run(tmp_path)
        run.resume({"model": learner}, total=1, name="stage")
        if run.step == 0:
            run.log({"loss": 1.0}, step=1)
            run.save({"model": learner}, 1, {}, keep=1)
        run.log({"eval_loss": 0.5}, step=1)
    rows = [json.loads(line) for line in (tmp_path / "stage" / "metrics.jsonl").read_text().splitlines()]
    assert [("loss" in r, "eval_loss" in r) for r in rows] == [(True, False), (False, True)]


def test_the_guard_says_why_it_stopped():
    guard("the KL", 1.0, 2.0, "turn back")
    with pytest.raises(RunError, match=r"the KL is 3.142, past the limit of 2: turn back"):
        guard("the KL", 3.14159, 2.0, "turn back")
