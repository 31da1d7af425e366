"""The words follow from the figures by rule."""

import pytest

from heed.evaluation.evidence import Evidence, gather
from heed.evaluation.metrics.overoptimisation import Overoptimisation
from heed.evaluation.run_files import RunFiles, Stage, read_run
from heed.evaluation.verdict import judge_run
from heed.evaluation.words import duration, number, title


def evidence(figures: dict, gaming: dict | None = None, **fields) -> Evidence:
    stages = fields.pop("stages", [Stage("ppo")])
    return Evidence(RunFiles("x", stages), [], fields.pop("policies", ["sft", "ppo"]), figures, None, gaming or {})


def won(value: float, low: float, high: float) -> dict:
    return {"value": value, "low": low, "high": high, "n": 100}


@pytest.mark.parametrize(
    ("figure", "headline", "tone"),
    [
        (won(0.7, 0.6, 0.8), "PPO improves on SFT", "good"),
        (won(0.55, 0.45, 0.65), "PPO and SFT cannot be told apart", "plain"),
        (won(0.4, 0.32, 0.48), "PPO is worse than SFT", "bad"),
    ],
)
def test_headline(figure, headline, tone):
    verdict = judge_run(evidence({"win_rate/gold/ppo_vs_sft": figure}))
    assert (verdict.headline, verdict.tone) == (headline, tone)


def test_the_text_says_who_judged():
    assert "the gold judge prefers" in judge_run(evidence({"win_rate/gold/ppo_vs_sft": won(0.7, 0.6, 0.8)})).lead
    lead = judge_run(evidence({"win_rate/proxy/ppo_vs_sft": won(0.7, 0.6, 0.8)})).lead
    assert "no gold judge was asked" in lead
    assert "70\u00a0% (60–\u206080\u00a0%)" in lead


def test_gaming_beats_a_win():
    figures = {"win_rate/gold/ppo_vs_sft": won(0.7, 0.6, 0.8)}
    verdict = judge_run(evidence(figures, {"ppo": Overoptimisation("gamed", 50, 1.2, 0.1, 2.0, 0.1)}))
    assert (verdict.headline, verdict.tone) == ("PPO is gaming its reward", "bad")
    assert verdict.lead.startswith("PPO games its reward: the gold score ended 1.20 below its best")


def test_gaming_beside_the_main_run_does_not_condemn_it():
    found = {"ppo": Overoptimisation("sound", 99), "ppo_no_kl": Overoptimisation("gamed", 50, 1.2, 0.1, 2.0, 0.1)}
    verdict = judge_run(evidence({"win_rate/gold/ppo_vs_sft": won(0.7, 0.6, 0.8)}, found))
    assert verdict.tone == "good"
    assert "PPO without KL games its reward" in verdict.lead


def test_a_run_without_kl_alone_is_judged_itself():
    found = {"ppo_no_kl": Overoptimisation("gamed", 50, 1.2, 0.1, 2.0, 0.1)}
    assert judge_run(evidence({}, found, policies=[])).headline == "PPO without KL is gaming its reward"


def test_a_policy_without_kl_is_not_the_end_of_the_story():
    figures = {"win_rate/gold/ppo_vs_sft": won(0.7, 0.6, 0.8), "win_rate/gold/ppo_no_kl_vs_ppo": won(0.1, 0.05, 0.2)}
    verdict = judge_run(evidence(figures, policies=["sft", "ppo", "ppo_no_kl"]))
    assert verdict.headline == "PPO improves on SFT"


def test_use_cases_that_lose_are_named():
    figures = {"win_rate/gold/ppo_vs_sft": won(0.7, 0.6, 0.8)}
    figures |= {
        f"win_rate/gold/ppo_vs_sft/{k}": v for k, v in {"tale": won(0.9, 0.8, 1), "open_qa": won(0.2, 0.1, 0.3)}.items()
    }
    assert "It is worse in open qa." in judge_run(evidence(figures)).lead


def test_over_refusal_is_a_warning():
    figures = {"win_rate/gold/ppo_vs_sft": won(0.7, 0.6, 0.8)}
    figures |= {"refusal/sft/benign": won(0.02, 0.01, 0.05), "refusal/ppo/benign": won(0.3, 0.2, 0.4)}
    assert "over-cautious: it declines 30\u00a0%" in judge_run(evidence(figures)).lead


def test_without_an_evaluation_nothing_is_claimed():
    verdict = judge_run(evidence({}, policies=[], stages=[Stage("sft"), Stage("reward")]))
    assert verdict.headline == "SFT and Reward model: not compared yet"


def test_the_evidence_of_a_whole_run(fake_run):
    found = gather(read_run(fake_run))
    assert [stage.name for stage in found.run.stages] == ["pretrain", "sft", "reward", "ppo", "ppo_no_kl", "evaluate"]
    assert found.policies == ["base", "sft", "ppo"]
    assert {name: g.verdict for name, g in found.gaming.items()} == {"ppo": "sound", "ppo_no_kl": "gamed"}
    assert found.reward.who == "the labeller"
    assert set(found.reward.by_policy) == {"base", "sft", "ppo"}


def test_reward_evidence_without_kept_rankings(own_run):
    """The reward stage kept only its summary: the gold judge's order of the SFT answers stands in."""
    (own_run / "reward" / "samples.jsonl").unlink()
    found = gather(read_run(own_run)).reward
    assert (found.who, found.where) == ("the gold judge", "pairs of SFT answers")
    assert found.figures["accuracy"] == found.by_policy["sft"]


def test_reward_evidence_from_a_summary_alone():
    figure = won(0.7, 0.6, 0.8)
    run = RunFiles(
        "x", [Stage("reward", summary={"eval_accuracy": figure, "eval_accuracy_longer_wins": won(0.5, 0.4, 0.6)})]
    )
    found = gather(run).reward
    assert (found.figures["accuracy"], found.pairs) == (figure, None)


def test_words():
    assert [number(x) for x in (0.71312, 12.34, 1204, 0, 0.9999, -1.456, 3e-5, 4)] == [
        "0.713", "12.3", "1,204", "0", "1.00", "-1.46", "3.00e-05", "4",
    ]  # fmt: skip
    assert [duration(x) for x in (48, 720, 12240)] == ["48 s", "12 min", "3.4 h"]
    assert (title("ppo_no_kl"), title("my_stage")) == ("PPO without KL", "my stage")
