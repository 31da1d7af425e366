"""What every study does: run recipes that can be resumed, read their figures, and write a page of claims and verdicts.

A study is a folder with `study.py`, its recipes and a README.md that `study.py` writes whole, so that no figure on it was
typed by hand:

    python studies/kwise_batch/study.py            runs what is missing, then writes studies/kwise_batch/README.md
    python studies/kwise_batch/study.py --page     only writes the page, of what is there

A study finds this file by its own place: `sys.path.insert(0, str(Path(__file__).parents[1]))`.  Seal Bay's studies begin with
the SFT model and the reward model of `make demo`, which is run first where it is missing.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scipy import stats

from heed.evaluation.estimate import Estimate
from heed.evaluation.words import number

ROOT = Path(__file__).parents[1]
DEMO = Path("runs/seal_bay_ppo_1m")
REPRODUCED, NOT, UNCLEAR = "reproduced", "**not reproduced**", "unclear"


def estimate(values: Sequence[float]) -> Estimate:
    """Mean of one figure over trainings, with its 95 % t interval; None bounds for a single one."""
    values, n = [float(v) for v in values], len(values)
    mean = sum(values) / n
    if n == 1:
        return Estimate(mean, None, None, 1, "one training")
    low, high = stats.t.interval(0.95, n - 1, mean, stats.sem(values)) if len(set(values)) > 1 else (mean, mean)
    return Estimate(mean, float(low), float(high), n, "t over trainings")


def said(e: Estimate, per: str = "") -> str:
    """0.713 [0.699, 0.747]."""
    bounds = "" if e.low is None else f" [{number(e.low)}, {number(e.high)}]"
    return f"{number(e.value)}{per}{bounds}" + (" (one training)" if e.n == 1 else "")


def paired(a: Sequence[float], b: Sequence[float]) -> Estimate:
    """a less b, training by training (the same seed, the same data)."""
    return estimate([x - y for x, y in zip(a, b, strict=True)])


def above(difference: Estimate, zero: float = 0.0) -> str:
    """The verdict on the claim that a difference is above zero: by its whole interval, either way, or unclear."""
    if difference.low is None or difference.low <= zero <= difference.high:
        return UNCLEAR
    return REPRODUCED if difference.low > zero else NOT


@dataclass(frozen=True)
class Claim:
    """A line of a page."""

    source: str  # who says so, and where
    says: str
    found: str  # our figure, with its interval
    verdict: str


def heed(verb: str, *words: str) -> None:
    """`heed VERB ...` in a process of its own, from the repository's root; what is done is not done again."""
    env = {**os.environ, "OMP_NUM_THREADS": "1", "HEED_DATA": os.environ.get("HEED_DATA", "../shared/data")}
    env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT / "studies"), env.get("PYTHONPATH", "")]))
    command = [sys.executable, "-m", "heed", verb, *words]
    if subprocess.run(command, cwd=ROOT, env=env).returncode:
        sys.exit(f"heed {verb} {' '.join(words)} failed; the same command goes on where it stopped")


def demo() -> Path:
    """The folder of `make demo`, run first where its reward model is missing."""
    if not (ROOT / DEMO / "reward" / "summary.json").exists():
        heed("run", "--config", "recipes/seal_bay_ppo_1m.yaml")
    return ROOT / DEMO


def read(path: Path) -> dict[str, Any] | None:
    """A summary.json, or None where the run is not done."""
    path = ROOT / path
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def comparison(recipe: Path) -> Any:
    """What a recipe of `heed compare` has found by now (heed.evaluation.comparison.Comparison), or None."""
    from heed.config import make, read_recipe
    from heed.workflows import compare

    os.environ.setdefault("HEED_DATA", "../shared/data")  # recipes name it; nothing is read from it here
    settings = make(compare.Compare, read_recipe(recipe), str(recipe))
    settings = settings.model_copy(update={"output_dir": str(ROOT / compare.folder_of(settings))})
    if not any((compare.folder_of(settings) / f"evaluate-s{seed}" / "summary.json").exists() for seed in settings.seeds):
        return None
    return compare.read(settings)


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Rows of markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def pyplot() -> Any:
    """matplotlib.pyplot, drawing into files: nobody sits before a screen."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot

    return matplotlib.pyplot


def write(place: Path, title: str, about: str, claims: Sequence[Claim], *parts: str) -> None:
    """README.md of a study: what is claimed and what came out first, then tables and figures."""
    command = f"    python {place.relative_to(ROOT)}/study.py"
    rows = [(c.source, c.says, c.found, c.verdict) for c in claims]
    verdicts = table(("source", "claim", "here", "verdict"), rows)
    made = f"Written by study.py on {time.strftime('%Y-%m-%d')}; intervals are 95 %."
    text = "\n\n".join([f"# {title}", about.strip(), command, made, "## Claims", verdicts, *parts])
    (place / "README.md").write_text(text.rstrip() + "\n", encoding="utf-8")
    print(f"{place / 'README.md'}\n\n{verdicts}")


def main(doc: str, run: Callable[[], None], page: Callable[[], None]) -> None:
    """The command line of a study: run, then write the page."""
    p = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--page", action="store_true", help="only write the page, of what is there")
    if not p.parse_args().page:
        began = time.monotonic()
        run()
        print(f"{(time.monotonic() - began) / 60:.0f} minutes", file=sys.stderr)
    page()
