"""Advantages against their definitions, with rows of uneven length and rubbish in the padding."""

import math

import pytest
import torch

from heed.equations.advantage import discounted_return, gae, group_normalised, leave_one_out, whiten


def random_rows(seed=0, batch=6, time=9):
    """Ragged rows: some end with their last step, some are cut off there and go on with a last value."""
    g = torch.Generator().manual_seed(seed)
    rewards, values = torch.randn(2, batch, time, generator=g)
    lengths = torch.randint(1, time + 1, (batch,), generator=g)
    mask = torch.arange(time) < lengths[:, None]
    dones = torch.zeros(batch, time, dtype=torch.bool)
    ended = torch.rand(batch, generator=g) < 0.5
    dones[torch.arange(batch), lengths - 1] = ended
    return rewards, values, dones, torch.randn(batch, generator=g), mask, lengths


def gae_by_definition(rewards, values, done, last_value, gamma, lam):
    """A_t = sum over l of (gamma lam)^l delta_{t+l}, for one row that ends where the lists end."""
    n = len(rewards)
    following = [*values[1:], 0.0 if done else last_value]
    delta = [rewards[t] + gamma * following[t] - values[t] for t in range(n)]
    return [sum((gamma * lam) ** (u - t) * delta[u] for u in range(t, n)) for t in range(n)]


@pytest.mark.parametrize(("gamma", "lam"), [(1.0, 0.95), (0.9, 0.5), (0.99, 0.0), (1.0, 1.0)])
def test_gae_is_its_definition_on_ragged_rows(gamma, lam):
    rewards, values, dones, last, mask, lengths = random_rows()
    found = gae(rewards, values, dones, last, gamma, lam, mask)
    for b, n in enumerate(lengths.tolist()):
        row = gae_by_definition(rewards[b, :n].tolist(), values[b, :n].tolist(), bool(dones[b, n - 1]), last[b].item(),
                                gamma, lam)
        assert found[b, :n].tolist() == pytest.approx(row, abs=1e-5)
        assert found[b, n:].abs().sum() == 0


def test_gae_by_hand():
    """Three steps, a reward at the end, gamma 1, lambda 1/2: deltas 0.1, 0.2 and 1 - 0.5."""
    found = gae(torch.tensor([[0.0, 0.0, 1.0]]), torch.tensor([[0.2, 0.3, 0.5]]), torch.tensor([[0, 0, 1]]),
                torch.tensor([99.0]), 1.0, 0.5)
    assert found[0].tolist() == pytest.approx([0.1 + 0.5 * (0.2 + 0.25), 0.2 + 0.25, 0.5])


def test_an_episode_inside_a_row_does_not_see_the_next():
    rewards, values = torch.tensor([[1.0, 2.0, 3.0, 4.0]]), torch.tensor([[0.5, 0.1, 7.0, 7.0]])
    whole = gae(rewards, values, torch.tensor([[0, 1, 0, 0]]), torch.tensor([1.0]), 0.9, 0.8)
    first = gae(rewards[:, :2], values[:, :2], torch.tensor([[0, 1]]), torch.tensor([-5.0]), 0.9, 0.8)
    second = gae(rewards[:, 2:], values[:, 2:], torch.tensor([[0, 0]]), torch.tensor([1.0]), 0.9, 0.8)
    assert torch.allclose(whole, torch.cat([first, second], 1))


def test_rubbish_in_the_padding_changes_nothing():
    rewards, values, dones, last, mask, _ = random_rows(1)
    clean = gae(rewards, values, dones, last, 0.99, 0.95, mask)
    for rubbish in (math.nan, math.inf, 1e30):
        r, v = rewards.masked_fill(~mask, rubbish), values.masked_fill(~mask, rubbish)
        assert torch.equal(gae(r, v, dones | ~mask, last, 0.99, 0.95, mask), clean)
        assert torch.equal(whiten(r, mask), whiten(rewards, mask))


def test_with_lambda_one_the_advantage_is_the_return_minus_the_value():
    rewards, values, dones, last, mask, _ = random_rows(2)
    advantage = gae(rewards, values, dones, last, 0.9, 1.0, mask)
    returns = discounted_return(rewards, dones, last, 0.9, mask)
    assert torch.allclose(advantage, (returns - values) * mask, atol=1e-5)


def test_discounted_return_by_hand():
    rewards = torch.tensor([[1.0, 2.0, 4.0], [1.0, 2.0, 4.0]])
    found = discounted_return(rewards, torch.tensor([[0, 0, 1], [0, 0, 0]]), torch.tensor([8.0, 8.0]), 0.5)
    assert found.tolist() == [[3.0, 4.0, 4.0], [4.0, 6.0, 8.0]]


def test_a_perfect_critic_leaves_no_advantage():
    rewards, _, dones, last, mask, _ = random_rows(3)
    values = discounted_return(rewards, dones, last, 0.97, mask)
    assert gae(rewards, values, dones, last, 0.97, 0.95, mask).abs().max() < 1e-5


def test_leave_one_out_is_the_mean_of_the_others():
    scores = torch.tensor([[1.0, 2.0, 6.0]])
    assert leave_one_out(scores).tolist() == [pytest.approx([1 - 4, 2 - 3.5, 6 - 1.5])]


def test_group_normalised_by_hand():
    scores = torch.tensor([[1.0, 2.0, 3.0], [5.0, 5.0, 5.0]])
    found = group_normalised(scores)
    assert found[0].tolist() == pytest.approx([-1.0, 0.0, 1.0], abs=1e-3) and found[1].tolist() == [0, 0, 0]


def test_without_scale_a_wide_group_keeps_its_width():
    found = group_normalised(torch.tensor([[0.0, 10.0], [0.0, 1.0]]), scale=False)
    assert found.tolist() == [[-5.0, 5.0], [-0.5, 0.5]]


@pytest.mark.parametrize("lonely", [leave_one_out, group_normalised])
def test_one_completion_has_no_siblings(lonely):
    with pytest.raises(ValueError, match="at least 2"):
        lonely(torch.zeros(4, 1))


# --- whitening: what went wrong elsewhere ---------------------------------------------------------------------------


def some_numbers(mean):
    g = torch.Generator().manual_seed(0)
    return torch.randn(4, 7, generator=g) + mean, torch.rand(4, 7, generator=g) < 0.7


def unmasked(x, mask):
    return x[mask]


def test_advantages_come_out_centred():
    """torchtune/rlhf/rewards.py has shift_mean the other way round: its whitened advantages keep their mean."""
    x, mask = some_numbers(3)
    assert unmasked(whiten(x, mask), mask).mean().abs() < 1e-5
    assert unmasked(whiten(x, mask, shift_mean=True), mask).mean().abs() < 1e-5


def test_rewards_keep_their_mean():
    x, mask = some_numbers(-2)
    whitened = unmasked(whiten(x, mask, shift_mean=False), mask)
    assert whitened.mean().item() == pytest.approx(unmasked(x, mask).mean().item(), abs=1e-5)
    assert whitened.std(unbiased=False).item() == pytest.approx(1.0, abs=1e-4)


def test_the_variance_is_the_biased_one_and_eps_stands_under_the_root():
    x = torch.tensor([1.0, 2.0, 6.0])
    variance = ((1 - 3) ** 2 + (2 - 3) ** 2 + (6 - 3) ** 2) / 3
    expected = [(v - 3) / math.sqrt(variance + 1e-8) for v in (1.0, 2.0, 6.0)]
    assert whiten(x).tolist() == pytest.approx(expected, rel=1e-6)
    tiny = torch.tensor([0.0, 1e-4])  # variance 2.5e-9: with eps outside the root this would be +-1
    assert whiten(tiny).tolist() == pytest.approx([-5e-5 / math.sqrt(1.25e-8), 5e-5 / math.sqrt(1.25e-8)], rel=1e-4)


def test_padding_moves_neither_mean_nor_variance():
    x = torch.tensor([[1.0, 2.0, 6.0, 0.0, 0.0]])
    mask = torch.tensor([[True, True, True, False, False]])
    assert torch.allclose(whiten(x, mask)[:, :3], whiten(x[:, :3])) and whiten(x, mask)[:, 3:].abs().sum() == 0


def test_a_batch_without_spread_or_without_entries_gives_zeros():
    assert whiten(torch.full((2, 3), 4.0)).abs().max() == 0
    assert whiten(torch.ones(2, 3), torch.zeros(2, 3)).abs().max() == 0
