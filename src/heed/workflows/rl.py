"""rl: improve a policy by its own samples, with the method of your choice (`heed ppo` is `algorithm=ppo`).

algorithm names the method and `parameters` its hyperparameters, in the paper's words (docs/papers.md): ppo, a2c, trpo and
reinforce have a critic; rloo, grpo and reinforce_pp compare completions with each other; online_dpo, raft, quark and
rating_weighted (reward-weighted regression) rank or weigh what was just sampled.  The reward is a reward model, functions
(verifiable rewards too), or several.  KL to the reference is paid for in the reward, or with kl_in=loss in the loss.
"""

from typing import Any, Literal

from pydantic import NonNegativeFloat, model_validator

from heed.errors import UserError
from heed.workflows import methods
from heed.workflows.acting import Acting, Trainer


class RL(Acting):
    algorithm: str  # the method: ppo, rloo, grpo, reinforce, reinforce_pp, a2c, trpo, online_dpo, raft, quark, ...
    parameters: dict[str, Any] = {}  # its hyperparameters, for example {num_iterations: 2}
    kl_in: Literal["reward", "loss"] = "reward"  # where kl_coef is paid; grpo (beta), online_dpo (beta) and imitation do not
    divergence: Literal["k1", "k2", "k3", "kl", "forward_kl", "js", "tv"] = "k2"  # kl_in=loss: what kl_coef is the price of
    learning_rate: NonNegativeFloat = 3e-6

    @model_validator(mode="after")
    def _known(self):
        method, algorithm = methods.method(methods.ONLINE, self.algorithm), self.made()  # slips are named before anything runs
        if hasattr(algorithm, "num_generations") and self.num_generations < 2:
            raise UserError(f"{self.algorithm} compares completions of one prompt: num_generations = {self.num_generations}, "
                            "expected at least 2")
        if method.price == "own" and {"kl_coef", "kl_target", "kl_in"} & self.model_fields_set:
            own = "parameters.beta" if hasattr(algorithm, "beta") and self.algorithm != "rating_weighted" else "nothing"
            raise UserError(f"{self.algorithm} does not pay for KL by kl_coef; what holds it to the reference is {own}")
        if self.kl_in == "loss" and self.algorithm == "trpo":
            raise UserError("trpo's step is found from its surrogate alone: kl_in = 'loss' has no place in it, use 'reward'")
        return self

    def made(self):
        """The method with its hyperparameters."""
        return methods.algorithm(methods.ONLINE, self.algorithm, self.parameters, num_generations=self.num_generations)


SETTINGS = RL


def more_help() -> str:
    """The methods, for `heed rl --help`."""
    return methods.listed(methods.ONLINE)


def run(settings: RL) -> dict[str, Any]:
    """Returns the last figures of the curve: scores, KL, gold."""
    from heed.training.run import Run

    s = settings
    run = Run(s.output_dir, s, report_to=s.report_to)
    if run.summary is not None:
        return run.summary
    method = methods.method(methods.ONLINE, s.algorithm)
    price = s.kl_in if method.price == "reward" else method.price
    return Trainer(s, run, s.algorithm, s.made(), critic=method.critic, price=price, divergence=s.divergence).train()
