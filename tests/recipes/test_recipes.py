"""Every recipe reads as it stands: no key that its verbs do not know, no stage that is not there, no circle."""

from pathlib import Path

import pytest

from heed.config import make, read_recipe
from heed.errors import UserError
from heed.workflows import compare, run

ROOT = Path(__file__).parents[2]
RECIPES = sorted((ROOT / "recipes").glob("*.yaml"))


@pytest.fixture(autouse=True)
def somewhere(monkeypatch):
    """Recipes on real data name its folder by the environment; reading one opens no file of it."""
    monkeypatch.setenv("HEED_DATA", "some/folder")


def resolved(path):
    """(settings of the run, {stage: (verb, settings)}) of a recipe."""
    recipe = read_recipe(path)
    if "methods" in recipe:  # a comparison: its trainings, as the run of stages that they become
        settings = make(compare.Compare, recipe, str(path))
        made = [compare.stages_of(settings, name, seed) for name in settings.methods for seed in settings.seeds]
        stages = {**settings.start, **{k: v for stages in made for k, v in stages.items()}}
        compare.check_evaluation(settings, stages)
        recipe = {"name": settings.name, "about": settings.about, "stages": stages}
    settings = make(run.RunSettings, recipe, str(path))
    return settings, {name: run.resolve(settings.model_dump(), name) for name in settings.stages}


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.stem)
def test_a_recipe_resolves_against_the_settings_of_its_verbs(path):
    settings, stages = resolved(path)
    run.check(stages)
    done, waiting = set(), {name: run.needs(settings.stages, name) for name in stages}
    while waiting:
        ready = {name for name, needed in waiting.items() if needed <= done}
        assert ready, f"these wait for each other: {sorted(waiting)}"
        done |= ready
        waiting = {name: needed for name, needed in waiting.items() if name not in ready}


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.stem)
def test_a_recipe_is_named_after_its_file_and_says_what_to_expect(path):
    settings, _ = resolved(path)
    assert settings.name == path.stem
    assert len(settings.about.split()) > 10, "`about` says what you should see, where, and how long it takes"
    assert not any(text in path.read_text() for text in ("/home/", "../")), "data is named by the person who runs it"


def test_a_variable_that_is_not_set_is_named(tmp_path, monkeypatch):
    monkeypatch.delenv("HEED_DATA")
    path = tmp_path / "x.yaml"
    path.write_text("name: x\nstages: {sft: {model: m, dataset: '${HEED_DATA}/a'}}\n")
    with pytest.raises(UserError, match=r"x\.yaml: stages\.sft\.dataset: the environment variable HEED_DATA .* is not set"):
        read_recipe(path)


def test_variables_are_replaced_wherever_they_stand(tmp_path, monkeypatch):
    monkeypatch.setenv("SIZE", "7")
    path = tmp_path / "x.yaml"
    path.write_text("a: '${HEED_DATA}/x/${SIZE}'\nb: ['${SIZE}', 3]\nc: {d: '$SIZE {SIZE} $${'}\n")
    assert read_recipe(path) == {"a": "some/folder/x/7", "b": ["7", 3], "c": {"d": "$SIZE {SIZE} $${"}}


@pytest.mark.parametrize(("stage", "message"), [
    ("{verb: sftt, model: m, dataset: d}", "stage 'sft': there is no verb 'sftt'; did you mean 'sft'?"),
    ("{model: m, dataset: d, learning_rte: 1}", "stage 'sft': unknown key 'learning_rte'; did you mean 'learning_rate'?"),
    ("{model: m}", "stage 'sft': 'dataset' is required"),
])
def test_a_slip_in_a_stage_is_found_before_the_first_one_begins(tmp_path, stage, message):
    path = tmp_path / "x.yaml"
    path.write_text(f"name: x\noutput_dir: {tmp_path / 'out'}\nstages:\n  pretrain: {{dataset: d}}\n  sft: {stage}\n")
    with pytest.raises(UserError) as caught:
        run.run(make(run.RunSettings, read_recipe(path)))
    assert message in str(caught.value)
    assert not (tmp_path / "out").exists()
