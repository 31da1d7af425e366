"""heed rl: every method of the table against a reward, near a reference; `algorithm=ppo` is heed ppo."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from heed.config import make
from heed.errors import UserError
from heed.workflows import methods, ppo, rl


@pytest.fixture
def short(tmp_path, monkeypatch):
    """Shorter is better, and more so the fewer letters there are."""
    (tmp_path / "brief.py").write_text(
        "def short(prompts, completions, **columns):\n    return [-0.1 * len(c) for c in completions]\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return "brief:short"


def settings(kind, data, sft, out, reward, **changes):
    return make(kind, {**dict(
        output_dir=str(out), model=sft, dataset=data["demonstrations"], reward_functions=reward, max_completion_length=8,
        total_episodes=24, rollout_batch_size=8, num_generations=4, micro_batch=4, kl_stop=1e6, save_steps=1,
        learning_rate=1e-3), **changes})


def jsonl(path):
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def weights(out):
    return load_file(Path(out) / "model" / "model.safetensors")


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


@pytest.mark.parametrize("algorithm", sorted(methods.ONLINE))
def test_every_method_begins_at_its_reference_and_moves(algorithm, data, sft, short, tmp_path):
    changes = {"critic": "shared"} if methods.ONLINE[algorithm].critic else {}
    found = rl.run(settings(rl.RL, data, sft, tmp_path / "run", short, algorithm=algorithm, gold=short, **changes))
    rows = jsonl(tmp_path / "run" / "metrics.jsonl")
    if algorithm != "quark":  # which reads one token more than its reference from the start
        assert rows[0]["objective/kl"] == pytest.approx(0, abs=1e-5)
    before, after = load_file(Path(sft) / "model.safetensors"), weights(tmp_path / "run")
    assert not same(before, after) and all(torch.isfinite(x).all() for x in after.values())
    assert found["objective/gold"] == pytest.approx(found["objective/scores"], abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", sorted(methods.ONLINE.keys() - {"quark"}))  # what its words mean takes longer to learn
def test_every_method_earns_more_than_it_did(algorithm, data, sft, short, tmp_path):
    changes = dict(total_episodes=1536, rollout_batch_size=64, micro_batch=64, learning_rate=2e-2, save_steps=0)
    if methods.ONLINE[algorithm].price == "reward":
        changes["kl_coef"] = 0.0
    if methods.ONLINE[algorithm].critic:
        changes["critic"] = "shared"
    if algorithm == "trpo":
        changes |= {"total_episodes": 512, "parameters": {"cg_max_steps": 5}}
    rl.run(settings(rl.RL, data, sft, tmp_path / "run", short, algorithm=algorithm, **changes))
    rows = jsonl(tmp_path / "run" / "metrics.jsonl")
    before, after = (sum(r["objective/scores"] for r in part) / 3 for part in (rows[:3], rows[-3:]))
    assert after > before + (0.02 if algorithm in ("trpo", "rating_weighted") else 0.05), f"{before:.2f} -> {after:.2f}"


def test_quark_asks_for_the_best_and_so_does_what_it_saves(data, sft, short, tmp_path):
    """The policy reads a word that the reference, the reward and the saved completions do not have."""
    from heed.language.chat import encode_prompt, load_tokenizer
    from heed.workflows.sample import load_prompts

    rl.run(settings(rl.RL, data, sft, tmp_path / "run", short, algorithm="quark", parameters={"levels": 3}))
    rows = jsonl(tmp_path / "run" / "metrics.jsonl")
    assert rows[0]["policy/ref_kl"] > 0
    (prompt, *_), before, after = (load_prompts(data["demonstrations"], "train", 1), load_tokenizer(sft),
                                   load_tokenizer(str(tmp_path / "run" / "model")))
    assert encode_prompt(after, prompt) == [*encode_prompt(before, prompt), before("\x03")["input_ids"][-1]]
    assert len(after) == len(before)
    assert all("\x03" not in r["completion"] for r in jsonl(tmp_path / "run" / "samples.jsonl"))


def test_a_plain_prompt_has_no_place_for_a_word(data, sft, short, tmp_path):
    (tmp_path / "plain.jsonl").write_text('{"prompt": "What has Ann today?"}\n')
    with pytest.raises(UserError, match="quark asks for the best through the chat template, and a prompt here is a"):
        rl.run(settings(rl.RL, data, sft, tmp_path / "run", short, algorithm="quark", dataset=str(tmp_path / "plain.jsonl")))


def test_ppo_by_either_name_is_the_same(data, sft, short, tmp_path):
    ppo.run(settings(ppo.PPOSettings, data, sft, tmp_path / "ppo", short, ppo={"lam": 0.9}))
    rl.run(settings(rl.RL, data, sft, tmp_path / "rl", short, algorithm="ppo", parameters={"lam": 0.9}))
    assert same(weights(tmp_path / "ppo"), weights(tmp_path / "rl"))


def test_tokens_end_a_run_and_its_learning_rate(data, sft, short, tmp_path):
    """Sampled once and learnt from twice: three for each; the run ends with the step that reaches the number."""
    rl.run(settings(rl.RL, data, sft, tmp_path / "run", short, algorithm="rloo", parameters={"num_iterations": 2},
                    total_episodes=800, max_tokens=900))
    rows = jsonl(tmp_path / "run" / "metrics.jsonl")
    used = [3 * 8 * r["completions/mean_length"] for r in rows]
    assert sum(used[:-1]) < 900 <= sum(used)
    assert rows[0]["lr"] == 1e-3 and rows[1]["lr"] == pytest.approx(1e-3 * (1 - used[0] / 900), rel=1e-3)


@pytest.mark.parametrize("algorithm", ["grpo", "raft", "quark"])
def test_interrupted_and_continued_is_uninterrupted(algorithm, data, sft, short, tmp_path, interrupted):
    def begin(out):
        parameters = {"beta": 0.1, "num_iterations": 2} if algorithm == "grpo" else {}
        return settings(rl.RL, data, sft, out, short, algorithm=algorithm, parameters=parameters, max_tokens=300)

    rl.run(begin(tmp_path / "whole"))
    interrupted(lambda: rl.run(begin(tmp_path / "halves")))
    rl.run(begin(tmp_path / "halves"))
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "halves"))


@pytest.mark.parametrize("lora", [{}, {"lora_r": 2}], ids=["whole", "lora"])
@pytest.mark.parametrize("divergence", ["k2", "kl"])
def test_a_price_in_the_loss_is_nothing_at_the_start_and_something_later(divergence, lora, data, sft, short, tmp_path):
    rl.run(settings(rl.RL, data, sft, tmp_path / "run", short, algorithm="rloo", kl_in="loss", divergence=divergence, **lora))
    rows = jsonl(tmp_path / "run" / "metrics.jsonl")
    assert rows[0]["divergence/loss"] == pytest.approx(0, abs=1e-6) and rows[-1]["divergence/loss"] > 1e-6
    assert rows[0]["objective/non_score_reward"] == 0 == rows[-1]["objective/non_score_reward"]


@pytest.mark.parametrize(("changes", "message"), [
    ({"algorithm": "grop"}, "algorithm = 'grop' is none of heed's here; did you mean 'grpo'?"),
    ({"algorithm": "rloo", "num_generations": 1}, "rloo compares completions of one prompt: num_generations = 1"),
    ({"algorithm": "grpo", "kl_coef": 0.1}, "grpo does not pay for KL by kl_coef; what holds it to the reference"),
    ({"algorithm": "trpo", "kl_in": "loss"}, "trpo's step is found from its surrogate alone"),
    ({"algorithm": "rloo", "parameters": {"num_mini_batches": 9}}, "rloo: 1 epochs of 9 mini-batches cannot be made of"),
])
def test_a_slip_is_named(changes, message, data, sft, short, tmp_path):
    with pytest.raises(UserError) as caught:
        rl.run(settings(rl.RL, data, sft, tmp_path / "run", short, **changes))
    assert message in str(caught.value)
