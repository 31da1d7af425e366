"""A second opinion on film reviews: a linear classifier that no policy was trained on and no reward model shares anything with.

The sentiment task of Ziegler et al. 2019 trains on a classifier's score, so a rising score may be the classifier's weakness.
`gold` is another kind of model (words and pairs of words, TF-IDF, logistic regression), learnt from other labels (those of the
test half of the Large Movie Review Dataset, Maas et al. 2011), on pieces as long as what a policy writes.
"""

import contextlib
import hashlib
import io
import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heed.errors import RunError, UserError
from heed.language.datasets import load
from heed.language.datasets.kinds import overall
from heed.records import Rating

REVIEWS = "imdb/aclImdb_labelled.tar.xz"  # in the folder HEED_DATA
PIECE = 32  # words the classifier reads at a time


def gold(prompts: Sequence[str], completions: Sequence[str], **columns) -> list[float]:
    """The log-odds that each continuation comes from a good review (7 stars or more) and not a bad one (4 or fewer)."""
    return classifier()([str(c) for c in completions]).tolist()


@dataclass(frozen=True)
class Classifier:
    """TF-IDF of words and pairs of words, and a weight for each: nothing in it but a list of words and three arrays."""

    words: NDArray[np.str_]  # [V]
    idf: NDArray[np.float64]  # [V]
    weights: NDArray[np.float64]  # [V]
    bias: NDArray[np.float64]  # [1]

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Log-odds of each text."""
        return self._vectorizer.transform(texts) @ self.weights + self.bias

    @cached_property
    def _vectorizer(self) -> Any:
        found = vectorizer(vocabulary={word: i for i, word in enumerate(self.words.tolist())})
        found.idf_ = self.idf
        return found

    def save(self, path: Path) -> None:
        """Whole or not there; where nothing can be written the next process learns it again."""
        from heed.training.checkpoint import write_bytes

        made = io.BytesIO()
        np.savez(made, words=self.words, idf=self.idf, weights=self.weights, bias=self.bias)
        with contextlib.suppress(RunError):
            write_bytes(path, made.getvalue())

    @classmethod
    def read(cls, path: Path) -> "Classifier | None":
        """What `save` wrote; None where it is not there, or is something else."""
        try:
            with np.load(path, allow_pickle=False) as found:
                return cls(**found)
        except (OSError, ValueError, TypeError, zipfile.BadZipFile):
            return None


@cache
def classifier() -> Classifier:
    """The classifier of the test half of the reviews in HEED_DATA: learnt once, then kept in the user's cache."""
    path = Path(os.environ.get("HEED_DATA", "")) / REVIEWS
    if not path.is_file():
        raise UserError(f"no reviews at {path}: set HEED_DATA to the folder that holds {REVIEWS}, or leave `gold` out")
    kept = cache_of(path)
    found = Classifier.read(kept)
    if found is None:
        found = fit(load(str(path), Rating, "test"))
        found.save(kept)
    return found


def cache_of(path: Path) -> Path:
    """Where the classifier learnt from this very file by this very code is kept: another file or code, another name."""
    stamp = (str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns, Path(__file__).read_text(encoding="utf-8"))
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return home / "heed" / f"sentiment-{hashlib.sha256(repr(stamp).encode()).hexdigest()[:16]}.npz"


def vectorizer(**settings) -> Any:
    """What cuts texts into words and pairs of words."""
    try:
        from sklearn.feature_extraction.text import TfidfVectorizer
    except ImportError:
        raise UserError("the gold judge of reviews needs scikit-learn: pip install 'heed[evaluation]'") from None
    return TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, **settings)


def fit(reviews: Sequence[Rating]) -> Classifier:
    """Logistic regression on TF-IDF of the pieces of the reviews."""
    words = vectorizer(min_df=5, max_features=100_000)
    from sklearn.linear_model import LogisticRegression

    texts, labels = [], []
    for review in reviews:
        for piece in pieces(review.candidate.text):
            texts.append(piece)
            labels.append(overall(review) > (review.low + review.high) / 2)
    model = LogisticRegression(C=2.0, solver="liblinear").fit(words.fit_transform(texts), labels)
    return Classifier(words.get_feature_names_out().astype(str), words.idf_, model.coef_[0], model.intercept_)


def pieces(text: str) -> list[str]:
    """The text in pieces of PIECE words; a last one of less than half that is left out, unless it is all there is."""
    words = text.split()
    cut = [words[i : i + PIECE] for i in range(0, len(words), PIECE)]
    return [" ".join(p) for p in cut if len(p) >= PIECE // 2 or len(cut) == 1]
