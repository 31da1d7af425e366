"""The likelihood of a preference: by hand, against a double loop, and at the ends of the number line."""

import math
from itertools import combinations, permutations

import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck

from heed.equations.preference import best_of_k, bradley_terry, centre, kwise, plackett_luce


def test_two_equal_scores_cost_one_bit():
    assert bradley_terry(torch.tensor(3.0), torch.tensor(3.0)).item() == pytest.approx(math.log(2))


def test_bradley_terry_by_hand():
    # P(a) = 1 / (1 + e^-2) = 0.8808; a preferred, b preferred, a tie
    loss = bradley_terry(torch.full((3,), 2.5), torch.full((3,), 0.5), torch.tensor([1.0, 0.0, 0.5]))
    p = 1 / (1 + math.exp(-2))
    expected = [-math.log(p), -math.log(1 - p), -(math.log(p) + math.log(1 - p)) / 2]
    assert loss.tolist() == pytest.approx(expected)


def test_noise_mixes_in_a_coin_toss():
    p = 0.9 / (1 + math.exp(1.5)) + 0.05
    assert bradley_terry(torch.tensor(0.0), torch.tensor(1.5), noise=0.1).item() == pytest.approx(-math.log(p))


def test_with_noise_no_answer_costs_more_than_the_coin_toss():
    loss = bradley_terry(torch.tensor(-1e6), torch.tensor(1e6), noise=0.1)
    assert loss.item() == pytest.approx(-math.log(0.05))


def test_margin_is_taken_from_whoever_won():
    a, b, margin = torch.tensor([2.0, 2.0]), torch.tensor([0.0, 0.0]), torch.tensor([1.0, 3.0])
    expected = -F.logsigmoid(torch.tensor([2.0 - 1.0, 2.0 - 3.0]))
    assert torch.allclose(bradley_terry(a, b, 1.0, margin=margin), expected)
    assert torch.allclose(bradley_terry(b, a, 0.0, margin=margin), expected)


def test_label_smoothing_moves_the_target_to_one_minus_it():
    a, b = torch.tensor([1.3]), torch.tensor([0.2])
    assert torch.allclose(bradley_terry(a, b, label_smoothing=0.1), bradley_terry(a, b, torch.tensor([0.9])))
    assert torch.allclose(bradley_terry(a, b, 0.0, label_smoothing=0.1), bradley_terry(a, b, torch.tensor([0.1])))


def test_with_smoothing_the_best_difference_is_finite():
    """The minimum lies where P(a) = 1 - smoothing, so confidence stops growing there."""
    d = torch.tensor(math.log(0.9 / 0.1), requires_grad=True)
    bradley_terry(d, torch.tensor(0.0), label_smoothing=0.1).backward()
    assert d.grad.item() == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("noise", [0.0, 0.1])
@pytest.mark.parametrize("size", [1e3, 1e8, 1e30])
def test_extreme_scores_give_finite_losses_and_gradients(size, noise):
    a = torch.tensor([size, -size, size], requires_grad=True)
    b = torch.tensor([-size, size, size], requires_grad=True)
    loss = bradley_terry(a, b, noise=noise)
    loss.sum().backward()
    assert loss.isfinite().all() and a.grad.isfinite().all() and b.grad.isfinite().all()


def test_half_precision_scores_are_compared_in_float32():
    a, b = torch.tensor([2.0], dtype=torch.bfloat16), torch.tensor([0.25], dtype=torch.bfloat16)
    assert bradley_terry(a, b).dtype == torch.float32
    assert torch.equal(bradley_terry(a, b), bradley_terry(a.float(), b.float()))


def test_gradients_of_bradley_terry():
    a, b = torch.randn(2, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    target = torch.tensor([1.0, 0.0, 0.5, 0.7, 1.0], dtype=torch.float64)
    a.requires_grad_(), b.requires_grad_()
    assert gradcheck(lambda a, b: bradley_terry(a, b, target, noise=0.1, margin=0.3, label_smoothing=0.05), (a, b))


@pytest.mark.parametrize("wrong", [{"noise": 1.0}, {"noise": -0.1}, {"label_smoothing": 0.6}])
def test_impossible_shares_are_refused(wrong):
    with pytest.raises(ValueError, match="noise must be in"):
        bradley_terry(torch.zeros(1), torch.zeros(1), **wrong)


# --- all pairs of K -------------------------------------------------------------------------------------------------


def by_double_loop(scores, ranks, ties, normalise, margin, smoothing):
    """Equation 1 of InstructGPT, written as it is read."""
    losses, counts, corrects = [], [], []
    for g, (row, order) in enumerate(zip(scores, ranks.tolist(), strict=True)):
        total, pairs, correct = row.new_zeros(()), 0, 0.0
        present = [i for i, r in enumerate(order) if r > 0]
        for i, j in combinations(present, 2):
            if order[i] == order[j]:
                if ties == "half":
                    total = total - (F.logsigmoid(row[i] - row[j]) + F.logsigmoid(row[j] - row[i])) / 2
                    pairs, correct = pairs + 1, correct + 0.5
                continue
            winner, loser = (i, j) if order[i] < order[j] else (j, i)
            lead, m = row[winner] - row[loser], margin[g]
            total = total - (1 - smoothing) * F.logsigmoid(lead - m) - smoothing * F.logsigmoid(-lead - m)
            pairs, correct = pairs + 1, correct + (lead > 0).double().item()
        size = pairs if normalise == "pairs" else math.comb(len(present), 2)
        losses.append(total / max(size, 1))
        counts.append(pairs)
        corrects.append(correct)
    return torch.stack(losses), counts, corrects


@pytest.mark.parametrize("normalise", ["pairs", "k_choose_2"])
@pytest.mark.parametrize("ties", ["drop", "half"])
@pytest.mark.parametrize("k", range(4, 10))
def test_kwise_is_the_double_loop(k, ties, normalise):
    g = torch.Generator().manual_seed(k)
    scores = torch.randn(12, k, dtype=torch.float64, generator=g, requires_grad=True)
    ranks = torch.randint(0, 5, (12, k), generator=g)  # ties and empty slots everywhere
    ranks[0], ranks[1] = 0, 2  # nobody there; everybody tied
    ranks[2] = torch.arange(1, k + 1)  # a full order
    margin = torch.rand(12, dtype=torch.float64, generator=g)
    found = kwise(scores, ranks, ties=ties, normalise=normalise, margin=margin, label_smoothing=0.1)
    (mine,) = torch.autograd.grad(found.loss.sum(), scores)
    loss, pairs, correct = by_double_loop(scores, ranks, ties, normalise, margin, 0.1)
    (theirs,) = torch.autograd.grad(loss.sum(), scores)
    assert (found.loss - loss).abs().max() < 1e-6
    assert (mine - theirs).abs().max() < 1e-6
    assert found.pairs.tolist() == pairs
    assert found.correct.tolist() == pytest.approx(correct)


def test_kwise_of_a_full_order_of_four_by_hand():
    """All scores equal: each of the 6 pairs costs log 2, so their mean does, and half are right."""
    loss, pairs, correct = kwise(torch.zeros(1, 4), torch.tensor([[3, 1, 4, 2]]))
    assert loss.item() == pytest.approx(math.log(2)) and pairs.item() == 6 and correct.item() == 3


def test_kwise_of_two_is_bradley_terry():
    scores = torch.tensor([[1.0, 0.4], [-0.5, 2.0]])
    loss, pairs, correct = kwise(scores, torch.tensor([[1, 2], [1, 2]]))
    assert torch.allclose(loss, bradley_terry(scores[:, 0], scores[:, 1]))
    assert pairs.tolist() == [1, 1] and correct.tolist() == [1, 0]


def test_k_choose_2_weighs_a_ranking_with_dropped_ties_less():
    scores, ranks = torch.zeros(1, 3), torch.tensor([[1, 2, 2]])
    assert kwise(scores, ranks).loss.item() == pytest.approx(math.log(2))
    assert kwise(scores, ranks, normalise="k_choose_2").loss.item() == pytest.approx(math.log(2) * 2 / 3)


def test_a_group_without_pairs_teaches_nothing():
    scores = torch.tensor([[0.3, 0.7], [5.0, 1.0], [1.0, 2.0]], requires_grad=True)
    found = kwise(scores, torch.tensor([[1, 1], [1, 0], [0, 0]]))
    found.loss.sum().backward()
    assert found.loss.tolist() == [0, 0, 0] and found.pairs.tolist() == [0, 0, 0]
    assert scores.grad.abs().sum() == 0


def test_what_stands_in_an_empty_slot_is_never_seen():
    ranks = torch.tensor([[1, 2, 0]])
    outcomes = []
    for garbage in (0.0, math.nan, math.inf):
        scores = torch.tensor([[0.5, 0.1, garbage]], requires_grad=True)
        loss = kwise(scores, ranks).loss + plackett_luce(scores, ranks) + centre(scores, ranks > 0)
        loss = loss + best_of_k(scores, torch.tensor([0]), ranks > 0)
        loss.sum().backward()
        outcomes.append((loss.item(), scores.grad.tolist()))
    assert outcomes[0] == outcomes[1] == outcomes[2] and math.isfinite(outcomes[0][0])


def test_kwise_does_not_care_in_which_slot_a_candidate_stands():
    g = torch.Generator().manual_seed(1)
    scores, ranks = torch.randn(3, 5, generator=g), torch.randint(0, 4, (3, 5), generator=g)
    order = torch.randperm(5, generator=g)
    for straight, shuffled in zip(kwise(scores, ranks), kwise(scores[:, order], ranks[:, order]), strict=True):
        assert torch.allclose(straight, shuffled)


def test_kwise_is_finite_for_extreme_scores():
    scores = torch.tensor([[1e30, -1e30, 0.0, 1e30]], requires_grad=True)
    loss = kwise(scores, torch.tensor([[4, 1, 2, 2]]), ties="half").loss
    loss.sum().backward()
    assert loss.isfinite().all() and scores.grad.isfinite().all()


def test_unknown_ways_are_refused():
    with pytest.raises(ValueError, match="'drop' or 'half'"):
        kwise(torch.zeros(1, 2), torch.ones(1, 2), ties="keep")


# --- whole rankings, one of k, centring -----------------------------------------------------------------------------


def test_plackett_luce_by_hand():
    s = torch.tensor([[1.0, 0.0, 2.0]])
    e = [math.exp(x) for x in (1.0, 0.0, 2.0)]
    p = e[2] / sum(e) * e[0] / (e[0] + e[1])  # third, then first, then second
    assert plackett_luce(s, torch.tensor([[2, 3, 1]])).item() == pytest.approx(-math.log(p), abs=1e-6)


def test_plackett_luce_is_a_distribution_over_orders():
    s = torch.randn(1, 4, generator=torch.Generator().manual_seed(0)).expand(24, 4)
    orders = torch.tensor(list(permutations(range(1, 5))))
    assert (-plackett_luce(s, orders)).exp().sum().item() == pytest.approx(1.0, abs=1e-5)


def test_plackett_luce_of_two_is_bradley_terry():
    s = torch.tensor([[0.3, -1.0]])
    assert torch.allclose(plackett_luce(s, torch.tensor([[1, 2]])), bradley_terry(s[:, 0], s[:, 1]))


def test_plackett_luce_treats_the_tied_alike():
    s = torch.tensor([[0.7, 0.7, -1.0]], requires_grad=True)
    plackett_luce(s, torch.tensor([[1, 1, 2]])).sum().backward()
    assert s.grad[0, 0] == s.grad[0, 1] < 0 < s.grad[0, 2]


def test_plackett_luce_of_fewer_than_two_is_nothing():
    assert plackett_luce(torch.tensor([[3.0, 1.0], [3.0, 1.0]]), torch.tensor([[1, 0], [0, 0]])).tolist() == [0, 0]


def test_gradients_of_plackett_luce():
    s = torch.randn(3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    ranks = torch.tensor([[1, 2, 3, 4], [2, 1, 2, 0], [0, 0, 1, 0]])
    assert gradcheck(lambda s: plackett_luce(s, ranks), (s,))


def test_best_of_k_is_the_first_choice_of_a_ranking():
    s = torch.tensor([[1.0, 3.0, 2.0]])
    assert best_of_k(s, torch.tensor([2])).item() == pytest.approx(-math.log(torch.softmax(s, 1)[0, 2].item()))
    assert torch.allclose(best_of_k(s[:, :2], torch.tensor([1])), bradley_terry(s[:, 1], s[:, 0]))


def test_centre_by_hand():
    assert centre(torch.tensor([[1.0, 2.0]])).item() == 9
    assert centre(torch.tensor([[1.0, 2.0, -1.0]])).item() == pytest.approx((9 + 0 + 1) / 3)
    assert centre(torch.tensor([[1.0, 2.0, 7.0]]), torch.tensor([[True, True, False]])).item() == 9
    assert centre(torch.tensor([[5.0, 2.0]]), torch.tensor([[True, False]])).item() == 0


def test_centring_does_not_pull_the_scores_together():
    s = torch.tensor([[2.0, -2.0]], requires_grad=True)
    centre(s).sum().backward()
    assert s.grad.abs().sum() == 0
