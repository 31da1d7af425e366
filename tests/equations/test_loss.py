"""A loss is a sum and a count."""

import torch

from heed.equations.loss import summed


def test_sum_count_and_metrics_leave_the_masked_out():
    values, mask = torch.tensor([[1.0, 2.0], [4.0, 100.0]]), torch.tensor([[True, True], [True, False]])
    loss = summed(values, mask, right=torch.tensor([[1.0, 0.0], [1.0, 1.0]]))
    assert loss.total.item() == 7 and loss.count.item() == 3
    assert [x.item() for x in loss.metrics["right"]] == [2, 3]


def test_what_stands_outside_the_mask_is_never_seen():
    x = torch.tensor([1.0, torch.nan], requires_grad=True)
    loss = summed(x * 2, torch.tensor([1, 0]), size=x)
    loss.total.backward()
    assert loss.total.item() == 2 and loss.metrics["size"][0].item() == 1 and x.grad.tolist() == [2, 0]


def test_every_split_of_a_batch_gives_the_same_mean():
    """The mean of means of uneven parts does not: here it would be off by a fifth."""
    values = torch.tensor([[1.0, 0.0, 0.0], [4.0, 5.0, 6.0]])
    mask = torch.tensor([[1, 0, 0], [1, 1, 1]])
    whole = summed(values, mask)
    parts = [summed(values[i : i + 1], mask[i : i + 1]) for i in range(2)]
    mean = sum(p.total for p in parts) / sum(p.count for p in parts)
    assert mean == whole.total / whole.count == 4
    assert sum(p.total / p.count for p in parts) / 2 != mean


def test_metrics_carry_no_gradient():
    x = torch.ones(3, requires_grad=True)
    loss = summed(x * 2, size=x * 3)
    assert loss.total.requires_grad and not loss.metrics["size"][0].requires_grad and not loss.count.requires_grad
