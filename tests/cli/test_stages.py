"""`heed run`: a recipe of stages resolved, put in order, stopped and gone on with.  The stages themselves are played here."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from heed.workflows import run as runs

RECIPE = """
name: x
output_dir: out
seed: 7
report: false
stages:
  ppo_no_kl: {like: ppo, kl_coef: 0}
  ppo: {model: "@sft/model", reward_model: ["@reward/model", other/model], dataset: d, ppo: {lam: 0.9}, seed: 3}
  reward: {model: "@sft/model", dataset: "@label/rankings.jsonl"}
  sft: {model: gpt2, dataset: d}
  label: {samples: "@sample/samples.jsonl"}
  sample: {model: "@sft/model", dataset: d}
"""


class Played:
    """In place of a process: writes what the stage would leave, or ends with a code."""

    started: list = []
    codes: dict = {}

    def __init__(self, argv):
        self.verb, self.recipe = argv[3], Path(argv[5])
        self.values = yaml.safe_load(self.recipe.read_text())
        self.name = Path(self.values["output_dir"]).name
        Played.started.append(self.name)

    def poll(self):
        code = Played.codes.get(self.name, 0)
        if code == 0:
            done = Path(self.values["output_dir"]) / "summary.json"
            done.parent.mkdir(exist_ok=True)
            done.write_text("{}")
        return code if code != "never" else None

    def terminate(self):
        Played.codes[f"{self.name} was stopped"] = True

    def wait(self):
        assert Played.codes[f"{self.name} was stopped"]


@pytest.fixture
def play(monkeypatch, heed):
    """play(recipe text, *words) -> (Said, the stages that were started, in order)."""
    monkeypatch.setattr(runs, "subprocess", SimpleNamespace(Popen=Played))
    monkeypatch.setattr(runs, "time", SimpleNamespace(sleep=lambda s: None, monotonic=lambda: 0.0))
    Played.codes = {}

    def run(text=RECIPE, *words):
        Path("recipe.yaml").write_text(text)
        Played.started = []
        said = heed("run", "--config", "recipe.yaml", *words)
        return said, Played.started

    return run


def resolved(name):
    return yaml.safe_load(Path(f"out/.{name}.yaml").read_text())


def test_paths_seeds_and_likenesses_are_made_real(play):
    said, _ = play()
    assert said.code == 0, said.err
    assert resolved("sft") == {"output_dir": "out/sft", "seed": 7, "model": "gpt2", "dataset": "d"}
    ppo = {"output_dir": "out/ppo", "seed": 3, "model": "out/sft/model", "reward_model": ["out/reward/model", "other/model"],
           "dataset": "d", "ppo": {"lam": 0.9}}
    assert resolved("ppo") == ppo
    assert resolved("ppo_no_kl") == {**ppo, "output_dir": "out/ppo_no_kl", "kl_coef": 0}


def test_a_stage_starts_when_all_it_speaks_of_is_done(play):
    _, started = play()
    assert sorted(started) == ["label", "ppo", "ppo_no_kl", "reward", "sample", "sft"]
    assert started.index("sft") < started.index("sample") < started.index("label") < started.index("reward")
    assert started.index("reward") < min(started.index("ppo"), started.index("ppo_no_kl"))


def test_what_is_done_is_not_done_again(play):
    play()
    said, started = play()
    assert said.code == 0 and started == [] and said.out.count("is done already") == 6


def test_after_a_fault_the_same_command_goes_on_with_the_rest(play):
    Played.codes = {"label": 3}
    said, started = play()
    assert said.code == 3 and "stage label ended with exit code 3 (see above); the same command goes on" in said.err
    assert "reward" not in started
    Played.codes = {}
    said, started = play()
    assert said.code == 0 and set(started) == {"label", "reward", "ppo", "ppo_no_kl"}


def test_a_mistake_in_a_stage_is_a_mistake_of_the_run(play):
    Played.codes = {"sft": 2}
    said, _ = play()
    assert said.code == 2 and "stage sft stopped (see above)" in said.err


def test_the_first_fault_stops_the_others(play):
    Played.codes = {"ppo": 3, "ppo_no_kl": "never"}
    said, _ = play()
    assert said.code == 3 and Played.codes["ppo_no_kl was stopped"]


def test_no_more_stages_at_a_time_than_jobs(play, monkeypatch):
    alive, most = set(), []

    class Slow(Played):
        def __init__(self, argv):
            super().__init__(argv)
            alive.add(self.name)
            most.append(len(alive))
            self.waits = 3

        def poll(self):
            self.waits -= 1
            if self.waits:
                return None
            alive.discard(self.name)
            return super().poll()

    monkeypatch.setattr(runs, "subprocess", SimpleNamespace(Popen=Slow))
    four = "name: x\noutput_dir: out\nreport: false\nstages:\n" + "".join(
        f"  s{i}: {{verb: sft, model: m, dataset: d}}\n" for i in range(4))
    assert play(four, "jobs=1")[0].code == 0 and max(most) == 1
    most.clear()
    assert play(four, "output_dir=other", "jobs=3")[0].code == 0 and max(most) == 3


def test_overrides_reach_into_stages(play):
    play(RECIPE, "stages.ppo.kl_coef=0.5", "stages.sft.model=other", "seed=9")
    assert resolved("ppo")["kl_coef"] == 0.5 and resolved("ppo_no_kl")["kl_coef"] == 0
    assert resolved("sft")["model"] == "other" and resolved("sft")["seed"] == 9 and resolved("ppo")["seed"] == 3


def begun(stage, **settings):
    """A stage that has been worked on under these settings."""
    place = Path("out") / stage
    (place / "checkpoints" / "step-000001").mkdir(parents=True)
    (place / "config.yaml").write_text(yaml.safe_dump(settings))


def test_a_stage_under_other_settings_is_refused_before_anything_starts(play):
    begun("sft", model="gpt2", dataset="d", output_dir="out/sft", seed=7, learning_rate=0.5)
    said, started = play()
    assert said.code == 2 and "out/sft holds a run with learning_rate = 0.5, now 0.0001" in said.err and not started


def test_what_was_made_from_a_stage_that_is_gone_is_refused(play):
    """Else the old reward model would pass for one that was trained on the new answers."""
    import shutil

    play()
    shutil.rmtree("out/sample")
    said, started = play()
    assert said.code == 2 and "out/label was made from out/sample, which is gone: remove it too" in said.err and not started


@pytest.mark.parametrize(("stages", "message"), [
    ("{sft: {model: '@ppo/model', dataset: d}, ppo: {model: '@sft/model', dataset: d}}", "in a circle: ppo, sft"),
    ("{a: {verb: sft, model: m, dataset: d}, b: {like: a, model: '@c/m'}, c: {like: a, model: '@b/m'}}", "in a circle: b, c"),
    ("{sft: {like: ppo}, ppo: {like: sft}}", "like each other in a circle: sft, ppo"),
    ("{sft: {like: sft}}", "like = 'sft', which is not another stage"),
    ("{sft: {like: sfft, model: m}, sfft2: {verb: sft}}", "'sfft', which is not another stage; did you mean 'sfft2'?"),
    ("{sft: {model: '@pretrian/model', dataset: d}, pretrain: {dataset: d}}", "not there; did you mean 'pretrain'?"),
    ("{sft: {model: m, dataset: d, batch_size: 0}}", "stage 'sft': batch_size = 0: expected greater than 0"),
    ("{run: {name: x, stages: {}}}", "stage 'run': there is no verb 'run'"),
    ("{}", "stages: Dictionary should have at least 1 item"),
    ("[sft]", "stages = ['sft']: expected a valid dictionary"),
    ("{sft: }", "stages.sft = None: expected a valid dictionary"),
])
def test_a_recipe_that_cannot_work_is_refused_before_anything_starts(play, stages, message):
    said, started = play(f"name: x\noutput_dir: out\nstages: {stages}\n")
    assert said.code == 2 and message in said.err and "Traceback" not in said.err
    assert not started and not Path("out").exists()


def test_one_stage_of_a_recipe_can_be_run_by_its_verb(heed, monkeypatch):
    from heed.workflows import ppo

    seen = []
    monkeypatch.setattr(ppo, "run", seen.append)
    Path("recipe.yaml").write_text(RECIPE)
    assert heed("ppo", "--config", "recipe.yaml", "kl_coef=0.5").code == 0
    assert (seen[0].model, seen[0].output_dir, seen[0].seed, seen[0].kl_coef) == ("out/sft/model", "out/ppo", 3, 0.5)


@pytest.mark.parametrize(("text", "message"), [
    ("name: x\nstages: {sftt: {verb: sft}}\n", "recipe.yaml has no stage 'sft'; did you mean 'sftt'?"),
    ("stages: {sft: {model: m, dataset: d}}\n", "recipe.yaml: 'name' is required"),
    ("name: x\nstages:\n", "stages = None: expected a valid dictionary"),
    ("name: x\nstages: {sft: {model: '@base/model', dataset: d}}\n", "speaks of a stage that is not there; valid choices: sft"),
    ("name: x\nstages: {sft: {like: sft}}\n", "which is not another stage"),
])
def test_one_stage_of_a_broken_recipe(heed, text, message):
    Path("recipe.yaml").write_text(text)
    said = heed("sft", "--config", "recipe.yaml")
    assert said.code == 2 and message in said.err and "Traceback" not in said.err


def test_the_settings_of_the_run_are_not_lost_in_yaml(play):
    """A text that looks like a number, an empty list, a bracket: each comes back as it was."""
    odd = 'name: x\noutput_dir: out\nreport: false\nstages: {sft: {model: "1e5", dataset: "[x]: #y", report_to: []}}\n'
    assert play(odd)[0].code == 0
    found = resolved("sft")
    assert (found["model"], found["dataset"], found["report_to"]) == ("1e5", "[x]: #y", [])
    assert json.dumps(found)
