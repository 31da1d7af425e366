"""The study's recipes read, frontiers are what the page says they are, and its verdicts follow the figures either way."""

from pathlib import Path

import numpy as np
import pytest

from heed.config import make, read_recipe
from heed.workflows import compare, run
from heed.workflows.evaluate import SETTINGS as Evaluate

PLACE = Path(__file__).parents[2] / "studies" / "dpo_frontier"
pytestmark = pytest.mark.usefixtures("elsewhere")


def test_the_start_resolves_against_the_settings_of_its_verbs(study):
    settings = make(run.RunSettings, read_recipe(PLACE / "start.yaml"))
    run.check({name: run.resolve(settings.model_dump(), name) for name in settings.stages})
    assert run.run_dir(settings.model_dump()) == study.START


def test_the_trainings_resolve_and_begin_where_the_start_ends(study):
    settings = make(compare.Compare, read_recipe(PLACE / "methods.yaml"))
    made = [compare.stages_of(settings, name, seed) for name in settings.methods for seed in settings.seeds]
    stages = {k: v for several in made for k, v in several.items()}
    recipe = {"name": settings.name, "stages": stages}
    run.check({name: run.resolve(recipe, name) for name in stages})
    make(Evaluate, {k: v for k, v in compare.evaluation_of(settings, 0, {}).items() if k != "verb"} | {"output_dir": "x"})
    assert compare.folder_of(settings) == study.RUN
    assert settings.policy.startswith(str(study.START))
    assert {study.family(name) for name in settings.methods} == study.INKS.keys() == {"DPO", *study.CLAIMS}
    begins = make(run.RunSettings, read_recipe(PLACE / "start.yaml")).stages
    heats = {begins["sample"]["temperature"], settings.shared["rl"]["temperature"], settings.evaluate["temperature"]}
    assert heats == {1.0}, "DPO's loss knows of no other"


def test_a_frontier_is_the_best_gold_at_no_more_than_a_kl(study):
    way, gold = study.frontier([(4.0, 3.0), (1.0, 2.0), (9.0, 1.0)], start=0.0, furthest=9.0)
    for kl, height in ((0, 0.0), (0.25, 1.0), (1, 2.0), (4, 3.0), (9, 3.0)):
        assert np.interp(kl**0.5, way, gold) == pytest.approx(height, abs=0.02)


def test_families_are_compared_only_as_far_as_both_reach(study):
    far, near = {0: [(1.0, 1.0), (100.0, 50.0)], 1: [(1.0, 1.0), (81.0, 50.0)]}, {0: [(1.0, 1.0)], 1: [(4.0, 2.0)]}
    ahead, furthest = study.lead(far, near, {0: 0.0, 1: 0.0})
    assert furthest == 1.0 and ahead.value == pytest.approx(0.0, abs=0.02)


@pytest.mark.parametrize(("lift", "verdict"), [(0.8, "reproduced"), (-0.8, "**not reproduced**"), (0.0, "unclear")])
def test_verdicts_follow_the_figures(study, lift, verdict):
    start = {0: 0.0, 1: 0.1, 2: -0.1}
    ours = {s: [(1.0, 1.0 + lift + 0.1 * s), (4.0, 1.5 + lift - 0.1 * s)] for s in start}
    theirs = {s: [(1.2, 1.05 - 0.1 * s), (5.0, 1.6 + 0.1 * s)] for s in start}
    rows = study.claims({"DPO": ours, "PPO": theirs, "preferred-FT": theirs}, start)
    assert [row.verdict for row in rows] == [verdict, verdict], "a family that is not there has no line"
