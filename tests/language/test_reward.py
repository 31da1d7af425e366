"""Where a reward comes from: functions with columns, waiting, silent or wrong; weights; and models that read the ids."""

import asyncio
import math

import pytest
import torch

from heed.config import resolve_function
from heed.errors import RunError, UserError
from heed.language.batches import make_tokens
from heed.language.chat import train_tokenizer
from heed.language.reward import FunctionReward, Reward, call_reward_function, load_reward_model, make_reward
from heed.records import Message, Prompt

PLAIN = [Prompt("one", {"answer": "1", "level": 3}), Prompt("two", {"answer": "2"})]
TEXTS = ["it is 1", "it is 3"]


def right(prompts, completions, answer, **columns):
    return [float(a in text) for a, text in zip(answer, completions, strict=True)]


def say(scores):
    return lambda rows, prompts, texts: scores


def test_a_function_gets_prompts_completions_and_the_columns_they_all_have():
    seen = {}

    def look(prompts, completions, **columns):
        seen.update(prompts=prompts, completions=completions, **columns)
        return [0.0] * len(completions)

    call_reward_function(look, PLAIN, TEXTS)
    assert seen == {"prompts": ["one", "two"], "completions": TEXTS, "answer": ["1", "2"]}, "level is not on both"
    call_reward_function(look, [Prompt((Message("user", "hi"),))], ["hey"])
    assert seen["prompts"] == [[{"role": "user", "content": "hi"}]] and seen["completions"] == ["hey"]


def test_columns_stay_beside_their_completion():
    assert call_reward_function(right, PLAIN, TEXTS) == [1.0, 0.0]
    assert call_reward_function(right, PLAIN[::-1], TEXTS[::-1]) == [0.0, 1.0]


def test_a_function_that_waits_is_waited_for():
    async def slow(prompts, completions, **columns):
        await asyncio.sleep(0)
        return [float(len(c)) for c in completions]

    assert FunctionReward(slow, "slow")(None, PLAIN, TEXTS) == [7.0, 7.0]


def test_weights_and_silence_by_hand():
    """2 * (1, -, 3) + 0.5 * (-, -, 4): what one does not say counts as nothing, and its mean is over what it said."""
    reward = Reward({"a": (say([1.0, None, 3.0]), 2.0), "b": (say([None, None, 4]), 0.5)})
    total, means = reward(None, [None] * 3, ["x"] * 3)
    assert total.tolist() == [2.0, 0.0, 8.0] and means == {"a": 2.0, "b": 4.0}
    assert Reward({"c": (say([None, None]), 1.0)})(None, [None] * 2, ["x"] * 2)[1] == {"c": 0.0}


@pytest.mark.parametrize(("scores", "error", "message"), [
    ([1.0], UserError, "mine: gave 1 scores for 2 completions"),
    ([1.0, 2.0, 3.0], UserError, "mine: gave 3 scores for 2 completions"),
    ("ab", UserError, "expected a list of numbers or None, got 'ab'"),
    (1.0, UserError, "expected a list of numbers or None, got 1.0"),
    (None, UserError, "expected a list of numbers or None, got None"),
    (["1", "2"], UserError, "expected numbers or None, got '1'"),
    ([math.nan, 0.0], RunError, "mine: gave nan for a completion"),
    ([0.0, -math.inf], RunError, "mine: gave -inf for a completion"),
])
def test_what_is_no_score_is_refused_by_name(scores, error, message):
    with pytest.raises(error, match=message):
        FunctionReward(lambda **_: scores, "mine")(None, PLAIN, TEXTS)


def test_whole_numbers_and_truth_are_scores():
    assert FunctionReward(lambda **_: [1, True], "mine")(None, PLAIN, TEXTS) == [1, True]


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "my_rewards_of_this_test.py").write_text(
        "LIMIT = 3\n\n\ndef brevity(prompts, completions, **columns):\n    return [-float(len(c)) for c in completions]\n\n\n"
        "def broken(prompts, completions, **columns):\n    return [1 / (len(c) - 7) for c in completions]\n\n\n"
        "def loud(prompts, completions, **columns):\n    return [c.count('!') for c in completions]\n\n\n"
        "def asking(prompts, completions, *, answer):\n    return answer\n\n\n"
        "async def late(prompts, completions, **columns):\n    raise KeyError('gone')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return "my_rewards_of_this_test"


@pytest.mark.parametrize(("name", "message"), [
    ("{}:brevty", "has no function 'brevty'; did you mean 'brevity'?"),
    ("{}:LIMIT", "has no function 'LIMIT'"),
    ("{}", "expected module:function, for example my_rewards:brevity"),
    ("no_module_of_this_name:f", "no module 'no_module_of_this_name' here"),
])
def test_a_name_that_leads_nowhere(module, name, message):
    with pytest.raises(UserError, match=message):
        resolve_function(name.format(module), "reward function")


@pytest.mark.parametrize(("name", "message"), [
    ("broken", r"failed: ZeroDivisionError: .* \(line 9 of .*: return \[1 / \(len\(c\) - 7\)"),
    ("late", r"failed: KeyError: 'gone' \(line 21 of"),
    ("asking", r"failed: TypeError: asking\(\) got an unexpected keyword argument 'level'$"),
])
def test_what_goes_wrong_in_a_function_is_told_with_its_line(module, name, message):
    function = resolve_function(f"{module}:{name}", "reward function")
    with pytest.raises(UserError, match=message):
        FunctionReward(function, name)(None, PLAIN[:1], TEXTS[:1])


def test_a_module_that_cannot_be_imported_keeps_its_own_fault(tmp_path, monkeypatch):
    """What it lacks is said, not that the module is missing."""
    (tmp_path / "needs_more_of_this_test.py").write_text("import no_such_package_anywhere\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModuleNotFoundError, match="no_such_package_anywhere"):
        resolve_function("needs_more_of_this_test:f")


def test_rewards_are_made_from_names_with_weights_in_their_order(module, reward):
    tokenizer = train_tokenizer(["x"], 261)
    made = make_reward([], [f"{module}:brevity", f"{module}:loud"], [0.5, 2.0], tokenizer)
    assert [w for _, w in made.parts.values()] == [0.5, 2.0]
    total, means = made(None, [Prompt("p")], ["ab!"])
    assert total.tolist() == [0.5 * -3 + 2.0 * 1] and means == {f"{module}:brevity": -3.0, f"{module}:loud": 1.0}
    both = make_reward([reward], [f"{module}:brevity"], [], tokenizer)
    assert list(both.parts) == [reward, f"{module}:brevity"] and [w for _, w in both.parts.values()] == [1.0, 1.0]
    with pytest.raises(UserError, match="2 numbers for 1 rewards"):
        make_reward([], [f"{module}:brevity"], [1.0, 2.0], tokenizer)
    with pytest.raises(UserError, match="a reward is required"):
        make_reward([], [], [], tokenizer)


def test_a_reward_model_of_fewer_tokens_than_the_policy_writes_is_refused(reward):
    with pytest.raises(UserError, match="they must share a tokenizer"):
        load_reward_model(reward, train_tokenizer(["x"], 700, extra=[f"<{i}>" for i in range(400)]))


def test_a_reward_model_is_frozen_and_reads_what_was_sampled(reward):
    model = load_reward_model(reward, train_tokenizer(["x"], 261))
    assert not any(p.requires_grad for p in model.parameters()) and not model.classifier.training
    rows = make_tokens([[5, 6]] * 2, [[7, 8], [7, 9]])
    found = make_reward([reward], [], [], train_tokenizer(["x"], 261))(rows, [Prompt("p")] * 2, ["same", "same"])[0]
    assert torch.allclose(found, model.score(rows)) and found[0] != found[1], "the ids decide, not the text"
