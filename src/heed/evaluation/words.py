"""Figures as people write them."""

NAMES = {
    "base": "Base",
    "pretrain": "Pretraining",
    "sft": "SFT",
    "sample": "Sampling",
    "label": "Labelling",
    "reward": "Reward model",
    "ppo": "PPO",
    "ppo_no_kl": "PPO without KL",
    "dpo": "DPO",
    "grpo": "GRPO",
    "rloo": "RLOO",
    "evaluate": "Evaluation",
    "control": "Control",
    "rl": "RL",
}


def title(stage: str) -> str:
    """A stage or a policy as it is called in a sentence."""
    return NAMES.get(stage, stage.replace("_", " "))


def number(value: float) -> str:
    """Three figures, whole numbers whole: 0.713, 12.3, 1,204."""
    if isinstance(value, int) or (abs(value) >= 100 and abs(value) < 1e7):
        return f"{value:,.0f}"
    if value == 0:
        return "0"
    if abs(value) >= 1e7 or abs(value) < 1e-3:
        return f"{value:.2e}"
    size = abs(round(value, 3))
    decimals = 1 if size >= 10 else 2 if size >= 1 else 3
    return f"{value:.{decimals}f}"


def percent(value: float) -> str:
    """0.713 as 71 %, the sign kept with its number."""
    return f"{100 * value:.0f}\N{NO-BREAK SPACE}%"


def duration(seconds: float) -> str:
    """48 s, 12 min, 3.4 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
