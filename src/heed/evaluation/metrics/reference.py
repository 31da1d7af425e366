"""How close is a text to a reference?  The standard implementations, with their signatures kept beside the figure."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from heed.errors import UserError
from heed.evaluation.estimate import Estimate, same_length
from heed.evaluation.metrics.means import mean


@dataclass(frozen=True)
class Overlap:
    """A corpus figure from 0 to 100, with what another must know to get the same."""

    score: Estimate
    signature: str


def bleu(texts: Sequence[str], references: Sequence[str]) -> Overlap:
    """sacrebleu's corpus BLEU, one reference a text; interval: its bootstrap over texts (Post 2018; Koehn 2004)."""
    from sacrebleu.metrics import BLEU

    return _corpus(BLEU(), texts, references)


def chrf(texts: Sequence[str], references: Sequence[str]) -> Overlap:
    """sacrebleu's corpus chrF (character 6-grams), one reference a text; interval as for `bleu` (Popović 2015)."""
    from sacrebleu.metrics import CHRF

    return _corpus(CHRF(), texts, references)


def rouge(
    texts: Sequence[str], references: Sequence[str], prompt_ids: Sequence[Hashable] | None = None, *, seed: int = 0
) -> dict[str, Estimate]:
    """ROUGE-1, -2 and -L F-measures, 0 to 1, means over texts; no stemming (Lin 2004, package rouge-score)."""
    from rouge_score.rouge_scorer import RougeScorer

    _check(texts, references)
    names = ("rouge1", "rouge2", "rougeL")
    scorer = RougeScorer(list(names))
    scores = [scorer.score(reference, text) for text, reference in zip(texts, references, strict=True)]
    return {name: mean([s[name].fmeasure for s in scores], prompt_ids, seed=seed) for name in names}


def _check(texts: Sequence[str], references: Sequence[str]) -> None:
    if same_length(texts=texts, references=references) == 0:
        raise UserError("no texts to compare with references")


def _corpus(metric, texts: Sequence[str], references: Sequence[str]) -> Overlap:
    _check(texts, references)
    value = metric.corpus_score(list(texts), [list(references)]).score
    low = high = None
    if len(texts) > 1:
        drawn = metric.corpus_score(list(texts), [list(references)], n_bootstrap=1000)
        low, high = value - drawn._ci, value + drawn._ci
    estimate = Estimate(
        value, low, high, len(texts), "bootstrap over texts" if len(texts) > 1 else "no interval: one text"
    )
    return Overlap(estimate, str(metric.get_signature()))
