"""Adapters in place of all weights: only they move, the reference is the model without them, and what is saved is whole."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from heed.algorithms.sft import SFT
from heed.errors import UserError
from heed.language import models
from heed.language.batches import make_tokens
from heed.language.chat import load_tokenizer
from heed.language.models import load_classifier, load_policy
from heed.language.policy import Policy, ScalarModel
from heed.protocols import Sampling
from heed.training.learner import Learner, Part
from heed.workflows import ppo, reward, sft
from heed.workflows.sample import make_engine

CLOCK = {"seconds", "cpu_seconds", "tokens_per_second"}


def weights(folder):
    return load_file(Path(folder) / "model.safetensors")


@pytest.fixture(scope="module")
def tuned(data, base, tmp_path_factory):
    """SFT of the tiny model with adapters of rank 2."""
    out = tmp_path_factory.mktemp("lora") / "sft"
    sft.run(sft.SFTSettings(output_dir=str(out), model=base, dataset=data["demonstrations"], max_length=80, batch_size=8,
                            max_steps=3, learning_rate=1e-2, lora_r=2, lora_alpha=4))
    return out


def test_only_adapters_are_trained_and_kept_in_checkpoints(tuned):
    names = load_file(next((tuned / "checkpoints").iterdir()) / "tensors.safetensors").keys()
    assert names and all("lora_" in name for name in names)


def test_what_is_saved_is_the_merged_model_with_its_adapter_beside(tuned, base):
    plain, info = AutoModelForCausalLM.from_pretrained(tuned / "model", output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"]
    before, after = weights(base), weights(tuned / "model")
    assert before.keys() == after.keys()
    moved = {k for k in before if not torch.equal(before[k], after[k])}
    assert moved and all("_proj" in k for k in moved), "embeddings and norms stay"
    assert (tuned / "model" / "adapter" / "adapter_model.safetensors").is_file()
    assert not any("lora" in name for name, _ in plain.named_parameters())


def test_a_reward_model_with_adapters_learns_its_head_too(data, sft_model, tmp_path):
    out = tmp_path / "reward"
    reward.run(reward.Reward(output_dir=str(out), model=sft_model, dataset=data["rankings"], max_length=80, batch_size=8,
                             max_steps=6, learning_rate=1e-2, shift_prompts=4, max_completion_length=4, lora_r=2))
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert rows[-2]["loss"] < rows[0]["loss"]
    assert "score.weight" in weights(out / "model")


@pytest.fixture
def sft_model(tuned):
    return str(tuned / "model")


def test_the_reference_is_the_model_without_its_adapters(sft_model, rows):
    lm, plain = load_policy(sft_model, lora_r=2), load_policy(sft_model)
    policy = Policy(lm)
    learner = Learner(policy, lr=0.1)
    for _ in range(2):
        learner.step(Part(rows, SFT().loss))
    with torch.no_grad(), policy.reference():
        assert torch.equal(policy(rows).logprobs, Policy(plain)(rows).logprobs)
    assert not torch.allclose(policy(rows).logprobs, Policy(plain)(rows).logprobs, atol=1e-2)


@pytest.fixture
def rows():
    return make_tokens([[5, 9, 7], [8, 4]], [[10, 11, 1], [12, 1]])


def test_ppo_with_adapters_begins_at_no_distance_and_moves_away(data, sft_model, tmp_path, monkeypatch):
    (tmp_path / "lora_rewards.py").write_text("def short(prompts, completions, **c): return [-len(x) for x in completions]\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    out = tmp_path / "ppo"
    ppo.run(ppo.PPOSettings(output_dir=str(out), model=sft_model, dataset=data["demonstrations"], critic="shared",
                            reward_functions=["lora_rewards:short"], max_completion_length=8, total_episodes=24,
                            rollout_batch_size=8, micro_batch=8, learning_rate=1e-2, lora_r=2))
    found = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert abs(found[0]["objective/kl"]) < 1e-5 and found[0]["val/first_ratio_error"] == 0
    assert abs(found[-1]["objective/kl"]) > 1e-3


@pytest.fixture(scope="module")
def rewarding(data, tuned, tmp_path_factory):
    """A reward model trained with adapters on the very model that the policy begins as."""
    out = tmp_path_factory.mktemp("lora") / "reward"
    reward.run(reward.Reward(output_dir=str(out), model=str(tuned / "model"), dataset=data["rankings"], max_length=80,
                             batch_size=8, max_steps=4, learning_rate=1e-2, shift_prompts=4, max_completion_length=4, lora_r=2))
    return str(out / "model")


def test_policy_critic_and_reward_stand_on_one_base(sft_model, rewarding, rows):
    policy = load_policy(sft_model, lora_r=4)
    critic = load_classifier(rewarding, fresh_head=False, lora_r=4, beside=policy)
    fresh = load_classifier(sft_model, fresh_head=True, lora_r=4, beside=policy)
    mine = {n: p for n, p in policy.named_parameters() if not p.requires_grad}
    for other in (critic, fresh):
        frozen = {n: p for n, p in other.named_parameters() if not p.requires_grad and ".score." not in n}
        assert frozen and all(p.data_ptr() == mine[n].data_ptr() for n, p in frozen.items())
        assert {"lora_A", "lora_B"} <= {part for n, p in other.named_parameters() if p.requires_grad for part in n.split(".")}
    whole = ScalarModel(load_classifier(rewarding, fresh_head=False)).score(rows)
    torch.testing.assert_close(ScalarModel(critic).score(rows), whole, rtol=1e-4, atol=1e-5)
    assert whole.std() > 0


def test_a_reward_model_whose_base_has_gone_comes_whole(sft_model, rewarding, rows, tmp_path):
    shutil.copytree(rewarding, tmp_path / "model")
    config = tmp_path / "model" / "adapter" / "adapter_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"base_model_name_or_path": str(tmp_path / "gone")}))
    found = load_classifier(str(tmp_path / "model"), fresh_head=False, beside=load_policy(sft_model, lora_r=2))
    expected = ScalarModel(load_classifier(rewarding, fresh_head=False)).score(rows)
    assert torch.equal(ScalarModel(found).score(rows), expected)


def test_a_reward_model_whose_base_was_trained_anew_comes_whole(tuned, rewarding, rows, tmp_path):
    """Its adapters on other weights would be another reward model."""
    shutil.copytree(rewarding, tmp_path / "model")
    shutil.copytree(tuned / "model", tmp_path / "base")
    config = tmp_path / "model" / "adapter" / "adapter_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"base_model_name_or_path": str(tmp_path / "base")}))
    policy = load_policy(str(tmp_path / "base"), lora_r=2)
    assert hasattr(load_classifier(str(tmp_path / "model"), fresh_head=False, beside=policy), "get_base_model")
    moved = weights(tmp_path / "base")
    name = next(n for n in moved if n.endswith("q_proj.weight"))
    save_file({**moved, name: moved[name] + 0.01}, tmp_path / "base" / "model.safetensors", metadata={"format": "pt"})
    found = load_classifier(str(tmp_path / "model"), fresh_head=False, beside=policy)
    assert torch.equal(ScalarModel(found).score(rows), ScalarModel(load_classifier(rewarding, fresh_head=False)).score(rows))


def test_a_language_model_with_adapters_is_no_reward_model_beside_a_policy_either(sft_model):
    """It has adapters too, and would otherwise come with a head of chance."""
    with pytest.raises(UserError, match="is not a reward model"):
        load_classifier(sft_model, fresh_head=False, beside=load_policy(sft_model, lora_r=2))


def test_ppo_on_one_base_is_ppo_on_four(data, sft_model, rewarding, tmp_path, monkeypatch):
    """What is shared is frozen: to the bit the same figures and weights as where every model keeps its own copy."""
    def trained(name):
        out = tmp_path / name
        ppo.run(ppo.PPOSettings(output_dir=str(out), model=sft_model, dataset=data["demonstrations"], reward_model=rewarding,
                                max_completion_length=8, total_episodes=16, rollout_batch_size=8, micro_batch=8,
                                learning_rate=1e-2, lora_r=2))
        rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
        return weights(out / "model"), [{k: v for k, v in row.items() if k.split("/")[-1] not in CLOCK} for row in rows]

    shared = trained("shared")
    monkeypatch.setattr(models, "share_weights", lambda model, other: None)
    apart = trained("apart")
    assert shared[1] == apart[1]
    assert all(torch.equal(shared[0][name], apart[0][name]) for name in shared[0])


def test_the_engine_samples_with_the_adapters(sft_model):
    """An engine that had a copy of the weights would go on sampling from the reference."""
    lm, tokenizer = load_policy(sft_model, lora_r=2), load_tokenizer(sft_model)
    engine = make_engine("static_cache", lm, tokenizer)
    before = engine.generate([[5, 6, 7]], Sampling(max_tokens=8, temperature=0))[0][0].tokens
    for name, p in lm.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(p, std=2.0, generator=torch.Generator().manual_seed(0))
    after = engine.generate([[5, 6, 7]], Sampling(max_tokens=8, temperature=0))[0][0]
    assert after.tokens != before
    logits = lm(torch.tensor([[5, 6, 7, *after.tokens]])).logits[0, 2:-1].log_softmax(-1)
    expected = logits.gather(1, torch.tensor(after.tokens)[:, None])[:, 0]
    assert after.logprobs == pytest.approx(expected.tolist(), abs=1e-4)
