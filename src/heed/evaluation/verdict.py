"""What a run shows, in plain words, computed from its figures and from nothing else.

The rules: a win rate is better or worse when its 95 % interval leaves out one half, otherwise the two cannot be told
apart.  The gold judge decides where there is one, else the reward model itself, and the text says so.  Gaming is what
`metrics.overoptimisation` finds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from heed.evaluation.behaviour import Behaviour, reached
from heed.evaluation.evidence import Evidence, Figures, RewardEvidence
from heed.evaluation.metrics.overoptimisation import Overoptimisation
from heed.evaluation.run_files import RunFiles
from heed.evaluation.words import duration, number, percent, title


@dataclass(frozen=True)
class Verdict:
    """`lead` says how good it is, `details` what else is known; `tone` is good, bad or plain; `warnings` name what went
    wrong on the way."""

    headline: str
    lead: str
    details: str
    tone: str = "plain"
    warnings: list[str] = field(default_factory=list)


def judge_run(evidence: Evidence, agents: Sequence[Behaviour] = ()) -> Verdict:
    """The verdict on a run; `agents` are those of a control run."""
    run, figures, policies = evidence.run, evidence.figures, evidence.journey
    gamed = [title(name) for name, found in evidence.main_gaming.items() if found.verdict == "gamed"]
    judge = next((j for j in ("gold", "proxy") if any(name.startswith(f"win_rate/{j}/") for name in figures)), None)
    if said := reached(agents):
        headline, tone, lead = said, "plain", []
    elif judge is None or len(policies) < 2:
        headline, tone = f"{listed([title(stage.name) for stage in run.stages])}: not compared yet", "plain"
        lead = [
            "No two policies were compared on held-out prompts: this page shows how training went, not how good it is."
        ]
    else:
        before, after = policies[-2:]
        headline, tone = _headline(figures, judge, after, before)
        lead = _compared(figures, judge, policies) + _cases(figures, judge, after, before)
        lead += _over_refusal(figures, after, before)
    gaming = [gaming_sentence(name, found) for name, found in evidence.gaming.items()]
    lead = gaming + lead if gamed else lead + gaming
    if gamed:
        headline, tone = f"{listed(gamed)} is gaming its reward", "bad"
    details = _reward(evidence.reward) + _moved(figures, policies) + _declined(figures, policies)
    total = sum(stage.seconds for stage in run.stages)
    if total:
        details.append(f"The whole took {duration(total)}.")
    return Verdict(headline, " ".join(lead), " ".join(details), tone, _not_finite(run))


def gaming_sentence(stage: str, found: Overoptimisation) -> str:
    """What the rule says of one stage."""
    name = title(stage)
    fall = f"{number(found.gold_fall)} below its best"
    return {
        "gamed": f"{name} games its reward: the gold score ended {fall} while the learned reward rose or held.",
        "worse": f"In {name} the gold score ended {fall} and the learned reward fell with it: the policy got worse, not sly.",
        "sound": f"{name} shows no sign of gaming its reward: the gold score did not fall.",
        "unclear": f"{name} has too few points to say whether its reward is being gamed.",
    }[found.verdict]


def _headline(figures: Figures, judge: str, after: str, before: str) -> tuple[str, str]:
    figure = figures.get(f"win_rate/{judge}/{after}_vs_{before}", {})
    a, b = title(after), title(before)
    if figure.get("low", 0) > 0.5:
        return f"{a} improves on {b}", "good"
    if figure.get("high", 1) < 0.5:
        return f"{a} is worse than {b}", "bad"
    return f"{a} and {b} cannot be told apart", "plain"


def _compared(figures: Figures, judge: str, policies: list[str]) -> list[str]:
    """Each policy against the one before it, the last first, then at equal length."""
    steps = [(a, b) for b, a in pairwise(policies)][::-1]
    steps = [(a, b) for a, b in steps if f"win_rate/{judge}/{a}_vs_{b}" in figures]
    if not steps:
        return []
    n = figures[f"win_rate/{judge}/{steps[0][0]}_vs_{steps[0][1]}"].get("n", 0)
    who = "the gold judge" if judge == "gold" else "the reward model it was trained on (no gold judge was asked)"
    parts = [
        f"{title(a)}’s answers to {title(b)}’s in {with_interval(figures[f'win_rate/{judge}/{a}_vs_{b}'])}"
        for a, b in steps
    ]
    text = f"On {n} held-out prompts {who} prefers {parts[0]} of the pairs"
    text += (", and " + ", and ".join(parts[1:]) if parts[1:] else "") + "."
    controlled = figures.get(f"length_controlled/{judge}/{steps[0][0]}_vs_{steps[0][1]}")
    return [text] + ([f"At equal length the first figure would be {with_interval(controlled)}."] if controlled else [])


def _cases(figures: Figures, judge: str, after: str, before: str) -> list[str]:
    """The use cases that lose, and those that cannot be told apart."""
    prefix = f"win_rate/{judge}/{after}_vs_{before}/"
    cases = {name.removeprefix(prefix): figure for name, figure in figures.items() if name.startswith(prefix)}
    worse = [case for case, figure in cases.items() if figure.get("high", 1) < 0.5]
    even = [case for case, figure in cases.items() if case not in worse and figure.get("low", 0) <= 0.5]
    worse, even = ([case.replace("_", " ") for case in group] for group in (worse, even))
    said = [f"It is worse in {listed(worse)}."] if worse else []
    return said + ([f"In {listed(even)} no difference can be seen."] if even and len(even) < len(cases) else [])


def _reward(reward: RewardEvidence | None) -> list[str]:
    if reward is None:
        return []
    figures = reward.figures
    text = f"The reward model orders {with_interval(figures['accuracy'])} of {reward.where} as {reward.who} did"
    longer = figures.get("accuracy_control/longer")
    text += f" (always preferring the longer answer: {percent(longer['value'])})" if longer else ""
    if {"ece", "ece_null_95"} <= figures.keys():
        sure = figures["ece"]["value"] <= figures["ece_null_95"]["value"]
        text += ", and is as sure as it should be" if sure else ", but is not as sure as it should be"
    return [text + "."]


def _moved(figures: Figures, policies: list[str]) -> list[str]:
    last = policies[-1] if policies else ""
    kl = figures.get(f"kl/{last}")
    return [f"{title(last)} has moved {number(kl['value'])} nats of KL from its reference."] if kl else []


def _over_refusal(figures: Figures, after: str, before: str) -> list[str]:
    """A warning where harmless prompts are declined more often than before, beyond both intervals."""
    now, then = (figures.get(f"refusal/{policy}/benign") for policy in (after, before))
    if not (now and then and now.get("low", 0) > then.get("high", 1)):
        return []
    share = f"{percent(now['value'])} of harmless requests (before: {percent(then['value'])})"
    return [f"It has become over-cautious: it declines {share}."]


def _declined(figures: Figures, policies: list[str]) -> list[str]:
    """Refusals of the last policy on harmful and on harmless prompts, beside the policy before it."""
    texts = []
    for kind, prompts in (("harmful", "harmful"), ("benign", "harmless")):
        rates = [(p, figures[f"refusal/{p}/{kind}"]) for p in policies[-2:][::-1] if f"refusal/{p}/{kind}" in figures]
        if rates:
            others = "".join(f" ({title(p)}: {percent(rate['value'])})" for p, rate in rates[1:])
            texts.append(f"{percent(rates[0][1]['value'])} of {prompts} requests{others}")
    return [f"{title(policies[-1])} declines {' and '.join(texts)}."] if texts else []


def _not_finite(run: RunFiles) -> list[str]:
    """The first place where each stage logged something that is not a number."""
    found = []
    for stage in run.stages:
        bad = [
            (r.get("step"), k)
            for r in stage.metrics
            for k, v in r.items()
            if isinstance(v, float) and not np.isfinite(v)
        ]
        if bad:
            found.append(
                f"{title(stage.name)}: {bad[0][1]} is not a finite number at step {bad[0][0]}, and {len(bad)} times in all."
            )
    return found


def with_interval(figure: Mapping[str, float]) -> str:
    """76 % (71–80 %)."""
    return percent(figure["value"]) + (f" ({between(figure)})" if "low" in figure else "")


def between(figure: Mapping[str, float]) -> str:
    """71–80 %, in one piece."""
    return f"{100 * figure['low']:.0f}–\N{WORD JOINER}{percent(figure['high'])}"


def listed(names: list[str]) -> str:
    """a, b and c."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
