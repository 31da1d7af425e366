"""The study of the alignment tax: its recipe reads, and its verdicts follow from the figures, either way."""

from pathlib import Path

from heed.config import make, read_recipe
from heed.workflows import compare, run

FOLDER = Path(__file__).parents[2] / "studies" / "ptx_tax"


def test_the_recipe_reads_and_has_the_conditions_that_the_page_speaks_of(study):
    settings = make(compare.Compare, read_recipe(FOLDER / "recipe.yaml"), "recipe")
    assert Path(settings.output_dir) == study.RUN
    assert list(settings.methods) == [study.PLAIN, *study.MIXED, *study.PRICED]
    made = {k: v for name in settings.methods for seed in settings.seeds
            for k, v in compare.stages_of(settings, name, seed).items()}
    compare.check_evaluation(settings, made)
    resolved = {name: run.resolve({"name": "x", "stages": made}, name) for name in made}
    kinds = {name: make(run.kind_of(name, verb), values, name) for name, (verb, values) in resolved.items()}
    assert len(kinds) == 5 * len(settings.seeds) and len(settings.seeds) >= 3
    assert kinds["PPO_ptx_27.8-s0"].ppo.ptx_coef == 27.8 and kinds["PPO-s0"].ppo.ptx_coef == 0
    assert {k.ppo.num_ppo_epochs for k in kinds.values()} == {2}, "the conditions differ in nothing else"


def figures(study, plain, mixed, priced):
    """Three trainings a condition, from (perplexity, win rate) of each."""
    def trained(perplexity, win):
        noise = (-0.01, 0.0, 0.01)
        return study.Trained([perplexity + x for x in noise], [win + x / 3 for x in noise], [2.0] * 3, [3.0] * 3)

    return {study.PLAIN: trained(*plain), study.MIXED[0]: trained(*mixed), study.PRICED[0]: trained(*priced)}


def verdicts(study, found):
    """Tax, lowered, little cost, not reached by a price."""
    return [c.verdict for c in study.claims(found, 5.0)]


def test_the_paper_s_outcome_is_reproduced(study):
    found = figures(study, (6.0, 0.70), (5.2, 0.69), (5.5, 0.65))
    assert verdicts(study, found) == [study.page.REPRODUCED] * 4


def test_the_opposite_outcome_is_not(study):
    found = figures(study, (4.8, 0.70), (4.9, 0.55), (4.8, 0.70))
    assert verdicts(study, found) == [study.page.NOT] * 4


def test_a_price_that_reaches_the_same_tax_at_a_lower_win_rate_does_not_reach_the_mix(study):
    found = figures(study, (6.0, 0.70), (5.2, 0.69), (5.2, 0.60))
    assert verdicts(study, found)[-1] == study.page.REPRODUCED


def test_a_price_with_more_tax_and_a_higher_win_rate_is_a_trade(study):
    found = figures(study, (6.0, 0.70), (5.2, 0.60), (5.6, 0.69))
    assert verdicts(study, found)[-1] == study.page.UNCLEAR


def test_trainings_that_disagree_leave_it_unclear(study):
    found = figures(study, (6.0, 0.70), (5.2, 0.69), (5.5, 0.65))
    found[study.PLAIN] = study.Trained([4.0, 5.0, 6.6], [0.5, 0.7, 0.9], [2.0] * 3, [3.0] * 3)
    assert verdicts(study, found)[:3] == [study.page.UNCLEAR] * 3
    same = figures(study, (6.0, 0.70), (5.2, 0.69), (5.2, 0.69))
    same[study.PRICED[0]] = study.Trained([5.0, 5.2, 5.4], [0.6, 0.7, 0.78], [2.0] * 3, [3.0] * 3)
    assert verdicts(study, same)[-1] == study.page.UNCLEAR
