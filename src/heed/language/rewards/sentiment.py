"""A second opinion on film reviews: a linear classifier that no policy was trained on and no reward model shares anything with.

The sentiment task of Ziegler et al. 2019 trains on a classifier's score, so a rising score may be the classifier's weakness.
`gold` is another kind of model (words and pairs of words, TF-IDF, logistic regression), learnt from other labels (those of the
test half of the Large Movie Review Dataset, Maas et al. 2011), on pieces as long as what a policy writes.
"""

import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from heed.errors import UserError
from heed.language.datasets import load
from heed.language.datasets.kinds import overall
from heed.records import Rating

REVIEWS = "imdb/aclImdb_labelled.tar.xz"  # in the folder HEED_DATA
PIECE = 32  # words the classifier reads at a time


def gold(prompts: Sequence[str], completions: Sequence[str], **columns) -> list[float]:
    """The log-odds that each continuation comes from a good review (7 stars or more) and not a bad one (4 or fewer)."""
    return classifier().decision_function([str(c) for c in completions]).tolist()


@cache
def classifier() -> Any:
    """The fitted classifier, learnt once a process from the test half of the reviews in HEED_DATA."""
    path = Path(os.environ.get("HEED_DATA", "")) / REVIEWS
    if not path.is_file():
        raise UserError(f"no reviews at {path}: set HEED_DATA to the folder that holds {REVIEWS}, or leave `gold` out")
    return fit(load(str(path), Rating, "test"))


def fit(reviews: Sequence[Rating]) -> Any:
    """TF-IDF of words and pairs of words into logistic regression, on pieces of the reviews."""
    try:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
    except ImportError:
        raise UserError("the gold judge of reviews needs scikit-learn: pip install 'heed[evaluation]'") from None
    texts, labels = [], []
    for review in reviews:
        for piece in pieces(review.candidate.text):
            texts.append(piece)
            labels.append(overall(review) > (review.low + review.high) / 2)
    words = TfidfVectorizer(ngram_range=(1, 2), min_df=5, max_features=100_000, sublinear_tf=True)
    return make_pipeline(words, LogisticRegression(C=2.0, solver="liblinear")).fit(texts, labels)


def pieces(text: str) -> list[str]:
    """The text in pieces of PIECE words; a last one of less than half that is left out, unless it is all there is."""
    words = text.split()
    cut = [words[i : i + PIECE] for i in range(0, len(words), PIECE)]
    return [" ".join(p) for p in cut if len(p) >= PIECE // 2 or len(cut) == 1]
