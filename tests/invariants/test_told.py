"""Rows behind a word that the policy alone is told, and rows with another prompt's answer."""

import pytest
import torch

from heed.errors import UserError
from heed.language.actor import Conditioned
from heed.language.batches import Told, make_tokens, mismatched, told
from heed.language.policy import Policy


def test_the_word_is_read_and_not_counted(lm, rows):
    """As if it stood at the end of the prompt; prompts are still shared by their completions."""
    words = [7, 8, 9, 7, 8, 9]
    by_hand = make_tokens([[*rows.prompt_ids[i, :n].tolist(), w] for i, (n, w) in
                           enumerate(zip(rows.prompt_lengths.tolist(), words, strict=True))],
                          [rows.completion_ids[i, :m].tolist() for i, m in enumerate(rows.completion_lengths.tolist())])
    behind = Policy(lm)(told(rows, torch.tensor(words))).logprobs
    assert told(rows, 3).count == rows.count and behind[:, 0].abs().sum() == 0
    assert torch.allclose(behind[:, 1:], Policy(lm)(by_hand).logprobs, atol=1e-5)


def test_policy_and_reference_read_the_same_tokens_differently(lm, other_lm, rows):
    best = Told.best(rows, [3, 4, 5])
    model = Conditioned(Policy(lm), Policy(other_lm))
    assert torch.allclose(model(best).logprobs, Policy(lm)(told(rows, 5)).logprobs[:, 1:])
    logits, ref_logits, chosen = model.both(best.select(torch.tensor([4, 1])))
    few = rows.select(torch.tensor([4, 1]))
    assert torch.equal(chosen, few.completion_ids[few.mask > 0])
    ref = ref_logits.log_softmax(-1).gather(1, chosen[:, None])[:, 0]
    assert torch.allclose(ref, Policy(other_lm)(few).logprobs[few.mask > 0], atol=1e-5)
    assert logits.shape == ref_logits.shape and logits.requires_grad and not ref_logits.requires_grad
    assert best.behind(torch.tensor([0, 1, 2, 0, 1, 2])).word.tolist() == [3, 4, 5, 3, 4, 5]


def test_every_prompt_gets_the_answer_to_another(rows):
    found = mismatched(rows, 8)
    assert [c[:n].tolist() for c, n in zip(found.completion_ids, found.completion_lengths, strict=True)] == [
        rows.completion_ids[j, : int(n)].tolist() for j, n in zip([3, 4, 5, 0, 1, 2], found.completion_lengths, strict=True)]
    assert (found.prompt_lengths + found.completion_lengths <= 8).all() and found.mask.sum(1).equal(
        found.completion_lengths.float())
    with pytest.raises(UserError, match="one prompt has no answers to others"):
        mismatched(rows.select(torch.tensor([0, 1])), 8)


def test_words_that_were_never_read_begin_as_the_token_they_stand_behind(lm, rows):
    """Whatever the words, the policy reads the last token of its prompt twice; until it is trained they all say the same."""
    from heed.language.chat import begin_alike

    few = rows.select(torch.tensor([0, 1]))  # one prompt, which ends in 7
    twice = Policy(lm)(told(few, 7)).logprobs
    begin_alike(lm, [2, 3], 7)
    assert torch.equal(Policy(lm)(told(few, torch.tensor([2, 3]))).logprobs, twice)
