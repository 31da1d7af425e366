"""From a loss to changed weights: the only place that calls backward()."""

import contextlib
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from heed.equations.loss import Loss
from heed.errors import RunError
from heed.training.distributed import Ranks


class Part(NamedTuple):
    """One loss over one batch.  PPO mixed with pretraining text is two parts of a step, each over its own count."""

    batch: Any  # has len(), count (the units its loss counts) and select(index)
    loss: Callable[[nn.Module, Any], Loss]
    weight: float = 1.0
    name: str = ""  # prefix of its metrics, where a step has several parts


class Learner:
    """A model, its optimizer, and how a step is cut into micro-batches.

    The gradient of a step is that of sum(loss) / count over the whole batch: the same for every split.
    """

    def __init__(self, model: nn.Module, *, lr: float, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
                 weight_decay: float = 0.0, max_grad_norm: float = 1.0, micro_batch: int = 8, bf16: bool = False,
                 ema: float = 0.0, ranks: Ranks | None = None):
        self.model, self.ranks = model, ranks or Ranks()
        self.max_grad_norm, self.micro_batch, self.bf16, self.ema = max_grad_norm, micro_batch, bf16, ema
        self.trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
        decayed = [p for p in self.trained.values() if p.ndim >= 2]
        plain = [p for p in self.trained.values() if p.ndim < 2]
        groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": plain, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW([g for g in groups if g["params"]], lr=lr, betas=betas, eps=eps, fused=True)
        self.average = {n: p.detach().clone() for n, p in self.trained.items()} if ema else {}

    def step(self, *parts: Part, lr: float | None = None) -> dict[str, float]:
        """One optimizer step; returns the mean of the loss and of every metric, and the gradient's norm."""
        if lr is not None:
            for group in self.optimizer.param_groups:
                group["lr"] = lr
        self.optimizer.zero_grad(set_to_none=True)
        metrics: dict[str, float] = {}
        for part in parts:
            prefix = f"{part.name}/" if part.name else ""
            metrics |= {prefix + name: value for name, value in self._backward(part).items()}
        self.ranks.add_gradients(self.trained.values())
        norm = nn.utils.clip_grad_norm_(self.trained.values(), self.max_grad_norm).item()
        if not math.isfinite(norm) or not math.isfinite(metrics.get("loss", 0.0)):
            raise RunError(f"the loss is {metrics.get('loss')} and its gradient's norm {norm}: training has diverged; "
                           "the weights of the last checkpoint are kept (a lower learning rate is the usual cure)")
        self.optimizer.step()
        if self.ema:  # InstructGPT evaluates an average of the policies it passed through
            with torch.no_grad():  # else every step stays in memory, as history of the average
                torch._foreach_lerp_(list(self.average.values()), list(self.trained.values()), 1 - self.ema)
        return metrics | {"grad_norm": norm}

    def autocast(self) -> contextlib.AbstractContextManager:
        """bf16 matrix products with float32 master weights, where the settings ask for it."""
        device = next(self.model.parameters()).device.type
        return torch.autocast(device, torch.bfloat16) if self.bf16 else contextlib.nullcontext()

    def _backward(self, part: Part) -> dict[str, float]:
        count = float(part.batch.count)  # of the whole batch, before any of its parts
        if count == 0:
            return {}
        sums: dict[str, tuple[float, float]] = {}
        for index in self.ranks.share(torch.arange(len(part.batch))).split(self.micro_batch):
            with self.autocast():
                loss = part.loss(self.model, part.batch if len(index) == len(part.batch) else part.batch.select(index))
            (loss.total * (part.weight / count)).backward()
            for name, (total, n) in {"loss": (loss.total.detach(), loss.count), **loss.metrics}.items():
                old = sums.get(name, (0.0, 0.0))
                sums[name] = (old[0] + float(total), old[1] + float(n))
        flat = self.ranks.add(*(x for pair in sums.values() for x in pair))
        totals = dict(zip(sums, zip(flat[::2], flat[1::2], strict=True), strict=True))
        assert abs(totals["loss"][1] - count) < 1e-3 * count, "the loss counted other units than its batch announced"
        return {name: total / n for name, (total, n) in totals.items() if n}

    def state(self) -> dict[str, Tensor]:
        """Everything a later process needs to go on exactly: weights, optimizer, average, by parameter name."""
        tensors = {f"model.{n}": p.detach() for n, p in self.trained.items()}
        tensors |= {f"average.{n}": p for n, p in self.average.items()}
        for name, p in self.trained.items():
            tensors |= {f"optimizer.{key}.{name}": value for key, value in self.optimizer.state.get(p, {}).items()}
        return tensors

    @torch.no_grad()
    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take up what `state` gave; RunError where it belongs to another model."""
        ours, theirs = set(self.trained), {k.removeprefix("model.") for k in tensors if k.startswith("model.")}
        wrong = [n for n in ours & theirs if tensors[f"model.{n}"].shape != self.trained[n].shape]
        if ours != theirs or wrong:
            odd = sorted(ours ^ theirs) + wrong
            raise RunError(f"the checkpoint belongs to another architecture: {odd[0]!r} and {len(odd) - 1} more differ")
        for name, p in self.trained.items():
            p.copy_(tensors[f"model.{name}"])
            if self.average:
                self.average[name].copy_(tensors[f"average.{name}"])
            suffix = f".{name}"
            kept = {k.split(".")[1]: v for k, v in tensors.items()
                    if k.startswith("optimizer.") and k == f"optimizer.{k.split('.')[1]}{suffix}"}
            if kept:
                self.optimizer.state[p] = {k: v.clone() for k, v in kept.items()}
