"""The alignment tax (Ouyang et al. 2022, sections 3.5 and 4.2): perplexity on pretraining text, with and without the mix.

    python studies/ptx_tax/study.py            runs what is missing, then writes README.md and tax.png
    python studies/ptx_tax/study.py --page     only writes the page

The trainings are those of recipe.yaml beside this file, run by `heed compare` into runs/studies/ptx_tax.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
import page  # noqa: E402  (the folder above is no package)

RUN = Path("runs/studies/ptx_tax")
RECIPE = HERE / "recipe.yaml"
SFT = "start"  # what heed compare calls the policy that every method began with
PLAIN, MIXED, PRICED = "PPO", ("PPO-ptx 1", "PPO-ptx 27.8"), ("PPO KL 0.4", "PPO KL 1.6")
SMALL = 0.05  # a win rate at most this much lower is "at little cost"
SOURCE = "Ouyang et al. 2022"


@dataclass(frozen=True)
class Trained:
    """One condition's figures, a training each."""

    perplexity: Sequence[float]  # on held-out texts
    win: Sequence[float]  # rate over SFT by the hidden judge
    gold: Sequence[float]
    kl: Sequence[float]  # nats a completion from SFT


def run() -> None:
    """All trainings and their evaluations, where they are missing."""
    page.demo()
    page.heed("compare", "--config", str(RECIPE))


def read() -> tuple[dict[str, Trained], float, int]:
    """The conditions that every seed has been evaluated for, SFT's perplexity, and how many requests were answered."""
    seeds = sorted((page.ROOT / RUN).glob("evaluate-s*/summary.json"))
    if not seeds:
        sys.exit(f"no evaluation in {RUN}: run the study first")
    found = [page.read(path) for path in seeds]

    def of(name: str) -> Trained:
        figures = [f for f in found if f"perplexity/{name}" in f]
        return Trained(*([f[f"{figure}/{name}{against}"]["value"] for f in figures] for figure, against in (
            ("perplexity", ""), ("win_rate/gold", f"_vs_{SFT}"), ("gold", ""), ("kl", ""))))

    every = [name for name in (PLAIN, *MIXED, *PRICED) if all(f"perplexity/{name}" in f for f in found)]
    return {name: of(name) for name in every}, found[0][f"perplexity/{SFT}"]["value"], found[0][f"gold/{SFT}"]["n"]


def claims(found: Mapping[str, Trained], sft: float) -> list[page.Claim]:
    """The paper's claims and what came out."""
    plain = found[PLAIN]
    tax = page.estimate([p - sft for p in plain.perplexity])
    made = [page.Claim(f"{SOURCE}, 3.5", "PPO without a mix regresses: perplexity on pretraining text rises above SFT's",
                       f"changed by {page.said(tax)} from {page.number(sft)}", page.above(tax))]
    for name in (n for n in MIXED if n in found):
        lower = page.paired(plain.perplexity, found[name].perplexity)
        cost = page.paired(found[name].win, plain.win)
        made += [page.Claim(f"{SOURCE}, 4.2", f"{name}: pretraining gradients lower the tax",
                            f"perplexity lower by {page.said(lower)}", page.above(lower)),
                 page.Claim(f"{SOURCE}, 4.2", f"{name}: at little cost of what people prefer (at most {SMALL} of a win rate)",
                            f"win rate over SFT changed by {page.said(cost)}", page.above(cost, -SMALL))]
        made += [reaches(name, other, found[name], found[other]) for other in PRICED if other in found]
    return made


def reaches(name: str, other: str, mixed: Trained, priced: Trained) -> page.Claim:
    """A higher price of KL does not reach what the mix does: its tax is higher, or people prefer it less."""
    tax, win = page.paired(priced.perplexity, mixed.perplexity), page.paired(mixed.win, priced.win)
    short = {page.above(tax), page.above(win)} - {page.UNCLEAR}  # both ways at once is a trade, which settles nothing
    verdict = short.pop() if len(short) == 1 else page.UNCLEAR
    return page.Claim(f"{SOURCE}, 4.2", f"{other} instead of {name}: perplexity stays higher, or the win rate lower",
                      f"perplexity higher by {page.said(tax)}, win rate lower by {page.said(win)}", verdict)


def write() -> None:
    """README.md and its figure."""
    found, sft, requests = read()
    demo = page.read(page.DEMO / "evaluate" / "summary.json") or {}
    base = demo.get("perplexity/base", {}).get("value")
    n = len(found[PLAIN].win)
    draw(found, sft, base, HERE / "tax.png")
    rows = [[name, len(t.win), *(page.said(page.estimate(values)) for values in (t.perplexity, t.win, t.gold, t.kl))]
            for name, t in found.items()]
    before = f"SFT's perplexity is {page.number(sft)}" + (f", that of the base model {page.number(base)}" if base else "")
    page.write(
        HERE, "PPO-ptx and the alignment tax", f"""
Does reinforcement learning forget what was learnt from plain text, and what helps: a mix of pretraining gradients, or a
higher price of KL?  InstructGPT measured it on public benchmarks; here it is perplexity on held-out texts of Seal Bay.
{len(found)} conditions, {n} trainings each, from the one SFT model and the one reward model (6,000 noisy rankings) of
`make demo`; win rates by the hidden judge on {requests} held-out requests, four answers each.  Intervals are over trainings;
they do not hold another SFT model, nor another sample of the 200 texts.  SFT itself costs perplexity; a mix of pretraining
gradients can win that back, which no price of KL to SFT can.  The paper's price of KL and its weight of the mix (0.02 and
27.8) belong to its own scale of rewards; here both losses are means a token and advantages are whitened.
""", claims(found, sft),
        "## Figures", page.table(("condition", "trainings", "perplexity", "win rate over SFT", "gold", "KL, nats"), rows),
        f"{before}.", "![win rate over perplexity](tax.png)",
    )


def draw(found: Mapping[str, Trained], sft: float, base: float | None, path: Path) -> None:
    """Win rate over perplexity, a point a training: up and to the left is better."""
    plt = page.pyplot()
    marks = {**{name: "o" for name in (PLAIN,)}, **{name: "^" for name in MIXED}, **{name: "s" for name in PRICED}}
    figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
    for name, t in found.items():
        axes.scatter(t.perplexity, t.win, marker=marks[name], s=50, label=name, alpha=0.8)
    axes.axhline(0.5, color="grey", linewidth=0.8)
    axes.axvline(sft, color="grey", linestyle="--", linewidth=1, label="SFT")
    if base:
        axes.axvline(base, color="grey", linestyle=":", linewidth=1, label="base model")
    axes.set(xlabel="perplexity on held-out texts (lower: less forgotten)", ylabel="win rate over SFT, hidden judge")
    axes.legend()
    figure.savefig(path, dpi=80)
    plt.close(figure)


if __name__ == "__main__":
    page.main(__doc__, run, write)
