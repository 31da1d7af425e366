"""label: have the completions of `heed sample` ranked, into the store.

by=synthetic: labelers made from a reward function, with the noise, slips and biases of your choice, so that what is
learned from them can be compared with the truth.  by=human: the comparisons wait in the store until people have answered.
Killed at any moment, the same command adds what is missing; rankings.jsonl holds the answers, one a line with its
K completions (heed.feedback.exchange says what stands in it).
"""

import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from heed.config import Settings, resolve_function
from heed.errors import UserError
from heed.records import Candidate, Comparison, Judgement, Prompt, Ranking, content_id, from_json

AT_ONCE = 64  # comparisons in one transaction; their order in the store is the same however often the run was killed


class LabelSettings(Settings):
    """What is judged, by whom, and how well they do it."""

    output_dir: str  # folder of this run; the same command given again goes on where it stopped
    samples: str  # jsonl written by `heed sample`: a prompt and its completions a line
    store: str = ""  # path or postgresql://user@host/name of the store; output_dir/store.db when empty
    by: Literal["synthetic", "human"] = "synthetic"  # who answers
    overlap: int = Field(1, ge=1)  # labelers who answer each comparison
    reward_function: str = ""  # synthetic: what they prefer, module:function with TRL's signature
    labelers: int = Field(1, ge=1)  # synthetic: how many there are
    noise: float = Field(0.0, ge=0)  # synthetic: Gumbel scale, in units of the reward; 0 is exact
    mistakes: float = Field(0.0, ge=0, le=1)  # synthetic: probability that two candidates of an answer change places
    tie_threshold: float = Field(0.0, ge=0)  # synthetic: rewards at most this far apart look equal
    skip: float = Field(0.0, ge=0, le=1)  # synthetic: probability of skipping a comparison
    biases: dict[str, float] = {}  # synthetic: reward per words, characters, or position (each place further down)
    seed: int = 0  # everything random follows from it
    poll_seconds: float = Field(5.0, gt=0)  # human: how often to look for answers


SETTINGS = LabelSettings


def run(settings: LabelSettings) -> dict[str, Any]:
    """Returns how many comparisons and answers there are, the shares of ties and skips, and agreement."""
    from heed.feedback.exchange import write_groups
    from heed.feedback.store import open_store
    from heed.training.run import Run

    if re.match(r"\w+://[^/@]*:[^/]*@", settings.store):
        raise UserError("store: its password would be saved with the run; put it into PGPASSWORD or ~/.pgpass instead")
    comparisons = read_samples(settings.samples)
    crowd = make_crowd(settings) if settings.by == "synthetic" else []
    with open_store(settings.store or Path(settings.output_dir) / "store.db", overlap=settings.overlap) as store:
        run = Run(settings.output_dir, settings)  # after all that can be wrong, so that nothing is left of a mistake
        if run.summary is not None:
            return run.summary
        with run.phase("label"):
            judgements, scores = from_functions(settings, comparisons, store, crowd) if crowd \
                else (from_people(settings, comparisons, store), {})
        figures = summarise(comparisons, judgements, scores)
        run.dir.mkdir(parents=True, exist_ok=True)  # where the store lies elsewhere
        write_groups(store.rankings(), run.dir / "rankings.jsonl")
    return run.finish({**figures, "seconds": round(run.seconds, 2)}, samples=settings.samples, store=store.database.name)


def read_samples(path: str) -> list[Comparison]:
    """One Comparison a line, with ids from its content.  Raises UserError with the line that is wrong."""
    from heed.feedback.exchange import read_lines

    found: dict[str, Comparison] = {}
    for where, row in read_lines(path):
        try:
            comparison = _comparison(row)
        except UserError as error:
            raise UserError(f"{where}: {error}") from None
        found.setdefault(comparison.id, comparison)
    if not found:
        raise UserError(f"{path} holds no samples")
    return list(found.values())


def make_crowd(settings: LabelSettings) -> list:
    """The synthetic labelers, called synthetic-1, synthetic-2, ..."""
    from heed.feedback.labelers import labeler_class

    if not settings.reward_function:
        raise UserError("by=synthetic needs reward_function=module:function")
    if settings.overlap > settings.labelers:
        raise UserError(f"overlap = {settings.overlap} wants more labelers than labelers = {settings.labelers}")
    score = resolve_function(settings.reward_function, "reward_function")
    manners = settings.model_dump(include={"noise", "mistakes", "tie_threshold", "skip", "biases", "seed"})
    return [labeler_class("synthetic")(score, name=f"synthetic-{i + 1}", **manners) for i in range(settings.labelers)]


def from_functions(
    settings: LabelSettings, comparisons: Sequence[Comparison], store, crowd: Sequence
) -> tuple[list[Judgement], dict[str, list[float]]]:
    """Answers of synthetic labelers, now in the store, and the true scores by comparison."""
    from heed.feedback.labelers.synthetic import score_candidates
    from heed.training.progress import Progress

    for labeler in crowd:
        store.introduce(labeler.name, "synthetic")
    given = {(j.comparison_id, j.labeler): j.id for j in store.judgements()}
    judgements, truth, bar = [], {}, Progress("label", len(comparisons), unit="comparison")
    for some in _parts(comparisons):
        scores = score_candidates(crowd[0].score, some)
        truth |= {c.id: s for c, s in zip(some, scores, strict=True) if None not in s}
        new = [labeler.judge(c, s) for c, s in zip(some, scores, strict=True) for labeler in _asked(c, crowd, settings)]
        for judgement in new:
            if given.get((judgement.comparison_id, judgement.labeler), judgement.id) != judgement.id:
                raise UserError(f"the store already has answers of {judgement.labeler!r} to these samples, given under "
                                "other settings; give another store")
        store.add([*some, *new])
        judgements += new
        bar.advance(len(some))
    bar.close()
    return judgements, truth


def from_people(settings: LabelSettings, comparisons: Sequence[Comparison], store) -> list[Judgement]:
    """Answers of people, as soon as each comparison has `overlap` of them that are no skips."""
    from heed.feedback.labelers import labeler_class
    from heed.training.progress import Progress

    people = labeler_class("human")(store)
    people.ask(comparisons)
    bar = Progress("label", settings.overlap * len(comparisons), unit="answer")
    latest: dict[tuple[str, str], Judgement] = {}
    while True:
        latest |= {(j.comparison_id, j.labeler): j for j in people.answers()}
        verdicts = Counter(j.comparison_id for j in latest.values() if j.outcome != "skipped")
        done = sum(min(n, settings.overlap) for n in verdicts.values())
        bar.advance(done - bar.done)
        if done == bar.total:
            bar.close()
            return list(latest.values())
        time.sleep(settings.poll_seconds)


def summarise(
    comparisons: Sequence[Comparison], judgements: Sequence[Judgement], scores: dict[str, list[float]]
) -> dict[str, float]:
    """comparisons, answers (skips not counted); skipped and not_rankable: shares of all that came back; ties: share of
    the pairs of candidates in the answers; agreement: with the true scores, and agreement/labelers: of two labelers on
    one comparison, both as shares of the pairs on which both sides have a preference."""
    from heed.feedback.agreement import Agreement, agree, between_labelers, with_scores

    of = {c.id: c for c in comparisons}
    rankings = [Ranking(of[j.comparison_id], j) for j in judgements if j.outcome == "answered"]
    itself = sum((agree(r.ranks, r.ranks) for r in rankings), Agreement())
    outcomes = Counter(j.outcome for j in judgements)
    rates = {
        "ties": itself.both_tied / itself.pairs if itself.pairs else 0.0,
        "skipped": outcomes["skipped"] / len(judgements),
        "not_rankable": outcomes["not_rankable"] / len(judgements),
        "agreement": with_scores(rankings, scores).rate,
        "agreement/labelers": sum(between_labelers(rankings).values(), Agreement()).rate,
    }
    counts = {"comparisons": len(comparisons), "answers": outcomes["answered"]}
    return counts | {name: round(rate, 6) for name, rate in rates.items() if rate == rate}  # NaN: no such pair


def _comparison(row: dict[str, Any]) -> Comparison:
    from heed.feedback.exchange import needed

    prompt = _record(needed(row, "prompt", dict, "a prompt as `heed sample` writes it"))
    made_by = needed(row, "made_by", str, "the checkpoint that wrote the completions")
    sampling = needed({"sampling": {}, **row}, "sampling", dict, "an object")
    candidates = []
    for i, part in enumerate(needed(row, "completions", list, 'a list of {"text", "tokens", "logprob"}')):
        if not isinstance(part, dict):
            raise UserError(f'completions holds {part!r:.60}: expected {{"text", "tokens", "logprob"}}')
        text = needed(part, "text", str, "a text")
        tokens = needed({"tokens": None, **part}, "tokens", (list, type(None)), "a list of token ids")
        logprob = needed({"logprob": None, **part}, "logprob", (float, int, type(None)), "a number")
        id = needed({"id": content_id("completion", prompt.id, made_by, str(i), text), **part}, "id", str, "a text")
        candidates.append(Candidate(text, made_by, tokens if tokens is None else tuple(tokens), logprob, sampling, id))
    if len(candidates) < 2:
        raise UserError(f"{len(candidates)} completions; expected at least 2 to compare (heed sample n=4)")
    return Comparison(prompt, tuple(candidates), content_id("comparison", prompt.id, *(c.id for c in candidates)))


def _record(row: dict[str, Any]) -> Prompt:
    try:
        return from_json({"kind": "Prompt", **row})
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"prompt = {row!r:.80} is not a prompt as `heed sample` writes it ({error})") from None


def _parts(comparisons: Sequence[Comparison]) -> Iterator[Sequence[Comparison]]:
    yield from (comparisons[i : i + AT_ONCE] for i in range(0, len(comparisons), AT_ONCE))


def _asked(comparison: Comparison, crowd: Sequence, settings: LabelSettings) -> list:
    """The `overlap` labelers of this comparison: drawn by a hash, so that every run draws the same."""
    return sorted(crowd, key=lambda x: content_id(str(settings.seed), x.name, comparison.id))[: settings.overlap]
