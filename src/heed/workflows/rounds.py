"""One round of `heed online`: its stages, what of it is on record, and what it came to.

round.json holds what a round must not decide twice: its number in the store and the snapshot that its training reads.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from heed.config import make
from heed.errors import UserError
from heed.feedback.models import Models
from heed.feedback.store import open_store
from heed.workflows.checkpoints import register

if TYPE_CHECKING:
    from heed.workflows.online import Online

OURS = {"output_dir", "store", "model", "dataset", "seed", "samples", "stretch", "priority", "upto", "start_from", "models",
        "reference"}  # settings that a round fills in itself


@dataclass(frozen=True)
class Policy:
    """A policy of the line: what it is called here (sft, round_1, ...), in the store, and where it lies."""

    name: str
    id: str
    path: str
    reward: str = ""  # the reward model that improved it


@dataclass(frozen=True)
class Done:
    """A round that is over: the figures of its stages by stage."""

    policy: Policy
    answers: int  # in the snapshot
    watermark: int
    stages: Mapping[str, Mapping[str, Any]]

    @property
    def curve(self) -> dict[str, float]:
        """Plain numbers, for metrics.jsonl and the store's record of rounds."""
        name = self.policy.name
        wanted = {"reward_accuracy": ("reward", "eval_accuracy"), "gold": ("evaluate", f"gold/{name}"),
                  "proxy": ("evaluate", f"proxy/{name}"), "kl": ("evaluate", f"kl/{name}"),
                  "win_rate": ("evaluate", self._win("gold") or self._win("proxy"))}  # fmt: skip
        found = {key: self.stages[stage].get(figure) for key, (stage, figure) in wanted.items()}
        return {"answers": self.answers, **{k: v["value"] for k, v in found.items() if v}}

    @property
    def said(self) -> str:
        """What a person should see."""
        c, win = self.curve, self.stages["evaluate"].get(self._win("gold") or self._win("proxy"))
        text = f"{self.answers:,} answers"
        text += f", reward model right on {c['reward_accuracy']:.0%} of held-out pairs" if "reward_accuracy" in c else ""
        return text + (f", preferred to the policy before in {win['value']:.0%} ({win['low']:.0%} to {win['high']:.0%})"
                       if win and "low" in win else "")

    def summary(self, n: int) -> dict[str, Any]:
        """Its own figures under its name, and those of its evaluation, which covers every policy so far."""
        collected, own = self.stages["collect"], f"round_{n}"
        found = {f"{own}/answers": self.answers, f"{own}/watermark": self.watermark}
        found |= {f"{own}/{k}": collected[k] for k in ("agreement", "agreement/labelers") if k in collected}
        found |= {f"{own}/reward_{k}": v for k, v in self.stages["reward"].items() if k.startswith("eval_accuracy")}
        return {**found, **self.stages["evaluate"]}

    def _win(self, judge: str) -> str:
        """The figure of the new policy against the one before it, the last of its kind; "" where it was not measured."""
        prefix = f"win_rate/{judge}/{self.policy.name}_vs_"
        names = [k for k in self.stages["evaluate"] if k.startswith(prefix) and k.count("/") == 2]
        return names[-1] if names else ""


def store_of(settings: "Online") -> str:
    """Where the answers are."""
    return settings.store or str(Path(settings.output_dir) / "store.db")


def check(settings: "Online") -> None:
    """Reads the settings of every stage before the first one begins."""
    from heed.workflows.run import kind_of

    for stage in ("collect", "reward", "ppo", "evaluate"):
        if taken := sorted(OURS & getattr(settings, stage).keys() - {"dataset"}):
            raise UserError(f"{stage}.{taken[0]} is filled in by heed online; leave it out")
    line = [Policy("sft", "", settings.model)]
    for name, values in stages(settings, 2, [*line, Policy("round_1", "", settings.model, settings.model)], 0).items():
        verb = values.get("verb", name)
        values = {k: v for k, v in values.items() if k != "verb"}
        make(kind_of(name, verb), {"output_dir": "x", **values}, f"stage {name!r}")


def first_policy(settings: "Online", store) -> Policy:
    """The policy to begin with, on record."""
    return Policy("sft", register(Models(store), settings.model), settings.model)


def play(settings: "Online", n: int, line: Sequence[Policy]) -> Done:
    """Everything of round n that is not done yet; what is done is only read."""
    folder = Path(settings.output_dir) / f"round-{n}"
    served = line[-settings.served :]
    with open_store(store_of(settings)) as store:
        number = _remembered(folder, "round", lambda: Models(store).open_round(list(dict.fromkeys(p.id for p in served))))
    _run(settings, n, line, 0, ["collect"])
    with open_store(store_of(settings)) as store:
        snapshot = _remembered(folder, "snapshot", lambda: vars(Models(store).snapshot()))
    rewards = list(_rewards(settings))
    _run(settings, n, line, snapshot["watermark"], ["collect", *rewards, "ppo"])
    with open_store(store_of(settings)) as store:
        policy = _register(settings, n, line, store, snapshot["id"], number)
    names = ["collect", *rewards, "ppo", "evaluate", *(["duels"] if settings.duels else [])]
    _run(settings, n, line, snapshot["watermark"], names, report=True)
    found = {name: json.loads((folder / name / "summary.json").read_text()) for name in names}
    done = Done(policy, snapshot["answers"], snapshot["watermark"], found)
    with open_store(store_of(settings)) as store:
        if next(r for r in Models(store).rounds() if r.n == number).closed_at is None:
            Models(store).close_round(number, snapshot["id"], done.curve)
    return done


def stages(settings: "Online", n: int, line: Sequence[Policy], watermark: int) -> dict[str, dict[str, Any]]:
    """The recipe of round n, all stages."""
    from heed.training.schedule import seed_of

    s, store = settings, store_of(settings)
    served = line[-s.served :]
    shared = {"dataset": s.dataset, "max_completion_length": s.max_completion_length}
    last = [p.reward for p in served if p.reward]
    asking = {"splits": ["train", "valid"], **shared, **s.collect, "store": store, "seed": s.seed, "priority": float(n)}
    if asking.get("query", "random") in ("disagreement", "margin"):  # there is no reward model to choose by in the first round
        asking |= {"reward_model": _folders(s, n - 1)} if last else {"query": "random"}
    found: dict[str, dict[str, Any]] = {
        "collect": {**asking, "model": [p.path for p in reversed(served)], "stretch": n - 1}}
    for i, name in enumerate(_rewards(s)):
        begin = {"start_from": _folders(s, n - 1)[i]} if s.reward_from == "last" and last else {}
        found[name] = {"verb": "reward", "max_completion_length": s.max_completion_length, **s.reward, **begin,
                       "model": s.model, "store": store, "upto": watermark, "seed": seed_of("online", s.seed, n, i)}
    rewards = [f"@{name}/model" for name in _rewards(s)]
    found["ppo"] = {**shared, **s.ppo, "model": (line[-1] if s.policy_from == "last" else line[0]).path,
                    "reward_model": rewards, "reward_weights": [1 / len(rewards)] * len(rewards),
                    "seed": seed_of("online", s.seed, n)}
    models = {**{p.name: p.path for p in line}, f"round_{n}": "@ppo/model"}
    found["evaluate"] = {**shared, **s.evaluate, "models": models, "reference": "sft", "reward_model": rewards[0],
                         "seed": s.seed}
    if s.duels:
        ask = {k: v for k, v in asking.items() if k not in ("query", "reward_model", "tasks", "answers", "max_prompts")}
        found["duels"] = {**ask, "verb": "collect", "model": ["@ppo/model", line[-1].path], "splits": ["test"],
                          "kind": "pairwise", "num_generations": 2, "max_prompts": s.duels, "stretch": n - 1}
    return found


def standings(store, line: Sequence[Policy]) -> dict[str, Any]:
    """elo/<policy>: from every answer so far that compared policies of the line; the first is at 1000."""
    from heed.evaluation.metrics.elo import elo
    from heed.feedback.duels import duels

    names = {policy.id: policy.name for policy in reversed(line)}
    met = [(prompt, names[a], names[b], won) for prompt, a, b, won in duels(store.rankings())
           if a in names and b in names]  # fmt: skip
    return {f"elo/{name}": found.summary() for name, found in elo(met, line[0].name).items()}


def _run(settings: "Online", n: int, line: Sequence[Policy], watermark: int, names: Sequence[str],
         report: bool = False) -> None:
    """Those stages of round n, each a process of its own; what is done is not done again."""
    from heed.workflows import run

    chosen = {name: values for name, values in stages(settings, n, line, watermark).items() if name in names}
    recipe = {"name": f"round-{n}", "output_dir": str(Path(settings.output_dir) / f"round-{n}"), "seed": settings.seed,
              "jobs": settings.jobs, "stages": chosen, "report": report}
    run.run(make(run.RunSettings, recipe, f"round {n}"))


def _register(settings: "Online", n: int, line: Sequence[Policy], store, snapshot: str, number: int) -> Policy:
    """The round's reward models and its policy, with everything they were made from."""
    models, folder = Models(store), Path(settings.output_dir) / f"round-{n}"
    before = line[-1] if settings.policy_from == "last" else line[0]
    rewards = []
    for i, path in enumerate(_folders(settings, n)):
        go_on = settings.reward_from == "last" and n > 1
        parent = register(models, _folders(settings, n - 1)[i], "reward") if go_on else line[0].id
        rewards.append(register(models, path, "reward", name=f"round-{n}-{Path(path).parent.name}", parent=parent,
                                snapshot=snapshot, round=number))
    path = str(folder / "ppo" / "model")
    id = register(models, path, name=f"round-{n}", parent=before.id, reward=rewards[0], snapshot=snapshot, round=number)
    return Policy(f"round_{n}", id, path, _folders(settings, n)[0])


def _rewards(settings: "Online") -> list[str]:
    """Names of the reward stages."""
    return ["reward", *(f"reward-{i + 1}" for i in range(1, settings.reward_models))]


def _folders(settings: "Online", n: int) -> list[str]:
    """Directories of the reward models of round n."""
    return [str(Path(settings.output_dir) / f"round-{n}" / name / "model") for name in _rewards(settings)]


def _remembered(folder: Path, key: str, decide) -> Any:
    """What round.json says of `key`; decided and written down where it says nothing."""
    from heed.training.checkpoint import write_file

    file = folder / "round.json"
    known = json.loads(file.read_text()) if file.exists() else {}
    if key not in known:
        known[key] = decide()
        write_file(file, json.dumps(known, indent=1))
    return known[key]
