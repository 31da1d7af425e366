"""Translation with a chrF reward: does reinforcement learning help over supervised fine-tuning?

    python studies/translation/study.py            runs what is missing, then writes README.md
    python studies/translation/study.py --page     only writes the page, of what is there

Multi30k German => English (HEED_DATA, by default ../shared/data), a small model made here.  start.yaml makes the translator,
trainings.yaml (once a seed) trains it further: RLOO and PPO on sentence chrF, and SFT for as many tokens.
"""

import gzip
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
import page
from page import Claim, above, estimate, paired, said, table

from heed.config import read_recipe
from heed.evaluation.estimate import Estimate
from heed.evaluation.metrics.reference import bleu, chrf

HERE = Path(__file__).parent
RUNS = Path("runs/studies/translation")
SEEDS = (0, 1, 2)
FILES = {"train": "train", "valid": "val", "test": "test_2016_flickr"}  # split: name in Multi30k
RL = ("rloo", "ppo")
TRAINED = (*RL, "more_sft")
NAMES = {"rloo": "RLOO on chrF", "ppo": "PPO on chrF", "more_sft": "as much further SFT"}
DECODED = ("greedy", "sampled")
SHOWN = (0, 200, 400, 600, 800)  # sentences of the test set that are shown, chosen before anything was seen


def data() -> None:
    """Multi30k as prompt and completion, a file a split, in the run's folder."""
    source = page.ROOT / os.environ.get("HEED_DATA", "../shared/data") / "multi30k"
    for split, name in FILES.items():
        path = page.ROOT / RUNS / "data" / f"{split}.jsonl"
        if path.exists():
            continue
        if not source.is_dir():
            sys.exit(f"no Multi30k at {source}: set HEED_DATA to the folder that holds multi30k/train.de.gz and its like")
        sides = [gzip.decompress((source / f"{name}.{side}.gz").read_bytes()).decode().splitlines() for side in ("de", "en")]
        rows = [{"prompt": f"{german.strip()} =>", "completion": f" {english.strip()}"}
                for german, english in zip(*sides, strict=True)]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


@dataclass(frozen=True)
class Translated:
    """What one sampling of the test set came to."""

    chrf: Estimate  # of the corpus, its interval a bootstrap over sentences
    bleu: Estimate
    surprise: float  # mean of -log p a token of what was said: at temperature 1 the entropy of the translator
    length: float  # characters said for each of the reference's


def samples(stage: Path) -> list[dict]:
    """The rows of samples.jsonl."""
    return [json.loads(line) for line in (page.ROOT / stage / "samples.jsonl").read_text(encoding="utf-8").splitlines()]


def measured(stage: Path) -> Translated | None:
    """The figures of a `heed sample` of the test set; None where it is not done."""
    if page.read(stage / "summary.json") is None:
        return None
    rows = [(c, row["prompt"]["columns"]["reference"].strip()) for row in samples(stage) for c in row["completions"]]
    texts, references = [c["text"].strip() for c, _ in rows], [reference for _, reference in rows]
    surprise = -sum(c["logprob"] for c, _ in rows) / sum(len(c["tokens"]) for c, _ in rows)
    return Translated(chrf(texts, references).score, bleu(texts, references).score, surprise,
                      sum(map(len, texts)) / sum(map(len, references)))


@dataclass(frozen=True)
class Figures:
    """All that the page says: of the translator that all began with, and of each training."""

    start: dict[str, Translated]  # greedy, sampled, best_of_8
    trained: dict[str, dict[str, list[Translated]]]  # rloo, ppo, more_sft: greedy and sampled, one a seed

    def values(self, name: str, decoded: str, what: str = "chrf") -> list[float]:
        """A figure of each training."""
        found = [getattr(t, what) for t in self.trained[name][decoded]]
        return [f.value if isinstance(f, Estimate) else f for f in found]

    def gains(self, name: str, decoded: str, what: str = "chrf") -> list[float]:
        """How much higher than where it began."""
        began = getattr(self.start[decoded], what)
        return [v - (began.value if isinstance(began, Estimate) else began) for v in self.values(name, decoded, what)]


def gather() -> Figures:
    """The figures of the seeds that are whole."""
    start = {name: measured(RUNS / "start" / name) for name in (*DECODED, "best_of_8")}
    if None in start.values():
        sys.exit("the translator is not made yet: run the study without --page first")
    found = {seed: {name: {d: measured(RUNS / str(seed) / f"{name}_{d}") for d in DECODED} for name in TRAINED}
             for seed in SEEDS}
    whole = [f for f in found.values() if all(t is not None for by in f.values() for t in by.values())]
    if not whole:
        sys.exit("no seed is whole yet: run the study without --page first")
    return Figures(start, {name: {d: [f[name][d] for f in whole] for d in DECODED} for name in TRAINED})


def claims(f: Figures) -> list[Claim]:
    """What is claimed, and what the figures say to it."""
    found = []
    for name in RL:
        title, greedy, sampled = NAMES[name], estimate(f.gains(name, "greedy")), estimate(f.gains(name, "sampled"))
        b = estimate(f.gains(name, "greedy", "bleu"))
        over = paired(f.values(name, "greedy"), f.values("more_sft", "greedy"))
        peak = paired(f.gains(name, "sampled"), f.gains(name, "greedy"))
        calm = estimate([-g for g in f.gains(name, "sampled", "surprise")])
        found += [
            Claim("Ranzato et al. 2016 (MIXER), section 5", f"{title} raises the chrF of greedy translations over SFT",
                  said(greedy), above(greedy)),
            Claim("Wu et al. 2016 (GNMT), section 8", f"{title} raises BLEU, which it did not see, over SFT (greedy)", said(b),
                  above(b)),
            Claim("the same, on equal terms", f"{title} beats SFT that goes on for as many tokens (chrF, greedy)", said(over),
                  above(over)),
            Claim("Choshen et al. 2020", f"{title} makes the translator surer (nats of entropy a token that are lost)",
                  said(calm), above(calm)),
            Claim("Choshen et al. 2020", f"{title} mostly makes likely words likelier: it gains more chrF when sampling "
                  f"({said(sampled)}) than when decoding greedily", said(peak), above(peak)),
        ]
    return found


def mean_of(f: Figures, name: str, decoded: str, what: str) -> str:
    """A cell: the mean over trainings with its interval."""
    return said(estimate(f.values(name, decoded, what)))


def score_table(f: Figures) -> str:
    """Every translator, both ways of decoding."""
    rows = []
    for d, title in (("greedy", "greedy"), ("sampled", "sampling, temperature 1")):
        s = f.start[d]
        rows.append(("SFT, where all begin", title, said(s.chrf), said(s.bleu), f"{s.surprise:.2f}", f"{s.length:.2f}"))
        rows += [(NAMES[n], title, *(mean_of(f, n, d, k) for k in ("chrf", "bleu", "surprise", "length"))) for n in TRAINED]
    best = f.start["best_of_8"]
    rows.append(("SFT, best of 8 by chrF to the reference", "sampling, an oracle's choice", said(best.chrf), said(best.bleu),
                 f"{best.surprise:.2f}", f"{best.length:.2f}"))
    return table(("translator", "decoding", "chrF", "BLEU", "-log p a token", "length / reference"), rows)


def five() -> str:
    """Five translations, greedy, of the first seed."""
    places = {"SFT": RUNS / "start" / "greedy"} | {NAMES[n]: RUNS / str(SEEDS[0]) / f"{n}_greedy" for n in TRAINED}
    rows = {name: samples(place) for name, place in places.items()}
    said_of = []
    for i in SHOWN:
        if i >= len(rows["SFT"]):
            continue
        prompt = rows["SFT"][i]["prompt"]
        lines = [("*German*", prompt["content"].removesuffix(" =>")), ("*reference*", prompt["columns"]["reference"].strip())]
        lines += [(name, row[i]["completions"][0]["text"].strip()) for name, row in rows.items()]
        said_of.append(table(("", f"sentence {i + 1}"), [(a, b.replace("|", "\\|")) for a, b in lines]))
    return "\n\n".join(said_of)


def curve(stage: Path) -> tuple[list[float], list[float], list[float]]:
    """Thousand tokens used, mean chrF of what was sampled, and nats a completion, along a training."""
    lines = (page.ROOT / stage / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [row for row in map(json.loads, lines) if "objective/scores" in row]
    recipe = read_recipe(HERE / "trainings.yaml")["stages"]["rloo"]
    each = [row["completions/mean_length"] * recipe["rollout_batch_size"] * 3 / 1000 for row in rows]  # sampled, read twice
    weight = recipe["reward_weights"][0]
    used = [sum(each[: i + 1]) for i in range(len(each))]
    return used, [r["objective/scores"] / weight for r in rows], [r["objective/kl"] for r in rows]


def draw(f: Figures, path: Path) -> None:
    """chrF both ways of decoding, the curves of RL, and its distance from the SFT model."""
    plt = page.pyplot()
    figure, (bars, rising, apart) = plt.subplots(1, 3, figsize=(14, 4.2), layout="constrained")
    names = ["SFT", *(NAMES[n] for n in TRAINED)]
    for k, (d, colour) in enumerate(zip(DECODED, ("tab:blue", "tab:orange"), strict=True)):
        found = [f.start[d].chrf, *(estimate(f.values(n, d)) for n in TRAINED)]
        for i, e in enumerate(found):
            error = None if e.low is None else [[max(0, e.value - e.low)], [max(0, e.high - e.value)]]
            bars.bar(i + 0.4 * k, e.value, 0.38, yerr=error, capsize=3, color=colour, label=d if i == 0 else None)
    best = f.start["best_of_8"].chrf.value
    bars.axhline(best, color="grey", linestyle=":", label="SFT, best of 8 by the reference")
    bars.set(xticks=[i + 0.2 for i in range(len(names))], ylabel="corpus chrF on test_2016_flickr", ylim=(0, 1.25 * best))
    bars.set_xticklabels([n.replace(" on ", "\non ").replace(" further", "\nfurther") for n in names])
    bars.legend(fontsize=8, loc="upper left")
    for name, colour in zip(RL, ("tab:green", "tab:red"), strict=True):
        for i in range(len(f.trained[name]["greedy"])):
            used, scores, kl = curve(RUNS / str(SEEDS[i]) / name)
            rising.plot(used, scores, color=colour, label=NAMES[name] if i == 0 else None)
            apart.plot(used, kl, color=colour)
    rising.set(xlabel="thousand tokens sampled and learnt from", ylabel="mean sentence chrF of its samples")
    apart.set(xlabel="thousand tokens sampled and learnt from", ylabel="KL to the SFT model, nats a translation")
    rising.legend(fontsize=8)
    for panel in (bars, rising, apart):
        panel.grid(alpha=0.3)
    figure.savefig(path, dpi=80)
    plt.close(figure)


def budget() -> tuple[int, int]:
    """English tokens that further SFT learnt from, and most tokens of RL."""
    from heed.language.chat import encode_completion, load_tokenizer

    stages = read_recipe(HERE / "trainings.yaml")["stages"]
    tokenizer = load_tokenizer(str(page.ROOT / RUNS / "start" / "sft" / "model"))
    lines = (page.ROOT / RUNS / "data" / "train.jsonl").read_text(encoding="utf-8").splitlines()[:2000]
    each = sum(len(encode_completion(tokenizer, json.loads(line)["completion"])) for line in lines) / len(lines)
    return round(each * stages["more_sft"]["batch_size"] * stages["more_sft"]["max_steps"]), stages["rloo"]["max_tokens"]


def about(f: Figures, spent: Sequence[int]) -> str:
    """What was done, with its sizes."""
    made = page.read(RUNS / "start" / "sft" / "lineage.json")
    n, recipe = len(f.trained["rloo"]["greedy"]), read_recipe(HERE / "start.yaml")["stages"]
    base, sft, bleu_of = recipe["pretrain"], recipe["sft"], f.start["greedy"].bleu
    return f"""
Multi30k, German => English: captions of photographs, {made["demonstrations"]:,} pairs to learn from,
test_2016_flickr to be measured on.  The translator is a causal language model of {base["architecture"]["num_hidden_layers"]}
layers of {base["architecture"]["hidden_size"]} with a vocabulary of {base["vocab_size"]:,}, made here in minutes:
{base["num_train_epochs"]} passes over both sides as text, {sft["num_train_epochs"]} over the English side.  **It is a poor
translator**, of BLEU {said(bleu_of)}; what helps it need not help a good one.

From there, {n} seeds each of RLOO and PPO on sentence chrF to the reference, for {spent[1]:,} tokens (sampled and learnt from,
every pass counted), and of further SFT on the same pairs, for about {spent[0]:,} English tokens: {3 * n} trainings.  The
learning rates were set once and not searched.  Intervals of the trainings are t intervals over seeds, all from the one SFT
model and on the one test set; those of the SFT model are sacrebleu's bootstrap over sentences.  The entropy of a translator
is the mean of -log p over the tokens that it samples at temperature 1.
"""


def run() -> None:
    """The data, the translator, and every seed's trainings."""
    data()
    page.heed("run", "--config", f"studies/{HERE.name}/start.yaml")
    for seed in SEEDS:
        page.heed("run", "--config", f"studies/{HERE.name}/trainings.yaml", f"seed={seed}", f"output_dir={RUNS / str(seed)}")


def write_page() -> None:
    """README.md and the figure."""
    f = gather()
    draw(f, HERE / "chrf.png")
    page.write(HERE, "Translation with a chrF reward: does RL help?", about(f, budget()), claims(f),
               "## Every translator", score_table(f), "![chrF of every translator, and the curves of RL](chrf.png)",
               f"Five translations, greedy, of the first seed, stand in {RUNS / 'five.md'}: the sentences are Multi30k's "
               "(Elliott et al. 2016, CC BY-NC-SA 4.0) and are not copied into this repository.")
    (page.ROOT / RUNS / "five.md").write_text(five() + "\n", encoding="utf-8")


if __name__ == "__main__":
    page.main(__doc__, run, write_page)
