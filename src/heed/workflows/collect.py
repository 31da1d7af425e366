"""collect: sample candidates, choose what is worth asking, put it before labelers, wait for the answers.

The candidates come from one policy or several (`model`, `dataset`), or from the samples of `heed sample` (`samples`).  `query`
says how to choose among the prompts: at random, where an ensemble of reward models disagrees most, where rewards are
closest, or far from what was asked before.  People find the questions in `heed serve`; synthetic labelers and judges
answer here.  It ends when `answers` have arrived; what is left of the questions stays open for whoever has time.
Stopped with Ctrl-C or killed, the same command goes on waiting: nothing is lost and nothing is asked twice.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt

from heed.errors import UserError
from heed.records import Comparison, Prompt
from heed.workflows.labelers import Answering
from heed.workflows.settings import Names


class Collect(Answering):
    samples: str = ""  # candidates that are there already: jsonl written by heed sample
    model: Names = []  # policies that write candidates: hub names or directories; several share the places
    dataset: str = ""  # prompts: a named dataset (seal_bay), a file or folder, a hub name
    splits: Names = ["train"]  # which prompts; what is said of `valid` measures a reward model, of `test` trains nothing
    max_prompts: PositiveInt | None = None  # how many prompts, drawn at random; all by default
    stretch: NonNegativeInt = 0  # which max_prompts of the shuffled prompts: 1 are those behind 0
    num_generations: int = Field(4, ge=2, le=9)  # candidates a question
    max_prompt_length: PositiveInt = 512  # tokens kept of a prompt
    max_completion_length: PositiveInt = 64  # most tokens a completion
    temperature: NonNegativeFloat = 1.0  # 0 is greedy
    engine: str = "static_cache"  # who samples: static_cache or transformers
    chunk: PositiveInt = 64  # prompts between two writes
    bf16: bool = False  # matrix products in bfloat16, where that is not slower here
    query: Literal["random", "disagreement", "margin", "diversity"] = "random"  # how questions are chosen
    reward_model: Names = []  # directories of reward models that choose: 2 or more for disagreement, 1 or more for margin
    tasks: PositiveInt | None = None  # how many questions to ask; all there are by default
    answers: PositiveInt | None = None  # how many answers to wait for; `overlap` a question by default
    kind: Literal["rank", "pairwise"] = "rank"  # what people see: an order of all, or two with how much better
    pool: str = ""  # only for labelers of this pool
    priority: float = 0.0  # the greatest is asked first


SETTINGS = Collect


def run(settings: Collect) -> dict[str, Any]:
    """Returns how much was asked and answered, the shares of ties and skips, agreement, and how often each policy won."""
    from heed.feedback.exchange import write_groups
    from heed.feedback.store import open_store
    from heed.training.run import Run
    from heed.workflows.answers import answer, refuse_password, summarise
    from heed.workflows.labelers import make_labelers

    refuse_password(settings.store)
    if bool(settings.samples) == bool(settings.model) or bool(settings.model) != bool(settings.dataset):
        raise UserError("collect: give either samples, or model and dataset")
    if settings.kind == "pairwise" and settings.num_generations != 2:
        raise UserError(f"kind = 'pairwise' compares 2, num_generations is {settings.num_generations}")
    crowd = make_labelers(settings)
    with open_store(settings.store or Path(settings.output_dir) / "store.db", overlap=settings.overlap) as store:
        run = Run(settings.output_dir, settings)
        if run.summary is not None:
            return run.summary
        run.open()
        with run.phase("sample"):
            could = candidates(settings, store)
        with run.phase("choose"):
            asked = ask(settings, store, could)
        for c in asked:
            run.samples.log({"question": c.id, "prompt": c.prompt.trl(), "candidates": [
                {"id": a.id, "made_by": a.made_by, "text": a.text} for a in c.candidates]}, step=1)
        with run.phase("label"):
            answers = answer(settings, asked, store, crowd, settings.answers)
        figures = {"could": len(could), **summarise(asked, answers.judgements, answers.scores), **answers.figures}
        figures |= wins(asked, answers.judgements)
        write_groups(_rankings(asked, answers.judgements), run.dir / "rankings.jsonl")
        watermark = store.watermark()
    return run.finish({**figures, "seconds": round(run.seconds, 2)}, models=settings.model, samples=settings.samples,
                      dataset=settings.dataset, store=store.database.name, watermark=watermark,
                      reward_models=settings.reward_model)


def candidates(settings: Collect, store) -> list[Comparison]:
    """All that could be asked, the makers of the candidates known to the store."""
    from heed.feedback.models import Models
    from heed.workflows.checkpoints import register
    from heed.workflows.choosing import put_together, renamed
    from heed.workflows.label import read_samples

    if settings.samples:
        groups = [read_samples(settings.samples)]
    else:
        prompts = draw_prompts(settings)
        files = [_sample(settings, i, prompts) for i in range(len(settings.model))]
        groups = [read_samples(str(file), fewest=1) for file in files]
    made_by = {c.made_by for group in groups for comparison in group for c in comparison.candidates}
    names = {model: register(Models(store), model) for model in sorted(made_by) if Path(model).is_dir()}
    return [renamed(c, names) for c in put_together(groups, 9 if settings.samples else settings.num_generations)]


def draw_prompts(settings: Collect) -> list[Prompt]:
    """`max_prompts` of the splits' prompts, without repeating any before all were had; the same whenever it is called."""
    from heed.language.datasets import load
    from heed.training.schedule import batch_indices

    prompts = [p for split in settings.splits for p in load(settings.dataset, Prompt, split=split)]
    prompts = list({p.id: p for p in prompts}.values())
    if not prompts:
        raise UserError(f"{settings.dataset}: no prompt in {' or '.join(settings.splits)}")
    n = min(settings.max_prompts or len(prompts), len(prompts))
    index = batch_indices(settings.stretch, len(prompts), n, settings.seed)
    return [prompts[i] for i in dict.fromkeys(index)]


def ask(settings: Collect, store, could: Sequence[Comparison]) -> list[Comparison]:
    """Chooses and puts before labelers, or finds what was chosen before it was stopped.

    asked.json is whole before the first question is in the store, so that what is asked is chosen once.
    """
    from heed.feedback.work import Task, Work
    from heed.training.checkpoint import write_file
    from heed.workflows.choosing import choose

    file = Path(settings.output_dir) / "asked.json"
    if not file.exists():
        before = store.comparisons()
        known = {c.id for c in before}
        free = [c for c in could if c.id not in known]
        if not free:
            raise UserError(f"nothing to ask: {len(could)} questions could be put together, and all of them were asked before"
                            if could else "nothing to ask: no prompt got two different completions")
        chosen = choose(settings.query, free, settings.tasks or len(free), settings.reward_model, before, settings.seed)
        write_file(file, json.dumps({"asked": [c.id for c in chosen]}))
    of = {c.id: c for c in could}
    asked = [of[id] for id in json.loads(file.read_text())["asked"]]
    Work(store).ask([Task(settings.kind, c.prompt, c.candidates, overlap=settings.overlap, priority=settings.priority,
                          pool=settings.pool, round=open_round(store), id=c.id) for c in asked])
    return asked


def open_round(store) -> int | None:
    """The round that these questions belong to, where one is open."""
    from heed.feedback.models import Models

    rounds = Models(store).rounds()
    return rounds[-1].n if rounds and rounds[-1].closed_at is None else None


def wins(asked: Sequence[Comparison], judgements) -> dict[str, Any]:
    """preferred/<policy>: how often its candidate was put above another policy's, a tie being half."""
    from heed.feedback.duels import duels
    from heed.workflows.answers import rate

    rows: dict[str, list[tuple[str, float, int]]] = {}
    for prompt, a, b, won in duels(_rankings(asked, judgements)):
        rows.setdefault(a, []).append((prompt, won, 1))
        rows.setdefault(b, []).append((prompt, 1 - won, 1))
    return {f"preferred/{name}": rate(found) for name, found in sorted(rows.items())}


def _sample(settings: Collect, i: int, prompts: Sequence[Prompt]) -> Path:
    """The i-th policy's completions, made by `heed sample`."""
    from heed.training.schedule import seed_of
    from heed.workflows import sample

    folder = Path(settings.output_dir) / f"sample-{i + 1}"
    shared = settings.model_dump(include={"dataset", "max_prompts", "max_prompt_length", "max_completion_length",
                                          "temperature", "engine", "chunk", "bf16"})
    each = -(-settings.num_generations // len(settings.model))
    sample.run(sample.Sample(output_dir=str(folder), model=settings.model[i], split=settings.splits[0],
                             num_generations=each, seed=seed_of("collect", settings.seed, i), **shared), prompts)
    return folder / "samples.jsonl"


def _rankings(asked: Sequence[Comparison], judgements):
    from heed.records import Ranking

    of = {c.id: c for c in asked}
    return [Ranking(of[j.comparison_id], j) for j in judgements if j.outcome == "answered"]
