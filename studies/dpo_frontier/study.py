"""Reward against KL on the sentiment of film reviews (Rafailov et al. 2023, section 6, figure 2 left).

    python studies/dpo_frontier/study.py            runs what is missing, then writes README.md and frontier.png
    python studies/dpo_frontier/study.py --page     only writes the page

start.yaml makes the policy, the rankings and the reward model that all begin with (why_rl shares them), methods.yaml trains
every method at several strengths, with the same tokens.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from heed.evaluation.comparison import Comparison, told
from heed.evaluation.estimate import Estimate
from heed.evaluation.run_files import read_run
from heed.evaluation.words import duration, number, percent

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
import page  # noqa: E402  (the folder above is no package)

START = Path("runs/studies/imdb_start")
RUN = Path("runs/studies/dpo_frontier")
SOURCE = "Rafailov et al. 2023, figure 2 left"
INKS = {"DPO": "tab:orange", "PPO": "tab:blue", "PPO-GT": "tab:green", "unlikelihood": "tab:red", "preferred-FT": "tab:purple"}
CLAIMS = {
    "PPO": "DPO's frontier lies above PPO's with a learnt reward",
    "PPO-GT": "DPO's frontier lies above PPO's even with the true reward",
    "unlikelihood": "DPO's frontier lies above that of unlikelihood",
    "preferred-FT": "DPO's frontier lies above that of preferred-FT",
}
AT = (0.25, 0.5, 1, 2, 4, 8)  # nats at which the table reads the frontiers
HOW = (
    "A family's frontier, for each seed: its trainings and the start (no KL), joined by straight lines in the order of their "
    "KL in the plane of sqrt(KL) and gold, and of these lines the highest gold at no more than a given KL. Two families are "
    "compared by the mean height of their frontiers over sqrt(KL), from 0 to the furthest that both reach with every seed, "
    "seed by seed, with a t interval over seeds. KL is that of whole continuations to the start, in nats, estimated on the "
    "answers to held-out openings; gold is the mean log-odds of a good review by the classifier."
)

Points = Sequence[tuple[float, float]]  # (KL, gold) of a training each
Families = Mapping[str, Mapping[int, Points]]  # family: seed: its trainings


def run() -> None:
    """The start, then every training."""
    page.heed("run", "--config", str(HERE / "start.yaml"))
    page.heed("compare", "--config", str(HERE / "methods.yaml"))


def family(name: str) -> str:
    """`PPO-GT 0.2` is PPO-GT at 0.2."""
    return name.split(" ")[0]


def families(found: Comparison) -> dict[str, dict[int, list[tuple[float, float]]]]:
    """The trainings of each family and seed; a seed with which all of them failed is absent."""
    points: dict[str, dict[int, list[tuple[float, float]]]] = {}
    for m in found.methods:
        for seed, kl, gold in zip(m.seeds, m.kl, m.means, strict=True):
            points.setdefault(family(m.name), {}).setdefault(seed, []).append((max(kl, 0.0), gold))
    return points


def reach(*several: Mapping[int, Points]) -> float:
    """The furthest KL that all of these families reach with every seed: beyond, one of them would be a guess."""
    return min(max(kl for kl, _ in points) for one in several for points in one.values())


def frontier(points: Points, start: float, furthest: float) -> tuple[np.ndarray, np.ndarray]:
    """(sqrt(KL), the highest gold at no more than that) from the start to `furthest` nats."""
    ways, golds = zip(*sorted([(0.0, start), *((kl**0.5, gold) for kl, gold in points)]), strict=True)
    way = np.linspace(0, furthest**0.5, 201)
    return way, np.maximum.accumulate(np.interp(way, ways, golds))


def lead(a: Mapping[int, Points], b: Mapping[int, Points], start: Mapping[int, float]) -> tuple[Estimate, float]:
    """How much higher a's frontier lies than b's, in the mean up to the furthest that both reach, and how far that is."""
    seeds = sorted(a.keys() & b.keys())
    furthest = reach(*({s: one[s] for s in seeds} for one in (a, b)))
    heights = [[frontier(one[s], start[s], furthest)[1].mean() for s in seeds] for one in (a, b)]
    return page.paired(*heights), furthest


def claims(points: Families, start: Mapping[int, float]) -> list[page.Claim]:
    """DPO against each of the others; a family of which nothing is there has no line."""
    rows = []
    for other, says in CLAIMS.items():
        if points.get("DPO", {}).keys() & points.get(other, {}).keys():
            ahead, furthest = lead(points["DPO"], points[other], start)
            rows.append(page.Claim(SOURCE, says, f"{page.said(ahead)} higher, in the mean up to {number(furthest)} nats",
                                   page.above(ahead)))
    return rows


def at_distances(points: Families, start: Mapping[int, float]) -> str:
    """The frontiers read at a few distances."""
    rows = []
    for name, by_seed in points.items():
        cells = []
        for kl in AT:
            there = kl <= reach(by_seed)
            heights = [frontier(p, start[s], kl)[1][-1] for s, p in by_seed.items()] if there else []
            cells.append(page.said(page.estimate(heights)) if heights else "–")
        rows.append((name, number(reach(by_seed)), *cells))
    return page.table(("family", "reached by all seeds", *(f"{kl:g} nats" for kl in AT)), rows)


def trainings(found: Comparison) -> str:
    """Every method, in the recipe's order."""
    rows = []
    for m in found.methods:
        seconds = duration(sum(c.seconds for c in m.costs) / len(m.costs)) if m.costs else "–"
        kl = page.said(page.estimate(m.kl)) if m.kl else "–"
        failed = f"{len(m.means)}, {len(m.failures)} failed" if m.failures else len(m.means)
        rows.append((m.name, failed, kl, told(m.gold), told(m.proxy), told(m.win, share=True), seconds))
    head = ("method and strength", "trainings", "KL", "gold", "reward model", "preferred to the start", "time of one")
    return page.table(head, rows)


def examples(found: Comparison, count: int = 3) -> str:
    """What the start and the best training of each family make of the first openings."""
    best: dict[str, str] = {}
    for m in found.ranked:
        best.setdefault(family(m.name), m.name)
    stage = read_run(page.ROOT / RUN).stage(f"evaluate-s{found.start.seeds[0]}")
    rows = []
    for row in stage.samples[:count]:
        for name in (found.start.name, *best.values()):
            if name in row["completions"]:
                text = " ".join(row["completions"][name][0].split()).replace("|", "\\|")
                rows.append((" ".join(str(row["prompt"]).split()), name, text, number(row["gold"][name][0])))
    return page.table(("opening", "by", "continuation", "gold"), rows)


def figure(points: Families, start: Mapping[int, float], path: Path) -> None:
    """A colour a family, a point a training; a line the mean of the seeds' frontiers, as far as every seed reaches."""
    plt = page.pyplot()
    drawing, axes = plt.subplots(figsize=(8.5, 5.5), layout="constrained")
    for name, by_seed in points.items():
        ink = INKS.get(name, "black")
        kls, golds = zip(*(p for several in by_seed.values() for p in several), strict=True)
        axes.plot([kl**0.5 for kl in kls], golds, "o", color=ink, markersize=5, alpha=0.6, markeredgewidth=0)
        lines = [frontier(p, start[s], reach(by_seed)) for s, p in by_seed.items()]
        axes.plot(lines[0][0], np.mean([gold for _, gold in lines], axis=0), color=ink, label=name)
    ticks = [kl for kl in (0, 0.1, 0.5, 1, 2, 4, 8, 16, 32, 64) if kl**0.5 <= axes.get_xlim()[1]]
    axes.set_xticks([kl**0.5 for kl in ticks], [f"{kl:g}" for kl in ticks])
    axes.axhline(np.mean(list(start.values())), color="grey", linewidth=1, linestyle=":", label="start")
    axes.set(xlabel="KL to the start, nats a continuation (spaced as its root)", ylabel="gold: log-odds of a good review")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    drawing.savefig(path, dpi=80)
    plt.close(drawing)


def about(found: Comparison) -> str:
    """What was done, and how much of it."""
    label, reward = page.read(START / "label" / "summary.json") or {}, page.read(START / "reward" / "summary.json") or {}
    ran = sum(len(m.means) for m in found.methods)
    right = reward.get("eval_accuracy")
    accuracy = f" The reward model orders {percent(right['value'])} of held-out pairs as they were ranked." if right else ""
    return (
        f"The controlled sentiment task at a size for two cores: a model of film reviews (start.yaml) continues openings by "
        f"up to 32 tokens, {number(label.get('comparisons', 0))} openings with four continuations each were ranked by a "
        f"classifier of sentiment (with a little noise) that is also the true reward and the judge.{accuracy} "
        f"{ran} trainings of the same number of tokens in {len(found.methods)} conditions (methods.yaml), each judged on "
        f"{found.prompts} held-out openings. The paper's policy is GPT-2 large; PPO-GT is told the true reward, all others "
        f"only rankings, and the tokens that went into the reward model are nobody's."
    )


def write() -> None:
    """The page and its figure."""
    found = page.comparison(HERE / "methods.yaml")
    if found is None:
        sys.exit("nothing was evaluated yet: run the study without --page first")
    points, start = families(found), dict(zip(found.start.seeds, found.start.means, strict=True))
    figure(points, start, HERE / "frontier.png")
    failed = [f"{m.name}, seed {seed}: {why}" for m in found.methods for seed, why in sorted(m.failures.items())]
    page.write(HERE, "DPO, PPO and the reward they reach for their KL", about(found), claims(points, start),
               "![reward against KL](frontier.png)", "## How the frontiers are compared", HOW,
               "## Gold on the frontier", at_distances(points, start), "## Every condition", trainings(found),
               *(["## What failed", "\n".join(f"- {line}" for line in failed)] if failed else []),
               "## What they write", examples(found))


if __name__ == "__main__":
    page.main(__doc__, run, write)
