"""The loop of every stage that learns from a fixed set of rows: pretraining, SFT, reward models."""

from collections.abc import Callable, Mapping
from typing import Any

from heed.errors import UserError
from heed.training.learner import Learner, Part
from heed.training.run import Run
from heed.training.schedule import Shape, learning_rate, seed_everything


def total_steps(rows: int, batch_size: int, epochs: float, max_steps: int) -> int:
    """Steps of `epochs` passes over `rows`, or `max_steps` where that is set; at least one."""
    if rows == 0:
        raise UserError("the dataset has no usable rows")
    return max_steps if max_steps > 0 else max(1, round(epochs * rows / batch_size))


def train(run: Run, learner: Learner, *, name: str, total: int, part_of: Callable[[int], Part | list[Part]], peak: float,
          shape: Shape, warmup: int, seed: int, logging_steps: int, save_steps: int, save_total_limit: int,
          evaluate: Callable[[], Mapping[str, float]] | None = None, eval_steps: int = 0) -> None:
    """Steps run.step .. total - 1, each a function of (seed, step); figures, checkpoints and evaluations on the way."""
    state: dict[str, Any] = run.resume({"model": learner}, total=total, name=name)
    tokens, since = 0.0, run.seconds
    best = dict(state.get("eval", {}))
    for step in range(run.step, total):
        seed_everything(name, seed, step)
        with run.phase("train"):
            found = part_of(step)
            parts = found if isinstance(found, list) else [found]
            lr = learning_rate(step, total, peak, shape, warmup)
            metrics = learner.step(*parts, lr=lr)
        tokens += float(parts[0].batch.count)
        done = step + 1
        if evaluate and run.ranks.first and eval_steps and done % eval_steps == 0 and done < total:
            with run.phase("evaluate"):
                best = dict(evaluate())
            run.log(best, step=done)
        if done % logging_steps == 0 or done == total:
            per_second = tokens / max(1e-9, run.seconds - since)
            run.log({**metrics, "lr": lr, "units_per_second": round(per_second, 1)}, step=done)
            tokens, since = 0.0, run.seconds
        if save_steps and done % save_steps == 0 and done < total:
            run.save({"model": learner}, done, {"eval": best}, keep=save_total_limit)
        if run.ranks.first:
            run.bar.advance(loss=metrics["loss"])
    run.save({"model": learner}, total, {"eval": best}, keep=save_total_limit)
