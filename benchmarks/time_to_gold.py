"""Time to the same gold reward on Seal Bay: `heed ppo` beside TRL's PPOTrainer, one after the other, in one run.

    python benchmarks/time_to_gold.py --run runs/seal_bay_ppo_1m --trl-python trl112/bin/python

Both start from the same SFT policy and reward model and see the same prompts, with the same episodes, batches, epochs,
mini-batches, learning rate, KL price, clipping, temperature and lengths (those of the run's `ppo` stage); one torch thread
each.  TRL (1.12.0, the last release with a PPO trainer) runs in float32, as bf16 makes it slower on a CPU; heed with the
run's bf16.  The hidden judge scores every completion of both afterwards, outside of the clock.  Gold at an update is the
mean over its own and the two updates before it.  The time to a level is when that mean first reaches it; the ratio is
taken at the highest level that both reach.  Appends a line to benchmarks/results/time_to_gold.jsonl.
"""

import argparse
import csv
import json
import subprocess
import sys
from pathlib import Path

import yaml
from record import record


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="a finished run of the recipe: its sft, reward and ppo stages")
    parser.add_argument("--trl-python", required=True, help="the Python of an environment with trl 1.12.0")
    parser.add_argument("--output", type=Path, help="folder to write (default: RUN/time_to_gold)")
    parser.add_argument("--episodes", type=int, help="default: those of the run's ppo stage")
    given = parser.parse_args()
    settings = yaml.safe_load((given.run / "ppo" / "config.yaml").read_text())
    episodes = given.episodes or settings["total_episodes"]
    output = given.output or given.run / "time_to_gold"
    output.mkdir(parents=True, exist_ok=True)
    prompts = write_prompts(settings, output / "prompts.jsonl")
    ours = run_heed(given.run, settings, episodes, output / "heed")
    theirs = run_trl(given, settings, episodes, output, prompts)
    print(json.dumps(record("time_to_gold", compare(ours, theirs) | {"episodes": episodes}), indent=1))


def write_prompts(settings: dict, place: Path) -> dict:
    """The ids that heed gives its policy, a line a prompt; returns the prompts by their ids."""
    from heed.language.chat import load_tokenizer
    from heed.workflows.sample import encode_prompts, load_prompts

    prompts = load_prompts(settings["dataset"], settings["split"], settings["max_prompts"])
    ids = encode_prompts(load_tokenizer(settings["model"]), prompts, settings["max_prompt_length"])
    place.write_text("".join(json.dumps({"input_ids": list(row)}) + "\n" for row in ids))
    return {tuple(row): prompt for row, prompt in zip(ids, prompts, strict=True)}


def run_heed(run: Path, settings: dict, episodes: int, output: Path) -> list[tuple[float, float]]:
    """(seconds, gold) at every update."""
    words = [f"output_dir={output}", f"total_episodes={episodes}", "save_steps=0", "logging_steps=1"]
    config = output.parent / "heed.yaml"
    config.write_text(yaml.safe_dump({k: v for k, v in settings.items() if k not in ("output_dir", "total_episodes")}))
    subprocess.run([sys.executable, "-m", "heed", "ppo", "--config", str(config), *words], check=True)
    rows = map(json.loads, (output / "metrics.jsonl").read_text().splitlines())
    return [(row["seconds"], row["objective/gold"]) for row in rows if "objective/gold" in row]


def run_trl(given, settings: dict, episodes: int, output: Path, prompts: dict) -> list[tuple[float, float]]:
    """(seconds, gold) at every update."""
    ppo, place = settings["ppo"], output / "trl"
    words = {
        "policy": settings["model"], "reward-model": settings["reward_model"], "prompts": output / "prompts.jsonl",
        "output": place, "episodes": episodes, "checkpoints": 1, "batch-size": settings["rollout_batch_size"],
        "mini-batches": ppo["num_mini_batches"], "ppo-epochs": ppo["num_ppo_epochs"],
        "response-length": settings["max_completion_length"], "temperature": settings["temperature"],
        "lr": settings["learning_rate"], "lr-scheduler": settings["lr_scheduler_type"], "kl-coef": settings["kl_coef"],
        "missing-eos-penalty": settings["missing_eos_penalty"] or 0.0, "cliprange": ppo["cliprange"],
        "cliprange-value": ppo["cliprange_value"], "vf-coef": ppo["vf_coef"], "gamma": ppo["gamma"], "lam": ppo["lam"],
    }  # fmt: skip
    command = [given.trl_python, str(Path(__file__).with_name("trl_ppo.py"))]
    subprocess.run(command + [f"--{k}={v}" for k, v in words.items()], check=True)
    seconds = [float(row["wall_seconds"]) for row in csv.DictReader((place / "curve.csv").open())]
    return list(zip(seconds, judge(settings, place / "responses.jsonl", prompts), strict=False))


def judge(settings: dict, responses: Path, prompts: dict) -> list[float]:
    """The judge's mean score of each update."""
    from heed.config import resolve_function
    from heed.language.chat import load_tokenizer
    from heed.language.reward import FunctionReward

    tokenizer, gold = load_tokenizer(settings["model"]), FunctionReward(resolve_function(settings["gold"], "gold"), "gold")
    updates: dict[int, list[float]] = {}
    for row in map(json.loads, responses.read_text().splitlines()):
        text = tokenizer.decode(row["response"], skip_special_tokens=True)
        updates.setdefault(row["update"], []).extend(gold(None, [prompts[tuple(row["prompt"])]], [text]))
    return [sum(scores) / len(scores) for _, scores in sorted(updates.items())]


def compare(ours: list[tuple[float, float]], theirs: list[tuple[float, float]]) -> dict:
    """Seconds to the highest level of smoothed gold that both reach."""
    curves = {"heed": smooth(ours), "trl": smooth(theirs)}
    level = min(max(gold for _, gold in curve) for curve in curves.values())
    when = {name: next(t for t, gold in curve if gold >= level) for name, curve in curves.items()}
    return {"level": round(level, 3), "seconds": {k: round(v, 1) for k, v in when.items()},
            "ratio": round(when["trl"] / when["heed"], 2),
            "seconds_in_all": {k: round(c[-1][0], 1) for k, c in curves.items()},
            "ratio_in_all": round(curves["trl"][-1][0] / curves["heed"][-1][0], 2),
            "gold_first_and_last": {k: [round(c[0][1], 3), round(c[-1][1], 3)] for k, c in curves.items()}}


def smooth(curve: list[tuple[float, float]], width: int = 3) -> list[tuple[float, float]]:
    return [(t, sum(g for _, g in curve[max(0, i - width + 1) : i + 1]) / min(width, i + 1)) for i, (t, _) in enumerate(curve)]


if __name__ == "__main__":
    main()
