"""Public datasets as they stand in their repositories: how many records each gives.  Skipped where they are absent."""

from collections import Counter
from itertools import pairwise

import pytest

from heed.language.datasets import load
from heed.records import Demonstration, Prompt, Ranking, Rating, Text

COUNTS = [
    ("hh_rlhf/harmless-base__test.jsonl.gz", Ranking, 2312),
    ("hh_rlhf/harmless.test.json.xz", Ranking, 2312),
    ("hh_rlhf/helpful.test.json.xz", Ranking, 2352),
    ("hh_rlhf/hh_train_first5000_flattened.json.xz", Ranking, 5000),
    ("hh_rlhf/red-team-attempts__red_team_attempts_docta_100.jsonl.gz", Rating, 100),
    ("summarize_from_feedback/batch13.json.xz", Ranking, 1097),
    ("summarize_from_feedback/batch0_cnndm.json.xz", Ranking, 437),
    ("summarize_from_feedback/edit_b2_eval_test.json.xz", Ranking, 5),
    ("tldr_judged/oai1b.csv.xz", Demonstration, 1945),
    ("ultrafeedback_1k/noisy__label_flip_30.jsonl.xz", Ranking, 1000),
    ("fine_grained_rlhf/dev_feedback.json.xz", Ranking, 478),  # of 500; 22 go in circles
    ("pandalm/testset-v1.json.xz", Ranking, 2997),
    ("oasst/en_100_tree.jsonl.xz", Ranking, 212),
    ("oasst/en_100_tree.jsonl.xz", Demonstration, 687),
    ("oasst/oasst2_filtered.jsonl.xz", Ranking, 208),
    ("oasst/oaast_rm_zh.json.xz", Ranking, 775),
    ("dolly_6400/google_flan-t5-small_decode_output.jsonl.xz", Demonstration, 6400),
    ("gsm8k", Demonstration, 8792),
    ("self_instruct/data__seed_tasks.jsonl.xz", Demonstration, 175),
    ("prompts/data__dummy_conversation.json", Demonstration, 1000),
    ("prompts/data__arena-hard-v0.1__question.jsonl", Prompt, 500),
    ("realtoxicityprompts/val.jsonl.xz", Text, 5000),
    ("sst_mr/train_binary_sent.csv.xz", Rating, 6920),
    ("tinystories_samples/tinystories_sample_2MB.txt.xz", Text, 2317),
]


@pytest.mark.parametrize(("name", "want", "count"), COUNTS)
def test_real_files_load_whole(real_data, name, want, count):
    if not (real_data / name).exists():
        pytest.skip(f"{name} is absent")
    found = load(str(real_data / name), want, None)
    assert len(found) == count
    assert all(r.ranks and min(r.ranks) == 1 for r in found if isinstance(r, Ranking))


def test_the_original_and_the_cleaned_copy_of_hh_give_the_same_rankings(real_data):
    original = load(str(real_data / "hh_rlhf/harmless-base__test.jsonl.gz"), Ranking, "test")
    cleaned = load(str(real_data / "hh_rlhf/harmless.test.json.xz"), Ranking, "test")
    same = sum(a.comparison.id == b.comparison.id and a.ranks == b.ranks for a, b in zip(original, cleaned, strict=True))
    assert same / len(original) > 0.99


def test_hh_prompts_end_with_the_person_and_replies_hold_no_turn_of_theirs(real_data):
    for ranking in load(str(real_data / "hh_rlhf/helpful.test.json.xz"), Ranking, "test"):
        roles = [m.role for m in ranking.prompt.content]
        assert roles[-1] == "user" and all(a != b for a, b in pairwise(roles))
        assert not any("\n\nHuman:" in text for text in ranking.completions)


def test_tldr_strength_is_symmetric_and_never_zero(real_data):
    found = load(str(real_data / "summarize_from_feedback/batch18.json.xz"), Ranking, "valid")
    assert set(Counter(r.judgement.strength for r in found)) == {1.0, 2.0, 3.0, 4.0}


@pytest.mark.slow
def test_imdb_without_its_overwritten_reviews(real_data):
    found = load(str(real_data / "imdb/aclImdb_labelled.tar.xz"), Rating, None)
    splits = Counter(r.prompt.split for r in found)
    assert splits["test"] == 24_996 and splits["train"] + splits["valid"] == 24_996 and splits["valid"] > 1000
    assert set(r.scores["stars"] for r in found) == {1, 2, 3, 4, 7, 8, 9, 10}
    assert not any("<br" in r.candidate.text for r in found)
