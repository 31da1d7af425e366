"""label: have the completions of `heed sample` ranked, into the store.

by=synthetic: labelers made from a reward function, with the noise, slips and biases of your choice, so that what is
learned from them can be compared with the truth.  by=human: the comparisons wait in the store until people have answered.
by=judge: a language model answers, on an OpenAI-compatible server (judge.url, judge.model) or from a checkpoint
(judge.model); every call stands in judge.jsonl, and what stands there is not asked again.
With `reward_model` the synthetic labelers prefer what such models score higher: a reward model from few answers labels the
rest (`part` divides the prompts).
Killed at any moment, the same command adds what is missing; rankings.jsonl holds the answers, one a line with its
K completions (heed.feedback.exchange says what stands in it).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from heed.errors import UserError
from heed.records import Candidate, Comparison, Prompt, content_id, from_json
from heed.workflows.labelers import Answering
from heed.workflows.settings import Names


class LabelSettings(Answering):
    samples: str  # jsonl written by `heed sample`: a prompt and its completions a line
    part: tuple[float, float] = (0.0, 1.0)  # which prompts: [0, 0.01] a hundredth of them, [0.01, 1] all others
    reward_model: Names = []  # synthetic: directories of reward models that say what they prefer, instead of reward_function


SETTINGS = LabelSettings


def run(settings: LabelSettings) -> dict[str, Any]:
    """Returns how many comparisons and answers there are, the shares of ties and skips, and agreement."""
    from heed.feedback.exchange import write_groups
    from heed.feedback.store import open_store
    from heed.training.run import Run
    from heed.workflows.answers import answer, refuse_password, summarise
    from heed.workflows.choosing import RewardModels
    from heed.workflows.labelers import make_labelers

    refuse_password(settings.store)
    comparisons = part_of(read_samples(settings.samples), *settings.part)
    crowd = make_labelers(settings, bool(settings.reward_model))
    with open_store(settings.store or Path(settings.output_dir) / "store.db", overlap=settings.overlap) as store:
        run = Run(settings.output_dir, settings)  # after all that can be wrong, so that nothing is left of a mistake
        if run.summary is not None:
            return run.summary
        worth = RewardModels(settings.reward_model).means if settings.reward_model else None
        with run.phase("label"):
            answers = answer(settings, comparisons, store, crowd, worth=worth)
        figures = summarise(comparisons, answers.judgements, answers.scores) | answers.figures
        run.dir.mkdir(parents=True, exist_ok=True)  # where the store lies elsewhere
        write_groups(store.rankings(), run.dir / "rankings.jsonl")
    return run.finish({**figures, "seconds": round(run.seconds, 2)}, samples=settings.samples, store=store.database.name,
                      reward_models=settings.reward_model)


def read_samples(path: str, fewest: int = 2) -> list[Comparison]:
    """One Comparison a line, with ids from its content.  Raises UserError with the line that is wrong.

    `fewest`: candidates that a line must have.
    """
    from heed.feedback.exchange import read_lines

    found: dict[str, Comparison] = {}
    for where, row in read_lines(path):
        try:
            comparison = _comparison(row, fewest)
        except UserError as error:
            raise UserError(f"{where}: {error}") from None
        found.setdefault(comparison.id, comparison)
    if not found:
        raise UserError(f"{path} holds no samples")
    return list(found.values())


def part_of(comparisons: Sequence[Comparison], low: float, high: float) -> list[Comparison]:
    """Those whose prompt falls into [low, high) of [0, 1), by a hash of it: [0, 0.01) is within [0, 0.1)."""
    if not 0 <= low < high <= 1:
        raise UserError(f"part = [{low:g}, {high:g}]: expected two numbers from 0 to 1, the smaller first")
    found = [c for c in comparisons if low <= int(content_id("part", c.prompt.id)[:12], 16) / 16**12 < high]
    if not found:
        raise UserError(f"part = [{low:g}, {high:g}] holds none of {len(comparisons)} comparisons")
    return found


def _comparison(row: dict[str, Any], fewest: int) -> Comparison:
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
    if len(candidates) < fewest:
        raise UserError(f"{len(candidates)} completions; expected at least 2 to compare (heed sample num_generations=4)")
    return Comparison(prompt, tuple(candidates), content_id("comparison", prompt.id, *(c.id for c in candidates)))


def _record(row: dict[str, Any]) -> Prompt:
    try:
        return from_json({"kind": "Prompt", **row})
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"prompt = {row!r:.80} is not a prompt as `heed sample` writes it ({error})") from None
