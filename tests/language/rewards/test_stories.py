"""Each part of the story reward by hand, and the ways to game it."""

import pytest

from heed.errors import UserError
from heed.language.rewards.stories import cheer, dialogue, fresh, hero, lexicon, score, story, valence

PROMPT = "Once upon a time, there was a little girl named Lily. She"
GOOD = (' loved her red boat. "Do you want to sail with me?" asked Lily. Tom laughed and they went down to the water. '
        "Lily was so happy that she danced.")


@pytest.mark.parametrize(("prompt", "name"), [
    (PROMPT, "Lily"),
    ("One day, a small dog called Spot ran to Ben", "Spot"),
    ("In the park Mom saw Tim and Sam", "Tim"),
    ("Once upon a time, there was a tree. The tree was old. It", None),
])
def test_the_hero_of_a_prompt(prompt, name):
    assert hero(prompt) == name


@pytest.mark.parametrize(("text", "found"), [
    ('"I want to go home," said Tim.', 1),
    ('Tim said, "I want to go home."', 1),
    ("Tim said, \u201cI want to go home.\u201d", 1),
    ('"Yes!" said Tim.', 0),  # too little to be said
    ('"I want to go home" is a song.', 0),  # nobody speaks
    ('Tim said, "I want to go home.', 0),  # never closed
    ("Tim said that he wants to go home.", 0),
])
def test_dialogue(text, found):
    assert dialogue(text) == found


def test_cheer_counts_a_word_once_and_takes_sad_ones_off():
    assert cheer("She was happy.") == pytest.approx(1 / 3)
    assert cheer("Happy, happy, happy! She was so happy.") == pytest.approx(1 / 3)
    assert cheer("She was happy and laughed, but Tom was sad.") == pytest.approx(1 / 3)
    assert cheer("happy laughed fun kind") == 1 and cheer("sad") == 0


def test_fresh_by_hand():
    assert fresh("a b", "c d e") == 1
    assert fresh("a b c", "a b c") == pytest.approx((2 / 3) ** 2)  # bca, cab are new, abc is not
    assert fresh("a b", "c") == 0 and fresh("", "") == 0


def test_a_good_story_is_worth_all_and_parts_of_it_less():
    assert score(PROMPT, GOOD) == pytest.approx(1.0)
    assert story([PROMPT, PROMPT], [GOOD, " saw a tree. The tree was very tall and it was green."]) == [
        pytest.approx(1.0), pytest.approx(0.0)]
    nobody = "Once upon a time, there was a tree. It"
    assert score(nobody, GOOD) == pytest.approx(1.0), "where the prompt names nobody there is nobody to keep"


@pytest.mark.parametrize("trick", [
    " was happy happy happy happy happy happy happy happy happy happy happy happy.",
    " Lily Lily. Lily Lily. Lily Lily. Lily Lily. Lily Lily. Lily Lily.",
    ' "Lily is happy now," said Lily. "Lily is happy now," said Lily. "Lily is happy now," said Lily.',
    " happy",
    "",
])
def test_saying_it_again_does_not_pay(trick):
    assert score(PROMPT, trick) < 0.4 < score(PROMPT, GOOD)


def test_valence_leaves_out_what_the_reward_counts(tmp_path, monkeypatch):
    lexicon.cache_clear()
    monkeypatch.setenv("HEED_DATA", str(tmp_path))
    with pytest.raises(UserError, match=r"no lexicon at .*set HEED_DATA"):
        valence(["p"], ["c"])
    (tmp_path / "toxicity_lexicons").mkdir()
    lines = ["happy\t2.7\t0.9\t[3]", "party\t1.5\t1\t[1]", "stink\t-2.5\t1\t[1]"]
    (tmp_path / "toxicity_lexicons" / "vader_lexicon.txt").write_text("\n".join(lines))
    assert valence(["p"] * 3, ["A happy party!", "Party, stink.", "happy"]) == [1.5, -0.5, None]
    lexicon.cache_clear()
