import numpy as np
import pytest

from heed.errors import RunError, UserError
from heed.evaluation.metrics.choice import multiple_choice
from heed.evaluation.metrics.reference import bleu, chrf, rouge
from heed.evaluation.metrics.safety import refusals, refuses
from heed.evaluation.metrics.text import distinct, ended, perplexity, repetition, self_bleu, unique_answers


def test_distinct_by_hand():
    assert distinct(["a b a", "b"], 1).value == 2 / 4
    assert distinct(["a b a", "b"], 2).value == 1
    assert distinct(["", "one"], 2).value == 0


def test_repetition_by_hand():
    # "a b a b a b": bigrams ab ba ab ba ab -> 2 different of 5
    assert repetition([["a b a b a b"], ["a b c"]], n=2).value == pytest.approx((0.6 + 0) / 2)
    assert repetition([["short"]]).value == 0


def test_a_collapsed_policy_has_known_values():
    same = ["the seal sleeps on the warm rock"] * 8
    assert self_bleu(same).value == pytest.approx(1.0)
    assert unique_answers([same[:4], same[:4]]).value == 0.25
    assert unique_answers([["a", "b"], ["c", "d"], ["only one"]]).value == 1.0


def test_self_bleu_of_unrelated_texts_is_low():
    assert self_bleu(["one two three four five", "six seven eight nine ten"]).value < 0.1
    with pytest.raises(UserError, match="at least 2"):
        self_bleu(["alone"])


def test_ended_is_a_share():
    estimate = ended([[1, 0], [1, 1]])
    assert estimate.value == 0.75
    assert 0 <= estimate.low < 0.75 < estimate.high <= 1


def test_perplexity_of_a_uniform_model():
    """A model that gives each of 256 bytes the same chance: perplexity 256 and 8 bits a byte, whatever the text."""
    lengths = [3, 50, 7]
    result = perplexity([n * np.log(256) for n in lengths], lengths, lengths)
    assert result.per_token.value == pytest.approx(256)
    assert result.bits_per_byte.value == pytest.approx(8)
    assert result.per_token.low == pytest.approx(result.per_token.high)


def test_overlap_with_a_reference():
    texts = ["the seal sleeps on the rock", "two boats come home late"]
    same, other = bleu(texts, texts), bleu(texts, texts[::-1])
    assert same.score.value == pytest.approx(100)
    assert other.score.value < 10
    assert "tok:13a" in same.signature
    assert chrf(texts, texts).score.value == pytest.approx(100)
    # "the seal" against "the seal sleeps": precision 1, recall 2/3, F 0.8
    assert rouge(["the seal"], ["the seal sleeps"])["rouge1"].value == pytest.approx(0.8)
    with pytest.raises(UserError, match="no texts"):
        bleu([], [])


def test_always_and_never_refusing_are_both_worth_a_half():
    harmful = [True] * 10 + [False] * 10
    always, never = refusals([1] * 20, harmful), refusals([0] * 20, harmful)
    assert (always.on_harmful.value, always.on_benign.value, always.balanced.value) == (1, 1, 0.5)
    assert (never.on_harmful.value, never.on_benign.value, never.balanced.value) == (0, 0, 0.5)
    assert always.balanced.low < 0.5 < always.balanced.high
    right = refusals([1] * 10 + [0] * 10, harmful).balanced
    assert (right.value, right.high) == (1, 1)


def test_refusals_that_were_not_measured_are_none_and_not_zero():
    result = refusals([[0, 1], [0]], [False, False])
    assert result.on_harmful is None
    assert result.balanced is None
    assert result.on_benign.value == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("text", "declines"),
    [
        ("I can't help with that.", True),
        ("I’m sorry, but I won’t say how.", True),
        ("Sorry, but no. Ask the harbour master.", True),
        ("I'm not able to share that.", True),
        ("No, I will not do that.", True),
        ("You can't miss it: the ferry leaves at nine.", False),
        ("Dear Eva, I am sorry about the cup. I will not be late again.", False),
        ("Sure! " + "Walk along the quay. " * 20 + "I can't wait.", False),
    ],
)
def test_refusal_wording(text, declines):
    assert refuses(text) is declines


def test_multiple_choice_is_not_fooled_by_a_constant():
    """Gold is always option 0, as in TruthfulQA MC1: arg-max would give a model that says nothing 100 %."""
    result = multiple_choice([[-1.0, -1.0, -1.0, -1.0]] * 10, [0] * 10)
    assert result.accuracy.value == 0.25 == result.constant.value
    assert result.oracle.value == 1
    with pytest.raises(RunError):
        multiple_choice([[float("nan")] * 4], [0])
    with pytest.raises(UserError, match=r"correct\[0\] is 4"):
        multiple_choice([[0.0] * 4], [4])
