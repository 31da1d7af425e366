"""Sampling speed: heed's static-cache engine beside transformers' `generate`, in turn, in one process, on one thread.

    python benchmarks/rollout.py                     # both models, all workloads, about three minutes
    python benchmarks/rollout.py --models 1M --repeats 3

CPU-seconds are medians over the repeats; tokens are those of the completions, without prompts and padding.
heed also returns the log-probability of every token, which `generate` here does not.  Prints a table and appends one
JSON line to benchmarks/results/rollout.jsonl.
"""

import argparse
import copy
import platform
from collections.abc import Callable
from statistics import median
from time import perf_counter, process_time

import torch
import transformers
from record import record
from torch import Tensor
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

from heed.language.engines.static_cache import StaticCacheEngine
from heed.protocols import Sampling

PAD = 0
ROWS, PROMPT, ANSWER = 32, 64, 64
MODELS = {"1M": (128, 336, 4, 1024), "5M": (256, 704, 8, 4096)}  # width, MLP, heads, vocabulary; four layers


def build(name: str) -> LlamaForCausalLM:
    """A random Llama of the size `name`; its speed is that of a trained one."""
    width, mlp, heads, vocabulary = MODELS[name]
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=mlp,
        num_hidden_layers=4,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        max_position_embeddings=1024,
        pad_token_id=PAD,
        bos_token_id=1,
        eos_token_id=2,
    )
    return LlamaForCausalLM(config).eval()


def reference(model: LlamaForCausalLM, prompts: Tensor, eos: list[int], most: int) -> Callable[[], int]:
    """transformers' own loop over batches of ROWS."""
    config = GenerationConfig(
        do_sample=True, top_k=0, top_p=1.0, temperature=1.0, max_new_tokens=most, eos_token_id=eos or None, pad_token_id=PAD
    )

    def run() -> int:
        count = 0
        for ids in prompts.split(ROWS):
            with torch.no_grad():
                out = model.generate(ids, attention_mask=torch.ones_like(ids), generation_config=config)
            ended = torch.isin(out[:, ids.shape[1] :], torch.tensor(eos, dtype=torch.long)).int()
            count += int((ended.cumsum(1) - ended == 0).sum())  # up to and with the first end
        return count

    return run


def heeds(
    model: LlamaForCausalLM, prompts: Tensor, eos: list[int], most: int, samples: int, dtype: torch.dtype | None
) -> Callable[[], int]:
    """The static-cache engine with as many slots as the reference has rows."""
    engine = StaticCacheEngine(model, eos_token_id=eos, pad_token_id=PAD, slots=ROWS, autocast=dtype)
    rows = prompts[::samples].tolist()
    sampling = Sampling(n=samples, max_tokens=most)
    return lambda: sum(len(c.tokens) for row in engine.generate(rows, sampling) for c in row)


def workloads(name: str) -> dict[str, dict[str, Callable[[], int]]]:
    """workload -> contender -> one run, which returns the number of tokens made."""
    model = build(name)
    half = copy.deepcopy(model).to(torch.bfloat16)
    half.set_attn_implementation("eager")  # the quickest of transformers' in bfloat16 on a CPU
    generator = torch.Generator().manual_seed(1)
    many = torch.randint(3, MODELS[name][3], (4 * ROWS, PROMPT), generator=generator)
    one, shared = many[:ROWS], many[: ROWS // 8].repeat_interleave(8, 0)
    bf16 = torch.bfloat16

    # One in 40 ids ends a completion, and random weights choose among all alike: geometric lengths around 40.
    ends = list(range(3, 3 + MODELS[name][3] // 40))

    def contenders(prompts: Tensor, samples: int, eos: list[int], most: int) -> dict[str, Callable[[], int]]:
        return {
            "transformers fp32": reference(model, prompts, eos, most),
            "heed fp32": heeds(model, prompts, eos, most, samples, None),
            "transformers bf16": reference(half, prompts, eos, most),
            "heed bf16": heeds(model, prompts, eos, most, samples, bf16),
        }

    return {
        f"{ROWS} prompts, {PROMPT}+{ANSWER}": contenders(one, 1, [], ANSWER),
        f"{ROWS // 8} prompts x 8, {PROMPT}+{ANSWER}": contenders(shared, 8, [], ANSWER),
        f"{4 * ROWS} prompts, {PROMPT}+ geometric lengths around 40, at most 256": contenders(many, 1, ends, 256),
    }


def measure(contenders: dict[str, Callable[[], int]], repeats: int) -> dict[str, dict[str, float]]:
    """Medians after a warm-up, the contenders in turn, so that a busy minute of the machine hits all of them."""
    seen: dict[str, list[tuple[float, float, float]]] = {name: [] for name in contenders}
    for repeat in range(repeats + 1):
        for name, run in contenders.items():
            cpu, wall = process_time(), perf_counter()
            tokens = run()
            cpu, wall = process_time() - cpu, perf_counter() - wall
            if repeat:
                seen[name].append((cpu, wall, tokens / cpu))
    keys = ("cpu_seconds", "wall_seconds", "tokens_per_cpu_second")
    return {name: dict(zip(keys, map(median, zip(*rows, strict=True)), strict=True)) for name, rows in seen.items()}


def machine() -> dict[str, float | str]:
    """What this machine can do at best, measured now: GFLOP/s of a matrix product, GB/s of a long read."""

    def best(work: Callable[[], object]) -> float:
        times = []
        for _ in range(10):
            start = process_time()
            work()
            times.append(process_time() - start)
        return min(times)

    a, long = torch.randn(1024, 1024), torch.randn(2**25)
    half = a.bfloat16()
    return {
        "cpu": platform.processor() or platform.machine(),
        "fp32_gflops": round(2 * 1024**3 / best(lambda: a @ a) / 1e9),
        "bf16_gflops": round(2 * 1024**3 / best(lambda: half @ half) / 1e9),
        "read_gb_per_s": round(long.nbytes / best(long.sum) / 1e9),
    }


def main() -> None:
    """Measure, print, append."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default=",".join(MODELS), help="which of 1M, 5M")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    figures = {
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "repeats": options.repeats,
        "machine": machine(),
        "results": {},
    }
    print(figures["machine"])
    for name in options.models.split(","):
        for workload, contenders in workloads(name).items():
            found = measure(contenders, options.repeats)
            figures["results"][f"{name}: {workload}"] = found
            print(f"\n{name}: {workload}")
            for contender, row in found.items():
                rate = row["tokens_per_cpu_second"]
                same = rate / found[f"transformers {contender.split()[1]}"]["tokens_per_cpu_second"]
                default = rate / found["transformers fp32"]["tokens_per_cpu_second"]
                print(
                    f"  {contender:18s} {row['cpu_seconds']:7.3f} CPU-s {row['wall_seconds']:7.3f} s {rate:8.0f}"
                    f" tokens/CPU-s {same:6.2f}x in its precision {default:6.2f}x transformers' default"
                )
    record("rollout", figures)


if __name__ == "__main__":
    main()
