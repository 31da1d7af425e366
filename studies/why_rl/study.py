"""Why reinforcement learning, and not supervised learning on the ranked answers?  On three tasks.

    python studies/why_rl/study.py            runs what is missing, then writes README.md and win_rates.png
    python studies/why_rl/study.py --page     only writes the page

Seal Bay (seal_bay.yaml, from `make demo`), the sentiment of film reviews (imdb.yaml, from dpo_frontier's start) and stories
(stories.yaml, from a pretrained model of 260K parameters): the same rankings, the same tokens a training, five seeds.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from heed.evaluation.comparison import Comparison, Method
from heed.evaluation.comparison_page import row
from heed.evaluation.estimate import Estimate
from heed.evaluation.words import percent

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
import page  # noqa: E402  (the folder above is no package)

TASKS = {"Seal Bay": "seal_bay", "film reviews": "imdb", "stories": "stories"}
RUNS = Path("runs/studies/why_rl")
IMDB_START = page.ROOT / "studies" / "dpo_frontier" / "start.yaml"
EVEN, HARDLY_WORSE = 0.5, 0.45  # preferred in so many of the pairs: better than it; at most five points worse
INKS = {"reinforcement": "tab:green", "direct": "tab:orange", "imitation": "tab:purple", "decoding": "tab:gray"}


@dataclass(frozen=True)
class Contest:
    """A claim that one method's answers are preferred to another's, in more than `least` of the pairs."""

    source: str
    says: str
    ours: str
    theirs: str
    least: float = EVEN


CONTESTS = (
    Contest("Stiennon et al. 2020, figure 1", "RL beats supervised learning on the best answers at an equal budget",
            "PPO", "best answers"),
    Contest("Rafailov et al. 2023, section 6", "DPO beats supervised learning on the best answers", "DPO", "best answers"),
    Contest("Xu et al. 2024 (2404.10719)", "PPO beats DPO", "PPO", "DPO"),
    Contest("Ahmadian et al. 2024 (2402.14740)", "RLOO beats PPO", "RLOO", "PPO"),
    Contest("Guo et al. 2024 (2402.04792)", "DPO on its own samples beats DPO on the rankings", "online DPO", "DPO"),
    Contest("Ethayarajh et al. 2024 (2402.01306)", "KTO is as good as DPO (at most 5 points worse)", "KTO", "DPO",
            HARDLY_WORSE),
    Contest("Gao et al. 2022; Beirami et al. 2024", "best of 16 at inference is as good as RL (at most 5 points worse)",
            "best of 16", "PPO", HARDLY_WORSE),
    Contest("Gao et al. 2022, section 2", "RL on the true reward beats RL on a learnt one", "RLOO-GT", "RLOO"),
)
CHEAP = ("Rafailov et al. 2023, abstract", "direct methods are cheaper: DPO trains faster than PPO on as many tokens")


def run() -> None:
    """What the tasks begin with, then the three comparisons."""
    page.demo()
    page.heed("run", "--config", str(IMDB_START))
    for name in TASKS.values():
        page.heed("compare", "--config", str(HERE / f"{name}.yaml"))


def claims(tasks: Mapping[str, Comparison]) -> list[page.Claim]:
    """Each claim on each task that has both of its methods."""
    rows = [judged(contest, task, found.matrix[contest.ours, contest.theirs]) for contest in CONTESTS
            for task, found in tasks.items() if (contest.ours, contest.theirs) in found.matrix]
    return rows + [claim for task, found in tasks.items() if (claim := cheaper(task, found))]


def judged(contest: Contest, task: str, won: Estimate) -> page.Claim:
    """One of them, by the whole interval."""
    between = f" [{percent(won.low)}, {percent(won.high)}]" if won.low is not None else ""
    found = f"{contest.ours} preferred to {contest.theirs} in {percent(won.value)}{between}"
    return page.Claim(contest.source, f"{contest.says}: {task}", found, page.above(won, contest.least))


def cheaper(task: str, found: Comparison) -> page.Claim | None:
    """Seconds of PPO less those of DPO."""
    by_name = {m.name: [c.seconds for c in m.costs] for m in found.methods}
    ppo, dpo = by_name.get("PPO"), by_name.get("DPO")
    if not ppo or not dpo:
        return None
    both = min(len(ppo), len(dpo))
    saved = page.paired(ppo[:both], dpo[:both])
    said = f"PPO takes {page.said(saved)} s longer (DPO {page.said(page.estimate(dpo))} s), its reward model not counted"
    return page.Claim(CHEAP[0], f"{CHEAP[1]}: {task}", said, page.above(saved))


def answer(rows: list[page.Claim]) -> str:
    """The question's answer in a sentence a claim, counted."""
    said: dict[str, dict[str, list[str]]] = {}
    for claim in rows:
        says, _, task = claim.says.rpartition(": ")
        said.setdefault(says, {}).setdefault(claim.verdict, []).append(task)
    return "\n".join(f"- {says[0].upper()}{says[1:]}: " + "; ".join(
        f"{verdict} on {' and '.join(on)}" for verdict, on in by_verdict.items()) + "." for says, by_verdict in said.items())


def together(tasks: Mapping[str, Comparison]) -> str:
    """Every method on every task, the best first."""
    rows = []
    for task, found in tasks.items():
        place = {m.name: i + 1 for i, m in enumerate(found.ranked)}
        for m in (*found.ranked, *(m for m in found.methods if not m.gold)):
            cells = row(m, place)
            rows.append((task, cells["place"], m.name, m.family, failures(m), *(cells[key] for key in (
                "win", "gold", "proxy", "kl", "generated", "trained", "seconds", "memory"))))
    head = ("task", "#", "method", "kind", "trainings", "preferred to the start", "gold", "reward model", "KL",
            "tokens sampled", "tokens learnt from", "time", "memory")
    return page.table(head, rows)


def failures(m: Method) -> str:
    """How many trainings there are, and how many more failed; – where nothing is trained."""
    if m.family == "decoding":
        return "–"
    return f"{len(m.means)}" + (f" ({len(m.failures)} failed)" if m.failures else "")


def figure(tasks: Mapping[str, Comparison], path: Path) -> None:
    """How often each method's answers are preferred to the start's, a panel a task, a small dot a training."""
    plt = page.pyplot()
    drawing, panels = plt.subplots(1, len(tasks), figsize=(4.6 * len(tasks), 4.4), layout="constrained", squeeze=False)
    for axes, (task, found) in zip(panels[0], tasks.items(), strict=True):
        ranked = found.ranked[::-1]
        for y, m in enumerate(ranked):
            ink = INKS.get(m.family, "black")
            axes.plot(m.wins, [y - 0.25] * len(m.wins), "o", color=ink, markersize=4, alpha=0.6, markeredgewidth=0)
            if m.win.low is not None:
                axes.plot([m.win.low, m.win.high], [y, y], color=ink, linewidth=2)
            axes.plot(m.win.value, y, "D", color=ink, markersize=6)
        axes.axvline(0.5, color="grey", linewidth=1, linestyle=":")
        axes.set_yticks(range(len(ranked)), [m.name for m in ranked])
        axes.set(title=task, xlabel="preferred to the start, share of pairs")
        axes.spines[["top", "right"]].set_visible(False)
    here = {m.family for found in tasks.values() for m in found.ranked}
    shown = [plt.Line2D([], [], color=ink, marker="D", label=family) for family, ink in INKS.items() if family in here]
    drawing.legend(handles=shown, loc="outside lower center", ncols=min(len(shown), 2 * len(tasks)), frameon=False)
    drawing.savefig(path, dpi=80)
    plt.close(drawing)


def about(tasks: Mapping[str, Comparison]) -> str:
    """What was done, and how much of it."""
    sizes = "; ".join(f"{task}: {sum(len(m.costs) for m in found.methods)} trainings, {found.prompts} held-out prompts"
                      for task, found in tasks.items())
    return (
        f"Every method learns from the same rankings of four answers, begins with the same model and spends the same tokens, "
        f"sampled and learnt from, every pass counted ({sizes}). Rankings are made by the hidden judge of the task with some "
        f"noise; PPO, RLOO, GRPO, online DPO and best of n use a reward model of these rankings, whose cost stands in no "
        f"training, and RLOO-GT the judge itself. The settings were taken from recipes that work, not searched for each "
        f"method; the models have 0.26 to 1.6 million parameters. Preferred: by the judge, ties half. Times are by the clock, "
        f"on a machine that may have had other work."
    )


def reward_models(tasks: Sequence[str]) -> str:
    """How far the reward model of each task can be trusted: what learns from it can be no better."""
    said = []
    for task in tasks:
        evaluations = (page.ROOT / RUNS / TASKS[task]).glob("evaluate-s*/summary.json")
        right = [f["reward_model/accuracy"]["value"] for path in sorted(evaluations) if (f := page.read(path))]
        if right:
            said.append(f"{task} {page.said(page.estimate(right))}")
    return f"The reward models order two answers of the start as the judge does in a share of: {'; '.join(said)} (a coin: 0.5)."


def write() -> None:
    """The page and its figure."""
    looked = {task: page.comparison(HERE / f"{name}.yaml") for task, name in TASKS.items()}
    tasks = {task: found for task, found in looked.items() if found}
    if not tasks:
        sys.exit("nothing was evaluated yet: run the study without --page first")
    figure(tasks, HERE / "win_rates.png")
    rows = claims(tasks)
    said = [f"**{task}.** {' '.join(found.conclusion)}" for task, found in tasks.items()]
    missing = [f"Not run yet: {', '.join(t for t in TASKS if t not in tasks)}."] if len(tasks) < len(TASKS) else []
    page.write(HERE, "Why reinforcement learning, and not supervised learning on the ranked answers?", about(tasks), rows,
               *missing, "## In short", reward_models(list(tasks)), answer(rows), "## What each comparison concludes", *said,
               "![preferred to the start](win_rates.png)", "## Every method on every task", together(tasks))


if __name__ == "__main__":
    page.main(__doc__, run, write)
