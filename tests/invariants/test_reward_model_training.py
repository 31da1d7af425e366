"""What a reward model reads, and what its training must not break."""

import math
from dataclasses import replace

import pytest
import torch
from transformers import LlamaForSequenceClassification

from heed.algorithms.reward_model import RewardModel
from heed.experience import Ranked
from heed.language.batches import make_tokens
from heed.language.models import load_classifier
from heed.language.policy import ScalarModel
from heed.language.rankings import encode_rankings
from heed.records import Candidate, Comparison, Judgement, Prompt, Ranking
from heed.training.learner import Learner, Part
from heed.workflows.reward import Reward


@pytest.mark.parametrize("packing", [True, False])
def test_the_score_is_read_at_the_last_real_token(classifier, rows, packing):
    """transformers' own classifier on each row alone, without padding, is the definition."""
    found = ScalarModel(classifier, packing=packing).score(rows)
    for i in range(len(rows)):
        ids = torch.cat([rows.prompt_ids[i, : rows.prompt_lengths[i]], rows.completion_ids[i, : rows.completion_lengths[i]]])
        assert found[i].item() == pytest.approx(classifier(ids[None]).logits.item(), abs=1e-5)


def test_the_end_of_the_answer_is_part_of_what_is_judged(classifier):
    open_end, ended = make_tokens([[5, 6]], [[7, 8]]), make_tokens([[5, 6]], [[7, 8, 1]])
    model = ScalarModel(classifier)
    assert not torch.allclose(model.score(open_end), model.score(ended))


def test_padding_behind_the_end_changes_nothing(classifier, rows):
    wide = torch.nn.functional.pad(rows.completion_ids, (0, 5), value=0)
    padded = replace(rows, completion_ids=wide, mask=torch.nn.functional.pad(rows.mask, (0, 5)))
    model = ScalarModel(classifier)
    assert torch.allclose(model.score(rows), model.score(padded), atol=1e-6)


def test_a_fresh_head_is_drawn_small_and_without_bias(lm, tmp_path):
    lm.save_pretrained(tmp_path)
    torch.manual_seed(0)
    heads = [load_classifier(str(tmp_path), fresh_head=True).score for _ in range(20)]
    weights = torch.cat([h.weight.flatten() for h in heads])
    assert all(h.bias is None for h in heads)
    assert weights.std().item() == pytest.approx(1 / math.sqrt(24 + 1), rel=0.15)
    assert abs(weights.mean().item()) < 0.03


def test_the_shift_is_taken_off_the_score_and_kept_with_the_model(classifier, rows, tmp_path):
    before = ScalarModel(classifier).score(rows)
    classifier.config.heed_reward_shift = before.mean().item()
    classifier.save_pretrained(tmp_path)
    after = ScalarModel(LlamaForSequenceClassification.from_pretrained(tmp_path)).score(rows)
    assert after.mean().item() == pytest.approx(0, abs=1e-5)
    assert torch.allclose(before - before.mean(), after, atol=1e-5)


def test_one_epoch_from_the_sft_model_is_the_default():
    """A reward model overfits from the second epoch on (Ziegler et al. 2019; Stiennon et al. 2020)."""
    field = Reward.model_fields
    assert (field["num_train_epochs"].default, field["adam_epsilon"].default) == (1.0, 1e-5)
    assert field["model"].is_required()


@pytest.fixture
def ranked(rows):
    """Two groups: of three and of three, the second with a tie."""
    return Ranked(rows, torch.tensor([[1, 2, 3], [2, 1, 1]]))


def test_the_candidates_of_a_prompt_are_never_parted(ranked):
    picked = ranked.select(torch.tensor([1]))
    assert picked.ranks.tolist() == [[2, 1, 1]] and picked.candidates.group.tolist() == [1, 1, 1]
    shuffled = ranked.select(torch.tensor([1, 0]))
    assert shuffled.candidates.group.tolist() == [1, 1, 1, 0, 0, 0]


def test_each_candidate_is_read_once_a_step(classifier, ranked, monkeypatch):
    """Not once a pair: K candidates give C(K, 2) pairs and cost K forwards."""
    monkeypatch.setattr("heed.language.batches.FILLING", 1)
    seen = []
    hook = classifier.model.embed_tokens.register_forward_hook(lambda m, args, out: seen.append(args[0].numel()))
    RewardModel().loss(ScalarModel(classifier), ranked)
    hook.remove()
    tokens = ranked.candidates
    assert sum(seen) == 3 + 5 + int(tokens.completion_lengths.sum())  # the two prompts once, every completion once


def test_the_gradient_is_that_of_whole_rankings_however_they_are_split(classifier, ranked):
    gradients = []
    for micro_batch in (2, 1):
        model = ScalarModel(classifier)
        learner = Learner(model, lr=0.0, micro_batch=micro_batch, max_grad_norm=1e9)
        learner.step(Part(ranked, RewardModel().loss))
        gradients.append(torch.cat([p.grad.flatten() for p in learner.trained.values()]))
    assert torch.allclose(*gradients, atol=1e-6) and gradients[0].norm() > 0.01


def ranking(texts, ranks):
    candidates = tuple(Candidate(t, id=str(i)) for i, t in enumerate(texts))
    asked = Comparison(Prompt("the sea"), candidates)
    return Ranking(asked, Judgement(asked.id, "someone", {str(i): r for i, r in enumerate(ranks)}))


def test_answers_that_truncation_made_equal_are_not_compared(tokenizer):
    """Else the model would be taught that a text beats itself."""
    stem = " the wall by the sea and the gull"
    twins = [ranking([stem + " sat", stem + " stood"], [1, 2])]
    whole = encode_rankings(tokenizer, twins, 200, RewardModel().usable)
    cut = encode_rankings(tokenizer, twins, 10, RewardModel().usable)
    assert (whole.groups, whole.pairs, whole.dropped) == (1, 1, 0)
    assert (cut.groups, cut.pairs, cut.dropped) == (0, 0, 1)


def test_a_ranking_of_ties_alone_is_left_out(tokenizer):
    rows = [ranking([" a", " b", " c"], [1, 1, 1]), ranking([" a", " b"], [2, 1])]
    assert encode_rankings(tokenizer, rows, 50, RewardModel().usable).groups == 1
    assert encode_rankings(tokenizer, rows, 50, RewardModel(ties="half").usable).groups == 2
