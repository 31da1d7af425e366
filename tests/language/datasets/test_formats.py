"""One row of each format, by hand, and the record it must become."""

import pytest

from heed.language.datasets import describe, load
from heed.records import Demonstration, Message, Prompt, Ranking, Rating, Text

USER, ASSISTANT, SYSTEM = (lambda text, role=role: Message(role, text) for role in ("user", "assistant", "system"))
H, A = "\n\nHuman: ", "\n\nAssistant: "


def one(write, row, want, split=None):
    """The only record of that kind in a file of this one row."""
    (record,) = load(write("rows.jsonl", [row]), want, split)
    return record


def ranked(record):
    """(prompt content, {completion: rank}) of a ranking."""
    return record.prompt.content, dict(zip(record.completions, record.ranks, strict=True))


def test_hh_shares_its_turns_as_the_prompt_and_keeps_the_last_replies(write):
    shared = f"{H}hi{A}hello{H}how are you?"
    row = {"chosen": f"{shared}{A}Fine, and you?", "rejected": f"{shared}{A}Go away."}
    content, ranks = ranked(one(write, row, Ranking))
    assert content == (USER("hi"), ASSISTANT("hello"), USER("how are you?"))
    assert ranks == {"Fine, and you?": 1, "Go away.": 2}


def test_hh_keeps_a_reply_of_two_turns_together_and_merges_repeated_speakers(write):
    row = {"chosen": f"{H}a{H}b{A}one{A}two", "rejected": f"{H}a{H}b{A}three"}
    content, ranks = ranked(one(write, row, Ranking))
    assert content == (USER("a\n\nb"),)
    assert ranks == {"one\n\ntwo": 1, "three": 2}


def test_hh_of_identical_transcripts_still_has_its_last_reply(write):
    rows = [{"chosen": f"{H}a{A}x", "rejected": f"{H}a{A}x"}, {"chosen": f"{H}a{A}x", "rejected": f"{H}a{A}y"}]
    first, _ = load(write("rows.jsonl", rows), Ranking, None)
    assert first.completions == ("x", "x")


def test_hh_in_text_and_score(write):
    content, ranks = ranked(one(write, {"text": [f"{H}a{A}bad", f"{H}a{A}good"], "score": [0.0, 1.0]}, Ranking))
    assert content == (USER("a"),) and ranks == {"good": 1, "bad": 2}


def test_transcripts_that_part_at_a_question_are_left_out_and_counted(write):
    rows = [{"chosen": f"{H}a{A}x", "rejected": f"{H}b{A}x"}, {"chosen": f"{H}a{A}x", "rejected": f"{H}a{A}y"}]
    path = write("rows.jsonl", rows)
    assert len(load(path, Ranking, None)) == 1
    assert describe(path).endswith("1 ranking (1 rows left out)")


SUMMARIES = [{"text": " short", "policy": "sup", "note": None}, {"text": " long", "policy": "ppo", "note": None}]
POST = {"id": "t3_1", "post": "I fell.", "title": "Ouch", "subreddit": "r/tifu"}


@pytest.mark.parametrize(("confidence", "strength"), [(1, 4), (4, 1), (6, 1), (9, 4)])
def test_tldr_comparison(write, confidence, strength):
    """Confidence runs from the first (1) to the second (9): how strong it is, is how far from the middle."""
    choice = int(confidence > 5)
    row = {"info": POST, "summaries": SUMMARIES, "choice": choice, "worker": "w1", "batch": "b", "split": "valid2",
           "extra": {"confidence": confidence}}  # fmt: skip
    record = one(write, row, Ranking, "valid")
    content, ranks = ranked(record)
    assert content == "SUBREDDIT: r/tifu\n\nTITLE: Ouch\n\nPOST: I fell.\n\nTL;DR:"
    assert ranks == {" short": 1 + choice, " long": 2 - choice}
    assert record.judgement.labeler == "w1" and record.judgement.strength == strength
    assert [c.made_by for c in record.comparison.candidates] == ["sup", "ppo"]


def test_tldr_axes_are_ratings_and_what_was_not_asked_is_left_out(write):
    axes = {"overall": 6, "accuracy": 7, "coverage": None}
    row = {"info": {"article": "News."}, "summary": {"text": "N.", "policy": "ref", "axes": axes}, "worker": "w"}
    record = one(write, row, Rating)
    assert record.scores == {"overall": 6.0, "accuracy": 7.0} and (record.low, record.high) == (1, 7)
    assert record.prompt.content == "Article:\nNews.\n\nTL;DR:\n"


def test_ultrafeedback_whole_is_ranked_by_the_mean_of_its_aspects(write):
    completions = [
        {"model": "a", "response": "poor", "overall_score": 10, "fine-grained_score": 1.5},  # the first release's fault
        {"model": "b", "response": "good", "overall_score": 7, "fine-grained_score": 4.0},
        {"model": "c", "response": "also good", "overall_score": 7, "fine-grained_score": 4.0},
    ]
    row = {"instruction": "Say.", "completions": completions}
    record = one(write, row, Ranking)
    assert ranked(record) == ((USER("Say."),), {"poor": 2, "good": 1, "also good": 1})
    assert [r.scores["overall"] for r in load(write("x.jsonl", [row]), Rating, None)] == [3.0, 8.0, 8.0]


def test_ultrafeedback_pairs_repeat_the_prompt_inside_the_conversations(write):
    said = {"role": "user", "content": "Why?"}
    row = {"prompt": "Why?", "score_chosen": 8.0, "score_rejected": 6.5,
           "chosen": [said, {"role": "assistant", "content": "Because."}],
           "rejected": [said, {"role": "assistant", "content": "No."}]}  # fmt: skip
    record = one(write, row, Ranking)
    assert ranked(record) == ((USER("Why?"),), {"Because.": 1, "No.": 2}) and record.judgement.strength == 1.5


def test_ultrafeedback_with_a_flipped_label_keeps_the_order_and_drops_the_strength(write):
    row = {"prompt": "p", "chosen": "bad", "rejected": "good", "metadata": {"score_chosen": 1.0, "score_rejected": 9.0}}
    record = one(write, row, Ranking)
    assert ranked(record)[1] == {"bad": 1, "good": 2} and record.judgement.strength is None


def node(text, role, rank=None, replies=(), **more):
    return {"message_id": text, "text": text, "role": role, "rank": rank, "replies": list(replies), **more}


TREE = node("q", "prompter", replies=[
    node("second", "assistant", 1, [node("and?", "prompter", replies=[node("more", "assistant")])]),
    node("best", "assistant", 0),
    node("spam", "assistant", 2, deleted=True),
    node("unranked", "assistant"),
])  # fmt: skip


def test_oasst_siblings_are_one_ranking_and_every_answer_a_demonstration(write):
    path = write("trees.jsonl", [{"message_tree_id": "q", "prompt": TREE}])
    (ranking,) = load(path, Ranking, None)
    assert ranked(ranking) == ((USER("q"),), {"best": 1, "second": 2})
    said = {(d.prompt.content[-1].content, d.completion) for d in load(path, Demonstration, None)}
    assert said == {("q", "best"), ("q", "second"), ("q", "unranked"), ("and?", "more")}


def test_oasst_flat_messages_are_put_together_again(write):
    rows, stack = [], [(TREE, None)]
    while stack:
        at, parent = stack.pop()
        rows.append({**at, "parent_id": parent, "message_tree_id": "q"} | {"replies": None})
        stack += [(reply, at["message_id"]) for reply in at["replies"]]
    (ranking,) = load(write("flat.jsonl", rows), Ranking, None)
    assert ranked(ranking) == ((USER("q"),), {"best": 1, "second": 2})


def test_shp(write):
    row = {"post_id": "1", "domain": "x", "history": "How?", "human_ref_A": "so", "human_ref_B": "thus", "labels": 0,
           "score_ratio": 2.5}  # fmt: skip
    record = one(write, row, Ranking)
    assert ranked(record) == ((USER("How?"),), {"so": 2, "thus": 1}) and record.judgement.strength == 2.5


@pytest.mark.parametrize(("score", "ranks"), [(0.5, (1, 2)), (-0.5, (2, 1)), (0.0, (1, 1))])
def test_webgpt(write, score, ranks):
    row = {"question": {"full_text": "Why?"}, "answer_0": "a", "score_0": score, "answer_1": "b", "score_1": -score}
    rows = [row, {**row, "score_0": 1, "score_1": -1}]  # a file of ties alone would be refused
    record = load(write("rows.jsonl", rows), Ranking, None)[0]
    assert record.ranks == ranks and record.judgement.strength == abs(score)


def test_alpaca_history_system_and_input(write):
    row = {"instruction": "Translate.", "input": "Haus", "output": "house", "system": "Be brief.", "history": [["a", "b"]]}
    record = one(write, row, Demonstration)
    turns = (SYSTEM("Be brief."), USER("a"), ASSISTANT("b"), USER("Translate.\n\nHaus"))
    assert (record.prompt.content, record.completion) == (turns, "house")


def test_alpaca_preferences_in_both_of_llama_factorys_shapes(write):
    new = {"instruction": "i", "input": "", "chosen": "good", "rejected": "bad"}
    old = {"instruction": "i", "input": "", "output": ["good", "fair", "bad"], "history": []}
    assert ranked(one(write, new, Ranking)) == ((USER("i"),), {"good": 1, "bad": 2})
    assert ranked(one(write, old, Ranking))[1] == {"good": 1, "fair": 2, "bad": 3}


def test_dolly_and_self_instruct(write):
    dolly = one(write, {"instruction": "i", "context": "c", "response": "r", "category": "qa"}, Demonstration)
    assert (dolly.prompt.content, dolly.completion, dolly.author) == ((USER("i\n\nc"),), "r", "human")
    rows = [{"instruction": "i", "instances": [{"input": "1", "output": "one"}, {"input": "2", "output": "two"}]}]
    assert [d.completion for d in load(write("x.jsonl", rows), Demonstration, None)] == ["one", "two"]


def test_sharegpt_gives_a_demonstration_for_every_answer(write):
    talk = [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}, {"from": "human", "value": "c"},
            {"from": "gpt", "value": "d"}]  # fmt: skip
    found = load(write("x.jsonl", [{"conversations": talk}]), Demonstration, None)
    assert [(len(d.prompt.content), d.completion) for d in found] == [(1, "b"), (3, "d")]
    pair = {"conversations": talk[:1], "chosen": talk[1], "rejected": {"from": "gpt", "value": "no"}}
    assert ranked(one(write, pair, Ranking)) == ((USER("a"),), {"b": 1, "no": 2})


def test_the_branches_of_one_conversation_stay_in_one_split(write):
    rows = [
        {"conversations": [{"from": role, "value": f"{text} {i}"} for text in "abc" for role in ("human", "gpt")]}
        for i in range(60)
    ]
    found = load(write("x.jsonl", rows), Demonstration, None)
    sides = {}
    for demonstration in found:
        sides.setdefault(demonstration.prompt.content[0].content, set()).add(demonstration.prompt.split)
    assert all(len(side) == 1 for side in sides.values()) and len(set.union(*sides.values())) > 1


def test_nemo_rl(write):
    def said(text):
        return [{"role": "assistant", "content": text}]

    completions = [{"rank": 1, "completion": said("b")}, {"rank": 0, "completion": said("a")},
                   {"rank": 1, "completion": said("c")}]  # fmt: skip
    row = {"context": [{"role": "user", "content": "q"}], "completions": completions}
    assert ranked(one(write, row, Ranking)) == ((USER("q"),), {"a": 1, "b": 2, "c": 2})


def test_chatllama_scores(write):
    record = one(write, {"user_input": "q", "completion": "a", "score": "3.5"}, Rating)
    assert record.scores == {"overall": 3.5} and (record.low, record.high) == (0, 5)


def fine(preference):
    return {"question": "q", "passages": [], **{f"prediction {i}": f"p{i}" for i in range(1, 5)}, "preference": preference}


def test_fine_grained_pairs_become_one_ranking(write):
    # 1 > 2 = 3 > 4:   1v2 1v3 1v4 2v3 2v4 3v4
    record = one(write, fine([1, 1, 1, 0, 1, 1]), Ranking)
    assert record.ranks == (1, 2, 2, 3)


def test_fine_grained_circles_are_left_out(write):
    rows = [fine([1, 2, 0, 1, 0, 0]), fine([1, 1, 1, 0, 1, 1])]  # 1 > 2, 3 > 1, 2 > 3
    assert len(load(write("x.jsonl", rows), Ranking, None)) == 1


def test_pandalm_has_one_ranking_an_annotator_and_keeps_ties(write):
    row = {"instruction": "i", "input": "x", "response1": "a", "response2": True, "cmp_key": "m1_m2",
           "annotator1": 1, "annotator2": 0, "annotator3": 2}  # fmt: skip
    found = load(write("x.jsonl", [row]), Ranking, None)
    assert [(r.judgement.labeler, r.ranks) for r in found] == [
        ("annotator1", (1, 2)), ("annotator2", (1, 1)), ("annotator3", (2, 1))]  # fmt: skip
    assert found[0].completions == ("a", "True")
    assert len({r.comparison.id for r in found}) == 1  # three answers to one question


@pytest.mark.parametrize(
    ("row", "want"),
    [
        ({"text": "t"}, Text("t")),
        ({"prompt": "p", "answer": 4}, Prompt("p", {"answer": 4})),
        ({"prompt": [{"role": "user", "content": "p"}]}, Prompt((USER("p"),))),
        ({"prompt": "p", "completion": " c"}, Demonstration(Prompt("p"), " c", "unknown")),
        ({"messages": [{"role": "user", "content": "p"}, {"role": "assistant", "content": "c"}]},
         Demonstration(Prompt((USER("p"),)), "c", "unknown")),
    ],
)  # fmt: skip
def test_trl_without_preferences(write, row, want):
    assert one(write, {**row, "split": "train"}, type(want)) == want


@pytest.mark.parametrize(
    ("row", "prompt"),
    [
        ({"prompt": "The sky is", "chosen": " blue.", "rejected": " green."}, "The sky is"),
        ({"chosen": "The sky is blue.", "rejected": "The sky is blunt."}, "The sky is"),
        ({"prompt": [{"role": "user", "content": "q"}], "chosen": [{"role": "assistant", "content": " blue."}],
          "rejected": [{"role": "assistant", "content": " green."}]}, (USER("q"),)),
        ({"chosen": [{"role": "user", "content": "q"}, {"role": "assistant", "content": " blue."}],
          "rejected": [{"role": "user", "content": "q"}, {"role": "assistant", "content": " green."}]}, (USER("q"),)),
    ],
)  # fmt: skip
def test_trl_preferences_with_the_prompt_said_or_shared(write, row, prompt):
    record = one(write, {**row, "margin": 0.5}, Ranking)
    assert record.prompt.content == prompt and record.completions[0] == " blue."
    assert record.ranks == (1, 2) and record.judgement.strength == 0.5


def test_trl_unpaired_labels_are_ratings(write):
    rows = [{"prompt": "p", "completion": "c", "label": True}, {"prompt": "p", "completion": "d", "label": False}]
    assert [r.scores["label"] for r in load(write("x.jsonl", rows), Rating, None)] == [1.0, 0.0]


def test_questions_keep_their_answer_for_a_verifier(write):
    record = one(write, {"question": "1+1?", "answer": "#### 2"}, Demonstration)
    assert record.prompt.columns == {"answer": "#### 2"} and record.completion == "#### 2"
    assert one(write, {"question_id": 1, "turns": ["a", "b"]}, Prompt).content == (USER("a"),)


def test_tldr_queries_lose_their_end_marker(write):
    record = one(write, {"query": "POST: x\n\nTL;DR:", "reference_response": " y<|endoftext|>"}, Demonstration)
    assert (record.prompt.content, record.completion) == ("POST: x\n\nTL;DR:", " y")


def test_labelled_texts_and_toxicity(write):
    rows = [{"sentence": "so good it hurts a little bit to watch this", "label": 1}, {"sentence": "bad", "label": 0}]
    path = write("x.csv", "label,sentence\n" + "".join(f"{r['label']},{r['sentence']}\n" for r in rows))
    assert [r.scores["label"] for r in load(path, Rating, None)] == [1.0, 0.0]
    assert load(path, Prompt, None)[0].content == "so good it hurts a little bit to"
    half = {"prompt": {"text": "He said", "toxicity": 0.1}, "continuation": {"text": " no."}}
    assert one(write, half, Prompt).columns["toxicity"] == 0.1 and one(write, half, Text).text == "He said no."


def test_red_team_rates_the_last_answer(write):
    row = {"transcript": f"{H}a{A}b{H}c{A}d{H}", "rating": 3.0, "red_team_member_id": 7}
    record = one(write, row, Rating)
    assert (len(record.prompt.content), record.candidate.text, record.labeler) == (3, "d", "7")
