"""The study of overoptimisation: its recipe reads, and its verdicts follow from the curves, either way."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from heed.config import make, read_recipe
from heed.workflows import run

FOLDER = Path(__file__).parents[2] / "studies" / "overoptimization"


@pytest.fixture(autouse=True)
def few_draws(monkeypatch):
    """No verdict here hangs on the interval of a fit."""
    monkeypatch.setattr("heed.evaluation.metrics.scaling._RESAMPLES", 10)


@pytest.fixture(scope="module")
def stages():
    """stage: its settings, read as `heed run` reads them."""
    settings = make(run.RunSettings, read_recipe(FOLDER / "recipe.yaml"), "recipe")
    run.refuse_circles({name: run.needs(settings.stages, name) for name in settings.stages})
    resolved = {name: run.resolve(settings.model_dump(), name) for name in settings.stages}
    return {name: make(run.kind_of(name, verb), values, name) for name, (verb, values) in resolved.items()}


def test_the_recipe_has_what_the_page_speaks_of(study, stages):
    for condition in study.CONDITIONS:
        for seed in study.SEEDS:
            ppo = stages[f"ppo-{condition}-s{seed}"]
            assert (ppo.seed, ppo.kl_coef, ppo.split) == (seed, 0, "test")
            if condition != "6000":
                folder = study.RUN / f"reward-{condition}-s{seed}"
                assert ppo.reward_model == str(folder / "model")
                reward = stages[folder.name]
                assert reward.seed == seed and reward.max_rows == int(condition.partition("-")[0])
                assert reward.store == str(study.RUN / f"label-s{seed}" / "store.db")
                assert reward.shift_prompts and ("small" in reward.model) == (condition == study.SMALL)
    assert stages["pool"].num_generations == study.NS[-1] and stages["pool"].split == "test"


def test_each_seed_has_rankings_of_its_own(study, stages):
    parts = sorted(stages[f"label-s{seed}"].part for seed in study.SEEDS)
    assert all(before[1] <= after[0] for before, after in pairwise(parts))


START = 1.5


def curve(study, form, alpha, beta, *, most=6.0, points=24, proxy=1.0, noise=0.0, width=1, seed=0):
    """A curve of the form, from SFT's gold on."""
    d = np.linspace(0, most, points)
    gain = d * (alpha - beta * (d if form == "bon" else np.log(np.maximum(d, 1e-9))))
    gold = START + gain + np.random.default_rng(seed).normal(0, noise, points)
    gold[0] = START
    return study.Curve((d**2).tolist(), gold.tolist(), (proxy * d).tolist(), width)


def both(study, alphas, *, bon=0.5, bon_beta=0.25, proxy=1.0, rl_beta=0.5):
    """Three curves a condition: best of n with a turnover, and RL with the alpha of each condition."""
    rl = {c: [curve(study, "rl", a, rl_beta, proxy=proxy, noise=0.02, width=3, seed=s) for s in study.SEEDS]
          for c, a in zip(study.CONDITIONS, alphas, strict=True)}
    best = {c: [curve(study, "bon", a * bon * (1 + s / 100), bon_beta, most=2.5, points=14) for s in study.SEEDS]
            for c, a in zip(study.CONDITIONS, alphas, strict=True)}
    best["6000"] = best["6000"][:1]
    return best, rl


def verdicts(study, best, rl):
    """claim: verdict, by the words that tell one from another."""
    return {c.says: c.verdict for c in study.claims(best, rl)}


def test_the_paper_s_curves_are_reproduced(study):
    found = verdicts(study, *both(study, (0.5, 0.6, 0.7, 0.8, 0.5), bon=5, bon_beta=1.25))
    unlike = {says: v for says, v in found.items() if v != study.page.REPRODUCED}
    assert list(unlike) == [], unlike
    assert len(found) == 9


def test_the_opposite_is_not_reproduced(study):
    """Gold only falls, the more data the faster, and the proxy falls with it."""
    best, rl = both(study, (-0.5, -0.6, -0.7, -0.8, -0.4), proxy=-1.0)
    found = verdicts(study, best, rl)
    assert [v for says, v in found.items() if "higher peak of gold: RL" in says] != [study.page.REPRODUCED] * 2
    assert found["and then falls while the proxy rises on"] == study.page.NOT
    best, rl = both(study, (0.8, 0.7, 0.6, 0.5, 0.9), bon=0.5)
    found = verdicts(study, best, rl)
    assert found["more data, higher peak of gold: RL"] == study.page.NOT
    assert found["more data, higher peak of gold: best of n"] == study.page.NOT
    assert found["a larger reward model, higher peak of gold: RL"] == study.page.NOT


def test_without_a_turnover_the_forms_are_refused_and_the_claim_is_unclear(study):
    rising = {c: [curve(study, "bon", 0.5, 0.0)] * 3 for c in study.CONDITIONS}
    claim = study.forms(rising, "bon")
    assert claim.verdict == study.page.UNCLEAR and claim.found == "no turnover on 15 of 15 ways"


def test_a_form_that_does_not_fit_is_not_reproduced(study):
    gain = [0.0, *[1.5, -0.7] * 6, *[0.7, -1.5] * 6]  # up and then down, beneath a saw
    saw = study.Curve([float(x) for x in range(25)], [START + x for x in gain], list(range(25)))
    assert study.forms({"100": [saw] * 3, "400": [saw] * 3}, "rl").verdict == study.page.NOT
    assert study.forms({"100": [saw]}, "rl").verdict == study.page.UNCLEAR  # one way says little


def test_a_form_fits_each_way_however_far_apart_they_lie(study):
    ways = {c: [curve(study, "bon", a, 0.5, most=3.0) for a in (0.6, 1.2, 2.4)] for c in ("100", "400", "1600")}
    assert study.fit(ways["100"], "bon", START).r2_held_out < study.DESCRIBES
    assert study.forms(ways, "bon").verdict == study.page.REPRODUCED


def test_steps_that_cross_leave_more_data_unclear(study):
    _, rl = both(study, (0.5, 0.7, 0.7, 0.8, 0.6))
    rl["400"] = [curve(study, "rl", a, 0.5, width=3) for a in (0.6, 0.8, 0.72)]
    rl["1600"] = [curve(study, "rl", a, 0.5, width=3) for a in (0.75, 0.6, 0.7)]
    assert study.more_data(rl, "RL").verdict == study.page.UNCLEAR


def test_rl_that_needs_less_distance_is_not_reproduced(study):
    best = {"100": [curve(study, "bon", 0.3, 0.06, most=3.0, points=14)] * 3}
    rl = {"100": [curve(study, "rl", a, 1.5, most=3.0, points=24) for a in (1.9, 2.0, 2.1)]}
    assert study.distances(best, rl).verdict == study.page.NOT


def test_best_of_n_is_read_from_the_scores(study, tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    gold = rng.normal(0, 1, (20, 16))
    monkeypatch.setattr(study.page, "ROOT", tmp_path)
    monkeypatch.setattr(study, "NS", (1, 4, 128))
    for name in ("gold", *study.reward_models()):
        study.place_of(name).parent.mkdir(parents=True, exist_ok=True)
        scores = 2 * gold + (0 if name == "gold" else rng.normal(0, 1, gold.shape))
        study.place_of(name).write_text(json.dumps(scores.tolist()))
    pool = study.read_pool()
    assert {c: len(v) for c, v in pool.curves.items()} == {"100": 3, "400": 3, "1600": 3, "6000": 1, study.SMALL: 3}
    assert pool.samples == 16 and pool.requests == 20
    first = pool.curves["100"][0]
    assert first.kl[0] == 0 and first.gold[0] == pytest.approx(2 * gold.mean()) and first.gold[-1] > first.gold[0]
    assert 0.7 < pool.accuracy["100"][0] < 0.95
    shift, factor = pool.scale["100"][0]
    assert shift + factor * first.proxy[0] == pytest.approx(first.gold[0])
