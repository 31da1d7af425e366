"""One step: the gradient of the whole batch, however it is cut; and what must stop it."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Barrier
from typing import Any

import pytest
import torch
from torch import nn
from training_world import make_batch, make_model, squared

from heed.equations.loss import Loss
from heed.errors import RunError
from heed.training.distributed import Ranks
from heed.training.learner import Learner, Part


def true_gradient(batch, model=None):
    """That of sum / count, by plain autograd."""
    model = model or make_model()
    loss = squared(model, batch)
    return torch.cat([g.flatten() for g in torch.autograd.grad(loss.total / loss.count, list(model.parameters()))])


def gradient(learner):
    return torch.cat([p.grad.flatten() for p in learner.trained.values()])


@dataclass(frozen=True)
class Threads(Ranks):
    """Ranks that are threads of this process: what each sends lies in a table until all have sent."""

    table: Any = None
    barrier: Any = None

    def _reduce(self, box):
        self.table[self.rank] = box.clone()
        self.barrier.wait(10)
        total = sum(self.table)
        self.barrier.wait(10)
        box.copy_(total)


def together(size, work):
    """What work(ranks) gives on each of `size` ranks."""
    table, barrier = [None] * size, Barrier(size)
    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(lambda rank: work(Threads(rank, size, table, barrier)), range(size)))


@pytest.mark.parametrize("micro_batch", [1, 2, 3, 7, 100])
def test_every_split_into_micro_batches_gives_the_same_gradient(batch, micro_batch):
    learner = Learner(make_model(), lr=0.0, micro_batch=micro_batch, max_grad_norm=1e9)
    learner.step(Part(batch, squared))
    assert torch.allclose(gradient(learner), true_gradient(batch), atol=1e-6)


def test_a_mean_of_means_would_not(batch):
    """What sum and count are for: here the mean of means is wrong by more than a tenth."""
    means = [true_gradient(batch.select(i)) for i in torch.arange(7).split(2)]
    right = true_gradient(batch)
    assert (sum(means) / len(means) - right).norm() > 0.1 * right.norm()


@pytest.mark.parametrize("size", [2, 3, 7])
def test_any_number_of_ranks_gives_the_same_gradient_and_the_same_figures(batch, size):
    models = [make_model() for _ in range(size)]  # not in the threads, whose seed is one

    def work(ranks):
        learner = Learner(models[ranks.rank], lr=0.1, micro_batch=2, max_grad_norm=1e9, ranks=ranks)
        return learner.step(Part(batch, squared)), gradient(learner), learner.state()

    alone = Learner(make_model(), lr=0.1, micro_batch=2, max_grad_norm=1e9)
    figures = alone.step(Part(batch, squared))
    for found, grads, state in together(size, work):
        assert found == pytest.approx(figures, rel=1e-5)
        assert torch.allclose(grads, true_gradient(batch), atol=1e-6)
        assert all(torch.allclose(state[k], v, atol=1e-6) for k, v in alone.state().items())


def test_two_losses_in_one_step_are_each_a_mean_of_its_own(batch):
    """The second batch is three times as large and weighs what its weight says, no more."""
    other = make_batch(21, seed=5)
    learner = Learner(make_model(), lr=0.0, micro_batch=4, max_grad_norm=1e9)
    figures = learner.step(Part(batch, squared), Part(other, squared, 0.5, "text"))
    assert torch.allclose(gradient(learner), true_gradient(batch) + 0.5 * true_gradient(other), atol=1e-6)
    assert {"loss", "error", "text/loss", "text/error", "grad_norm"} == set(figures)


def test_a_loss_that_counts_other_units_than_its_batch_is_caught(batch):
    """It would train with a gradient of the wrong size, and nobody would see it."""
    def miscounted(model, rows):
        total, _, metrics = squared(model, rows)
        return Loss(total, torch.tensor(float(len(rows))), metrics)  # rows, where the batch counts steps

    with pytest.raises(AssertionError, match="counted other units"):
        Learner(make_model(), lr=0.1).step(Part(batch, miscounted))


def test_a_batch_in_which_nothing_counts_changes_nothing(batch):
    model = make_model()
    before = [p.detach().clone() for p in model.parameters()]
    batch.mask.zero_()
    Learner(model, lr=0.1).step(Part(batch, squared))
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


def test_the_gradient_is_cut_to_its_limit(batch):
    learner = Learner(make_model(), lr=0.0, max_grad_norm=0.1)
    norm = learner.step(Part(batch, squared))["grad_norm"]
    assert norm == pytest.approx(true_gradient(batch).norm().item(), rel=1e-5) and norm > 0.1
    assert gradient(learner).norm().item() == pytest.approx(0.1, rel=1e-3)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
@pytest.mark.parametrize("place", ["loss", "gradient"])
def test_what_is_no_number_stops_before_the_weights_are_touched(batch, bad, place):
    def spoilt(model, rows):
        total, count, metrics = squared(model, rows)
        if place == "loss":
            return Loss(total + bad, count, metrics)
        total.register_hook(lambda grad: grad * bad)
        return Loss(total, count, metrics)

    model = make_model()
    before = [p.detach().clone() for p in model.parameters()]
    with pytest.raises(RunError, match="training has diverged"):
        Learner(model, lr=0.1).step(Part(batch, spoilt))
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


def test_the_average_is_the_sum_it_is_said_to_be(batch):
    """After three steps: 0.9^3 of the start, and 0.1, 0.09, 0.081 of what was passed through."""
    model = make_model()
    learner = Learner(model, lr=0.1, ema=0.9)
    passed = [model.weight.detach().clone()]
    for _ in range(3):
        learner.step(Part(batch, squared))
        passed.append(model.weight.detach().clone())
    expected = sum(w * p for w, p in zip((0.9**3, 0.1 * 0.81, 0.1 * 0.9, 0.1), passed, strict=True))
    assert torch.allclose(learner.average["weight"], expected, atol=1e-6)
    assert not torch.allclose(learner.average["weight"], model.weight, atol=1e-3)
    assert not any(p.requires_grad for p in learner.average.values()), "history of every step would stay in memory"


def test_only_what_is_trained_is_moved_decayed_and_saved(batch):
    """A frozen bias stays; a vector is not decayed, a matrix is."""
    model = nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3), nn.Linear(3, 1))
    model[0].bias.requires_grad_(False)
    learner = Learner(model, lr=0.5, weight_decay=0.5)
    learner.optimizer.zero_grad()
    decay = {id(p): g["weight_decay"] for g in learner.optimizer.param_groups for p in g["params"]}
    assert decay[id(model[0].weight)] == 0.5 and decay[id(model[1].weight)] == 0.0
    before = model[0].bias.clone()
    learner.step(Part(batch, squared))
    assert torch.equal(before, model[0].bias) and not any("0.bias" in k for k in learner.state())


def test_a_restored_learner_goes_on_exactly(batch):
    """Weights, both moments of Adam, its step count and the average: bit for bit."""
    first = Learner(make_model(), lr=0.1, ema=0.9)
    first.step(Part(batch, squared), lr=0.1)
    kept = {k: v.clone() for k, v in first.state().items()}
    second = Learner(make_model(seed=9), lr=0.1, ema=0.9)
    second.restore(kept)
    for learner in (first, second):
        learner.step(Part(batch, squared), lr=0.05)
    one, two = first.state(), second.state()
    assert one.keys() == two.keys() and all(torch.equal(one[k], two[k]) for k in one)


@pytest.mark.parametrize(("other", "odd"), [
    (lambda: nn.Linear(4, 1), "weight"), (lambda: nn.Sequential(nn.Linear(3, 1)), "0.bias"),
    (lambda: nn.Linear(3, 1, bias=False), "bias")], ids=["wider", "renamed", "without bias"])
def test_the_checkpoint_of_another_architecture_is_refused(other, odd):
    learner = Learner(make_model(), lr=0.1)
    before = learner.model.weight.detach().clone()
    with pytest.raises(RunError, match=f"another architecture: '{odd}'"):
        learner.restore(Learner(other(), lr=0.1).state())
    assert torch.equal(before, learner.model.weight)


def test_bf16_is_for_products_only(batch):
    """Weights, gradients and moments stay float32."""
    learner = Learner(make_model(), lr=0.1, bf16=True, max_grad_norm=1e9)
    learner.step(Part(batch, squared))
    assert {v.dtype for v in learner.state().values()} == {torch.float32}
    assert not torch.equal(gradient(learner), true_gradient(batch))
    assert torch.allclose(gradient(learner), true_gradient(batch), rtol=0.05, atol=0.02)
