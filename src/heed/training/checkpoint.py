"""Saving so that nothing is ever half-written, and loading without trusting what is read.

A checkpoint is a folder `step-000120/` with `tensors.safetensors` (weights, optimizer, average) and `state.json` (step,
KL coefficient, whatever the workflow must remember).  It is written beside its place under another name, flushed to the
disk, and renamed: a reader sees the whole of it or nothing.  No pickle is ever read.
"""

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from heed.errors import RunError, UserError

if TYPE_CHECKING:
    from torch import Tensor

PREFIX = "step-"


def save(folder: Path, step: int, tensors: dict[str, "Tensor"], state: dict[str, Any], *, keep: int = 2) -> Path:
    """Write checkpoint `step` under `folder`, then drop all but the newest `keep`."""
    from safetensors.torch import save_file

    def write(place: Path) -> None:
        save_file({k: v.contiguous() for k, v in tensors.items()}, place / "tensors.safetensors")
        (place / "state.json").write_text(json.dumps({"step": step, **state}))

    target = replace_folder(folder / f"{PREFIX}{step:06d}", write)
    for old in _complete(folder)[:-keep]:
        shutil.rmtree(old, ignore_errors=True)
    return target


def latest(folder: Path) -> "tuple[dict[str, Tensor], dict[str, Any]] | None":
    """Tensors and state of the newest whole checkpoint, or None where there is none."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    for place in reversed(_complete(folder)):
        try:
            return load_file(place / "tensors.safetensors"), json.loads((place / "state.json").read_text())
        except (OSError, ValueError, SafetensorError):
            continue  # damaged from outside: the one before it is still good
    return None


def replace_folder(target: Path, write) -> Path:
    """Have `write(place)` fill a folder, then put it at `target` in one rename; on any error nothing is left behind."""
    from safetensors import SafetensorError

    place = _beside(target)
    try:
        place.mkdir()
        write(place)
        for file in place.rglob("*"):
            if file.is_file():
                _flush(file)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(place, ignore_errors=True)
        raise _unwritten(target, error) from error
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise
    if target.exists():
        aside = target.with_name(f".{target.name}.{os.getpid()}.old")
        os.rename(target, aside)
        os.rename(place, target)
        shutil.rmtree(aside, ignore_errors=True)
    else:
        os.rename(place, target)
    _flush(target.parent)
    return target


def write_file(target: Path, text: str) -> None:
    """Replace a small file in one rename."""
    write_bytes(target, text.encode("utf-8"))


def write_bytes(target: Path, content: bytes) -> None:
    """Replace a file that is not text in one rename."""
    place = _beside(target)
    try:
        place.write_bytes(content)
        _flush(place)
        os.replace(place, target)
    except OSError as error:
        place.unlink(missing_ok=True)
        raise _unwritten(target, error) from error


def refuse_pickle(path: str | Path) -> None:
    """UserError for a file or folder whose weights could run code when read."""
    path = Path(path)
    if path.is_file():
        head = path.read_bytes()[:8]
        if head[:2] in (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05") or head[:4] == b"PK\x03\x04":
            raise UserError(f"{path} is a pickle, which can run code when it is read; expected a Hugging Face "
                            "directory with model.safetensors (convert it with the program that made it)")
        raise UserError(f"{path} is a file; expected a Hugging Face directory with config.json and model.safetensors")
    if path.is_dir() and not any(path.glob("*.safetensors")):
        pickles = [p.name for p in path.iterdir() if p.suffix in (".bin", ".pt", ".pth", ".pkl", ".ckpt")]
        if pickles:
            raise UserError(f"{path} holds {pickles[0]} and no .safetensors; heed reads no pickles "
                            "(load it with transformers once and save_pretrained(..., safe_serialization=True))")


def _complete(folder: Path) -> list[Path]:
    """Oldest first; by number, because the seventh digit would sort before the sixth."""
    found = [p for p in folder.glob(f"{PREFIX}*") if p.name.removeprefix(PREFIX).isdigit() and (p / "state.json").is_file()]
    return sorted(found, key=lambda p: int(p.name.removeprefix(PREFIX)))


def _beside(target: Path) -> Path:
    """Where to write what will become `target`; what killed processes left there is removed."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritten(target, error) from error
    for pattern in (f".{target.name}.*.part", f".{target.name}.*.old"):
        for left in target.parent.glob(pattern):
            shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink(missing_ok=True)
    return target.with_name(f".{target.name}.{os.getpid()}.part")


def _unwritten(target: Path, error: Exception) -> RunError:
    reason = getattr(error, "strerror", None) or error
    return RunError(f"could not write {target}: {reason}; what was there before is kept")


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
