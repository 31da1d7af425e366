"""One step of PPO, from sampled tokens to changed weights: what must hold, whatever the model."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from heed.algorithms.ppo import PPO, clipped_surrogate, clipped_value_error
from heed.algorithms.sft import SFT
from heed.equations.advantage import whiten
from heed.experience import Experience
from heed.language.batches import make_tokens
from heed.language.policy import ActorCritic, Policy, ScalarModel
from heed.language.rollout import Acted, judge
from heed.records import Prompt
from heed.training.learner import Learner, Part
from heed.training.schedule import learning_rate
from heed.workflows.ppo import PPOSettings

SCORES = [1.0, -2.0, 0.5, 3.0, 0.0, -1.0]
ENDED = [True, True, False, True, True, False]


def say(scores):
    """A reward that gives these."""
    return lambda rows, prompts, texts: (torch.tensor(scores), {"said": 0.0})


@pytest.fixture
def acted(rows):
    return Acted([Prompt("x")] * 6, rows, ["y"] * 6, torch.tensor(ENDED))


@pytest.fixture
def judged(lm, other_lm, classifier, acted):
    """(actor-critic, what was judged): beta 0.1, a penalty of 1 for a missing EOS, micro-batches of 4."""
    model = ActorCritic(Policy(lm), ScalarModel(classifier))
    made = judge(acted, model, Policy(other_lm), say(SCORES), kl_coef=0.1, missing_eos_penalty=1.0, micro_batch=4)
    return model, made


def test_the_reward_of_a_token_is_its_kl_and_of_the_last_one_the_score_too(judged, lm, other_lm, rows):
    _, made = judged
    kl = Policy(lm)(rows).logprobs - Policy(other_lm)(rows).logprobs
    rewards = made.experience.rewards
    for i, n in enumerate(rows.completion_lengths.tolist()):
        score = SCORES[i] - (0.0 if ENDED[i] else 1.0)
        expected = (-0.1 * kl[i, :n]).tolist()
        expected[-1] += score
        assert rewards[i, :n].tolist() == pytest.approx(expected, abs=1e-4)
        assert rewards[i, n:].abs().sum() == 0
        assert made.experience.dones[i].nonzero().flatten().tolist() == [n - 1]


def test_a_missing_end_costs_its_penalty_once(judged):
    assert judged[1].scores.tolist() == [1.0, -2.0, -0.5, 3.0, 0.0, -2.0]


def test_the_kl_is_summed_over_a_response_and_averaged_over_responses(judged, lm, other_lm, rows):
    _, made = judged
    kl = (Policy(lm)(rows).logprobs - Policy(other_lm)(rows).logprobs).sum(1)
    assert made.kl.tolist() == pytest.approx(kl.tolist(), abs=1e-4)
    assert made.figures["objective/kl"] == pytest.approx(kl.mean().item(), abs=1e-4)
    assert made.figures["objective/rlhf_reward"] == pytest.approx(
        made.figures["objective/scores"] + made.figures["objective/non_score_reward"], abs=1e-5)


def test_tokens_that_became_less_likely_are_paid_for(judged):
    """k1 unclamped: its negative terms make the sum unbiased."""
    _, made = judged
    e = made.experience
    inner = e.mask * (1 - e.dones)
    assert (e.rewards[inner.bool()] > 0).any() and (e.rewards[inner.bool()] < 0).any()


@pytest.mark.parametrize("micro_batch", [1, 4, 6])
def test_the_first_ratio_is_exactly_one(lm, other_lm, classifier, acted, micro_batch):
    """The policy that is trained is the one that acted: the cheapest test of temperature, masks and dropout."""
    model = ActorCritic(Policy(lm, temperature=0.7), ScalarModel(classifier))
    made = judge(acted, model, Policy(other_lm, temperature=0.7), say(SCORES), kl_coef=0.1, missing_eos_penalty=None,
                 micro_batch=micro_batch)
    learner = Learner(model, lr=1e-3, micro_batch=micro_batch)
    figures = PPO(num_ppo_epochs=2).update(learner, PPO().credit(made.experience), lr=1e-3)
    assert figures["val/first_ratio_error"] == 0.0
    assert figures["val/ratio"] != 1.0  # the second epoch has moved away


def test_advantages_are_centred_over_the_tokens_that_were_chosen(judged):
    e = PPO().credit(judged[1].experience)
    chosen = e.advantages[e.mask.bool()]
    assert chosen.mean().abs() < 1e-5 and chosen.std(unbiased=False).item() == pytest.approx(1, abs=1e-4)
    assert e.advantages[~e.mask.bool()].abs().sum() == 0


def test_whitened_rewards_keep_their_mean(judged):
    e = judged[1].experience
    whole = PPO(whiten_rewards=True, lam=1.0).credit(e).returns
    by_hand = PPO(lam=1.0).credit(replace(e, rewards=whiten(e.rewards, e.mask, shift_mean=False))).returns
    assert torch.equal(whole, by_hand)


def test_the_clip_by_hand():
    """Where moving further would pay, the surrogate stops growing; where it would hurt, it does not."""
    ratio, advantage = torch.tensor([1.5, 1.5, 0.5, 0.5, 1.1]), torch.tensor([1.0, -1.0, 1.0, -1.0, 2.0])
    surrogate, clipped = clipped_surrogate(ratio, advantage, 0.2)
    assert surrogate.tolist() == pytest.approx([1.2, -1.5, 0.5, -0.8, 2.2]) and clipped.tolist() == [1, 0, 0, 1, 0]


def test_the_value_clip_by_hand():
    values, old, returns = torch.tensor([1.0, 0.1, 1.0]), torch.zeros(3), torch.tensor([1.0, 1.0, -1.0])
    error, clipped = clipped_value_error(values, old, returns, 0.2)
    assert error.tolist() == pytest.approx([0.5 * 0.8**2, 0.5 * 0.9**2, 0.5 * 2.0**2]) and clipped.tolist() == [1, 0, 0]


def test_the_defaults_are_those_of_the_papers():
    """lm-human-preferences and Huang et al. 2024."""
    ppo, field = PPO(), PPOSettings.model_fields
    assert (ppo.cliprange, ppo.cliprange_value, ppo.vf_coef, ppo.gamma, ppo.lam) == (0.2, 0.2, 0.1, 1.0, 0.95)
    assert (ppo.num_ppo_epochs, ppo.num_mini_batches, ppo.whiten_rewards) == (4, 1, False)
    assert [field[n].default for n in ("learning_rate", "adam_epsilon", "kl_coef", "warmup_ratio")] == [3e-6, 1e-5, 0.05, 0.0]
    assert field["lr_scheduler_type"].default == "linear"
    assert [learning_rate(s, 4, 1.0, "linear") for s in range(4)] == [1.0, 0.75, 0.5, 0.25]


def test_every_epoch_reads_every_row_once_and_the_later_ones_in_a_fresh_order(judged):
    read = []

    def step(part, lr):
        read.append(part.batch.last_value.tolist())
        return {"val/ratio": 1.0, "ratio_squared": 1.0, "ratio_error": 0.0}

    e = replace(PPO().credit(judged[1].experience), last_value=torch.arange(6.0))
    torch.manual_seed(0)
    PPO(num_ppo_epochs=3, num_mini_batches=2).update(SimpleNamespace(step=step), e, lr=1.0)
    epochs = [read[i] + read[i + 1] for i in (0, 2, 4)]
    assert len(read) == 6 and all(sorted(x) == list(range(6)) for x in epochs)
    assert epochs[0] == list(range(6)) and epochs[1] != epochs[2] != epochs[0]


def gradient_of(model, parts, micro_batch):
    learner = Learner(model, lr=0.0, micro_batch=micro_batch, max_grad_norm=1e9)
    learner.step(*parts)
    return torch.cat([torch.zeros(p.numel()) if p.grad is None else p.grad.flatten() for p in learner.trained.values()])


def test_a_token_weighs_the_same_in_a_long_and_in_a_short_micro_batch(judged):
    """The mean of micro-batch means would not be the mean: rows here have 1 to 6 tokens."""
    model, made = judged
    e = PPO().credit(made.experience)
    whole, split = (gradient_of(model, [Part(e, PPO().loss)], m) for m in (6, 1))
    assert torch.allclose(whole, split, atol=1e-5) and whole.norm() > 0.01


def test_pretraining_text_adds_its_own_mean_times_the_coefficient(judged):
    """PPO-ptx: two counts, one step.  Its weight does not depend on how much text or how many actions there are."""
    model, made = judged
    e = PPO().credit(made.experience)
    text = make_tokens([[3], [4]], [[9, 8, 7, 6], [5, 4]])

    def pretraining(m, batch):
        return SFT().loss(m.policy, batch)

    both = gradient_of(model, [Part(e, PPO().loss), Part(text, pretraining, 0.5, "ptx")], 2)
    apart = gradient_of(model, [Part(e, PPO().loss)], 2) + 0.5 * gradient_of(model, [Part(text, pretraining)], 2)
    assert torch.allclose(both, apart, atol=1e-5)
    learner = Learner(model, lr=1e-4, micro_batch=2)
    figures = PPO(num_ppo_epochs=1, ptx_coef=0.5).update(learner, e, lr=1e-4, pretraining=iter([text]))
    assert figures["ptx/loss"] > 0


def test_a_fresh_value_head_starts_at_nothing_and_a_separate_critic_where_it_was_taken_from(lm, classifier, rows):
    shared, separate = ActorCritic(Policy(lm), None), ActorCritic(Policy(lm), ScalarModel(classifier))
    assert shared(rows).values.abs().sum() == 0
    values, logprobs = separate(rows).values, Policy(lm)(rows).logprobs
    assert torch.equal(separate(rows).logprobs, logprobs)
    last = [(i, n - 1) for i, n in enumerate(rows.completion_lengths.tolist()) if n > 1]
    for i, t in last:  # the value before a token is the classifier's number for what stands before it
        shorter = make_tokens([rows.prompt_ids[i, : rows.prompt_lengths[i]].tolist()], [rows.completion_ids[i, :t].tolist()])
        assert values[i, t].item() == pytest.approx(ScalarModel(classifier).score(shorter).item(), abs=1e-5)


def test_the_average_of_the_weights_follows_slowly(judged):
    model, made = judged
    learner = Learner(model, lr=1e-2, micro_batch=6, ema=0.992)
    name, p = next(iter(learner.trained.items()))
    before = p.detach().clone()
    learner.step(Part(PPO().credit(made.experience), PPO().loss))
    assert not torch.equal(before, p)
    assert torch.allclose(learner.average[name], 0.992 * before + 0.008 * p.detach(), atol=1e-7)


def test_everything_worth_watching_is_logged(judged):
    model, made = judged
    figures = made.figures | PPO().update(Learner(model, lr=1e-4, micro_batch=6), PPO().credit(made.experience), lr=1e-4)
    wanted = {
        "objective/kl", "objective/entropy", "objective/non_score_reward", "objective/rlhf_reward", "objective/scores",
        "policy/approxkl_avg", "policy/clipfrac_avg", "loss/policy_avg", "loss/value_avg", "val/clipfrac_avg", "val/ratio",
        "val/ratio_var", "val/var_explained", "val/num_eos_tokens", "completions/mean_length",
    }  # fmt: skip
    assert wanted <= set(figures)
    assert figures["val/num_eos_tokens"] == pytest.approx(4 / 6) and figures["completions/mean_length"] == pytest.approx(3.5)


def test_approximate_kl_is_half_the_mean_squared_change_of_a_log_probability():
    e = Experience(None, torch.tensor([[0.0, -1.0]]), torch.zeros(1, 2), torch.zeros(1, 2), torch.zeros(1, 2),
                   torch.ones(1, 2), torch.zeros(1), torch.ones(1, 2), torch.zeros(1, 2))  # fmt: skip
    now = SimpleNamespace(logprobs=torch.tensor([[-0.2, -0.6]]), values=torch.zeros(1, 2), entropy=None)
    total, count = PPO().loss(lambda inputs, entropy: now, e).metrics["policy/approxkl_avg"]
    assert (total / count).item() == pytest.approx(0.5 * (0.2**2 + 0.4**2) / 2)
