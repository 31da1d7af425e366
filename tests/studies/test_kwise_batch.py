"""The study of whole prompts against shuffled comparisons: its recipe reads, and its verdicts follow from the figures."""

import itertools
from pathlib import Path

from heed.config import make, read_recipe
from heed.evaluation.run_files import Stage
from heed.workflows import run

FOLDER = Path(__file__).parents[2] / "studies" / "kwise_batch"


def test_the_recipe_has_both_ways_at_both_rates_and_they_differ_in_nothing_else(study):
    settings = make(run.RunSettings, read_recipe(FOLDER / "kwise_batch.yaml"), "recipe")
    assert Path(settings.output_dir) == study.RUNS
    resolved = {name: run.resolve(settings.model_dump(), name) for name in settings.stages}
    kinds = {name: make(run.kind_of(name, verb), values, name) for name, (verb, values) in resolved.items()}
    rankings, pairs = kinds["sample"].num_generations, {}
    for seed in study.SEEDS:
        for rate in study.RATES:
            one, other = (kinds[f"{batch}{rate}_{seed}"] for batch in study.BATCHES)
            own = ("output_dir", "batch_of", "batch_size", "micro_batch")
            assert one == other.model_copy(update={name: getattr(one, name) for name in own})
            assert one.seed == seed and f"labels_{seed}/" in one.store
            assert one.batch_size * rankings * (rankings - 1) // 2 == other.batch_size, "as many comparisons a step"
            pairs[rate] = one.learning_rate
    assert len(set(pairs.values())) == len(study.RATES)
    parts = sorted(kinds[f"labels_{seed}"].part for seed in study.SEEDS)
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(parts)), "no prompt in two sets"


GOOD = {"loss": 0.5, "accuracy": 0.8, "lowest": 0.49}
BAD = {"loss": 0.7, "accuracy": 0.7, "lowest": 0.5, "train": 0.2}


def made(study, *, loss, accuracy, train=0.4, lowest=0.4, tokens=30.0, rate=0.0005):
    """Four trainings around these figures."""
    return [study.Training(rate, loss + x, accuracy - x, train + x / 2, lowest + x / 2, tokens + x, 2 * tokens)
            for x in (-0.01, 0.0, 0.01, 0.0)]


def found(study, pairs, prompts, far=5.0):
    """Both ways, the fast rate far worse."""
    return {("prompts", ""): made(study, **prompts), ("pairs", ""): made(study, tokens=80.0, **pairs),
            ("prompts", "_fast"): made(study, loss=far, accuracy=0.5, rate=0.002),
            ("pairs", "_fast"): made(study, loss=far, accuracy=0.5, rate=0.002)}


def test_the_paper_s_outcome_is_reproduced(study):
    figures = found(study, pairs=BAD, prompts=GOOD)
    claims = study.claims(figures)
    assert [c.verdict for c in claims] == [study.page.REPRODUCED] * 6
    assert "2.67" in claims[4].found, "80 tokens against 30"
    assert study.by_rate(figures).count(study.page.REPRODUCED) == 4


def test_the_opposite_outcome_is_not(study):
    figures = found(study, pairs=GOOD, prompts=BAD)
    assert [c.verdict for c in study.claims(figures)] == [study.page.NOT] * 4 + [study.page.REPRODUCED] * 2


def test_a_difference_within_the_noise_is_unclear(study):
    figures = found(study, {"loss": 0.5, "accuracy": 0.7}, {"loss": 0.5, "accuracy": 0.7})
    noisy = [study.Training(t.rate, t.loss + x, t.accuracy + x, t.train_loss - x, t.lowest - x, t.tokens, t.seconds)
             for t, x in zip(figures["pairs", ""], (0.1, -0.1, 0.05, -0.05), strict=True)]
    assert [c.verdict for c in study.claims({**figures, ("pairs", ""): noisy})][:4] == [study.page.UNCLEAR] * 4


def test_each_way_is_taken_at_the_rate_that_suits_it(study):
    figures = found(study, pairs=BAD, prompts=GOOD)
    figures["pairs", "_fast"] = made(study, loss=0.4, accuracy=0.9, rate=0.002)
    assert study.better(figures, "pairs") == "_fast" and study.better(figures, "prompts") == ""
    assert [c.verdict for c in study.claims(figures)][2:4] == [study.page.NOT] * 2


def test_the_figures_of_a_training_are_read_from_its_files(study):
    metrics = [{"step": s, "loss": 1.0 if s <= 6 else 0.25} for s in range(1, 9)]
    evaluated = [{"step": 4, "test_loss": 0.375}, {"step": 8, "test_loss": 0.5}]
    stage = Stage("prompts_0", "learning_rate: 0.002\n", [*metrics, *evaluated], time={"train": 6.0},
                  summary={"test_loss": {"value": 0.5}, "test_accuracy": {"value": 0.75}},
                  lineage={"pairs": 3000, "tokens": 60_000})
    got = study.training(stage)
    assert (got.rate, got.loss, got.accuracy, got.train_loss, got.gap) == (0.002, 0.5, 0.75, 0.25, 0.25)
    assert (got.rise, got.tokens, got.seconds) == (0.125, 20, 2)
    assert study.between(*stage.curve("loss"), [4.0, 8.0]) == [1.0, 0.625]
