"""The study's recipes read, its reward is sentence chrF, and its verdicts follow the figures either way."""

from pathlib import Path

import pytest

from heed.config import make, override, read_recipe, resolve_function
from heed.evaluation.estimate import Estimate
from heed.workflows import run

PLACE = Path(__file__).parents[2] / "studies" / "translation"


def resolved(name, tmp_path):
    """{stage: (verb, settings)} of a recipe, checked as `heed run` checks it."""
    settings = make(run.RunSettings, override(read_recipe(PLACE / name), [f"output_dir={tmp_path}"]))
    stages = {stage: run.resolve(settings.model_dump(), stage) for stage in settings.stages}
    run.check(stages)
    run.refuse_circles({stage: run.needs(settings.stages, stage) for stage in stages})
    return stages


def test_the_recipes_resolve_against_the_settings_of_their_verbs(study, tmp_path):
    assert {*study.DECODED, "best_of_8"} <= resolved("start.yaml", tmp_path / "start").keys()
    stages = resolved("trainings.yaml", tmp_path / "0")
    assert {f"{name}_{d}" for name in study.TRAINED for d in study.DECODED} <= stages.keys()
    for name in study.TRAINED:
        for decoded in study.DECODED:
            values = stages[f"{name}_{decoded}"][1]
            assert values["model"] == str(tmp_path / "0" / name / "model")
            assert values["temperature"] == {"greedy": 0, "sampled": 1.0}[decoded]
    for name in study.RL:  # read twice: what curve() counts with
        assert {"rloo": "num_iterations", "ppo": "num_ppo_epochs"}[name] in stages[name][1]["parameters"]
        assert 2 in stages[name][1]["parameters"].values()


def test_the_reward_is_sentence_chrf(monkeypatch):
    monkeypatch.syspath_prepend(str(PLACE.parent))
    chrf = resolve_function("translation.reward:chrf")
    same, near, far = chrf(["x"] * 3, [" A dog runs.", " A dog ran.", " Two men."], reference=[" A dog runs."] * 3)
    assert same == pytest.approx(100)
    assert same > near > far >= 0


def made_up(study, sampled, greedy, more, surprise=1.0):
    """Figures of three seeds: gains of RL when sampling and greedy, and that of more SFT, over a start at 30 and 40."""
    def of(value, s=2.0):
        one = Estimate(value, value - 1, value + 1, 100, "made up")
        return study.Translated(one, one, s, 1.0)

    start = {"greedy": of(40.0), "sampled": of(30.0), "best_of_8": of(50.0)}
    wobble = (-0.05, 0.0, 0.05)
    rl = {"greedy": [of(40 + greedy + w) for w in wobble], "sampled": [of(30 + sampled - w, surprise + w) for w in wobble]}
    sft = {"greedy": [of(40 + more - w) for w in wobble], "sampled": [of(30 + more + w) for w in wobble]}
    return study.Figures(start, {"rloo": rl, "ppo": rl, "more_sft": sft})


def test_the_verdicts_follow_the_figures(study):
    from page import NOT, REPRODUCED, UNCLEAR

    assert {c.verdict for c in study.claims(made_up(study, sampled=8, greedy=2, more=1))} == {REPRODUCED}
    worse = made_up(study, sampled=-3, greedy=-2, more=1, surprise=3.0)
    assert {c.verdict for c in study.claims(worse)} == {NOT}
    assert {c.verdict for c in study.claims(made_up(study, sampled=0, greedy=0, more=0, surprise=2.0))} == {UNCLEAR}


def test_the_tables_hold_every_translator(study):
    text = study.score_table(made_up(study, sampled=8, greedy=2, more=1))
    assert all(text.count(study.NAMES[name]) == 2 for name in study.TRAINED)
    assert "42.0 [41.9, 42.1]" in text
