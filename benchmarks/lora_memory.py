"""Peak memory of DPO and PPO: LoRA adapters on one shared base beside models of their own, each run in a process of its own.

    python benchmarks/lora_memory.py                  # a Llama of 110M parameters, about ten minutes on one thread
    python benchmarks/lora_memory.py --hidden 256 --layers 4

PPO holds a policy, a reference, a critic and a reward model; with LoRA all four stand on the policy's base, the reward model
having been trained by LoRA on it too.  DPO holds a policy, and a reference while it reads the data.  What is printed is the
peak of each process, less that of the same training of a model of next to nothing.  Appends a JSON line to
benchmarks/results/lora_memory.jsonl.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from record import record

WORDS = ["the", "boat", "comes", "in", "at", "noon", "and", "the", "ferry", "leaves", "when", "the", "tide", "is", "high"]


def prepare(folder, hidden, layers):
    """A model with random weights, and a few comparisons of answers; its number of parameters."""
    from heed.language.chat import add_chat_template, train_tokenizer
    from heed.language.models import new_model, save

    tokenizer = train_tokenizer([" ".join(WORDS)], 300)
    add_chat_template(tokenizer)
    shape = {"hidden_size": hidden, "intermediate_size": hidden * 8 // 3, "num_hidden_layers": layers,
             "num_attention_heads": hidden // 72 if hidden % 72 == 0 else 4}
    model = new_model(shape, tokenizer)
    save(model, tokenizer, folder / "base")
    rows = [{"prompt": f"When does {a}?", "chosen": " ".join(WORDS[:i]), "rejected": " ".join(WORDS[i:])}
            for i, a in enumerate(WORDS[2:10], 2)]
    (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return sum(p.numel() for p in model.parameters())


def heed(folder, name, *words):
    """One `heed` command in `folder`: its peak memory in MB and CPU-seconds."""
    return watched([sys.executable, "-m", "heed", *words, f"output_dir={name}", "micro_batch=4"], folder)


def watched(line, folder):
    """Peak of a process (MB) and its CPU-seconds; what it says goes to its end only where it fails."""
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(line, cwd=folder, stdout=said, stderr=said)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            raise SystemExit(f"{' '.join(line)}\n{said.read().decode()[-2000:]}")
    return {"mb": used.ru_maxrss / 1024, "cpu": used.ru_utime + used.ru_stime}


def main():
    """Make the models, run the four trainings, print the table."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--hidden", type=int, default=864)
    p.add_argument("--layers", type=int, default=12)
    p.add_argument("--rank", type=int, default=8)
    a = p.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        # In processes of their own: what a child was forked from counts in its peak, so this one must stay small.
        with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as pool:
            size = pool.submit(prepare, folder, a.hidden, a.layers).result()
            (folder / "small").mkdir()
            pool.submit(prepare, folder / "small", 72, 1).result()
        print(f"{size / 1e6:.0f}M parameters, {4 * size / 2**20:.0f} MB", flush=True)
        lora = [f"lora_r={a.rank}"]
        common = ["model=base", "dataset=pairs.jsonl"]
        acting = ["total_episodes=16", "rollout_batch_size=8", "max_completion_length=24", "save_steps=0"]
        short = ["max_steps=2", "save_steps=0", "batch_size=4"]
        nothing = heed(folder / "small", "nothing", "offline", "algorithm=dpo", *common, *short)["mb"]
        heed(folder, "reward_whole", "reward", *common, *short, "shift_prompts=0")
        heed(folder, "reward_lora", "reward", *common, *short, "shift_prompts=0", *lora)
        found = {}
        for name, more, reward in (("models of their own", [], "reward_whole"), ("LoRA on one base", lora, "reward_lora")):
            found[f"PPO, {name}"] = heed(folder, f"ppo{len(more)}", "rl", "algorithm=ppo", *common, *acting,
                                         f"reward_model={reward}/model", *more)
            found[f"DPO, {name}"] = heed(folder, f"dpo{len(more)}", "offline", "algorithm=dpo", *common, *short, *more)
    print(f"with next to no model: {nothing:.0f} MB, taken off\n\n| | peak, MB | of the model | CPU-s |\n|---|---|---|---|")
    for name, one in found.items():
        one["mb"] -= nothing
        print(f"| {name} | {one['mb']:.0f} | {one['mb'] * 2**20 / (4 * size):.1f} x | {one['cpu']:.0f} |")
    ratios = {k: found[f"{k}, models of their own"]["mb"] / found[f"{k}, LoRA on one base"]["mb"] for k in ("PPO", "DPO")}
    print("\n" + ", ".join(f"{k}: {v:.1f} times less with LoRA" for k, v in ratios.items()))
    record("lora_memory", {"parameters": size, "rank": a.rank, "runs": found, "ratios": ratios})


if __name__ == "__main__":
    main()
