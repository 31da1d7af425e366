"""The study of label efficiency: its recipe reads, and its verdicts follow from the figures."""

import itertools
from pathlib import Path

import pytest

from heed.config import make, override, read_recipe
from heed.workflows import run

FOLDER = Path(__file__).parents[2] / "studies" / "label_efficiency"


def kinds(study, seed):
    """{stage: its settings} of a seed."""
    settings = make(run.RunSettings, override(read_recipe(study.RECIPE), study.moved(seed)), "recipe")
    assert Path(settings.output_dir) == study.RUNS / f"seed_{seed}"
    resolved = {name: run.resolve(settings.model_dump(), name) for name in settings.stages}
    return {name: make(run.kind_of(name, verb), values, name) for name, (verb, values) in resolved.items()}


def test_every_seed_asks_about_other_prompts_and_models_label_exactly_the_rest(study):
    parts = []
    for seed in study.SEEDS:
        made = kinds(study, seed)
        everything = made[f"people_{study.SIZES[-1]}"].part
        for size, share in study.WEAK.items():
            people, rest = made[f"people_{size}"].part, made[f"rest_{size}"].part
            assert (people[0], people[1], rest[1]) == (everything[0], rest[0], everything[1])
            width = (people[1] - people[0]) / (everything[1] - everything[0])
            assert f"{100 * width:g} %" == share
            assert [p.split("/")[-2] for p in made[f"weak_{size}"].store] == [f"people_{size}", f"rest_{size}"]
        parts.append(people)
        assert made["reward_10"].seed == seed and made["sample_test"].seed == made["truth"].seed == 0
        assert {f"reward_{n}" for n in study.SIZES} | {f"ppo_{n}" for n in study.TRIED} <= made.keys()
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(parts)), "300 prompts of one seed are not another's"


def found(study, right, won, weak):
    """Accuracies by size, the shares of prompts on which PPO wins, and what weak supervision reached; three seeds."""
    jitter = (-0.005, 0.0, 0.005)
    accuracy = {f"reward_{n}": [x + j for j in jitter] for n, x in zip(study.SIZES, right, strict=True)}
    accuracy |= {f"weak_{n}": [x + j for j in jitter] for n, x in zip(study.WEAK, weak, strict=True)}
    prompts = {name: [max(1, int(name.split("_")[1]))] * 3 for name in accuracy}
    gold = {"sft": [[[0.0]] * 40] * 3}
    for policy, share in won.items():
        gold[policy] = [[[1.0]] * round(40 * share) + [[-1.0]] * (40 - round(40 * share))] * 3
    return study.Found(accuracy, prompts, {k: [5 * n for n in v] for k, v in prompts.items()}, gold,
                       dict.fromkeys(gold, [[[1.0]] * 40] * 3))


GOOD = {"ppo_10": 0.3, "ppo_30": 0.5, "ppo_100": 0.75, "ppo_3000": 0.75, "ppo_weak_30": 0.8}


def test_good_figures_give_good_verdicts(study):
    claims = study.claims(found(study, (0.5, 0.6, 0.65, 0.7, 0.75, 0.8), GOOD, (0.79, 0.8)))
    verdicts = [c.verdict for c in claims]
    assert verdicts == [study.ANSWERED, study.page.REPRODUCED, study.ANSWERED, *[study.page.REPRODUCED] * 6]
    assert claims[0].found.startswith("from 30 prompts (150 comparisons) on: 0.6")
    assert "not with 10 prompts (50 comparisons)" in claims[0].found
    assert claims[2].found.startswith("from 100 prompts") and "not with 30 prompts" in claims[2].found


def test_bad_figures_give_bad_verdicts(study):
    bad = {name: 0.2 for name in GOOD} | {"ppo_3000": 0.3, "ppo_weak_30": 0.0}
    claims = study.claims(found(study, (0.45, 0.44, 0.43, 0.42, 0.41, 0.4), bad, (0.35, 0.36)))
    assert [c.verdict for c in claims] == [study.page.NOT] * 9


def test_a_size_is_only_enough_where_all_larger_ones_are(study):
    won = {n: study.estimate([x - 0.01, x, x + 0.01]) for n, x in ((10, 0.9), (30, 0.5), (100, 0.8), (300, 0.9))}
    assert study.from_where(won, 0.5) == 100
    assert study.from_where({**won, 300: study.estimate([0.9])}, 0.5) is None, "one training has no interval"


def test_the_tables_say_every_figure(study):
    figures = found(study, (0.5, 0.6, 0.65, 0.7, 0.75, 0.8), GOOD, (0.79, 0.8))
    assert "| reward_1000 | 1,000 | 5,000 | 0.750 [" in study.rewards_table(figures)
    assert "| 0.750, 0.750, 0.750 | 1.00 [1.00, 1.00] |" in study.policies_table(figures)


def test_points_a_doubling(study):
    right = [0.5, 0.5, *(0.5 + 0.02 * x for x in (0.0, 1.5849625, 3.3219281, 4.9068906))]
    assert study.doubling(found(study, right, {}, (0.5, 0.5))) == pytest.approx([0.02] * 3)
