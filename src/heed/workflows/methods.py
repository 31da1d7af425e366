"""The methods of `heed offline` and `heed rl`: each a line in a plain table, resolved when it is used.

A method is its file in heed/algorithms, its line here, its row in docs/papers.md and a recipe.
"""

import dataclasses
import importlib
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import create_model

from heed.config import Settings, make
from heed.errors import UserError, nearest


@dataclass(frozen=True)
class Offline:
    """A method that learns from judgements that are there."""

    place: str  # module:class
    rows: str = "heed.workflows.offline_rows:Compared"  # what it reads
    reference: bool = False  # whether it reads the reference's log-probabilities


@dataclass(frozen=True)
class Online:
    """A method that learns from its own behaviour."""

    place: str  # module:class
    critic: bool = False  # whether it has one
    price: Literal["reward", "own"] = "reward"  # where a nat of KL is paid for: in the reward (kl_coef), or as its paper says


ROWS, LABELS = "heed.workflows.offline_rows", "heed.workflows.offline_labels"
OFFLINE = {
    "dpo": Offline("heed.algorithms.dpo:DPO", reference=True),
    "ipo": Offline("heed.algorithms.ipo:IPO", reference=True),
    "f_dpo": Offline("heed.algorithms.f_dpo:FDPO", reference=True),
    "robust_dpo": Offline("heed.algorithms.robust_dpo:RobustDPO", reference=True),
    "rso": Offline("heed.algorithms.rso:RSO", reference=True),
    "simpo": Offline("heed.algorithms.simpo:SimPO"),
    "orpo": Offline("heed.algorithms.orpo:ORPO"),
    "slic": Offline("heed.algorithms.slic:SLiC"),
    "unlikelihood": Offline("heed.algorithms.unlikelihood:Unlikelihood"),
    "kto": Offline("heed.algorithms.kto:KTO", f"{LABELS}:Labels", reference=True),
    "raft": Offline("heed.algorithms.raft:RAFT", f"{ROWS}:Examples"),
    "position_weighted": Offline("heed.algorithms.weighted_sft:PositionWeighted", f"{ROWS}:Examples"),
    "rating_weighted": Offline("heed.algorithms.weighted_sft:RatingWeighted", f"{ROWS}:RatedExamples"),
    "conditional_sft": Offline("heed.algorithms.conditional_sft:ConditionalSFT", f"{ROWS}:Conditioned"),
}
ONLINE = {
    "ppo": Online("heed.algorithms.ppo:PPO", critic=True),
    "a2c": Online("heed.algorithms.a2c:A2C", critic=True),
    "trpo": Online("heed.algorithms.trpo:TRPO", critic=True),
    "reinforce": Online("heed.algorithms.reinforce:REINFORCE", critic=True),
    "rloo": Online("heed.algorithms.rloo:RLOO"),
    "grpo": Online("heed.algorithms.grpo:GRPO", price="own"),
    "reinforce_pp": Online("heed.algorithms.reinforce_pp:ReinforcePP"),
    "online_dpo": Online("heed.algorithms.online_dpo:OnlineDPO", price="own"),
    "raft": Online("heed.algorithms.raft:RAFT", price="own"),
    "quark": Online("heed.algorithms.quark:Quark", price="own"),
    "rating_weighted": Online("heed.algorithms.weighted_sft:RatingWeighted", price="own"),
}
FILLED = ("num_generations",)  # hyperparameters that a setting of the workflow's own says already


def method(table: Mapping[str, Any], name: str) -> Any:
    """A line of the table; UserError with the nearest name where there is none."""
    if name not in table:
        raise UserError(f"algorithm = {name!r} is none of heed's here{nearest(name, table)}")
    return table[name]


def algorithm(table: Mapping[str, Any], name: str, parameters: Mapping[str, Any], **filled: Any) -> Any:
    """The method called `name` with its hyperparameters, read as strictly as settings are; `filled` where it has such."""
    kind = resolve(method(table, name).place)
    hints = typing.get_type_hints(kind)
    own = {f.name: (hints[f.name], f.default) for f in dataclasses.fields(kind) if f.name not in FILLED}
    known = make(create_model(kind.__name__, __base__=Settings, **own), parameters, f"parameters of {name}").model_dump()
    given = {k: v for k, v in filled.items() if k in hints}
    return kind(**known, **given)


def resolve(place: str) -> Any:
    """The class at module:class."""
    module, _, attribute = place.partition(":")
    return getattr(importlib.import_module(module), attribute)


def listed(table: Mapping[str, Any]) -> str:
    """The names of a table and their hyperparameters, a line each, for a help text."""
    lines = ["methods and their parameters:"]
    for name in table:
        parameters = dataclasses.asdict(algorithm(table, name, {}))
        shown = ", ".join(f"{k}={v}" for k, v in parameters.items() if k not in FILLED)
        lines.append(f"  {name:<20}{shown}")
    return "\n".join(lines)
