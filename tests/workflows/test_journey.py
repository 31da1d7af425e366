"""The journey on a tiny world, each verb on what the one before it made; and going on exactly where one was stopped."""

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

from heed.config import make
from heed.errors import RunError, UserError
from heed.training.run import Run
from heed.workflows import evaluate, ppo, pretrain, reward, sample, sft


def jsonl(path):
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


@pytest.fixture
def rewards(tmp_path, monkeypatch):
    """A module of reward functions beside the run."""
    (tmp_path / "tiny_rewards.py").write_text(
        "def short(prompts, completions, **columns):\n    return [-0.1 * len(c) for c in completions]\n"
        "def broken(prompts, completions, **columns):\n    return [float('nan')] * len(completions)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return "tiny_rewards"


def ppo_settings(data, sft, out, **changes):
    return make(ppo.PPOSettings, {**dict(
        output_dir=str(out), model=sft, dataset=data["demonstrations"], max_completion_length=8, total_episodes=24,
        rollout_batch_size=8, micro_batch=4, learning_rate=1e-3, save_steps=1, kl_stop=1e6), **changes})


def stop_after(monkeypatch, saves):
    """The run is interrupted right behind its `saves`-th checkpoint."""
    real, count = Run.save, iter(range(1, 100))

    def save(self, *args, **kwargs):
        real(self, *args, **kwargs)
        if next(count) == saves:
            raise KeyboardInterrupt
    monkeypatch.setattr(Run, "save", save)


def test_each_verb_leaves_what_the_next_one_needs(base, sft, reward):
    for model in (base, sft, reward):
        folder = Path(model).parent
        for file in ("config.yaml", "metrics.jsonl", "summary.json", "lineage.json", "time.json"):
            assert (folder / file).is_file(), f"{folder.name} has no {file}"
        tokenizer = AutoTokenizer.from_pretrained(model)
        assert tokenizer.pad_token_id not in (None, tokenizer.eos_token_id)


def test_training_lowers_the_loss(base, sft):
    for model in (base, sft):
        losses = [r["loss"] for r in jsonl(Path(model).parent / "metrics.jsonl") if "loss" in r]
        assert losses[-1] < losses[0]


def test_the_reward_model_learns_what_it_was_told(reward):
    found = json.loads((Path(reward).parent / "summary.json").read_text())
    rows = [r for r in jsonl(Path(reward).parent / "metrics.jsonl") if "accuracy" in r]
    assert rows[-1]["accuracy"] > 0.9
    assert found["reward_shift"] != 0


def test_artifacts_are_hugging_faces_own(sft, reward, data):
    """Plain transformers gives heed's numbers: log-probabilities, and rewards before the shift in the config."""
    from heed.language.batches import make_tokens
    from heed.language.chat import encode_completion, encode_messages
    from heed.language.models import load_classifier, load_policy
    from heed.language.policy import Policy, ScalarModel
    from heed.records import Message

    tokenizer = AutoTokenizer.from_pretrained(sft)
    turns = [{"role": "user", "content": "What has Ann today?"}]
    ids = encode_messages(tokenizer, [Message(**t) for t in turns])
    assert tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=False) == ids
    answer = encode_completion(tokenizer, "Ann has a boat.")
    rows = make_tokens([ids], [answer])
    whole = torch.tensor([ids + answer])
    with torch.no_grad():
        ours = Policy(load_policy(sft))(rows).logprobs[0]
        logits = AutoModelForCausalLM.from_pretrained(sft)(whole).logits[0, len(ids) - 1 : -1]
        theirs = logits.log_softmax(-1).gather(1, torch.tensor(answer)[:, None])[:, 0]
        assert (ours - theirs).abs().max() < 1e-5
        plain = AutoModelForSequenceClassification.from_pretrained(reward)
        score = ScalarModel(load_classifier(reward, fresh_head=False)).score(rows)
        assert plain.config.num_labels == 1
        assert abs(plain(whole).logits[0, 0] - plain.config.heed_reward_shift - score[0]) < 1e-5


def test_ppo_shortens_answers_when_short_is_good(data, sft, rewards, tmp_path):
    settings = ppo_settings(data, sft, tmp_path / "ppo", reward_functions=[f"{rewards}:short"], gold=f"{rewards}:short",
                            total_episodes=1536, rollout_batch_size=64, micro_batch=64, learning_rate=2e-2, kl_coef=0.0,
                            critic="shared", save_steps=0)
    ppo.run(settings)
    rows = jsonl(tmp_path / "ppo" / "metrics.jsonl")
    assert rows[0]["objective/kl"] == pytest.approx(0, abs=1e-5)
    assert rows[0]["val/first_ratio_error"] == 0
    assert rows[0]["objective/gold"] == pytest.approx(rows[0]["objective/scores"], abs=1e-5)
    assert rows[-1]["objective/scores"] > rows[0]["objective/scores"] + 0.1


@pytest.mark.parametrize("after", [1, 2])
@pytest.mark.parametrize("verb", ["pretrain", "sft", "reward", "ppo"])
def test_interrupted_and_continued_is_uninterrupted(verb, after, data, base, sft, reward, tmp_path, monkeypatch, ended_alike):
    """Bit for bit: weights, and every figure but the clock."""
    def settings(out):
        common = dict(output_dir=str(out), batch_size=8, max_steps=4, save_steps=1)
        if verb == "pretrain":
            return pretrain.Pretrain(**common, dataset=data["texts"], vocab_size=320, max_length=24, architecture={
                "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2})
        if verb == "sft":
            return MODULES["sft"].SFTSettings(**common, model=base, dataset=data["demonstrations"], max_length=80)
        if verb == "reward":
            return MODULES["reward"].Reward(**common, model=sft, dataset=data["rankings"], max_length=80, shift_prompts=8,
                                            max_completion_length=8)
        return ppo_settings(data, sft, out, reward_model=reward, kl_target=1.0, kl_horizon=100, ema=0.9)

    MODULES[verb].run(settings(tmp_path / "whole"))
    with monkeypatch.context() as patch:
        stop_after(patch, after)
        with pytest.raises(KeyboardInterrupt):
            MODULES[verb].run(settings(tmp_path / "halves"))
    MODULES[verb].run(settings(tmp_path / "halves"))
    ended_alike(tmp_path / "whole", tmp_path / "halves")


MODULES = {"pretrain": pretrain, "sft": sft, "reward": reward, "ppo": ppo}


def test_sampling_goes_on_behind_the_last_whole_chunk(data, sft, tmp_path):
    def settings(out):
        return sample.Sample(output_dir=str(out), model=sft, dataset=data["demonstrations"], num_generations=2,
                             max_completion_length=6, chunk=8)
    sample.run(settings(tmp_path / "whole"))
    sample.run(settings(tmp_path / "halves"))
    whole = (tmp_path / "whole" / "samples.jsonl").read_text()
    (tmp_path / "halves" / "summary.json").unlink()
    (tmp_path / "halves" / "samples.jsonl").write_text(whole[: len(whole) // 2])  # as a kill leaves it: a broken line
    sample.run(settings(tmp_path / "halves"))
    halves = (tmp_path / "halves" / "samples.jsonl").read_text()
    assert halves == whole.replace(str(tmp_path / "whole"), str(tmp_path / "halves"))


def test_evaluate_compares_models_with_intervals(data, base, sft, reward, rewards, tmp_path):
    found = evaluate.run(evaluate.Evaluate(
        output_dir=str(tmp_path / "evaluate"), models={"base": base, "sft": sft}, dataset=data["demonstrations"], split="train",
        gold=f"{rewards}:short", reward_model=reward, num_generations=2, max_completion_length=8, max_prompts=16,
        texts=data["texts"]))
    assert any("win" in k for k in found)
    for value in found.values():
        assert not isinstance(value, dict) or "value" not in value or value.get("low") is None or \
            value["low"] <= value["value"] <= value["high"]


def test_other_settings_do_not_go_on_in_the_same_folder(data, base, tmp_path):
    common = dict(output_dir=str(tmp_path / "x"), model=base, dataset=data["demonstrations"], max_length=80, batch_size=8)
    sft.run(sft.SFTSettings(**common, max_steps=1))
    with pytest.raises(UserError, match=r"learning_rate = 0.0001, now 0.5"):
        sft.run(sft.SFTSettings(**common, max_steps=1, learning_rate=0.5))


def test_a_reward_that_is_no_number_stops_the_run(data, sft, rewards, tmp_path):
    with pytest.raises(RunError, match="nan"):
        ppo.run(ppo_settings(data, sft, tmp_path / "ppo", reward_functions=[f"{rewards}:broken"]))
    assert not (tmp_path / "ppo" / "summary.json").exists()


def test_a_kl_that_explodes_stops_the_run_and_keeps_the_checkpoint(data, sft, rewards, tmp_path):
    with pytest.raises(RunError, match="past the limit"):
        ppo.run(ppo_settings(data, sft, tmp_path / "ppo", reward_functions=[f"{rewards}:short"], learning_rate=1.0,
                             kl_stop=0.5, total_episodes=80))
    assert list((tmp_path / "ppo" / "checkpoints").glob("step-*"))


@pytest.mark.parametrize(("change", "message"), [
    ({"reward_functions": []}, "a reward is required"),
    ({"reward_functions": ["tiny_rewards:shrot"]}, "did you mean 'short'"),
    ({"reward_functions": ["no_such_module:f"]}, "no module 'no_such_module'"),
    ({"reward_weights": [1.0, 2.0]}, "2 numbers for 1 rewards"),
    ({"model": "runs/nothing/here"}, "no model at"),
    ({"max_completion_length": 500}, "leaves no room"),
    ({"num_generations": 3}, "no multiple of num_generations"),
    ({"critic": "none"}, "expected 'separate' or 'shared'"),
])
def test_mistakes_are_named(change, message, data, sft, rewards, tmp_path):
    with pytest.raises(UserError, match=message):
        ppo.run(ppo_settings(data, sft, tmp_path / "ppo", **{"reward_functions": [f"{rewards}:short"], **change}))


def test_a_pickle_is_never_read(data, tmp_path):
    import pickle

    (tmp_path / "model.pt").write_bytes(pickle.dumps({"w": 1}))
    with pytest.raises(UserError, match="pickle"):
        sft.run(sft.SFTSettings(output_dir=str(tmp_path / "x"), model=str(tmp_path / "model.pt"),
                                dataset=data["demonstrations"]))


def test_a_checkpoint_of_another_architecture_is_refused(data, base, tmp_path):
    from heed.language.models import new_model, save

    common = dict(output_dir=str(tmp_path / "x"), dataset=data["demonstrations"], max_length=80, batch_size=8, max_steps=2)
    sft.run(sft.SFTSettings(**common, model=base))
    tokenizer = AutoTokenizer.from_pretrained(base)
    other = new_model({"hidden_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2}, tokenizer)
    place = Path(tmp_path / "other")
    place.mkdir()
    save(other, tokenizer, place)
    (tmp_path / "x" / "summary.json").unlink()
    config = tmp_path / "x" / "config.yaml"
    config.write_text(config.read_text().replace(base, str(place)))
    with pytest.raises(RunError, match="another architecture"):
        sft.run(sft.SFTSettings(**common, model=str(place)))
