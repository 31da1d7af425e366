"""Every method on a bandit whose best policy is known in closed form: it must arrive there."""

from dataclasses import replace
from itertools import permutations

import pytest
import torch
from bandit import (
    BETA,
    REFERENCE,
    REWARD,
    Gambler,
    Listener,
    Pulls,
    Told,
    act,
    apart,
    best,
    bradley_terry,
    certain,
    comparisons,
    learn,
    play,
)
from torch.nn.functional import logsigmoid

from heed.algorithms.a2c import A2C
from heed.algorithms.conditional_sft import ConditionalSFT
from heed.algorithms.dpo import DPO
from heed.algorithms.f_dpo import FDPO
from heed.algorithms.grpo import GRPO
from heed.algorithms.ipo import IPO
from heed.algorithms.kto import KTO
from heed.algorithms.online_dpo import OnlineDPO
from heed.algorithms.orpo import ORPO
from heed.algorithms.ppo import PPO
from heed.algorithms.quark import Quark
from heed.algorithms.raft import RAFT
from heed.algorithms.reinforce import REINFORCE
from heed.algorithms.reinforce_pp import ReinforcePP
from heed.algorithms.rloo import RLOO
from heed.algorithms.robust_dpo import RobustDPO
from heed.algorithms.rso import RSO
from heed.algorithms.simpo import SimPO
from heed.algorithms.slic import SLiC
from heed.algorithms.trpo import TRPO
from heed.algorithms.unlikelihood import Unlikelihood
from heed.algorithms.weighted_sft import PositionWeighted, RatingWeighted
from heed.experience import Experience, Labelled, Ranked, Rated
from heed.training.learner import Learner

torch.set_num_threads(1)
UNIFORM = torch.full((4,), 0.25)


def linear(i, j):
    """People whose total preference for an arm is its reward: P(i over j) = 1/2 + r_i - r_j."""
    return 0.5 + REWARD[i] - REWARD[j]


def rankings(k=3):
    """Every draw of `k` arms from the reference's tenths, ranked by reward: 10^k rankings in the shares they have."""
    tenths = torch.repeat_interleave(torch.arange(4), (REFERENCE * 10).round().long())
    arms = torch.cartesian_prod(*[tenths] * k)
    scores = REWARD[arms]
    better = (scores[:, :, None] < scores[:, None, :]).sum(2)
    ranks = torch.stack([torch.unique(row, return_inverse=True)[1] + 1 for row in better])
    pulls = Pulls.of(arms.flatten())
    return Ranked(pulls, ranks, ref_logprobs=REFERENCE.log()[pulls.arms[:, 0]])


class TestOneBestForThree:
    """DPO from people who answer as Bradley and Terry say, IPO from people whose preference is linear in the reward, and
    PPO from the reward itself have the same best policy: pi_ref exp(r / beta)."""

    def test_dpo(self):
        assert apart(learn(DPO(BETA).loss, comparisons(bradley_terry)), best()) < 0.02

    @pytest.mark.parametrize("per_token", [True, False])
    def test_ipo(self, per_token):
        assert apart(learn(IPO(BETA, per_token).loss, comparisons(linear)), best()) < 0.02

    def test_ppo(self):
        assert apart(play(PPO(num_ppo_epochs=1)), best()) < 0.02
        assert apart(play(PPO(num_ppo_epochs=1, action="sequence")), best()) < 0.02


def test_dpo_on_whole_rankings_arrives_where_pairs_do():
    """All 24 orders of four arms, each as often as Plackett and Luce say: their pairs have the same best."""
    ranks = []
    for order in permutations(range(4)):
        left = [REWARD[list(order[i:])].softmax(0)[0] for i in range(4)]
        place = [order.index(arm) + 1 for arm in range(4)]
        ranks += [place] * round(400 * float(torch.stack(left).prod()))
    pulls = Pulls.of(torch.arange(4).repeat(len(ranks)))
    batch = Ranked(pulls, torch.tensor(ranks), ref_logprobs=REFERENCE.log()[pulls.arms[:, 0]])
    for ranking in ("plackett_luce", "pairs"):
        assert apart(learn(DPO(BETA, ranking=ranking).loss, batch), best()) < 0.02


def test_conservative_dpo_stops_where_its_doubt_says():
    """From people who never err: beta log-ratio = log((1 - e) / e) between any two neighbours is what a pair asks for."""
    batch = comparisons(lambda i, j: certain(i, j))
    two = batch.select(torch.arange(500, 600))  # arms 2 and 3 alone
    found = learn(DPO(BETA, label_smoothing=0.1).loss, two, steps=400)
    odds = (found[3] / found[2]).log() - (REFERENCE[3] / REFERENCE[2]).log()
    assert BETA * odds.item() == pytest.approx(torch.tensor(0.9 / 0.1).log().item(), rel=0.02)


def test_robust_dpo_sees_through_flipped_answers():
    flipped = comparisons(lambda i, j: 0.8 * bradley_terry(i, j) + 0.2 * (1 - bradley_terry(i, j)), copies=100)
    assert apart(learn(RobustDPO(BETA, 0.2).loss, flipped), best()) < 0.02
    assert apart(learn(DPO(BETA).loss, flipped), best()) > 0.05  # which DPO takes for people who care less


def under_forward_kl(price):
    """The best policy where a nat of KL(pi_ref || pi) costs `price`: price pi_ref / (lambda - r), summing to 1."""
    low, high = REWARD.max().item() + 1e-6, 10.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if (price * REFERENCE / (middle - REWARD)).sum() > 1 else (low, middle)
    return price * REFERENCE / (low - REWARD)


def test_dpo_under_the_other_kl_arrives_at_its_own_best():
    found = learn(FDPO(BETA).loss, comparisons(bradley_terry))
    assert apart(found, under_forward_kl(BETA)) < 0.02 and apart(found, best()) > 0.04
    assert apart(learn(FDPO(BETA, "reverse_kl").loss, comparisons(bradley_terry)), best()) < 0.02
    js = learn(FDPO(BETA, "js").loss, comparisons(bradley_terry))
    earned = BETA * (2 * js / (js + REFERENCE)).log() - REWARD  # the same for every arm
    assert (earned - earned.mean()).abs().max() < 0.01


def test_simpo_without_a_margin_is_the_softmax_of_the_reward():
    """No reference: exp(r / beta) alone.  A margin then asks for more than the answers say."""
    found = learn(SimPO(BETA, gamma=0.0).loss, comparisons(bradley_terry))
    assert apart(found, (REWARD / BETA).softmax(0)) < 0.02
    assert learn(SimPO(BETA, gamma=0.5).loss, comparisons(bradley_terry))[3] > found[3]


def grid_best(objective):
    """The probability of the better of two arms that minimises an objective, by looking at all of them."""
    p = torch.linspace(0.0005, 0.9995, 2000)
    return p[objective(p).argmin()].item()


def two_arms(won):
    """Arms 2 and 3 alone, the latter better in `won` of the answers; the policy knows no others."""
    batch = comparisons(lambda i, j: 1 - won).select(torch.arange(500, 600))
    return batch, torch.tensor([1e-6, 1e-6, 0.6, 0.4])


@pytest.mark.parametrize(("algorithm", "objective"), [
    (ORPO(lam=1.0), lambda p, w: -(w * p.log() + (1 - w) * (1 - p).log())
     - (w * logsigmoid(2 * torch.logit(p)) + (1 - w) * logsigmoid(-2 * torch.logit(p)))),
    (Unlikelihood(alpha=0.5), lambda p, w: -1.5 * (w * p.log() + (1 - w) * (1 - p).log())),
    (SLiC(delta=1.0, lam=0.5), lambda p, w: w * (1 - torch.logit(p)).relu() + (1 - w) * (1 + torch.logit(p)).relu()
     - 0.5 * (w * p.log() + (1 - w) * (1 - p).log())),
], ids=["orpo", "unlikelihood", "slic"])
def test_methods_without_a_closed_form_find_the_minimum_of_their_objective(algorithm, objective):
    """Two arms, so that the minimum can be read off a grid of the paper's own formula, written here again."""
    batch, begin = two_arms(0.7)
    found = learn(algorithm.loss, batch, begin=begin)[3].item()
    assert found == pytest.approx(grid_best(lambda p: objective(p, 0.7)), abs=0.01)


def test_rso_stops_at_its_margin():
    """Nine of ten are for arm 3: as far as the hinge goes, and not as far as their odds."""
    batch, _ = two_arms(0.9)
    found = learn(RSO(BETA).loss, batch, steps=400)
    ratio = (found[3] / found[2]).log() - (REFERENCE[3] / REFERENCE[2]).log()
    assert ratio.item() == pytest.approx(1 / BETA, rel=0.02)


def test_kto_raises_what_was_good_and_sinks_what_was_bad():
    """Labels without pairs, three of four answers bad; the good arms' shares among themselves stay as they were."""
    arms = torch.repeat_interleave(torch.arange(4), torch.tensor([40, 30, 20, 10]))
    pulls, other = Pulls.of(arms), Pulls.of(arms[torch.randperm(100, generator=torch.Generator().manual_seed(0))])
    ref = REFERENCE.log()
    batch = Labelled(pulls, arms >= 2, ref[arms], other, ref[other.arms[:, 0]])
    algorithm = KTO(beta=0.5)
    found = learn(algorithm.loss, batch, prepare=algorithm.prepare)
    assert found[2:].sum() > 0.95
    assert (found[2] / found[3]).item() == pytest.approx(2.0, rel=0.35)


def test_imitating_the_best_of_three_is_the_distribution_of_the_best_of_three():
    """P(arm) = F^3 - F_before^3: order statistics, in closed form."""
    above = REFERENCE.cumsum(0) ** 3
    expected = above - torch.cat([torch.zeros(1), above[:-1]])
    assert apart(learn(RAFT().loss, RAFT().examples(rankings())), expected) < 0.01


def test_imitation_by_reward_is_reinforcement_learning_by_other_means():
    """exp(r / beta) as weight of the reference's own samples: the same best policy as PPO's."""
    arms = torch.repeat_interleave(torch.arange(4), (REFERENCE * 1000).long())
    rewards = REWARD[arms]
    algorithm = RatingWeighted(beta=BETA / rewards.std(unbiased=False).item())
    batch = algorithm.examples(Rated(Pulls.of(arms), rewards))
    assert apart(learn(algorithm.loss, batch), best()) < 0.02


def test_imitation_by_place_weighs_places():
    """By hand: the share of each arm among all answers, each counting exp(place / beta) over its ranking's mean."""
    ranked = rankings()
    algorithm = PositionWeighted(beta=0.5)
    last = ranked.ranks.amax(1, keepdim=True)
    weight = ((last - ranked.ranks) / (last - 1).clamp(min=1) / 0.5).exp()
    weight = weight / weight.sum(1, keepdim=True)
    arms = ranked.candidates.arms.view(-1, 3)
    expected = torch.stack([(weight * (arms == a)).sum() for a in range(4)]) / len(arms)
    assert apart(learn(algorithm.loss, algorithm.examples(ranked)), expected) < 0.01


def test_the_words_of_conditional_imitation_divide_a_ranking():
    ranked = Ranked(Pulls.of([0, 1, 2, 3, 0, 1]), torch.tensor([[4, 3, 2, 1], [1, 1, 0, 0]]))
    assert ConditionalSFT(2).level(ranked).tolist() == [0, 0, 1, 1, 0, 0]
    assert ConditionalSFT(4).level(replace(ranked, ranks=torch.tensor([[4, 3, 2, 1], [1, 2, 0, 0]]))).tolist() == [
        0, 1, 2, 3, 3, 0]  # fmt: skip


@pytest.mark.parametrize("algorithm", [
    RLOO(num_generations=4), RLOO(num_generations=2, num_iterations=2), ReinforcePP(), REINFORCE(), REINFORCE("mean"),
    A2C(gamma=1.0, entropy_coef=0.0), TRPO(gamma=1.0, num_mini_batches=1),
], ids=["rloo", "rloo twice", "reinforce++", "reinforce", "reinforce, mean", "a2c", "trpo"])
def test_policy_gradients_with_a_price_in_the_reward(algorithm):
    assert apart(play(algorithm, n=1024), best()) < 0.02


@pytest.mark.parametrize("algorithm", [
    GRPO(num_generations=8), GRPO(num_generations=8, epsilon_high=0.28, loss_over="token", skip_equal=True),
    GRPO(num_generations=8, scale_rewards=False, loss_over="sum"), OnlineDPO(), RAFT(num_generations=4), RatingWeighted(),
], ids=["grpo", "dapo", "dr. grpo", "online dpo", "raft", "reward-weighted"])
def test_without_a_price_the_best_arm_is_all_there_is(algorithm):
    assert play(algorithm, kl_coef=0.0, steps=150, lr=0.1)[3] > 0.9


def test_the_kl_of_grpo_is_the_other_one():
    """k3 in the loss, differentiated as it stands, is the gradient of KL(pi_ref || pi) and not of KL(pi || pi_ref): the best
    policy is beta pi_ref / (lambda - r), not pi_ref exp(r / beta).  (Without the division by the standard deviation, which
    makes beta another one for every prompt.)"""
    found = play(GRPO(num_generations=8, beta=BETA, scale_rewards=False), kl_coef=0.0, n=2048)
    price = BETA * 8 / 7  # a group's mean contains the answer itself, which takes an eighth off every advantage
    assert apart(found, under_forward_kl(price)) < 0.02
    assert apart(found, best(price)) > 0.04
    corrected = GRPO(num_generations=8, beta=BETA, scale_rewards=False, use_bias_correction_kl=True)
    assert apart(play(corrected, kl_coef=0.0, n=2048), best(price)) < 0.02


def test_what_is_left_out_of_a_group_is_not_counted():
    """DAPO: a group whose completions all got the same, and a completion that was cut off, weigh nothing."""
    e = act_rows([[0, 0], [1, 2]])
    kept = GRPO(num_generations=2, skip_equal=True, loss_over="token").credit(e)
    assert len(kept) == 2 and kept.count == 2
    cut = replace(e, finished=torch.tensor([1.0, 1.0, 0.0, 1.0]))
    assert len(GRPO(num_generations=2, mask_truncated_completions=True).credit(cut)) == 3


def act_rows(arms):
    pulls = Pulls.of(torch.tensor(arms).flatten())
    made = act(Gambler(), 4, 0.0, torch.Generator().manual_seed(0))
    return replace(made, inputs=pulls, rewards=REWARD[pulls.arms])


class TestQuark:
    """A word a quarter of what was sampled: what is said behind the best word."""

    def play(self, rounds=60, **options):
        algorithm = Quark(levels=4, entropy_coef=0.0, **options)
        listener, generator = Listener(4), torch.Generator().manual_seed(0)
        learner, one = Learner(listener, lr=0.05, micro_batch=100_000), torch.ones(256, 1)
        for _ in range(rounds):
            arms = torch.multinomial(listener.best(), 256, True, generator=generator)[:, None]
            e = Experience(Told(arms, one, arms[:, 0]), one, one, REWARD[arms], one, one, one[:, 0])
            algorithm.update(learner, algorithm.credit(e), lr=0.05)
        return listener.best()

    def test_the_best_word_comes_to_mean_the_best_arm(self):
        assert self.play(beta=0.0)[3] > 0.95

    def test_the_price_of_the_other_kl_keeps_some_of_everything(self):
        """Once arm 3 alone is in the best quarter, its loss is -log p + beta KL(ref || p): p = (1 + beta q) / (1 + beta)."""
        expected = 0.5 * REFERENCE / 1.5
        expected[3] += 1 / 1.5
        assert apart(self.play(beta=0.5, rounds=120), expected) < 0.03

    def test_shares_are_even_and_in_order(self):
        assert Quark(levels=3).level(torch.tensor([0.5, -1.0, 9.0, 2.0, 3.0, -7.0])).tolist() == [1, 0, 2, 1, 2, 0]
