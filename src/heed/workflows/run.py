"""run: a recipe of several stages.

    name: my_run                  the run's folder is runs/my_run (output_dir says otherwise)
    stages:
      sft:    {model: gpt2, dataset: answers.jsonl}
      reward: {model: "@sft/model", dataset: rankings.jsonl}
      ppo:    {model: "@sft/model", reward_model: "@reward/model", dataset: prompts.jsonl}

A stage is a verb with its settings; "@sft/model" is a path in the run's folder, and says that `sft` must come first.  A
stage called otherwise names its verb (`ppo_no_kl: {verb: ppo, ...}`) and may start from another's settings (`like: ppo`).
Each stage is a process of its own; stages that do not wait for each other run side by side on `jobs` cores.  Stages that
are done are not done again: killed and started again, the run goes on where it stopped.
"""

import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, PositiveInt

from heed.config import Settings, make
from heed.errors import RunError, UserError, nearest
from heed.workflows import VERBS


class RunSettings(Settings):
    name: str  # the run's folder is runs/<name>
    about: str = ""  # what to expect: figures, time, where to look
    output_dir: str | None = None  # another folder than runs/<name>
    seed: int = 0  # seed of every stage that does not set its own
    jobs: PositiveInt = 2  # stages at a time
    stages: dict[str, dict[str, Any]] = Field(min_length=1)  # stage name: settings
    report: bool = True  # make report.html at the end
    keep_going: bool = False  # a stage whose training failed is written to failed.json; the rest goes on without it


SETTINGS = RunSettings


def run(settings: RunSettings) -> dict[str, Any]:
    """Runs every stage that is not done, then writes the report."""
    folder = run_dir(settings.model_dump())
    stages = {name: resolve(settings.model_dump(), name) for name in settings.stages}
    waits = {name: needs(settings.stages, name) for name in stages}
    refuse_circles(waits)
    check(stages)
    for name in stages:
        gone = sorted(n for n in waits[name] if not (folder / n).exists())
        if gone and (folder / name / "summary.json").exists():
            raise UserError(f"{folder / name} was made from {folder / gone[0]}, which is gone: remove it too, to have both "
                            "made again")
    folder.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    _run_all(folder, stages, waits, settings.jobs, settings.keep_going)
    if settings.report:
        from heed.evaluation.report import write_report

        print(f"report: {write_report(folder)}")
    print(f"run: all {len(stages)} stages done in {time.monotonic() - began:.0f} s ({folder})")
    return {}


def run_dir(recipe: Mapping[str, Any]) -> Path:
    """Where a recipe's run lives."""
    return Path(recipe.get("output_dir") or Path("runs") / str(recipe["name"]))


def stage_settings(recipe: Mapping[str, Any], verb: str, where: str) -> dict[str, Any]:
    """The settings of the stage called `verb` in a recipe of stages, for `heed <verb> --config recipe.yaml`."""
    recipe = make(RunSettings, recipe, where).model_dump()
    if verb not in recipe["stages"]:
        raise UserError(f"{where} has no stage {verb!r}{nearest(verb, recipe['stages'])}")
    needs(recipe["stages"], verb)  # says which stage is not there
    return resolve(recipe, verb)[1]


def resolve(recipe: Mapping[str, Any], name: str) -> tuple[str, dict[str, Any]]:
    """(verb, settings) of a stage: `like` followed, "@" paths made real, output_dir and seed (where it has one) filled in."""
    values = _inherited(recipe["stages"], name)
    verb = values.pop("verb", name)
    values = _real_paths(values, str(run_dir(recipe)))
    filled = {"output_dir": str(run_dir(recipe) / name), "seed": recipe.get("seed", 0)}
    return verb, {k: v for k, v in filled.items() if k in kind_of(name, verb).model_fields} | values


def check(stages: Mapping[str, tuple[str, dict[str, Any]]]) -> None:
    """Reads the settings of every stage before the first one begins: a slip in the last is not found hours later.

    A stage that was begun under other settings is refused, done or not: its results would pass for those of these.
    """
    for name, (verb, values) in stages.items():
        settings = make(kind_of(name, verb), values, f"stage {name!r}")
        if hasattr(settings, "output_dir"):
            from heed.training.run import Run

            Run(settings.output_dir, settings)


def refuse_circles(waits: Mapping[str, set[str]]) -> None:
    """UserError where stages wait for each other."""
    left = dict(waits)
    while ready := [name for name, needed in left.items() if not needed & left.keys()]:
        for name in ready:
            del left[name]
    if left:
        raise UserError(f"stages wait for each other in a circle: {', '.join(sorted(left))}")


def kind_of(name: str, verb: str) -> type[Settings]:
    """The settings of a stage's verb."""
    if verb not in VERBS or verb == "run":
        raise UserError(f"stage {name!r}: there is no verb {verb!r}{nearest(verb, set(VERBS) - {'run'})}")
    return importlib.import_module(VERBS[verb][0]).SETTINGS


def needs(stages: Mapping[str, Mapping[str, Any]], name: str) -> set[str]:
    """The stages whose folders a stage's settings speak of."""
    found = set()
    for text in _strings(_inherited(stages, name)):
        if text.startswith("@"):
            stage = text[1:].split("/")[0]
            if stage not in stages:
                raise UserError(f"stage {name!r}: {text!r} speaks of a stage that is not there{nearest(stage, stages)}")
            found.add(stage)
    return found - {name}


def _inherited(stages: Mapping[str, Mapping[str, Any]], name: str, below: tuple[str, ...] = ()) -> dict[str, Any]:
    values = dict(stages[name] or {})
    like = values.pop("like", None)
    if like is None:
        return values
    if like not in stages or like == name:
        raise UserError(f"stage {name!r}: like = {like!r}, which is not another stage{nearest(str(like), stages)}")
    if like in below:
        raise UserError(f"stages are like each other in a circle: {', '.join((*below, name))}")
    return {"verb": like, **_inherited(stages, like, (*below, name)), **values}


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)


def _real_paths(value: Any, folder: str) -> Any:
    if isinstance(value, str) and value.startswith("@"):
        return os.path.join(folder, value[1:])
    if isinstance(value, Mapping):
        return {k: _real_paths(v, folder) for k, v in value.items()}
    return [_real_paths(v, folder) for v in value] if isinstance(value, list) else value


def _run_all(folder: Path, stages: Mapping[str, tuple[str, dict[str, Any]]], waits: Mapping[str, set[str]], jobs: int,
             keep_going: bool = False) -> None:
    """Start each stage as soon as those it waits for are done; the first failure stops the others, unless they keep going."""
    done = {name for name in stages if (folder / name / "summary.json").exists()}
    for name in sorted(done):
        print(f"run: {name} is done already", flush=True)
    failed = read_failed(folder) if keep_going else {}
    running: dict[str, subprocess.Popen] = {}
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that stages end with the run
    try:
        while len(done | _left_out(failed, waits, done)) < len(stages):
            for name in stages:
                if name not in done and name not in running and waits[name] <= done and len(running) < jobs \
                        and name not in failed:
                    running[name] = _start(folder, name, *stages[name], quiet=keep_going)
            time.sleep(0.05)
            for name, process in list(running.items()):
                code = process.poll()
                if code is None:
                    continue
                del running[name]
                if code == RunError.exit_code and keep_going:
                    failed[name] = _last_words(folder / f".{name}.log")
                    (folder / "failed.json").write_text(json.dumps(failed, indent=1), encoding="utf-8")
                    print(f"run: {name} failed: {failed[name]}", flush=True)
                elif code:
                    if keep_going:
                        print(_last_words(folder / f".{name}.log"), file=sys.stderr)
                    _fail(name, code)
                else:
                    done.add(name)
                    if keep_going:  # stages write to logs of their own: this is all that tells how far it is
                        print(f"run: {name} is done, {len(done)} of {len(stages)}", flush=True)
    finally:
        for process in running.values():
            process.terminate()
        for process in running.values():
            process.wait()
        signal.signal(signal.SIGTERM, before)


def read_failed(folder: Path) -> dict[str, str]:
    """stage: what it said when it failed.  Remove a line, or the file, to have it tried again."""
    path = folder / "failed.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def _left_out(failed: Mapping[str, str], waits: Mapping[str, set[str]], done: set[str]) -> set[str]:
    """The stages that failed, and those that wait for them."""
    left = failed.keys() & waits.keys() - done
    while more := {name for name, needed in waits.items() if needed & left and name not in left | done}:
        left = left | more
    return set(left)


def _last_words(log: Path) -> str:
    """The last line that a stage wrote."""
    lines = log.read_text("utf-8", "replace").split("\n") if log.exists() else []
    return next((line.removeprefix("heed: ") for line in reversed(lines) if line.strip()), "it said nothing")


def _start(folder: Path, name: str, verb: str, values: Mapping[str, Any], quiet: bool = False) -> subprocess.Popen:
    import yaml

    recipe = folder / f".{name}.yaml"
    recipe.write_text(yaml.safe_dump(dict(values), sort_keys=False), encoding="utf-8")
    print(f"run: {name} begins", flush=True)
    command = [sys.executable, "-m", "heed", verb, "--config", str(recipe)]
    if not quiet:
        return subprocess.Popen(command)
    with (folder / f".{name}.log").open("w", encoding="utf-8") as log:  # many stages at a time: each has a log of its own
        return subprocess.Popen(command, stderr=log, stdout=subprocess.DEVNULL)


def _fail(name: str, code: int) -> None:
    if code == UserError.exit_code:
        raise UserError(f"stage {name} stopped (see above)")
    raise RunError(f"stage {name} ended with exit code {code} (see above); the same command goes on from its last checkpoint")
