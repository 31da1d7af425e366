"""Scaling laws for reward model overoptimization (Gao, Schulman, Hilton 2022, arXiv 2210.10760), on Seal Bay.

    python studies/overoptimization/study.py            runs what is missing, then writes README.md and curves.png
    python studies/overoptimization/study.py --page     only writes the page

Trainings and samples are those of recipe.yaml beside this file, run by `heed run` into runs/studies/overoptimization.  Then
every reward model and the hidden judge score the pool of samples, once each (scores/*.json there), for best of n.
"""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from heed.evaluation.estimate import Estimate, wilson
from heed.evaluation.metrics.overoptimisation import best_of_n, overoptimisation
from heed.evaluation.metrics.preference import pairwise_accuracy
from heed.evaluation.metrics.scaling import GaoFit, gao_fit
from heed.evaluation.run_files import read_run
from heed.evaluation.words import number

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
import page  # noqa: E402  (the folder above is no package)

RUN = Path("runs/studies/overoptimization")
RECIPE = HERE / "recipe.yaml"
GOLD = "heed.language.datasets.seal_bay:gold"
SEEDS = (0, 1, 2)
SIZES = {"100": "100 rankings", "400": "400 rankings", "1600": "1,600 rankings", "6000": "6,000 rankings"}
SMALL = "1600-small"
CONDITIONS = {**SIZES, SMALL: "1,600 rankings, small model"}
FORMS = {"bon": "R = d (alpha - beta d)", "rl": "R = d (alpha - beta log d)"}
NS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 14, 16, 20, 24, 32, 40, 48, 64, 80, 96, 112, 128)
DESCRIBES = 0.8  # a share of variance, predicted on points that were left out, from which a form is said to describe a curve
SOURCE = "Gao et al. 2022"


@dataclass(frozen=True)
class Curve:
    """The way from the SFT model, which is the first point: over the steps of PPO, or over n."""

    kl: Sequence[float]  # nats a completion
    gold: Sequence[float]
    proxy: Sequence[float]
    width: int = 1  # points that its peak is a mean of

    @property
    def peak(self) -> float:
        """Gold at its best stretch of `width` points: the best single step of a training would be half noise."""
        return float(np.convolve(self.gold, np.full(self.width, 1 / self.width), "valid").max())


Curves = Mapping[str, Sequence[Curve]]  # condition: a curve a training, or a reward model


def run() -> None:
    """All stages and scores that are missing."""
    os.environ["OMP_NUM_THREADS"] = "1"  # of the processes below
    page.demo()
    page.heed("run", "--config", str(RECIPE))
    missing = [name for name in ("gold", *reward_models()) if not place_of(name).exists()]
    with ProcessPoolExecutor(2) as processes:
        for name in processes.map(score, missing):
            print(f"scored by {name}", flush=True)


def reward_models() -> dict[str, Path]:
    """name: directory of every reward model; the one of 6,000 rankings is the demo's."""
    own = {f"{c}-s{s}": page.ROOT / RUN / f"reward-{c}-s{s}" / "model" for c in CONDITIONS if c != "6000" for s in SEEDS}
    return {**own, "6000-s0": page.ROOT / page.DEMO / "reward" / "model"}


def place_of(name: str) -> Path:
    """Where the scores of the pool by a reward model, or by `gold`, are kept: a list a request."""
    return page.ROOT / RUN / "scores" / f"{name}.json"


def score(name: str) -> str:
    """Has a reward model, or the hidden judge, score the pool."""
    from heed.config import resolve_function
    from heed.language.reward import FunctionReward
    from heed.workflows.choosing import RewardModels
    from heed.workflows.label import read_samples

    pool = read_samples(str(page.ROOT / RUN / "pool" / "samples.jsonl"))
    if name == "gold":
        judge = FunctionReward(resolve_function(GOLD), GOLD)
        scores = [judge(None, [c.prompt] * len(c.candidates), [a.text for a in c.candidates]) for c in pool]
    else:
        scores = RewardModels([str(reward_models()[name])]).means(pool)
    path = place_of(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".part").write_text(json.dumps(scores))
    path.with_suffix(".part").rename(path)  # whole or not there
    return name


@dataclass(frozen=True)
class Pool:
    """What best of n says: curves, how often each reward model is right, and SFT's mean and spread under each judge."""

    curves: Curves
    accuracy: Mapping[str, Sequence[float]]
    scale: Mapping[str, Sequence[tuple[float, float]]]  # condition: (shift, factor) that puts a proxy on gold's scale
    requests: int
    samples: int


def read_pool() -> Pool:
    """Best of n by every reward model."""
    gold = json.loads(place_of("gold").read_text())
    there = {c: [path for name in reward_models() if name.rpartition("-s")[0] == c and (path := place_of(name)).exists()]
             for c in CONDITIONS}
    there = {c: paths for c, paths in there.items() if paths}
    found: dict[str, dict[str, list]] = {kind: {c: [] for c in there} for kind in ("curves", "accuracy", "scale")}
    ns = [n for n in NS if n <= len(gold[0])]
    for condition, path in ((c, path) for c, paths in there.items() for path in paths):
        proxy = json.loads(path.read_text())
        best = [best_of_n(proxy, gold, n) for n in ns]
        curve = Curve([b.kl for b in best], [b.gold.value for b in best], [b.proxy.value for b in best])
        found["curves"][condition].append(curve)
        found["accuracy"][condition].append(accuracy(proxy, gold).value)
        factor = np.std(gold) / np.std(proxy)
        found["scale"][condition].append((float(np.mean(gold) - factor * np.mean(proxy)), float(factor)))
    return Pool(**found, requests=len(gold), samples=len(gold[0]))


def accuracy(proxy: Sequence[Sequence[float]], gold: Sequence[Sequence[float]]) -> Estimate:
    """How often a reward model orders two answers of the pool, every other one with its neighbour, as the judge does."""
    pairs = [(i, *((p, q) if a > b else (q, p))) for i, (ps, gs) in enumerate(zip(proxy, gold, strict=True))
             for p, q, a, b in zip(ps[::2], ps[1::2], gs[::2], gs[1::2], strict=False) if a != b]
    return pairwise_accuracy([p for _, p, _ in pairs], [q for _, _, q in pairs], [i for i, _, _ in pairs])


def read_rl() -> Curves:
    """The curves of the conditions of which every PPO training is done."""
    stages = {stage.name: stage for stage in read_run(page.ROOT / RUN).stages if stage.summary}
    names = ("objective/kl", "objective/gold", "objective/scores")
    return {c: [Curve(*(stages[f"ppo-{c}-s{s}"].curve(name)[1] for name in names), width=3) for s in SEEDS]
            for c in CONDITIONS if all(f"ppo-{c}-s{s}" in stages for s in SEEDS)}


def fit(curves: Sequence[Curve], form: str, start: float) -> GaoFit:
    """A form through the points of several trainings, counted from SFT's gold; the first point is SFT itself."""
    kl, gold = ([x for c in curves for x in getattr(c, name)[1:]] for name in ("kl", "gold"))
    return gao_fit(kl, gold, form, start=start)


def start_of(curves: Curves) -> float:
    """SFT's gold: the mean of all first points."""
    return float(np.mean([c.gold[0] for several in curves.values() for c in several]))


def claims(bon: Curves, rl: Curves) -> list[page.Claim]:
    """The paper's claims and what came out."""
    both = (("RL", rl), ("best of n", bon))
    return [*turns(rl), *(forms(curves, form) for form, curves in (("bon", bon), ("rl", rl))),
            *(more_data(curves, name) for name, curves in both if len(SIZES.keys() & curves.keys()) > 1),
            *(larger(curves, name) for name, curves in both if {"1600", SMALL} <= curves.keys()), distances(bon, rl)]


def turns(rl: Curves) -> list[page.Claim]:
    """Gold rises, then falls, while the proxy rises on."""
    every, start = [c for several in rl.values() for c in several], start_of(rl)
    rise = page.estimate([c.peak - start for c in every])
    gamed = sum(overoptimisation(c.gold, c.proxy).verdict == "gamed" for c in every)
    low, high = wilson(gamed / len(every), len(every))
    return [page.Claim(f"{SOURCE}, 3.1", "RL without a KL penalty: gold rises at first",
                       f"{page.said(rise)} at the peak over SFT", page.above(rise)),
            page.Claim(f"{SOURCE}, 3.1", "and then falls while the proxy rises on", f"so in {gamed} of {len(every)} trainings",
                       page.above(Estimate(gamed / len(every), low, high, len(every), "Wilson"), 0.5))]


def forms(curves: Curves, form: str) -> page.Claim:
    """A form describes gold over d along most ways, each fitted by itself, of those on which a turnover was seen."""
    start = start_of(curves)
    fits = [fit([c], form, start) for several in curves.values() for c in several]
    seen = [f for f in fits if not f.refused and max(f.fitted) > start]  # where gold only falls there was no peak to turn at
    found = f"no turnover on {len(fits) - len(seen)} of {len(fits)} ways" if len(seen) < len(fits) else ""
    verdict = page.UNCLEAR
    if seen:
        well = sum(f.r2_held_out >= DESCRIBES for f in seen)
        low, high = wilson(well / len(seen), len(seen))
        verdict = page.above(Estimate(well / len(seen), low, high, len(seen), "Wilson"), 0.5)
        worst, best = (pick(f.r2_held_out for f in seen) for pick in (min, max))
        found = (f"{well} of {len(seen)} ways (R² {worst:.2f} to {best:.2f} on points left out)"
                 + (f"; {found}" if found else ""))
    which = "best of n" if form == "bon" else "RL"
    return page.Claim(f"{SOURCE}, 3.1", f"{FORMS[form]} describes most ways of {which} (R² >= {DESCRIBES})", found, verdict)


def peaks(curves: Curves, condition: str) -> list[float]:
    """Of every training; the one reward model of a condition stands beside each of another's."""
    found = [c.peak for c in curves[condition]]
    return found * len(SEEDS) if len(found) == 1 else found


def more_data(curves: Curves, name: str) -> page.Claim:
    """Peak gold over data sizes: the most against the fewest decides, and no step may go down for sure."""
    sizes = [c for c in SIZES if c in curves]
    steps = [page.paired(peaks(curves, b), peaks(curves, a)) for a, b in pairwise(sizes)]
    whole = page.paired(peaks(curves, sizes[-1]), peaks(curves, sizes[0]))
    verdict = page.above(whole)
    if verdict == page.REPRODUCED and any(s.value <= 0 for s in steps):
        verdict = page.NOT if any(page.above(s) == page.NOT for s in steps) else page.UNCLEAR
    return page.Claim(f"{SOURCE}, 3.3", f"more data, higher peak of gold: {name}",
                      f"{SIZES[sizes[-1]]} over {sizes[0]}: {page.said(whole)}; by step "
                      + ", ".join(number(s.value) for s in steps), verdict)


def larger(curves: Curves, name: str) -> page.Claim:
    """Peak gold over the two sizes of reward model."""
    more = page.paired(peaks(curves, "1600"), peaks(curves, SMALL))
    return page.Claim(f"{SOURCE}, 3.2", f"a larger reward model, higher peak of gold: {name}",
                      f"by {page.said(more)} than the small one's", page.above(more))


def distances(bon: Curves, rl: Curves) -> page.Claim:
    """sqrt(KL) of RL less that of best of n, where both have half the gain of the lower peak, by their fitted curves."""
    found, left_out = [], 0
    for condition in (c for c in rl if c in bon):
        chosen = list(bon[condition]) * (len(rl[condition]) if len(bon[condition]) == 1 else 1)
        for one, other in zip(chosen, rl[condition], strict=False):
            ways = [rising(fit([c], form, start), start) for c, form, start in (
                (one, "bon", start_of(bon)), (other, "rl", start_of(rl)))]
            level = 0.5 * min(gain[-1] for _, gain in ways)
            if level <= 0:
                left_out += 1
            else:
                b, r = (float(np.interp(level, gain, d)) for d, gain in ways)
                found.append(r - b)
    says = "RL is further in sqrt(KL) than best of n at the same gain of gold"
    if not found:
        return page.Claim(f"{SOURCE}, 3.5", says, "no gain to compare at", page.UNCLEAR)
    more = page.estimate(found)
    rest = f"; {left_out} pairs without a gain left out" if left_out else ""
    return page.Claim(f"{SOURCE}, 3.5", says, f"{page.said(more)} over {len(found)} pairs{rest}", page.above(more))


def rising(f: GaoFit, start: float) -> tuple[list[float], list[float]]:
    """(d, gain) of a fitted curve from SFT to its top."""
    d, gain = [0.0, *f.d], [0.0, *(g - start for g in f.fitted)]
    top = int(np.argmax(gain)) + 1
    return d[:top], gain[:top]


def write() -> None:
    """README.md and its figure."""
    pool, rl = read_pool(), read_rl()
    draw(pool, rl, HERE / "curves.png")
    trainings, furthest = sum(map(len, rl.values())), max(c.kl[-1] for several in pool.curves.values() for c in several) ** 0.5
    steps = max(len(c.kl) for several in rl.values() for c in several)
    missing = [CONDITIONS[c] for c in CONDITIONS if c not in rl]
    unrun = [f"Not run yet: PPO against reward models from {', '.join(missing)}."] if missing else []
    page.write(
        HERE, "Overoptimisation of reward models", f"""
A reward model is right only near what it has seen.  Policies are taken further and further from the SFT model of `make demo`
(about a million parameters) against reward models made from 100 to 6,000 noisy rankings of four answers, and one of a fifth
of the size, while the hidden judge looks on: {trainings} trainings of PPO without a KL penalty ({steps} steps of 256 answers),
and best of n out of {pool.samples} answers to each of {pool.requests} requests, by the unbiased estimator, at KL = log n -
(n - 1) / n.  No reward model was trained on these requests.  There are three reward models of each kind, each from other
rankings, but only one from 6,000 (the demo's): its three trainings of PPO differ in the policy's seed alone.  d is sqrt(KL),
R gold's gain over SFT; fits are refused where no turnover was seen.  The claims are about each training's way, or each
reward model's, by itself; a fit in the tables goes through all points of its row, whose ways lie apart, and its R² shows it.
A peak of PPO is the mean of three steps.  Gao et al. have reward models of 3 million to 3 billion parameters and n up to
60,000 (d = 3.2); here best of n ends at d = {furthest:.1f}.
""", claims(pool.curves, rl), *unrun,
        "## PPO", fits_table(rl, "rl"), "## Best of n", fits_table(pool.curves, "bon"),
        "## Reward models", models_table(pool),
        "![gold and proxy over sqrt(KL)](curves.png)", "Gold solid, proxy dashed; means over trainings.  A proxy is shifted "
        "and stretched so that SFT's answers have gold's mean and spread.",
    )


def fits_table(curves: Curves, form: str) -> str:
    """Gold's peak and the fit of each condition."""
    rows, start, other = [], start_of(curves), {"bon": "rl", "rl": "bon"}[form]
    for condition, several in curves.items():
        f, g = (fit(several, name, start) for name in (form, other))
        gold = [page.said(page.estimate(values)) for values in ([c.peak for c in several], [c.gold[-1] for c in several])]
        said = ["refused: no turnover"] * 3 if f.refused else [page.said(x) for x in (f.alpha, f.beta, f.peak)]
        rows.append([CONDITIONS[condition], *gold, *said, f"{f.r2_held_out:.2f}", f"{g.r2_held_out:.2f}"])
    head = ("reward model from", f"gold at its peak (SFT: {number(start)})", "at the end", "alpha", "beta", "d at the peak",
            "R² left out", "R² of the other form")
    return page.table(head, rows)


def models_table(pool: Pool) -> str:
    """How often the reward models are right about the pool."""
    rows = [[CONDITIONS[c], len(values), page.said(page.estimate(values))] for c, values in pool.accuracy.items()]
    return page.table(("reward model from", "models", "orders two answers as the judge does"), rows)


def draw(pool: Pool, rl: Curves, path: Path) -> None:
    """Gold and proxy over d: best of n, then RL."""
    plt = page.pyplot()
    figure, panels = plt.subplots(1, 2, figsize=(13, 5), layout="constrained")
    colours = dict(zip(CONDITIONS, [*plt.cm.viridis(np.linspace(0.85, 0, len(SIZES))), "tab:red"], strict=True))
    for axes, curves, title in zip(panels, (pool.curves, rl), ("best of n", "PPO without a KL penalty"), strict=True):
        for condition, several in ((c, several) for c, several in curves.items() if c in pool.scale):
            scale = list(pool.scale[condition]) * (len(several) if len(pool.scale[condition]) == 1 else 1)
            proxies = [[a + b * p for p in c.proxy] for c, (a, b) in zip(several, scale, strict=False)]
            d = np.sqrt(np.maximum(over([c.kl for c in several]), 0))
            axes.plot(d, over([c.gold for c in several]), color=colours[condition], label=CONDITIONS[condition])
            axes.plot(d, over(proxies), color=colours[condition], linestyle="--", alpha=0.7)
        axes.axhline(start_of(curves), color="grey", linewidth=0.8)
        axes.set(title=title, xlabel="d = sqrt(KL)", ylabel="judge's score (proxy on the same scale)")
        axes.legend(fontsize=8)
    figure.savefig(path, dpi=80)
    plt.close(figure)


def over(values: Sequence[Sequence[float]]) -> np.ndarray:
    """Means over trainings, point by point, as far as all of them go."""
    return np.mean([v[: min(map(len, values))] for v in values], axis=0)


if __name__ == "__main__":
    page.main(__doc__, run, write)
