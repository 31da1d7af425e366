"""What a checkpoint is called, and where it comes from, for the store: the same weights are the same model wherever they lie.

A trained model lies in the folder of its run, whose lineage.json names what it was made from; all of that is registered
with it.
"""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

from heed.feedback.models import Checkpoint, Models


def weights_sha256(model: str) -> str:
    """SHA-256 of a directory's safetensors, the files in the order of their names; "" for a hub name, which is no folder."""
    files = sorted(Path(model).glob("*.safetensors")) if model and Path(model).is_dir() else []
    if not files:
        return ""
    digest = sha256()
    for file in files:
        with file.open("rb") as opened:
            while block := opened.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def checkpoint_id(model: str, name: str = "", digest: str | None = None) -> str:
    """`sft@1f2e3d4c5b` for the model of a run called sft; a hub name as it is.  `digest` of its weights, where it is known."""
    place = Path(model)
    digest = weights_sha256(model) if digest is None else digest
    name = name or (place.resolve().parent.name if place.name == "model" else place.name)
    return f"{name}@{digest[:10]}" if digest else model


def register(models: Models, model: str, role: str = "policy", *, name: str = "", **more: Any) -> str:
    """The id of a checkpoint that is now known to the store, with all that it was made from.

    `more`: what the caller knows better (parent, reward, snapshot, round); the rest is read from the lineage.json of its run.
    """
    digest = weights_sha256(model)
    id = checkpoint_id(model, name, digest)
    for known in models.checkpoints():
        if known.id == id or (digest and (known.sha256, known.role) == (digest, role)):
            return known.id
    made = lineage_of(model)
    if "parent" not in more:
        more["parent"] = _register_if_there(models, made.get("parent"), "policy")
    if "reward" not in more:
        more["reward"] = _register_if_there(models, _first(made.get("reward_model")), "reward")
    models.register(Checkpoint(id, role, model, digest, made.get("step", 0), **more))
    return id


def lineage_of(model: str) -> dict[str, Any]:
    """lineage.json of the run that made a model ({} where there is none), with the steps of its last checkpoint."""
    run = Path(model).parent if Path(model).name == "model" else Path(model)
    found = read_json(run / "lineage.json")
    steps = [int(p.name.removeprefix("step-")) for p in run.glob("checkpoints/step-*") if p.name[5:].isdigit()]
    return {**found, **({"step": max(steps)} if steps else {})}


def _register_if_there(models: Models, model: str | None, role: str) -> str | None:
    """A model that was moved away since is left out: nobody can say which weights it had."""
    return register(models, model, role) if model and weights_sha256(model) else None


def _first(value: Any) -> str | None:
    return value[0] if isinstance(value, list) and value else value or None


def read_json(path: Path) -> dict[str, Any]:
    """The object in a file; {} where there is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
