"""Two processes on this machine train as one does; a process alone knows nothing of others."""

import json
import subprocess
import sys

import torch

from heed.training.distributed import Ranks, join


def command(data, base, out, processes):
    words = [f"model={base}", f"dataset={data['demonstrations']}", f"output_dir={out}", "max_steps=3", "batch_size=5",
             "micro_batch=2", "max_length=80", "learning_rate=0.01", f"processes={processes}"]
    return [sys.executable, "-m", "heed", "sft", *words]


def rows(out):
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def test_two_processes_give_the_losses_of_one(data, base, tmp_path):
    """An odd batch, so that the two have rows of different number and length."""
    from heed.cli import main

    main(command(data, base, tmp_path / "one", 1)[3:])
    found = subprocess.run(command(data, base, tmp_path / "two", 2), capture_output=True, text=True, timeout=300)
    assert found.returncode == 0, found.stderr
    one, two = rows(tmp_path / "one"), rows(tmp_path / "two")
    assert [r["step"] for r in one] == [r["step"] for r in two]
    for a, b in zip(one, two, strict=True):
        for name in set(a) - {"seconds", "units_per_second"}:
            assert abs(a[name] - b[name]) < 1e-5 * max(1, abs(a[name])), f"{name} at step {a['step']}"
    assert found.stdout.count("demonstrations") == 1, "only the first process speaks"


def test_one_process_is_no_group(tmp_path):
    ranks = join("sft", "", str(tmp_path / "never"), 1)
    assert ranks == Ranks() and ranks.first and not (tmp_path / "never").exists()
    assert ranks.add(1.5, 2.0) == [1.5, 2.0]
    assert not torch.distributed.is_initialized()


def test_shares_cover_everything_once():
    index = torch.arange(11)
    parts = [Ranks(r, 3).share(index).tolist() for r in range(3)]
    assert sorted(i for p in parts for i in p) == list(range(11)) and max(map(len, parts)) - min(map(len, parts)) <= 1
