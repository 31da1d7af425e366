"""How many comparisons does it take, and how far do a few go where the reward model labels the rest?

    python studies/label_efficiency/study.py            runs what is missing, then writes README.md and curves.png
    python studies/label_efficiency/study.py --page     only writes them, of what is there
"""

import itertools
import math
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scipy import stats

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

import page  # noqa: E402
from page import NOT, UNCLEAR, Claim, Estimate, above, estimate, paired, said  # noqa: E402

from heed.config import read_recipe  # noqa: E402
from heed.evaluation.estimate import Rows  # noqa: E402
from heed.evaluation.metrics.seeds import mean_over_seeds, win_rate_over_seeds  # noqa: E402
from heed.evaluation.run_files import read_run  # noqa: E402
from heed.evaluation.words import number, percent  # noqa: E402

RUNS = Path("runs/studies/label_efficiency")
RECIPE = HERE / "label_efficiency.yaml"
SEEDS = range(3)
MOVED = 0.25  # of the demo's prompts that lie between the beginnings of two seeds' parts
SIZES = (10, 30, 100, 300, 1000, 3000)  # prompts that people were asked about: stage reward_<size>
DOUBLED = (100, 300, 1000, 3000)  # over which a doubling is looked at
WEAK = {30: "1 %", 300: "10 %"}  # stage weak_<size>: what share of its labels people gave
TRIED = (10, 30, 100, 3000)  # stage ppo_<size>
AS_GOOD = 0.02  # accuracy: less than this behind is as good
AS_LIKED = 0.45  # win rate: more often preferred than this is as good as one half
ANSWERED = "answered"
QUESTION = "issue 5, the question"
STIENNON = "Stiennon et al. 2020, section 4.3 and figure 6"
LEE = "Lee et al. 2023 (RLAIF), section 4.1"
WEAKLY = "issue 5, weak supervision"
ABOUT = """
How many comparisons until a reward model leaves chance, until PPO with it beats SFT, and what is a label by a reward model
worth?  Stiennon et al. found about 1.1 % more validation accuracy for every doubling of the comparisons (tens of thousands
of them).  Lee et al. found policies that were trained on a language model's labels as good as those trained on people's:
preferred to SFT in 71 % and 73 %, to each other in 50 %.  Their labeler had seen no comparison by people; ours is a reward
model that learnt from the few there were.

Here {seeds} sets of prompts from the demo (the small ones disjoint, the large ones overlapping), answered four times each by
the SFT model of 1.3 million parameters and ranked by noisy synthetic labelers: {rewards} reward models, and {policies} short
PPO runs of {episodes} episodes.  Reward models are measured on the answers to {held_out} other prompts in the hidden judge's
own order, without noise; policies by that judge on {asked} prompts, four answers each.  Rankings that are all ties teach
nothing and are not counted.  Accuracies have t intervals over the sets, win rates intervals over trainings and prompts.  "As
good" is an accuracy less than {as_good} behind, or a win rate above {as_liked}, by the whole interval.
"""


@dataclass(frozen=True)
class Found:
    """What came out, a figure a seed everywhere."""

    accuracy: Mapping[str, Sequence[float]]  # reward model: on the hidden judge's own order
    rankings: Mapping[str, Sequence[int]]  # reward model: prompts that it learnt from
    comparisons: Mapping[str, Sequence[int]]  # reward model: comparisons that it learnt from
    gold: Mapping[str, Sequence[Rows]]  # policy: the judge's scores, a row a prompt
    kl: Mapping[str, Sequence[Rows]]  # policy: nats from SFT, likewise

    def asked(self, size: int) -> str:
        """30 prompts (141 comparisons)."""
        rankings, pairs = (statistics.mean(of[f"reward_{size}"]) for of in (self.rankings, self.comparisons))
        return f"{rankings:,.0f} prompts ({pairs:,.0f} comparisons)"

    def won(self, policy: str, over: str = "sft") -> Estimate:
        """How often the judge prefers one policy's answers to another's."""
        return win_rate_over_seeds(self.gold[policy], self.gold[over])


def claims(found: Found) -> list[Claim]:
    """The questions and what the sources say, by the figures."""
    right = {n: estimate(found.accuracy[f"reward_{n}"]) for n in SIZES}
    won = {n: found.won(f"ppo_{n}") for n in TRIED}
    gains = estimate(doubling(found))
    rows = [
        Claim(QUESTION, "how many comparisons until the reward model leaves chance (accuracy 0.5)?", *answer(found, right)),
        Claim(STIENNON, "every doubling of the comparisons adds accuracy (there about 0.011)",
              f"{said(gains)} a doubling, from {DOUBLED[0]} to {DOUBLED[-1]:,} prompts", above(gains)),
        Claim(QUESTION, "how many until PPO with it is preferred to SFT (win rate 0.5)?", *answer(found, won)),
    ]
    for size, share in WEAK.items():
        weak, people = found.accuracy[f"weak_{size}"], found.accuracy[f"reward_{size}"]
        gained, behind = paired(weak, people), paired(weak, found.accuracy[f"reward_{SIZES[-1]}"])
        rows += [
            Claim(WEAKLY, f"a reward model of {share} labels the rest: better than those {share} alone",
                  f"{said(estimate(weak))} against {said(right[size])}: {said(gained)}", above(gained)),
            Claim(WEAKLY, f"a reward model of {share} labels the rest: as good as people's labels for all",
                  f"{said(estimate(weak))} against {said(right[SIZES[-1]])}: {said(behind)}", above(behind, -AS_GOOD)),
        ]
    weak, direct = found.won("ppo_weak_30"), found.won("ppo_weak_30", f"ppo_{SIZES[-1]}")
    return [*rows,
            Claim(LEE, "PPO on labels of which a model gave 99 % is preferred to SFT (there 71 %)", said(weak),
                  above(weak, 0.5)),
            Claim(LEE, "and as good as PPO on people's labels alone (there preferred in 50 %)", said(direct),
                  above(direct, AS_LIKED))]


def answer(found: Found, by_size: Mapping[int, Estimate]) -> tuple[str, str]:
    """From which size on every interval lies above one half, and whether there is one; else what the largest size says."""
    size = from_where(by_size, 0.5)
    if size is None:
        last = max(by_size)
        verdict = NOT if above(by_size[last], 0.5) == NOT else UNCLEAR
        return f"not with {found.asked(last)}: {said(by_size[last])}", verdict
    fewer = max((n for n in by_size if n < size), default=None)
    less = "the fewest tried" if fewer is None else f"not with {found.asked(fewer)}: {said(by_size[fewer])}"
    return f"from {found.asked(size)} on: {said(by_size[size])}; {less}", ANSWERED


def from_where(by_size: Mapping[int, Estimate], level: float) -> int | None:
    """The smallest size from which on every interval lies above `level`."""
    good = itertools.takewhile(lambda n: by_size[n].low is not None and by_size[n].low > level, sorted(by_size, reverse=True))
    return min(good, default=None)


def doubling(found: Found) -> list[float]:
    """Accuracy gained for every doubling of the comparisons, a seed: the slope of a line over their logarithm."""
    names = [f"reward_{n}" for n in DOUBLED]
    return [stats.linregress([math.log2(n) for n in pairs], right).slope
            for pairs, right in zip(zip(*(found.comparisons[n] for n in names), strict=True),
                                    zip(*(found.accuracy[n] for n in names), strict=True), strict=True)]


def rewards_table(found: Found) -> str:
    """Every reward model."""
    rows = []
    for name, right in found.accuracy.items():
        rows.append((name, f"{statistics.mean(found.rankings[name]):,.0f}", f"{statistics.mean(found.comparisons[name]):,.0f}",
                     said(estimate(right)), ", ".join(number(x) for x in right)))
    head = ("reward model", "rankings", "comparisons", "accuracy", "each")
    return "## Reward models\n\n" + page.table(head, rows)


def policies_table(found: Found) -> str:
    """Every policy against SFT, and the worth of its answers."""
    def each(policy: str) -> str:
        both = zip(found.gold[policy], found.gold["sft"], strict=True)
        return ", ".join(number(win_rate_over_seeds([mine], [theirs]).value) for mine, theirs in both)

    rows = [(policy, said(found.won(policy)), each(policy), said(mean_over_seeds(found.kl[policy])))
            for policy in found.gold if policy != "sft"]
    return "## PPO\n\n" + page.table(("policy", "preferred to SFT", "each", "KL to SFT, nats an answer"), rows)


def curves(found: Found, longer: float, place: Path) -> None:
    """Accuracy and win rate over comparisons by people, with intervals; weak supervision where its people's labels are."""
    plt = page.pyplot()
    def at(size: int) -> float:
        return statistics.mean(found.comparisons[f"reward_{size}"])

    def bars(panel, sizes: Sequence[int], estimates: Sequence[Estimate], **style) -> None:
        spread = [[e.value - (e.value if e.low is None else e.low) for e in estimates],
                  [(e.value if e.high is None else e.high) - e.value for e in estimates]]
        panel.errorbar([at(n) for n in sizes], [e.value for e in estimates], spread, capsize=3, **style)

    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    bars(left, SIZES, [estimate(found.accuracy[f"reward_{n}"]) for n in SIZES], marker="o", label="labels by people")
    for n in SIZES:
        left.plot(found.comparisons[f"reward_{n}"], found.accuracy[f"reward_{n}"], ".", color="grey", markersize=4)
    bars(left, list(WEAK), [estimate(found.accuracy[f"weak_{n}"]) for n in WEAK], marker="*", markersize=10, linestyle="none",
         color="tab:red", label="and all others by the reward model of these")
    left.axhline(longer, color="grey", linestyle=":", label="the longer answer wins")
    left.set(ylabel="held-out accuracy, hidden judge's order")
    bars(right, TRIED, [found.won(f"ppo_{n}") for n in TRIED], marker="o", label="labels by people")
    bars(right, [30], [found.won("ppo_weak_30")], marker="*", markersize=10, linestyle="none", color="tab:red",
         label="and all others by the reward model of these")
    right.set(ylabel="PPO preferred to SFT, by the judge")
    for panel in (left, right):
        panel.axhline(0.5, color="black", linestyle="--", linewidth=0.8)
        panel.set(xscale="log", xlabel="comparisons by people")
        panel.legend(fontsize=8)
    figure.savefig(place, dpi=80)
    plt.close(figure)


def moved(seed: int) -> list[str]:
    """The settings in which a seed differs from the recipe: the prompts that its people and models are asked about."""
    parts = {name: values["part"] for name, values in read_recipe(RECIPE)["stages"].items() if "part" in values}
    asked = [f"stages.{name}.part={[round(edge + seed * MOVED, 6) for edge in part]}" for name, part in parts.items()]
    return [f"seed={seed}", f"output_dir={RUNS / f'seed_{seed}'}", *asked]


def run() -> None:
    """All seeds that are not done yet."""
    page.demo()
    for seed in SEEDS:
        page.heed("run", "--config", str(RECIPE), *moved(seed))


def gather(places: Sequence[Path]) -> Found:
    """The figures of the seeds in these folders."""
    rewards = [*(f"reward_{n}" for n in SIZES), *(f"weak_{n}" for n in WEAK)]
    stages = {name: [read_run(place / name).stages[0] for place in places] for name in rewards}
    evaluations = [read_run(place / "evaluate").stages[0].samples for place in places]
    return Found(
        {name: [s.summary["test_accuracy"]["value"] for s in several] for name, several in stages.items()},
        {name: [s.lineage["rankings"] for s in several] for name, several in stages.items()},
        {name: [s.lineage["pairs"] for s in several] for name, several in stages.items()},
        *({policy: [[row[figure][policy] for row in rows] for rows in evaluations] for policy in evaluations[0][0][figure]}
          for figure in ("gold", "kl")))


def write() -> None:
    """README.md and curves.png."""
    places = [page.ROOT / RUNS / f"seed_{seed}" for seed in SEEDS]
    places = [place for place in places if (place / "evaluate" / "summary.json").exists()]
    if not places:
        sys.exit(f"no seed of {RUNS} is done yet: run without --page")
    found = gather(places)
    one = page.read(places[0] / "reward_10" / "summary.json")
    curves(found, one["test_accuracy_longer_wins"]["value"], HERE / "curves.png")
    about = ABOUT.format(seeds=len(places), rewards=sum(map(len, found.accuracy.values())), held_out=one["test_accuracy"]["n"],
                         policies=len(places) * (len(found.gold) - 1), asked=len(found.gold["sft"][0]), as_good=AS_GOOD,
                         as_liked=AS_LIKED,
                         episodes=f"{read_recipe(RECIPE)['stages']['ppo_3000']['total_episodes']:,}")
    control = f"The longer of two answers is the better one in {percent(one['test_accuracy_longer_wins']['value'])}."
    page.write(HERE, "How many labels", about, claims(found), "![Accuracy and win rate over comparisons](curves.png)",
               rewards_table(found), control, policies_table(found))


if __name__ == "__main__":
    page.main(__doc__, run, write)
