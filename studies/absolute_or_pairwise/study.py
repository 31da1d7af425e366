"""Absolute scores or comparisons?  Reward models from ratings, rankings and pairs of the same answers by the same labelers.

    python studies/absolute_or_pairwise/study.py            runs what is missing, then writes README.md
    python studies/absolute_or_pairwise/study.py --page     only writes the page, of what is there

Labelers share the hidden judge's taste and read with the same noise, but each has an own zero and an own width of the
rating scale.  The labels are made here; training is recipe.yaml, once a repetition (other prompts, another crowd).
"""

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
import page
from page import Claim, above, estimate, paired, said, table

from heed.evaluation.metrics.preference import pairwise_accuracy
from heed.evaluation.rankings import pairs
from heed.records import Comparison, Judgement, Message, Prompt, Ranking, Rating, content_id, to_json

HERE = Path(__file__).parent
RUNS = Path("runs/studies/absolute_or_pairwise")
REPETITIONS = 3
PROMPTS = 600  # of a repetition, its own, of the demo's 6,000
LABELERS = 10
NOISE = 0.5  # standard deviation of how an answer strikes a labeler, in the judge's points (its scores run from -3 to 3)
LOW, MIDDLE, HIGH = 1, 4, 7  # of the rating scale; a point is a point of the judge's for a calibrated labeler
LEVELS = {"none": (0.0, 0.0), "some": (0.75, 0.25), "strong": (1.5, 0.5)}  # sd of labelers' zero, in points; of log width
COMPARED, RATED = ("rankings", "pairs"), ("ordinal", "regression", "centred")
NAMES = {"rankings": "rankings of 4", "pairs": "pairs", "ordinal": "ratings as levels (ordinal)",
         "regression": "ratings as numbers (MSE)", "centred": "ratings, each labeler's own mean and spread taken out (MSE)"}
LABELS_A_PROMPT = {"rankings": 1, "pairs": 2, "ordinal": 4, "regression": 4, "centred": 4}
NO_WORSE = 0.02  # an accuracy lower by less than this counts as no worse
NEIGHBOURS = 3  # other prompts whose answers each answer is compared with, across prompts


@dataclass(frozen=True)
class Crowd:
    """Labelers as they use a rating scale: where the middle of each lies, and how wide their points are."""

    zero: np.ndarray
    width: np.ndarray

    @classmethod
    def of(cls, level: str, rng: np.random.Generator) -> "Crowd":
        """A crowd of this miscalibration."""
        offset, spread = LEVELS[level]
        return cls(MIDDLE + offset * rng.standard_normal(LABELERS), np.exp(spread * rng.standard_normal(LABELERS)))

    def rate(self, felt: np.ndarray, who: np.ndarray) -> np.ndarray:
        """Whole numbers on the scale for what answers are felt to be worth."""
        return np.clip(np.round(self.zero[who] + self.width[who] * felt), LOW, HIGH)


def centred(ratings: np.ndarray, who: np.ndarray) -> np.ndarray:
    """Each labeler's ratings less their mean, over their standard deviation."""
    result = np.zeros_like(ratings)
    for labeler in set(who.flat):
        own = ratings[who == labeler]
        result[who == labeler] = (own - own.mean()) / (own.std() or 1.0)
    return result


def judged(prompts: Sequence[Prompt], completions: Sequence[Sequence[str]]) -> np.ndarray:
    """[prompts, answers] the hidden judge's scores."""
    from heed.language.datasets.seal_bay import gold
    from heed.language.reward import FunctionReward

    flat = [(p, text) for p, texts in zip(prompts, completions, strict=True) for text in texts]
    scores = FunctionReward(gold, "gold")(None, [p for p, _ in flat], [text for _, text in flat])
    return np.array(scores).reshape(len(prompts), -1)


def label(folder: Path, comparisons: Sequence[Comparison], truth: np.ndarray, seed: int) -> None:
    """All that one crowd says of the answers, a file a way of asking, and how far each is right (labels.json).

    An answer strikes a labeler alike (`felt`, noise included) whether they rate or compare it.  Ratings are dealt out one by
    one, so that the answers of a prompt go to several people, as in a queue of single answers.
    """
    rng = np.random.default_rng([7, seed])
    felt = truth + NOISE * rng.standard_normal(truth.shape)
    who, reader = rng.integers(LABELERS, size=truth.shape), rng.integers(LABELERS, size=len(truth))
    # one and the same text for every way of learning: a rating knows no sampled ids
    shown = [tuple(replace(c, tokens=None) for c in comparison.candidates) for comparison in comparisons]
    said_of = {"rankings": felt, "pairs": felt}
    write(folder / "rankings.jsonl", (ordered(c.prompt, s, f, r) for c, s, f, r in zip(comparisons, shown, felt, reader,
                                                                                        strict=True)))
    write(folder / "pairs.jsonl", (ordered(c.prompt, s[i : i + 2], f[i : i + 2], r) for c, s, f, r in
                                   zip(comparisons, shown, felt, reader, strict=True) for i in range(0, len(s) - 1, 2)))
    for level in LEVELS:
        ratings = Crowd.of(level, np.random.default_rng([8, seed])).rate(felt, who)  # the same people, more and more apart
        for name, scores in {f"ratings_{level}": ratings, f"centred_{level}": centred(ratings, who)}.items():
            said_of[name] = scores
            bounds = (LOW, HIGH) if name.startswith("ratings") else (float(scores.min()), float(scores.max()))
            write(folder / f"{name}.jsonl", (
                Rating(c.prompt, s[k], f"labeler-{who[i, k]}", {"overall": float(scores[i, k])}, *bounds,
                       content_id(name, s[k].id))
                for i, (c, s) in enumerate(zip(comparisons, shown, strict=True)) for k in range(len(s))))
    right = {name: dict(zip(("within", "across"), accuracies(scores, truth), strict=True)) for name, scores in said_of.items()}
    del right["rankings"]["across"], right["pairs"]["across"]  # nobody compared answers of different prompts
    (folder / "labels.json").write_text(json.dumps(right, indent=1), encoding="utf-8")


def ordered(prompt: Prompt, candidates: Sequence, felt: np.ndarray, labeler: int) -> Ranking:
    """The candidates in the order of what they are felt to be worth."""
    asked = Comparison(prompt, tuple(candidates), content_id("comparison", *(c.id for c in candidates)), 0.0)
    ranks = {c.id: 1 + int((felt > f).sum()) for c, f in zip(candidates, felt, strict=True)}
    return Ranking(asked, Judgement(asked.id, f"labeler-{labeler}", ranks, id=content_id("answer", asked.id), answered_at=0.0))


def write(path: Path, records) -> None:
    """Records as heed reads them, a line each."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(to_json(record)) + "\n" for record in records), encoding="utf-8")


def accuracies(scores: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Share of pairs that scores [prompts, answers] order as the judge does: of one prompt, and of different prompts."""
    rows = [{"prompt_id": str(i), "completions": [""] * len(t), "ranks": [1 + sum(t > x) for x in t], "scores": list(s)}
            for i, (s, t) in enumerate(zip(scores, truth, strict=True))]
    one = pairs(rows)
    others = [(np.roll(scores, k, 0), np.roll(truth, k, 0)) for k in range(1, NEIGHBOURS + 1)]
    better = np.concatenate([np.where(truth > t, scores, s)[truth != t] for s, t in others])
    worse = np.concatenate([np.where(truth > t, s, scores)[truth != t] for s, t in others])
    place = np.broadcast_to(np.arange(len(truth))[:, None], truth.shape)
    ids = np.concatenate([place[truth != t] for _, t in others])
    return pairwise_accuracy(one.chosen, one.rejected, one.prompt_ids).value, pairwise_accuracy(better, worse, ids).value


def held_out() -> tuple[list[Prompt], list[list[str]]]:
    """The demo's test prompts with the SFT model's answers to them."""
    path = page.demo() / "evaluate" / "samples.jsonl"
    if not path.exists():  # its last stage, which nothing else here waits for
        page.heed("run", "--config", "recipes/seal_bay_ppo_1m.yaml")
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    prompts = [Prompt(tuple(Message(**m) for m in row["prompt"]), row["columns"], "test", row["prompt_id"]) for row in rows]
    return prompts, [row["completions"]["sft"] for row in rows]


def score(stage: Path, prompts: Sequence[Prompt], completions: Sequence[Sequence[str]]) -> np.ndarray:
    """[prompts, answers] what the reward model of a stage says of answers."""
    from heed.language.batches import make_tokens
    from heed.language.chat import encode_completion, encode_prompt, load_tokenizer
    from heed.language.reward import ModelReward, load_reward_model

    tokenizer = load_tokenizer(str(stage / "model"))
    asked = [encode_prompt(tokenizer, p) for p, texts in zip(prompts, completions, strict=True) for _ in texts]
    answers = [encode_completion(tokenizer, text) for texts in completions for text in texts]
    reward = ModelReward(load_reward_model(str(stage / "model"), tokenizer))
    return np.array(reward(make_tokens(asked, answers), [], [])).reshape(len(prompts), -1)


def stages() -> list[str]:
    """The trainings of a repetition, as recipe.yaml calls them."""
    return [*COMPARED, *(f"{way}_{level}" for way in RATED for level in LEVELS)]


def run() -> None:
    """Labels, trainings, and what each reward model says of the held-out answers."""
    from heed.workflows.label import read_samples

    prompts, completions = held_out()
    truth = judged(prompts, completions)
    asked = read_samples(str(page.demo() / "sample" / "samples.jsonl"))
    for repetition in range(REPETITIONS):
        folder = page.ROOT / RUNS / str(repetition)
        labels = folder / "labels"
        if not (labels / "labels.json").exists():
            mine = asked[repetition * PROMPTS : (repetition + 1) * PROMPTS]
            label(labels, mine, judged([c.prompt for c in mine], [[a.text for a in c.candidates] for c in mine]), repetition)
        os.environ["LABELS"] = str(RUNS / str(repetition) / "labels")
        page.heed("run", "--config", f"studies/{HERE.name}/recipe.yaml", f"seed={repetition}",
                  f"output_dir={RUNS / str(repetition)}")
        for stage in stages():
            found = folder / stage / "held_out.json"
            if not found.exists():
                within, across = accuracies(score(folder / stage, prompts, completions), truth)
                found.write_text(json.dumps({"within": within, "across": across}), encoding="utf-8")


Figures = dict[str, dict[str, list[float]]]  # stage: within and across, a number a repetition


def gather(name: str = "held_out.json") -> Figures:
    """The accuracies of every reward model, over the repetitions that are whole."""
    folders = [page.ROOT / RUNS / str(i) for i in range(REPETITIONS)]
    whole = [f for f in folders if all((f / stage / name).exists() for stage in stages())]
    rows = {stage: [json.loads((f / stage / name).read_text()) for f in whole] for stage in stages()}
    return {stage: {k: [row[k] for row in found] for k in ("within", "across")} for stage, found in rows.items()}


def claims(f: Figures) -> list[Claim]:
    """What is claimed, and what the figures say to it."""
    def difference(a: str, b: str, of: str = "within"):
        return paired(f[a][of], f[b][of])

    def line(source: str, says: str, a: str, b: str, of: str = "within", zero: float = 0.0) -> Claim:
        d = difference(a, b, of)
        return Claim(source, says, f"{said(d)} ({said(estimate(f[a][of]))} against {said(estimate(f[b][of]))})", above(d, zero))

    stiennon, christiano = "Stiennon et al. 2020, appendix C", "Christiano et al. 2017, section 3.3"
    chatllama, repair = "ChatLLaMA, which trains on absolute scores", "our question: scores standardised by labeler"
    ours = "our question: what absolute scores are good for"
    return [
        line(chatllama, f"calibrated labelers: ratings are no worse than rankings (by less than {NO_WORSE})",
             "ordinal_none", "rankings", zero=-NO_WORSE),
        line(chatllama, f"calibrated labelers: ratings are no worse than pairs (by less than {NO_WORSE})",
             "ordinal_none", "pairs", zero=-NO_WORSE),
        line(stiennon, "some miscalibration: rankings beat ratings", "rankings", "ordinal_some"),
        line(stiennon, "strong miscalibration: rankings beat ratings", "rankings", "ordinal_strong"),
        line(christiano, "strong miscalibration: pairs, the cheapest comparison, beat ratings", "pairs", "ordinal_strong"),
        line(christiano, "strong miscalibration: pairs beat scores learnt by regression", "pairs", "regression_strong"),
        line(ours, "calibrated labelers: across prompts, which only absolute scores compare, ratings beat rankings",
             "regression_none", "rankings", "across"),
        line(ours, "and still do under strong miscalibration", "regression_strong", "rankings", "across"),
        line("our question: levels (McCullagh 1980) or numbers", "strong miscalibration: ordinal beats regression",
             "ordinal_strong", "regression_strong"),
        line(repair, "strong miscalibration: taking out each labeler's mean and "
             "spread helps ratings", "centred_strong", "regression_strong"),
        line(repair, f"and makes them no worse than rankings (by less than "
             f"{NO_WORSE})", "centred_strong", "rankings", zero=-NO_WORSE),
    ]


def accuracy_table(f: Figures, of: str) -> str:
    """A row a way of asking and learning, a column a level."""
    rows = [(NAMES[way], LABELS_A_PROMPT[way] * PROMPTS, *[said(estimate(f[way][of]))] * len(LEVELS)) for way in COMPARED]
    rows += [(NAMES[way], LABELS_A_PROMPT[way] * PROMPTS, *(said(estimate(f[f"{way}_{level}"][of])) for level in LEVELS))
             for way in RATED]
    return table(("learnt from", "labels", *(f"miscalibration: {level}" for level in LEVELS)), rows)


def label_table(labels: Sequence[dict[str, dict[str, float]]]) -> str:
    """How often the labels themselves are right, and what one costs."""
    def cell(name: str, of: str) -> str:
        return said(estimate([row[name][of] for row in labels])) if of in labels[0][name] else "not asked"

    rows = [("a ranking of 4", "4 answers read", cell("rankings", "within"), cell("rankings", "across")),
            ("a pair", "2 answers read", cell("pairs", "within"), cell("pairs", "across"))]
    for level in LEVELS:
        for what, name in ((f"a rating, miscalibration {level}", "ratings"), ("the same, standardised by labeler", "centred")):
            rows.append((what, "1 answer read", *(cell(f"{name}_{level}", k) for k in ("within", "across"))))
    return table(("label", "costs", "right within a prompt", "right across prompts"), rows)


def draw(f: Figures, path: Path) -> None:
    """Accuracy over miscalibration, within a prompt and across prompts, a line a way."""
    plt = page.pyplot()
    titles = {"within": "two answers to one prompt", "across": "answers to different prompts"}
    figure, panels = plt.subplots(1, 2, figsize=(11, 4.8), sharey=True, layout="constrained")
    for panel, (of, title) in zip(panels, titles.items(), strict=True):
        for i, way in enumerate([*COMPARED, *RATED]):
            found = [estimate(f[way if way in COMPARED else f"{way}_{level}"][of]) for level in LEVELS]
            x = np.arange(len(LEVELS)) + 0.05 * (i - 2)
            values = np.array([e.value for e in found])
            error = [[e.value - e.low, e.high - e.value] if e.low is not None else [0, 0] for e in found]
            panel.errorbar(x, values, np.abs(np.array(error).T), marker="o", capsize=3, label=NAMES[way],
                           linestyle="--" if way in COMPARED else "-")
        panel.set(title=title, xlabel="miscalibration of labelers", xticks=range(len(LEVELS)), xticklabels=list(LEVELS))
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("held-out pairs ordered as the hidden judge does")
    figure.legend(*panels[0].get_legend_handles_labels(), fontsize=9, loc="outside lower center", ncols=3)
    figure.savefig(path, dpi=80)
    plt.close(figure)


def about(f: Figures) -> str:
    """What was done, with its sizes."""
    n = len(f["rankings"]["within"])
    levels = "; ".join(f"{a:g} points and {b:g} (*{name}*)" for name, (a, b) in LEVELS.items())
    return f"""
Should people rate each answer by itself, or compare answers?  {LABELERS} made-up labelers share the hidden judge's taste and
feel every answer with the same noise (standard deviation {NOISE:g} of the judge's points); they differ only in how they use a
scale from {LOW} to {HIGH}: the standard deviations of their zeros, and of the logarithms of their widths, are
{levels}.
Compared with each other, answers lose the labeler's zero and width: rankings and pairs are the same at every level, by
construction, and one training stands in all three columns.  The noise of an answer is the
same draw however it is asked about.

Every way reads the same {4 * PROMPTS:,} answers of the demo's SFT model to {PROMPTS:,} prompts and takes the same number of
optimizer steps on as many answers each; {n} repetitions, each with prompts, labelers, noise and training order of its own:
{n * len(stages())} trainings of a reward model of a million parameters.  Ratings are dealt out one by one, so the answers to a
prompt are rated by several people; where one person rates all four, their ratings are a ranking and may be read as one.

A reward model is measured on the SFT model's answers to held-out prompts, four each, against the judge's own order; pairs
that the judge ties are left out.  Intervals are t intervals over repetitions, and differences are taken within a repetition
(the same prompts, people and noise).  These labelers are made up: the study says what miscalibration does to a reward
model, not how miscalibrated people are.
"""


def write_page() -> None:
    """README.md and the figure."""
    f = gather()
    if not f["rankings"]["within"]:
        sys.exit("no repetition is whole yet: run the study without --page first")
    files = [page.ROOT / RUNS / str(i) / "labels" / "labels.json" for i in range(REPETITIONS)]
    labels = [json.loads(path.read_text()) for path in files if path.exists()]
    draw(f, HERE / "accuracy.png")
    page.write(
        HERE, "Absolute scores or comparisons?", about(f), claims(f),
        "## Two answers to one prompt\n\nWhat best-of-n, DPO and a policy update with several answers a prompt need.",
        accuracy_table(f, "within"),
        "## Answers to different prompts\n\nWhat needs a common zero: filtering a data set, or PPO with one answer a prompt.",
        accuracy_table(f, "across"),
        "## The labels themselves\n\nShare of pairs that the labels order as the judge does (equal ratings count one half). "
        "What a label costs is counted in answers that somebody reads; a ranking makes a person hold four in mind.",
        label_table(labels), "![held-out accuracy over miscalibration](accuracy.png)")


if __name__ == "__main__":
    page.main(__doc__, run, write_page)
