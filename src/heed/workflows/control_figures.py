"""What is said of a control run while it lasts, and at its end."""

import json
import time
from typing import Any


class Returns:
    """True returns of whole episodes, kept over the rounds that an episode lasts."""

    def __init__(self, env):
        import numpy as np

        self.running = np.where(env.begun == 0, 0.0, np.nan)  # a first episode that began late is not a whole one
        self.last = float("nan")

    def take(self, rollout) -> dict[str, float]:
        """The mean over episodes that ended in this round; nothing where none did."""
        import numpy as np

        done = []
        for i, (rewards, ends) in enumerate(zip(rollout.rewards, rollout.ends, strict=True)):
            start = 0
            for end in np.flatnonzero(ends) + 1:
                done.append(self.running[i] + rewards[start:end].sum())
                self.running[i], start = 0.0, end
            self.running[i] += rewards[start:].sum()
        done = [d for d in done if d == d]
        if done:
            self.last = float(np.mean(done))
        found = {"true/reward": float(rollout.rewards.mean())}
        return found | ({} if np.isnan(self.last) else {"true/return": self.last})

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        import torch

        return {"running": torch.from_numpy(self.running), "last": torch.tensor([self.last], dtype=torch.float64)}

    def restore(self, tensors: dict[str, Any]) -> None:
        """Take up what `state` gave."""
        if tensors:
            self.running, self.last = tensors["running"].numpy().copy(), float(tensors["last"][0])


def agreement(predicted, rollout, length: int) -> tuple[dict[str, float], Any]:
    """Correlation of predicted and true reward, per step and per segment of `length` steps; and the segments' sums."""
    import numpy as np

    def correlation(a, b) -> float:
        return float(np.corrcoef(a, b)[0, 1]) if a.std() > 1e-12 and b.std() > 1e-12 else 0.0

    n, t = rollout.rewards.shape
    whole = t // length * length
    sums = [x[:, :whole].reshape(n * (whole // length), length).sum(1) for x in (predicted, rollout.rewards)]
    return {"reward/correlation_step": correlation(predicted.ravel(), rollout.rewards.ravel()),
            "reward/correlation_segment": correlation(*sums)}, sums


def watch_over(trainer, done: int) -> None:
    """Videos of the start, the middle and the end, for the report."""
    marks = {trainer.first: "start", trainer.rounds // 2: "middle", trainer.rounds: "end"}
    if done in marks and hasattr(trainer.agent, "policy"):
        from heed.workflows.control_watch import film

        s = trainer.settings
        config = {"env": s.env, "variable_horizon": s.variable_horizon}
        with trainer.run.phase("film"):
            film(trainer.run.dir / "clips" / marks[done], config, trainer.agent.policy, trainer.agent.normaliser, seed=s.seed)


def conclude(trainer, last: dict[str, float]) -> dict[str, Any]:
    """Whole episodes without chance, the artifact, the final figures."""
    from heed.control.environments import make
    from heed.evaluation.report import write_report
    from heed.training.checkpoint import write_file
    from heed.workflows.control_agent import write_agent

    s, run = trainer.settings, trainer.run
    if trainer.labels:
        trainer.labels.close()
    with run.phase("evaluate"):
        returns = trainer.agent.evaluate(make(s.env, 16, s.seed + 1_000_003, variable_horizon=s.variable_horizon))
    if hasattr(trainer.agent, "policy"):
        run.artifact("model", lambda place: write_agent(place, s, trainer.env, trainer.agent, trainer.predictor))
    if trainer.sums:
        predicted, true = ([round(float(x), 4) for x in sums] for sums in trainer.sums)
        write_file(run.dir / "agreement.json", json.dumps({"predicted": predicted, "true": true}))
    cpu = trainer.cpu + time.process_time()
    steps = trainer.rounds * trainer.batch
    kept = {k: v for k, v in last.items() if k.startswith(("reward/", "labels/", "true/")) and v == v}
    summary = {"true_return": float(returns.mean()), "true_return_std": float(returns.std()), "episodes": len(returns),
               "steps": steps, "cpu_seconds": round(cpu, 2), "steps_per_cpu_second": round(steps / cpu, 1), **kept}
    found = run.finish(summary, parents=[], env=s.env)
    write_report(run.dir)
    run.say(f"control: true return {summary['true_return']:.1f} over {len(returns)} episodes after {steps} steps, "
            f"{summary['steps_per_cpu_second']:.0f} steps per CPU-second")
    return found
