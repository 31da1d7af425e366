"""The study's recipe reads, its labelers do what they say, and its verdicts follow the figures either way."""

import json
from pathlib import Path

import numpy as np

from heed.config import make, override, read_recipe
from heed.records import Candidate, Comparison, Prompt
from heed.workflows import run

PLACE = Path(__file__).parents[2] / "studies" / "absolute_or_pairwise"


def test_every_training_of_a_repetition_resolves_against_the_settings_of_its_verb(study, tmp_path, monkeypatch):
    monkeypatch.setenv("LABELS", "some/labels")
    recipe = override(read_recipe(PLACE / "recipe.yaml"), ["seed=3", f"output_dir={tmp_path}"])
    settings = make(run.RunSettings, recipe)
    stages = {name: run.resolve(settings.model_dump(), name) for name in settings.stages}
    run.check(stages)
    assert set(stages) == set(study.stages())
    for name, (verb, values) in stages.items():
        level = name.partition("_")[2]
        files = {"ordinal": f"ratings_{level}", "regression": f"ratings_{level}", "centred": f"centred_{level}"}
        assert verb == "reward"
        assert values["seed"] == 3
        assert values["dataset"] == f"some/labels/{files.get(name.partition('_')[0], name)}.jsonl"
        assert values.get("ratings_as") == {"ordinal": "ordinal"}.get(name.partition("_")[0], "regression" if level else None)


def test_as_many_answers_are_read_a_step_by_every_way(study, monkeypatch):
    monkeypatch.setenv("LABELS", "some/labels")
    recipe = read_recipe(PLACE / "recipe.yaml")
    a_row = {"rankings": 4, "pairs": 2}
    for name in study.stages():
        assert run.resolve(recipe, name)[1]["batch_size"] * a_row.get(name, 1) == 32


def test_labels_are_read_as_heed_reads_them_and_miscalibration_touches_ratings_alone(study, tmp_path):
    from heed.language.datasets import load
    from heed.records import Ranking, Rating

    rng = np.random.default_rng(0)
    truth = np.round(2 * rng.uniform(-3, 3, (40, 4))) / 2
    asked = [Comparison(Prompt(f"prompt {i}"), tuple(Candidate(f"answer {k}", id=f"{i}-{k}") for k in range(4)))
             for i in range(40)]
    study.label(tmp_path, asked, truth, 0)
    right = json.loads((tmp_path / "labels.json").read_text())
    assert right["ratings_strong"]["within"] < right["ratings_none"]["within"] <= right["rankings"]["within"] + 0.05
    assert right["centred_strong"]["within"] > right["ratings_strong"]["within"]
    rankings, pairs = (load(str(tmp_path / f"{name}.jsonl?split=train"), Ranking) for name in ("rankings", "pairs"))
    assert (len(rankings), len(pairs)) == (40, 80)
    assert pairs[1].ranks == tuple(np.argsort(np.argsort(rankings[0].ranks[2:])) + 1)
    for level in study.LEVELS:
        ratings = load(str(tmp_path / f"ratings_{level}.jsonl?split=train"), Rating)
        assert len(ratings) == 160
        assert {r.scores["overall"] for r in ratings} <= set(range(1, 8))
        assert len({r.labeler for r in ratings}) == study.LABELERS


def test_what_an_order_is_worth_within_a_prompt_and_across(study):
    truth = np.array([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]])
    assert study.accuracies(truth, truth) == (1.0, 1.0)
    assert study.accuracies(truth - truth.mean(1, keepdims=True), truth)[0] == 1.0
    assert study.accuracies(truth - truth.mean(1, keepdims=True), truth)[1] < 1.0
    assert study.accuracies(-truth, truth) == (0.0, 0.0)


def made_up(study, **levels):
    """Figures of five repetitions around a level a stage, 0.8 where none is given."""
    wobble = np.array([-0.002, -0.001, 0.0, 0.001, 0.002])
    return {stage: {of: list(levels.get(stage, 0.8) + (-1 if i % 2 else 1) * wobble) for of in ("within", "across")}
            for i, stage in enumerate(study.stages())}


def verdicts(study, figures):
    """claim: verdict."""
    return {c.says: c.verdict for c in study.claims(figures)}


def test_the_verdicts_follow_the_figures(study):
    from page import NOT, REPRODUCED, UNCLEAR

    strong = "strong miscalibration: rankings beat ratings"
    cheap = "strong miscalibration: pairs, the cheapest comparison, beat ratings"
    equal = "calibrated labelers: ratings are no worse than rankings (by less than 0.02)"
    as_claimed = verdicts(study, made_up(study, ordinal_strong=0.7))
    assert (as_claimed[strong], as_claimed[cheap], as_claimed[equal]) == (REPRODUCED,) * 3
    otherwise = verdicts(study, made_up(study, ordinal_strong=0.9, ordinal_none=0.7))
    assert (otherwise[strong], otherwise[cheap], otherwise[equal]) == (NOT,) * 3
    assert verdicts(study, made_up(study))[strong] == UNCLEAR


def test_the_page_is_written_of_what_is_there(study, tmp_path, monkeypatch):
    place = tmp_path / "studies" / "x"
    place.mkdir(parents=True)
    monkeypatch.setattr(study.page, "ROOT", tmp_path)
    monkeypatch.setattr(study, "HERE", place)
    figures, rng = made_up(study, ordinal_strong=0.7), np.random.default_rng(0)
    asked = [Comparison(Prompt(f"prompt {i}"), tuple(Candidate(f"answer {k}", id=f"{i}-{k}") for k in range(4)))
             for i in range(20)]
    for i in range(2):
        study.label(tmp_path / study.RUNS / str(i) / "labels", asked, rng.normal(size=(20, 4)), i)
        for stage in study.stages():
            (tmp_path / study.RUNS / str(i) / stage).mkdir()
            found = {of: figures[stage][of][i] for of in ("within", "across")}
            (tmp_path / study.RUNS / str(i) / stage / "held_out.json").write_text(json.dumps(found))
    study.write_page()
    text = (place / "README.md").read_text()
    assert f"{2 * len(study.stages())} trainings" in text
    assert (place / "accuracy.png").stat().st_size > 1000
