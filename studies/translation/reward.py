"""How close a translation is to its reference, as a reward: `reward_functions: translation.reward:chrf`.

(`studies` is on Python's path where a study runs heed, see page.py.)
"""

from collections.abc import Sequence

from sacrebleu.metrics import CHRF

METRIC = CHRF()  # character 6-grams, beta 2: the same that the page measures over the whole test set (Popović 2015)


def chrf(prompts: Sequence[str], completions: Sequence[str], reference: Sequence[str], **columns) -> list[float]:
    """Sentence chrF of each completion, 0 to 100."""
    return [METRIC.sentence_score(c.strip(), [r.strip()]).score for c, r in zip(completions, reference, strict=True)]
