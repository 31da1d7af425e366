"""Is a prompt with all its comparisons one batch element, or are the comparisons shuffled (Ouyang et al. 2022, section 3.5)?

    python studies/kwise_batch/study.py            runs what is missing, then writes README.md and curves.png
    python studies/kwise_batch/study.py --page     only writes them, of what is there
"""

import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

import page  # noqa: E402
from page import Claim, Estimate, above, estimate, paired, said  # noqa: E402

from heed.evaluation.run_files import Stage, read_run  # noqa: E402
from heed.evaluation.words import number  # noqa: E402

RUNS = Path("runs/studies/kwise_batch")
SEEDS = range(3)
BATCHES = {"prompts": "a prompt with all its comparisons", "pairs": "shuffled comparisons"}  # stage name: what is one element
RATES = ("", "_fast")  # the demo's learning rate, and four times that
WORDS = {"gap": "held-out less training loss", "rise": "held-out loss less its lowest on the way", "loss": "held-out loss",
         "accuracy": "held-out accuracy"}
COLOURS = {"prompts": "tab:blue", "pairs": "tab:red"}
SOURCE = "Ouyang et al. 2022, section 3.5"
ABOUT = """
InstructGPT's labelers rank 4 to 9 answers to a prompt at once.  Of its reward model the paper says that shuffling all the
comparisons into one dataset made a single pass over it overfit, because every answer is then trained on K - 1 times, and that
all comparisons of a prompt as one batch element cost K forward passes instead of K (K - 1) / 2, no longer overfit, and gave
much better validation accuracy and log loss.

Here {trainings} reward models of 1.3 million parameters learn from rankings of 9 answers by synthetic labelers, one epoch
each: {seeds} sets of about {rankings} prompts ({comparisons} comparisons), each learnt from both ways and at two learning
rates, with as many comparisons in an optimizer step either way.  They are measured on the rankings of {held_out} other prompts
by the same noisy labelers.  The interval of a difference is a t interval over the {seeds} sets, paired by set; a verdict goes
by the whole of it.
"""


@dataclass(frozen=True)
class Training:
    """What came of one reward model."""

    rate: float  # its learning rate
    loss: float  # on held-out rankings, nats a comparison
    accuracy: float  # on held-out comparisons
    train_loss: float  # of the batches as they came, over the last quarter of the epoch
    lowest: float  # held-out loss on the way, or at the end
    tokens: float  # read in an epoch, a comparison
    seconds: float  # of training, a thousand comparisons

    @property
    def gap(self) -> float:
        """How much dearer held-out comparisons are than those of the batches, of which shuffled ones are of known answers."""
        return self.loss - self.train_loss

    @property
    def rise(self) -> float:
        """How far the held-out loss has risen from where it was lowest: overfitting."""
        return self.loss - self.lowest


Found = Mapping[tuple[str, str], Sequence[Training]]  # (what is one element, rate): a training a seed


def training(stage: Stage) -> Training:
    """The figures of a stage that is done."""
    _, losses = stage.curve("loss")
    pairs = stage.lineage["pairs"]
    return Training(yaml.safe_load(stage.config)["learning_rate"], stage.summary["test_loss"]["value"],
                    stage.summary["test_accuracy"]["value"], statistics.mean(losses[-len(losses) // 4 :]),
                    min(stage.curve("test_loss")[1]), stage.lineage["tokens"] / pairs,
                    1000 * stage.time["train"] / pairs)


def better(found: Found, batch: str) -> str:
    """The rate with the lower loss on held-out rankings."""
    return min(RATES, key=lambda rate: statistics.mean(t.loss for t in found[batch, rate]))


def column(trainings: Sequence[Training], name: str) -> list[float]:
    """One figure of every training."""
    return [getattr(t, name) for t in trainings]


def differences(prompts: Sequence[Training], pairs: Sequence[Training]) -> dict[str, Estimate]:
    """What the source says is above zero: how far whole prompts are ahead, by each of WORDS."""
    return {**{name: paired(column(pairs, name), column(prompts, name)) for name in ("gap", "rise", "loss")},
            "accuracy": paired(column(prompts, "accuracy"), column(pairs, "accuracy"))}


def claims(found: Found) -> list[Claim]:
    """Each way at the rate that suits it better, so that neither is compared at the other's."""
    prompts, pairs = (found[batch, better(found, batch)] for batch in BATCHES)
    apart = differences(prompts, pairs)

    def both(name: str) -> str:
        return f"pairs {said(estimate(column(pairs, name)))}, prompts {said(estimate(column(prompts, name)))}"

    dearer = {name: estimate([a / b for a, b in zip(column(pairs, name), column(prompts, name), strict=True)])
              for name in ("tokens", "seconds")}
    return [
        Claim(SOURCE, "shuffled comparisons overfit within an epoch: validation less training loss is larger",
              f"{both('gap')}; difference {said(apart['gap'])}", above(apart["gap"])),
        Claim(SOURCE, "shuffled comparisons overfit within an epoch: validation loss ends further above its lowest on the way",
              f"{both('rise')}; difference {said(apart['rise'])}", above(apart["rise"])),
        Claim(SOURCE, "shuffled comparisons end at a higher validation log loss",
              f"{both('loss')}; difference {said(apart['loss'])}", above(apart["loss"])),
        Claim(SOURCE, "whole prompts end at a higher validation accuracy",
              f"{both('accuracy')}; difference {said(apart['accuracy'])}", above(apart["accuracy"])),
        Claim(SOURCE, "whole prompts are cheaper: tokens read a comparison",
              f"{both('tokens')}: {said(dearer['tokens'])} times", above(dearer["tokens"], 1)),
        Claim(SOURCE, "whole prompts are cheaper: seconds of training a thousand comparisons (a core, others at work beside)",
              f"{both('seconds')}: {said(dearer['seconds'])} times", above(dearer["seconds"], 1)),
    ]


def by_rate(found: Found) -> str:
    """The same differences at each learning rate."""
    rows = []
    for rate in RATES:
        for name, apart in differences(found["prompts", rate], found["pairs", rate]).items():
            rows.append((f"{found['prompts', rate][0].rate:g}", WORDS[name],
                         *(said(estimate(column(found[batch, rate], name))) for batch in BATCHES), said(apart), above(apart)))
    head = ("learning rate", "figure", "prompts", "pairs", "by how much prompts are ahead", "prompts ahead?")
    return "## At the same learning rate\n\n" + page.table(head, rows)


def each(found: Found) -> str:
    """Every training."""
    figures = ("train_loss", "loss", "gap", "rise", "accuracy", "tokens", "seconds")
    rows = [(f"{t.rate:g}", batch, seed, *(number(getattr(t, name)) for name in figures))
            for (batch, _), trainings in found.items() for seed, t in enumerate(trainings)]
    head = ("learning rate", "one element", "set", "training loss, last quarter", "held-out loss", "gap", "rise",
            "held-out accuracy", "tokens a comparison", "seconds a 1,000 comparisons")
    return "## Every training\n\n" + page.table(head, rows)


def stages() -> dict[tuple[str, str], list[Stage]]:
    """The stages of the sets of which every training is done."""
    names = [(batch, rate) for rate in RATES for batch in BATCHES]
    done = [s for s in SEEDS if all((page.ROOT / RUNS / f"{b}{r}_{s}" / "summary.json").exists() for b, r in names)]
    return {(b, r): [read_run(page.ROOT / RUNS / f"{b}{r}_{s}").stages[0] for s in done] for b, r in names}


def curves(made: Mapping[tuple[str, str], Sequence[Stage]], place: Path) -> None:
    """Held-out and training loss, and held-out accuracy, over the comparisons seen: a line a training."""
    plt = page.pyplot()
    figure, panels = plt.subplots(2, len(RATES), figsize=(11, 7), sharex=True, sharey="row", layout="constrained")
    for column_, rate in enumerate(RATES):
        loss, accuracy = panels[:, column_]
        for batch, what in BATCHES.items():
            for i, stage in enumerate(made[batch, rate]):
                steps, values = stage.curve("test_loss")
                seen = stage.lineage["pairs"] / stage.metrics[-1]["step"]  # comparisons a step
                at = [s * seen for s in steps]
                style = {"color": COLOURS[batch], "linewidth": 1.2}
                loss.plot(at, values, **style, label=None if i else f"{what}, held out")
                loss.plot(at, between(*stage.curve("loss"), steps), **style, linestyle=":", alpha=0.6,
                          label=None if i else f"{what}, training")
                accuracy.plot(at, stage.curve("test_accuracy")[1], **style, label=None if i else what)
        loss.set(title=f"learning rate {yaml.safe_load(made['pairs', rate][0].config)['learning_rate']:g}")
        accuracy.set(xlabel="comparisons seen, one epoch")
    panels[0, 0].set(ylabel="log loss, nats a comparison")
    panels[1, 0].set(ylabel="held-out accuracy")
    panels[0, 0].legend(fontsize=8)
    figure.savefig(place, dpi=80)
    plt.close(figure)


def between(steps: Sequence[float], values: Sequence[float], ends: Sequence[float]) -> list[float]:
    """The mean of the values since the end before, at every end: single batches are too noisy to draw."""
    return [statistics.mean(v for s, v in zip(steps, values, strict=True) if before < s <= end)
            for before, end in zip([0, *ends[:-1]], ends, strict=True)]


def run() -> None:
    """All trainings that are not there yet."""
    page.demo()
    page.heed("run", "--config", str(HERE / "kwise_batch.yaml"), f"output_dir={RUNS}")


def write() -> None:
    """README.md and curves.png."""
    made = stages()
    if not made["pairs", ""]:
        sys.exit(f"no set of {RUNS} has all its trainings yet: run without --page")
    found = {key: [training(stage) for stage in several] for key, several in made.items()}
    curves(made, HERE / "curves.png")
    some = made["prompts", ""]
    about = ABOUT.format(
        trainings=sum(map(len, found.values())), seeds=len(some), held_out=some[0].summary["test_loss"]["n"],
        rankings=number(round(statistics.mean(s.lineage["rankings"] for s in some))),
        comparisons=f"{round(statistics.mean(s.lineage['pairs'] for s in some)):,}")
    chosen = ", ".join(f"{BATCHES[b]} {found[b, better(found, b)][0].rate:g}" for b in BATCHES)
    note = ("In the table above each way has the learning rate at which its held-out loss is lower, chosen on the very "
            f"rankings that it is measured on: {chosen}.  A whole prompt is new to the model when its training loss is taken, "
            "so that its gap is 0 but for chance; of a shuffled comparison the answers are known from others.")
    page.write(HERE, "Whole prompts or shuffled comparisons", about, claims(found), note, by_rate(found),
               "![Loss and accuracy over comparisons seen](curves.png)", each(found))


if __name__ == "__main__":
    page.main(__doc__, run, write)
