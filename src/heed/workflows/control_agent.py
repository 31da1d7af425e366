"""The agent of a control run: made from its settings, kept as an artifact, and loaded again to be watched."""

import json
from pathlib import Path

from heed.errors import UserError, nearest

AGENTS = ("ppo", "trpo", "a2c", "reinforce")


def make_agent(settings, env):
    """The agent that `settings.agent` names; UserError for a name nobody knows."""
    from heed.control.agents import OnPolicy
    from heed.control.policy import ActorCritic
    from heed.training.learner import Learner

    s = settings
    if s.agent.startswith("sb3:"):
        from heed.control.sb3 import Borrowed

        return Borrowed(env, s.agent.removeprefix("sb3:"), s.steps, learned=s.reward == "learned", seed=s.seed,
                        learning_rate=s.learning_rate)
    if s.agent not in AGENTS:
        raise UserError(f"agent = {s.agent!r}{nearest(s.agent, (*AGENTS, 'sb3:SAC'))}")
    if s.agent == "ppo" and not 1 <= s.ppo.num_mini_batches <= s.copies * s.steps:
        raise UserError(f"ppo.num_mini_batches = {s.ppo.num_mini_batches}: expected 1 to copies * steps = {s.copies * s.steps}")
    policy = ActorCritic(env.obs_size, env.action_size, discrete=env.discrete, hidden=tuple(s.hidden), log_std=s.log_std)
    learner = Learner(policy, lr=s.learning_rate, eps=1e-5, max_grad_norm=s.max_grad_norm, micro_batch=2**20)
    return OnPolicy(env, policy, learner, getattr(s, s.agent), s.steps)


def write_agent(place: Path, settings, env, agent, predictor) -> None:
    """policy.safetensors (with the normaliser), predictor.safetensors and config.json into folder `place`."""
    from safetensors.torch import save_file

    s = settings
    tensors = {k: v.contiguous() for k, v in agent.policy.state_dict().items()}
    tensors |= {f"normaliser.{k}": v for k, v in agent.normaliser.state().items()}
    save_file(tensors, place / "policy.safetensors")
    if predictor:
        save_file({k: v.contiguous() for k, v in predictor.weights().items()}, place / "predictor.safetensors")
    (place / "config.json").write_text(json.dumps({
        "env": s.env, "obs_size": env.obs_size, "action_size": env.action_size, "discrete": env.discrete,
        "hidden": s.hidden, "variable_horizon": s.variable_horizon, "members": s.members}, indent=1))


def load_agent(place: Path):
    """(policy, normaliser, config) that `write_agent` kept; UserError where there is none."""
    from safetensors.torch import load_file

    from heed.control.policy import ActorCritic, Normaliser

    file = place / "config.json"
    if not file.is_file() or not (place / "policy.safetensors").is_file():
        raise UserError(f"{place} holds no agent: expected config.json and policy.safetensors, as `heed control` writes them "
                        "into the folder model/ of a run that is done")
    config = json.loads(file.read_text())
    tensors = load_file(place / "policy.safetensors")
    policy = ActorCritic(config["obs_size"], config["action_size"], discrete=config["discrete"], hidden=tuple(config["hidden"]))
    policy.load_state_dict({k: v for k, v in tensors.items() if not k.startswith("normaliser.")})
    normaliser = Normaliser(config["obs_size"])
    normaliser.restore({k.removeprefix("normaliser."): v for k, v in tensors.items() if k.startswith("normaliser.")})
    return policy, normaliser, config
