"""compare: several methods on the same data from the same start, some seeds each, on one page.

    name: why_rl
    seeds: [0, 1, 2]
    start: {sft: {...}, sample: {...}, label: {...}, reward: {...}}      stages as in `heed run`, made once
    policy: "@sft/model"                                                 what every method begins with and is measured against
    shared: {offline: {...}, rl: {...}}                                  settings of all methods' stages, by verb
    methods:
      dpo: {verb: offline, algorithm: dpo}
      ppo: {verb: rl, algorithm: ppo}
      best of 16: {best_of: 16}                                          no training: the best of so many by the reward
      two steps: {stages: {sft: {...}, ppo: {verb: rl, model: "@sft/model", ...}}}
    evaluate: {dataset: ..., gold: ..., reward_model: "@reward/model"}

Every method's stages begin with `model` = policy unless they say otherwise.  Stages run on `jobs` cores and are resumed as in
`heed run`; a training that fails (its KL exploded, its loss is no number) is written down and left out, and the others go on.
compare.html: gold and win rate over KL, tokens and time, memory, every two methods against each other with intervals, what
failed, and a conclusion that is computed from the figures.
"""

import time
from pathlib import Path
from typing import Any

from pydantic import Field, PositiveInt

from heed.config import Settings, make
from heed.errors import UserError, nearest

CHANGED = {"output_dir", "seed", "models", "reference", "best_of", "compare"}  # of evaluate: filled in here


class Compare(Settings):
    name: str  # the run's folder is runs/<name>
    about: str = ""  # what to expect: figures, time, where to look
    output_dir: str | None = None  # another folder than runs/<name>
    seed: int = 0  # seed of the stages of `start`
    seeds: list[int] = Field([0, 1, 2], min_length=1)  # a training of every method for each
    jobs: PositiveInt = 2  # stages at a time
    start: dict[str, dict[str, Any]] = {}  # stages made once, for all methods
    policy: str  # model that every method begins with: the yardstick, and the reference of KL
    shared: dict[str, dict[str, Any]] = {}  # verb: settings of every method's stage of that verb
    methods: dict[str, dict[str, Any]] = Field(min_length=1)  # name: a stage, {stages: several}, or {best_of: n}
    evaluate: dict[str, Any]  # settings of heed evaluate
    budget: dict[str, float] = {}  # of a training: tokens end it (sampled and learnt from), seconds name who used more


SETTINGS = Compare


def run(settings: Compare) -> dict[str, Any]:
    """Runs what is not done yet, then writes compare.html and comparison.json; returns the latter."""
    from heed.evaluation.comparison import write_summary
    from heed.evaluation.comparison_page import write_page
    from heed.workflows import run as runner

    folder = folder_of(settings)
    if wrong := sorted(CHANGED & settings.evaluate.keys()):
        raise UserError(f"evaluate.{wrong[0]} is filled in by heed compare; leave it out")
    if wrong := sorted(settings.budget.keys() - {"tokens", "seconds"}):
        raise UserError(f"budget: {wrong[0]!r} is neither tokens nor seconds")
    trainings = {(name, seed): stages_of(settings, name, seed) for name in settings.methods for seed in settings.seeds}
    stages = {**settings.start, **{k: v for made in trainings.values() for k, v in made.items()}}
    recipe = {"name": settings.name, "output_dir": str(folder), "seed": settings.seed, "jobs": settings.jobs, "report": False}
    check_evaluation(settings, stages)
    began = time.monotonic()
    runner.run(make(runner.RunSettings, {**recipe, "stages": stages, "keep_going": True}, settings.name))
    good = {key: made for key, made in trainings.items() if all(done(folder, stage) for stage in made)}
    evaluations = {f"evaluate-s{seed}": evaluation_of(settings, seed, good) for seed in settings.seeds}
    runner.run(make(runner.RunSettings, {**recipe, "stages": {**stages, **evaluations}, "keep_going": True}, settings.name))
    found = read(settings)
    page = write_page(folder, settings.name, settings.about, found)
    write_summary(folder, found)
    print(" ".join(found.conclusion))
    print(f"compare: {len(good)} of {len(trainings)} trainings done in {time.monotonic() - began:.0f} s: {page}")
    return found.summary()


def read(settings: Compare) -> Any:
    """The Comparison that lies in the run's folder by now; RunError where nothing was evaluated yet."""
    from heed.evaluation.comparison import gather
    from heed.workflows.run import read_failed

    folder, families = folder_of(settings), {name: kind_of(method) for name, method in settings.methods.items()}
    made = {(name, seed): list(stages_of(settings, name, seed)) for name in settings.methods for seed in settings.seeds}
    return gather(folder, families, made, settings.seeds, settings.budget, read_failed(folder))


def folder_of(settings: Compare) -> Path:
    """Where a comparison lies."""
    return Path(settings.output_dir or Path("runs") / settings.name)


def stages_of(settings: Compare, name: str, seed: int) -> dict[str, dict[str, Any]]:
    """The stages of one training, called after it; {} for a method that trains nothing."""
    method = settings.methods[name]
    if "best_of" in method:
        if set(method) != {"best_of"}:
            raise UserError(f"method {name!r}: best_of trains nothing and takes nothing else")
        return {}
    own = method.get("stages", {name: method})
    known = {stage: f"{folder_name(name)}-{stage}-s{seed}" if "stages" in method else f"{folder_name(name)}-s{seed}"
             for stage in own}
    made = {}
    for stage, values in own.items():
        verb, most = values.get("verb", stage), {}
        if "tokens" in settings.budget and verb in ("offline", "rl", "ppo"):
            most = {"max_tokens": round(settings.budget["tokens"] / len(own))}
        values = {"verb": verb, "model": settings.policy, "seed": seed, **most, **settings.shared.get(verb, {}), **values}
        made[known[stage]] = renamed(values, known)
    return made


def evaluation_of(settings: Compare, seed: int, good: dict) -> dict[str, Any]:
    """The evaluation of all that was trained with one seed, each against the policy that it began with."""
    models, best_of = {"start": settings.policy}, {}
    for (name, its), made in good.items():
        if its == seed:
            models[name] = f"@{list(made)[-1]}/model" if made else settings.policy
            if not made:
                best_of[name] = settings.methods[name]["best_of"]
    return {"verb": "evaluate", "seed": seed, **settings.evaluate, "models": models, "reference": "start", "best_of": best_of,
            "compare": "reference"}


def check_evaluation(settings: Compare, stages: dict[str, Any]) -> None:
    """Reads the settings of the evaluation before the first stage begins."""
    from heed.workflows.evaluate import SETTINGS as kind

    make(kind, {"output_dir": "x", "models": {"start": settings.policy}, **settings.evaluate}, "evaluate")
    for text in (settings.policy, *(v for v in settings.evaluate.values() if isinstance(v, str))):
        if text.startswith("@") and text[1:].split("/")[0] not in stages:
            raise UserError(f"{text!r} speaks of a stage that is not there{nearest(text[1:].split('/')[0], stages)}")


def renamed(value: Any, known: dict[str, str]) -> Any:
    """`@stage/...` of a method's own stages with the names that they have in this run."""
    if isinstance(value, str) and value.startswith("@"):
        stage, slash, rest = value[1:].partition("/")
        return f"@{known.get(stage, stage)}{slash}{rest}"
    if isinstance(value, dict):
        return {k: renamed(v, known) for k, v in value.items()}
    return [renamed(v, known) for v in value] if isinstance(value, list) else value


def kind_of(method: dict[str, Any]) -> str:
    """What family a method is of: decoding, imitation, direct, reinforcement, or several stages."""
    from heed.workflows.methods import OFFLINE

    if "best_of" in method:
        return "decoding"
    if "stages" in method:
        return "several stages"
    verb, algorithm = method.get("verb"), method.get("algorithm", "ppo")
    if verb in ("rl", "ppo"):
        return "imitation" if algorithm in ("raft", "rating_weighted") else "direct" if algorithm == "online_dpo" else (
            "reinforcement")
    return "direct" if verb == "offline" and OFFLINE[algorithm].rows.endswith((":Compared", ":Labels")) else "imitation"


def folder_name(name: str) -> str:
    """A method's name as that of a folder."""
    return "".join(c if c.isalnum() or c in "_." else "_" for c in name)


def done(folder: Path, stage: str) -> bool:
    """Whether a stage has ended well."""
    return (folder / stage / "summary.json").exists()

