"""ppo: improve a policy against a reward, near a reference (Ziegler et al. 2019; Stiennon et al. 2020; Ouyang et al. 2022).

Each step samples completions, scores them with the reward model or reward functions, takes a KL penalty off at every
token, and makes PPO epochs over them.  `gold` names a judge that training never sees; it is drawn beside the reward, so
that a reward being gamed shows.  A step whose KL passes kl_stop ends the run and says why.  `heed rl` does the same with
other methods.
"""

from typing import Any

from heed.algorithms.ppo import PPO
from heed.workflows.acting import Acting, Trainer


class PPOSettings(Acting):
    ppo: PPO = PPO()


SETTINGS = PPOSettings


def run(settings: PPOSettings) -> dict[str, Any]:
    """Returns the last figures of the curve: scores, KL, gold."""
    from heed.training.run import Run

    run = Run(settings.output_dir, settings, report_to=settings.report_to)
    return run.summary if run.summary is not None else Trainer(settings, run, "ppo", settings.ppo).train()
