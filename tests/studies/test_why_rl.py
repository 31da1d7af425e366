"""The study's recipes read, and its verdicts and its answer follow the figures either way."""

import json
from pathlib import Path

import pytest

from heed.config import make, read_recipe
from heed.evaluation.comparison import Comparison, Cost, Method
from heed.evaluation.estimate import Estimate
from heed.workflows import compare, run
from heed.workflows.evaluate import SETTINGS as Evaluate

PLACE = Path(__file__).parents[2] / "studies" / "why_rl"
pytestmark = pytest.mark.usefixtures("elsewhere")


@pytest.mark.parametrize("task", ["seal_bay", "imdb", "stories"])
def test_a_comparison_resolves_against_the_settings_of_its_verbs(study, task):
    settings = make(compare.Compare, read_recipe(PLACE / f"{task}.yaml"))
    made = [compare.stages_of(settings, name, seed) for name in settings.methods for seed in settings.seeds]
    stages = {**settings.start, **{k: v for several in made for k, v in several.items()}}
    recipe = {"name": settings.name, "stages": stages}
    run.check({name: run.resolve(recipe, name) for name in stages})
    run.refuse_circles({name: run.needs(stages, name) for name in stages})
    compare.check_evaluation(settings, stages)
    make(Evaluate, {k: v for k, v in compare.evaluation_of(settings, 0, {}).items() if k != "verb"} | {"output_dir": "x"})
    assert len(settings.seeds) >= 5 and settings.budget["tokens"] > 0
    assert {"best answers", "DPO", "PPO", "best of 16"} <= settings.methods.keys()


def test_every_contest_can_be_held_on_some_task(study):
    fought = [set(make(compare.Compare, read_recipe(PLACE / f"{name}.yaml")).methods) for name in study.TASKS.values()]
    for contest in study.CONTESTS:
        assert any({contest.ours, contest.theirs} <= methods for methods in fought), contest.says


def compared(rate, margin, longer):
    """A made-up comparison: PPO preferred to all others in `rate`, and `longer` seconds slower than they."""
    names = {"PPO": "reinforcement", "best answers": "imitation", "DPO": "direct", "best of 16": "decoding"}
    methods = [Method(name, family) for name, family in names.items()]
    for m in methods:
        m.costs = [Cost(0, 0, 100 + s + (longer if m.name == "PPO" else 0) * (1 + 0.1 * s), 900) for s in range(5)]
    ours, theirs = (Estimate(x, x - margin, x + margin, 100, "") for x in (rate, 1 - rate))
    matrix = {pair: e for other in list(names)[1:] for pair, e in ((("PPO", other), ours), ((other, "PPO"), theirs))}
    return Comparison(methods, matrix, "gold", 100, Method("start", "start"), [])


@pytest.mark.parametrize(("rate", "margin", "longer", "rl", "best_of", "cheap"), [
    (0.7, 0.05, 30, "reproduced", "**not reproduced**", "reproduced"),
    (0.3, 0.05, -30, "**not reproduced**", "reproduced", "**not reproduced**"),
    (0.5, 0.02, 0, "unclear", "reproduced", "unclear"),
    (0.52, 0.1, 0, "unclear", "unclear", "unclear"),
])
def test_verdicts_follow_the_figures(study, rate, margin, longer, rl, best_of, cheap):
    rows = study.claims({"Seal Bay": compared(rate, margin, longer)})
    verdicts = {(c.source, c.says.rpartition(": ")[0]): c.verdict for c in rows}
    found = {says: verdict for (_, says), verdict in verdicts.items()}
    assert found["RL beats supervised learning on the best answers at an equal budget"] == rl
    assert found["PPO beats DPO"] == rl
    assert found["best of 16 at inference is as good as RL (at most 5 points worse)"] == best_of
    assert verdicts[study.CHEAP] == cheap
    assert len(rows) == 4, "a claim about methods that were not there has no line"


def test_the_answer_counts_the_verdicts(study):
    rows = study.claims({"Seal Bay": compared(0.7, 0.05, 30), "stories": compared(0.3, 0.05, 30),
                         "film reviews": compared(0.7, 0.05, 30)})
    assert "- PPO beats DPO: reproduced on Seal Bay and film reviews; **not reproduced** on stories." in study.answer(rows)


def test_the_page_says_how_far_the_reward_models_can_be_trusted(study, tmp_path, monkeypatch):
    """Two evaluations of one task; the other has none yet."""
    monkeypatch.setattr(study.page, "ROOT", tmp_path)
    for seed, right in enumerate((0.5, 0.6)):
        place = tmp_path / study.RUNS / "imdb" / f"evaluate-s{seed}"
        place.mkdir(parents=True)
        (place / "summary.json").write_text(json.dumps({"reward_model/accuracy": {"value": right}}))
    said = study.reward_models(["Seal Bay", "film reviews"])
    assert "film reviews 0.550" in said and "Seal Bay" not in said
