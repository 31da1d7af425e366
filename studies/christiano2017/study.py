"""Christiano et al. 2017 again: agents that learn from answers against the same agents on the true reward.

    python studies/christiano2017/study.py --tasks HalfCheetah --conditions rl 700 --seeds 5 --jobs 2
    python studies/christiano2017/study.py --table --figure curves.png

Each (task, condition, seed) is one `heed control` in a process of its own, below --runs; what is done is not done again,
what was killed goes on.  The table is made of what is there.
"""

import argparse
import json
import shlex
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml
from scipy import stats

HERE = Path(__file__).parent
TASKS = yaml.safe_load((HERE / "tasks.yaml").read_text())
CONDITIONS = {
    "rl": {"reward": "true"},
    "350": {"labels": 350},
    "700": {"labels": 700},
    "1400": {"labels": 1400},
    "mistakes": {"labels": 700, "teacher": "mistake"},  # a tenth of the answers flipped
    "disagreement": {"labels": 700, "query": "disagreement"},
    "one_member": {"labels": 700, "members": 1},
    "offline": {"labels": 700, "online": False},  # everything asked about the random policy
    "one_step": {"labels": 700, "clip_steps": 1},  # segments of a single frame
    "no_l2": {"labels": 700, "l2": 0.0, "adapt_l2": False},
    "scores": {"labels": 700, "answers": "scores"},  # told what each clip is worth, in numbers
}


def command(task, condition, seed, place, more):
    """The command line of one run."""
    settings = {"env": task, **TASKS[task], **CONDITIONS[condition]}
    if "labels" in TASKS[task] and condition == "700":
        settings["labels"] = TASKS[task]["labels"]
    words = [f"{k}={v}" for k, v in settings.items()] + [*more, f"seed={seed}", f"output_dir={place}"]
    return [sys.executable, "-m", "heed", "control", *words]


def summary(place):
    """The final figures of a run, or None."""
    path = place / "summary.json"
    return json.loads(path.read_text()) if path.exists() else None


def table(runs):
    """Rows of markdown: each condition against RL on the true reward, seed by seed."""
    rows = ["| task | condition | seeds | true return: mean (each) | of RL: mean | worst | CPU-s | step / segment |",
            "|---|---|---|---|---|---|---|---|"]
    for task in TASKS:
        found = {c: {int(p.name): s for p in sorted((runs / task / c).glob("[0-9]*")) if (s := summary(p))} for c in CONDITIONS}
        yard = [s["true_return"] for s in found["rl"].values()]
        for condition, by_seed in found.items():
            if not by_seed:
                continue
            returns = [s["true_return"] for s in by_seed.values()]
            share = [r / statistics.mean(yard) for r in returns] if yard and statistics.mean(yard) > 0 else []
            ones = list(by_seed.values())
            said = [statistics.mean(s.get(f"reward/correlation_{k}", float("nan")) for s in ones) for k in ("step", "segment")]
            rows.append(f"| {task} | {condition} | {len(ones)} | {statistics.mean(returns):.1f} "
                        f"({', '.join(f'{r:.4g}' for r in returns)}) | "
                        + (f"{100 * statistics.mean(share):.0f} % | {100 * min(share):.0f} %" if share else "- | -")
                        + f" | {statistics.mean(s['cpu_seconds'] for s in ones):.0f} | "
                        + (f"{said[0]:.2f} / {said[1]:.2f} |" if condition != "rl" else "- |"))
    return "\n".join(rows)


ABLATIONS = ("disagreement", "one_member", "offline", "one_step", "no_l2", "scores", "mistakes")


def paired(runs):
    """Each ablation less the default, seed by seed: mean, 95 % interval (t), in how many seeds it is lower, sign test."""
    rows = ["| task | instead of 700 comparisons | seeds | difference of returns | lower in | sign test p |",
            "|---|---|---|---|---|---|"]
    for task in TASKS:
        for condition in ABLATIONS:
            both = [(s["true_return"], d["true_return"]) for p in sorted((runs / task / condition).glob("[0-9]*"))
                    if (s := summary(p)) and (d := summary(runs / task / "700" / p.name))]
            if len(both) < 2:
                continue
            found = [a - b for a, b in both]
            low, high = stats.t.interval(0.95, len(found) - 1, statistics.mean(found), stats.sem(found))
            lower = sum(d < 0 for d in found)
            p = stats.binomtest(lower, len(found), alternative="greater").pvalue
            rows.append(f"| {task} | {condition} | {len(found)} | {statistics.mean(found):.0f} [{low:.0f}, {high:.0f}] | "
                        f"{lower} of {len(found)} | {p:.3f} |")
    return "\n".join(rows)


def curves(runs, path):
    """True return over steps, a panel a task, a line a seed: what a mean hides."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    shown = {"rl": "black", "700": "tab:blue", "1400": "tab:cyan", "mistakes": "tab:red", "offline": "tab:orange",
             "one_step": "tab:green"}
    tasks = [task for task in TASKS if any((runs / task).glob("*/[0-9]*/metrics.jsonl"))]
    if not tasks:
        return
    figure, panels = plt.subplots(-(-len(tasks) // 3), min(3, len(tasks)), squeeze=False, figsize=(5 * min(3, len(tasks)),
                                  3.4 * -(-len(tasks) // 3)), layout="constrained")
    for panel in panels.flat[len(tasks):]:
        panel.axis("off")
    for panel, task in zip(panels.flat, tasks, strict=False):
        panel.set(title=task, xlabel="million steps of the environment")
        for condition, colour in shown.items():
            for i, place in enumerate(sorted((runs / task / condition).glob("[0-9]*/metrics.jsonl"))):
                rows = [row for row in map(json.loads, place.read_text().splitlines()) if "true/return" in row]
                panel.plot([r["steps"] / 1e6 for r in rows], [r["true/return"] for r in rows], color=colour, alpha=0.7,
                           linewidth=1, label=condition if i == 0 else None)
        panel.legend(fontsize=7)
    figure.supylabel("true return, chance included")
    figure.savefig(path, dpi=80)


def main():
    """Run what is missing, then print the tables."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--tasks", nargs="+", choices=TASKS, default=["HalfCheetah"])
    p.add_argument("--conditions", nargs="+", choices=CONDITIONS, default=["rl", "700"])
    p.add_argument("--seeds", type=int, default=5)
    p.add_argument("--first-seed", type=int, default=0)
    p.add_argument("--jobs", type=int, default=1, help="runs side by side, one core each")
    p.add_argument("--runs", type=Path, default=Path("runs/christiano2017"))
    p.add_argument("--before", default="", help="put before each command, as in 'nice -n 10'")
    p.add_argument("--set", nargs="*", default=[], help="further settings, key=value")
    p.add_argument("--table", action="store_true", help="only print the tables")
    p.add_argument("--figure", type=Path, help="draw true return over steps of all that is there, every seed, into this file")
    a = p.parse_args()

    def one(job):
        task, condition, seed = job
        place = a.runs / task / condition / str(seed)
        if summary(place) is None:
            place.parent.mkdir(parents=True, exist_ok=True)
            with (place.parent / f"{seed}.log").open("a") as log:
                words = shlex.split(a.before) + command(task, condition, seed, place, a.set)
                code = subprocess.run(words, stdout=log, stderr=log).returncode
            found = summary(place)
            said = f"true return {found['true_return']:.1f}" if found else f"failed with {code}, see {place}.log"
            print(f"{task} {condition} {seed}: {said}", flush=True)

    if not a.table:
        jobs = [(t, c, s) for s in range(a.first_seed, a.first_seed + a.seeds) for t in a.tasks for c in a.conditions]
        with ThreadPoolExecutor(a.jobs) as pool:
            list(pool.map(one, jobs))
    print(table(a.runs) + "\n\n" + paired(a.runs))
    if a.figure:
        curves(a.runs, a.figure)


if __name__ == "__main__":
    main()
