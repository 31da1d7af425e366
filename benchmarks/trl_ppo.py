"""TRL's PPOTrainer on the same policy, reward model and prompts as `heed ppo`: the opponent, at its honest best.

TRL 1.12.0 still has it (trl.experimental.ppo), 1.16.0 no longer does.  It needs an environment of its own, and nothing
of heed:

    python -m venv trl112 && trl112/bin/pip install torch==2.13.0 && trl112/bin/pip install trl==1.12.0
    trl112/bin/python benchmarks/trl_ppo.py --policy runs/x/sft/model --reward-model runs/x/reward/model \
        --prompts prompts.jsonl --output runs/x/trl --episodes 20000

prompts.jsonl has one object a line: {"input_ids": [...]} (best: the very ids that heed gives its policy), or {"prompt":
text}, or {"prompt": [{"role", "content"}]} for the tokenizer's chat template.

Writes to --output: curve.csv (wall_seconds, cpu_seconds, episodes, mean_score, kl, eos_fraction; one line an update),
responses.jsonl ({"update", "prompt", "response"} in token ids, every completion) and policy-<episodes>/ at the
checkpoints, so that a gold reward can be measured afterwards, and settings.json.

What was set in TRL's favour: no gradient checkpointing and no bf16 (both are on by default, and cost time on a CPU), one
rollout forward for the whole batch, no sample generations and no evaluation between updates, generation that stops when
every row has ended, and no micro-batches (with them, TRL steps after every one of them in the last batch of each pass
over the prompts, and never between mini-batches elsewhere).  The clock starts when models and data are loaded and stands
still while a checkpoint is written.  What TRL does by itself is left: the score enters at the first PAD step, gradients
are not clipped, advantages are whitened with the unbiased variance.
"""

import argparse
import csv
import json
import os
import time
from pathlib import Path


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, text in {"policy": "Hugging Face directory of the SFT policy, tokenizer included",
                       "reward-model": "directory of a one-label sequence classifier with the same tokenizer",
                       "prompts": "jsonl of prompts", "output": "folder to write"}.items():
        parser.add_argument(f"--{name}", type=Path, required=True, help=text)
    parser.add_argument("--value-model", type=Path, help="where the critic starts (default: the reward model)")
    for name, kind, default, text in [
        ("episodes", int, None, "completions to sample in all"), ("checkpoints", int, 5, "policies to save, evenly spaced"),
        ("batch-size", int, 64, "episodes an update"), ("mini-batches", int, 1, "optimizer steps an epoch"),
        ("ppo-epochs", int, 4, "passes over each batch"),
        ("response-length", int, 53, "tokens sampled at most"), ("temperature", float, 1.0, "of the sampling"),
        ("lr", float, 3e-6, "learning rate"), ("lr-scheduler", str, "linear", "linear to 0, or constant"),
        ("adam-eps", float, 1e-5, "AdamW's epsilon"), ("kl-coef", float, 0.05, "price of a nat"),
        ("kl-estimator", str, "k1", "k1 or k3"), ("missing-eos-penalty", float, 1.0, "off the score; 0: none"),
        ("cliprange", float, 0.2, "of the ratio"), ("cliprange-value", float, 0.2, "of the value"),
        ("vf-coef", float, 0.1, "weight of the value loss"), ("gamma", float, 1.0, "discount"),
        ("lam", float, 0.95, "GAE's lambda"), ("seed", int, 0, "of prompts and sampling"),
        ("threads", int, 1, "torch threads"),
    ]:
        parser.add_argument(f"--{name}", type=kind, default=default, required=default is None, help=text)
    parser.add_argument("--whiten-rewards", action="store_true")
    return parser.parse_args()


def configuration(given):
    from trl.experimental.ppo import PPOConfig

    if given.batch_size % given.mini_batches:
        raise SystemExit(f"batch size {given.batch_size} must be a multiple of mini-batches {given.mini_batches}")
    return PPOConfig(
        output_dir=str(given.output / "trainer"), seed=given.seed, use_cpu=not cuda(), bf16=False,
        gradient_checkpointing=False, report_to=[], disable_tqdm=True, save_strategy="no", logging_steps=1,
        num_sample_generations=0, local_rollout_forward_batch_size=given.batch_size,
        per_device_train_batch_size=given.batch_size, gradient_accumulation_steps=1,
        num_mini_batches=given.mini_batches, total_episodes=given.episodes, num_ppo_epochs=given.ppo_epochs,
        response_length=given.response_length, stop_token="eos", temperature=given.temperature,
        missing_eos_penalty=given.missing_eos_penalty or None, learning_rate=given.lr, adam_epsilon=given.adam_eps,
        lr_scheduler_type=given.lr_scheduler, kl_coef=given.kl_coef, kl_estimator=given.kl_estimator,
        cliprange=given.cliprange, cliprange_value=given.cliprange_value, vf_coef=given.vf_coef, gamma=given.gamma,
        lam=given.lam, whiten_rewards=given.whiten_rewards)


def cuda():
    import torch

    return torch.cuda.is_available()


def load_models(given, tokenizer):
    """Policy, reward model and critic.  TRL makes the reference itself, as a copy of the policy."""
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

    policy = AutoModelForCausalLM.from_pretrained(given.policy, dtype=torch.float32)
    policy.generation_config.pad_token_id = policy.config.pad_token_id = tokenizer.pad_token_id
    scalars = []
    for place in (given.reward_model, given.value_model or given.reward_model):
        scalar = AutoModelForSequenceClassification.from_pretrained(place, num_labels=1, dtype=torch.float32)
        if shift := getattr(scalar.config, "heed_reward_shift", 0.0):  # heed's centring, which TRL does not know
            scalar.score.bias = torch.nn.Parameter(torch.tensor([-shift]))
        scalars.append(scalar)
    return policy, scalars[0].eval().requires_grad_(False), scalars[1]


def load_prompts(path, tokenizer):
    from datasets import Dataset

    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    ids = []
    for row in rows:
        prompt = row.get("input_ids") or row["prompt"]
        if isinstance(prompt, str):
            prompt = tokenizer(prompt)["input_ids"]
        elif isinstance(prompt[0], dict):
            prompt = tokenizer.apply_chat_template(prompt, add_generation_prompt=True, return_dict=True)["input_ids"]
        ids.append(list(prompt))
    return Dataset.from_dict({"input_ids": ids})


def overhear(reward):
    """A list that fills with what the reward model is given: (rows of prompt and response, where the response begins)."""
    from trl.experimental.ppo import ppo_trainer

    scored, original = [], ppo_trainer.get_reward

    def get_reward(model, query_responses, pad_token_id, context_length):
        if model is reward:
            scored.append((query_responses, context_length))
        return original(model, query_responses, pad_token_id, context_length)

    ppo_trainer.get_reward = get_reward
    return scored


def watcher(given, tokenizer, batches, scored):
    """A callback that writes the curve and saves policies, with its own time taken off the clock."""
    from transformers import TrainerCallback

    share = batches / max(given.checkpoints, 1)
    due = {max(1, round(share * i)) for i in range(1, given.checkpoints + 1)}

    class Watcher(TrainerCallback):
        def on_train_begin(self, args, state, control, **_):
            self.responses = (given.output / "responses.jsonl").open("w")
            self.file = (given.output / "curve.csv").open("w", newline="")
            self.rows = csv.writer(self.file)
            self.rows.writerow(["wall_seconds", "cpu_seconds", "episodes", "mean_score", "kl", "eos_fraction"])
            self.wall, self.cpu = time.perf_counter(), time.process_time()

        def on_log(self, args, state, control, logs, **_):
            if "objective/scores" not in logs:
                return
            wall, cpu = time.perf_counter() - self.wall, time.process_time() - self.cpu
            self.rows.writerow([round(wall, 3), round(cpu, 3), logs["episode"], logs["objective/scores"],
                                logs["objective/kl"], logs["val/num_eos_tokens"] / given.batch_size])
            self.file.flush()
            self._write_responses(logs["episode"])
            self.wall += time.perf_counter() - self.wall - wall
            self.cpu += time.process_time() - self.cpu - cpu

        def _write_responses(self, episode):
            pad = tokenizer.pad_token_id
            for query_responses, context in scored:
                for row in query_responses.tolist():
                    prompt, response = ([t for t in part if t != pad] for part in (row[:context], row[context:]))
                    line = {"update": episode // given.batch_size, "prompt": prompt, "response": response}
                    self.responses.write(json.dumps(line) + "\n")
            scored.clear()
            self.responses.flush()

        def on_step_end(self, args, state, control, model, **_):
            if state.global_step not in due:
                return
            wall, cpu = time.perf_counter(), time.process_time()
            place = given.output / f"policy-{state.episode:07d}"
            model.policy.save_pretrained(place)
            tokenizer.save_pretrained(place)
            self.wall += time.perf_counter() - wall
            self.cpu += time.process_time() - cpu

    return Watcher()


def main():
    given = arguments()
    os.environ["OMP_NUM_THREADS"] = str(given.threads)
    import torch
    from transformers import AutoTokenizer, PrinterCallback
    from trl.experimental.ppo import PPOTrainer

    torch.set_num_threads(given.threads)
    given.output.mkdir(parents=True, exist_ok=True)
    (given.output / "settings.json").write_text(json.dumps(vars(given), default=str, indent=1) + "\n")
    tokenizer = AutoTokenizer.from_pretrained(given.policy, padding_side="left")
    if tokenizer.pad_token_id is None or tokenizer.pad_token_id == tokenizer.eos_token_id:
        raise SystemExit("the tokenizer needs a PAD token that is not EOS")
    policy, reward, value = load_models(given, tokenizer)
    prompts = load_prompts(given.prompts, tokenizer)
    if len(prompts) < given.batch_size:
        raise SystemExit(f"{len(prompts)} prompts are fewer than a batch of {given.batch_size}")
    watch = watcher(given, tokenizer, -(-given.episodes // given.batch_size), overhear(reward))
    trainer = PPOTrainer(args=configuration(given), processing_class=tokenizer, model=policy, ref_model=None,
                         reward_model=reward, value_model=value, train_dataset=prompts, callbacks=[watch])
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    print(f"{trainer.state.episode} episodes; the curve is {given.output / 'curve.csv'}")


if __name__ == "__main__":
    main()
