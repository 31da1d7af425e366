"""Which figures of training are drawn, and what to look for in each."""

from dataclasses import dataclass

from heed.evaluation.run_files import Stage
from heed.evaluation.words import title


@dataclass(frozen=True)
class Panel:
    """One small plot: `metrics` are (name in metrics.jsonl, label of its line)."""

    title: str
    note: str
    metrics: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Line:
    """A curve and its name; the name is empty where there is only one."""

    label: str
    x: list[float]
    y: list[float]


PANELS = (
    Panel("Loss", "lower is better; a widening gap is overfitting", (("loss", "training"), ("eval_loss", "held out"))),
    Panel("Accuracy", "share of pairs ordered as people did; 0.5 is a coin",
          (("accuracy", "training"), ("eval_accuracy", "held out"))),
    Panel("Margin", "reward of the preferred answer minus the other's", (("margin", ""),)),
    Panel("Reward", "the learned reward of fresh samples", (("objective/scores", ""),)),
    Panel("Gold score", "what the judge says that training never sees", (("objective/gold", ""),)),
    Panel("KL to the reference", "nats a completion", (("objective/kl", ""),)),
    Panel("Length", "tokens a completion; a steady climb is often padding for reward", (("completions/mean_length", ""),)),
    Panel("Entropy", "falling to zero means that every answer is the same", (("objective/entropy", ""),)),
    Panel("Accuracy", "chosen above rejected", (("rewards/accuracies", ""),)),
    Panel("Implicit reward", "both falling is common; the gap is what is learnt",
          (("rewards/chosen", "chosen"), ("rewards/rejected", "rejected"))),
)  # fmt: skip
MORE = (
    Panel("Reward after the KL penalty", "what PPO maximises", (("objective/rlhf_reward", ""),)),
    Panel("Policy loss", "", (("loss/policy_avg", ""),)),
    Panel("Value loss", "", (("loss/value_avg", ""),)),
    Panel(
        "Clipped share",
        "share of tokens at the clip; above 0.3 the steps are too large",
        (("policy/clipfrac_avg", ""),),
    ),
    Panel("Movement a step", "approximate KL to the policy that sampled", (("policy/approxkl_avg", ""),)),
    Panel("Probability ratio", "1 on average", (("val/ratio", ""),)),
    Panel("Ended by itself", "answers with an end token", (("val/num_eos_tokens", ""),)),
    Panel("Gradient norm", "before it is clipped", (("grad_norm", ""),)),
    Panel("Learning rate", "", (("lr", ""),)),
    Panel("Speed", "units a second: tokens, or pairs", (("tokens_per_second", ""), ("units_per_second", ""))),
)


def lines(panel: Panel, stage: Stage, twin: Stage | None) -> list[Line]:
    """The lines of a panel, a twin run's beside each; none where no line has two points to join."""
    found = []
    for metric, label in panel.metrics:
        for run in (stage, twin):
            x, y = run.curve(metric) if run else ([], [])
            if x:
                name = " ".join(filter(None, (label, title(run.name) if twin else "")))
                found.append(Line(name, x, y))
    return found if any(len(line.x) > 1 for line in found) else []


def unread(stage: Stage) -> list[str]:
    """Metrics that were logged and have no panel."""
    drawn = {name for panel in (*PANELS, *MORE) for name, _ in panel.metrics} | {"step", "seconds", "episode"}
    return sorted({name for row in stage.metrics for name in row} - drawn)
