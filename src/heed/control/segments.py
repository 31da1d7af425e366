"""Segments of behaviour, and the questions asked about them.

A segment is a few seconds of one agent in one environment.  It keeps what the reward predictor sees (`obs`, `actions`),
what it takes to draw the scene again (`states`), and the true reward, which only synthetic teachers and figures may read.
"""

import io
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from heed.errors import RunError


@dataclass(frozen=True)
class Segment:
    """T steps of one agent.  Row t: what it saw, what it did then, and the world it did it in."""

    id: str  # the same in every run with the same seed
    env: str  # name of the environment, as `heed.control.environments.make` takes it
    obs: NDArray[np.float32]  # [T, do], as the environment gives them, not normalised
    actions: NDArray[np.float32]  # [T, da]; discrete actions one-hot
    states: NDArray[np.float64]  # [T, ds]: MuJoCo's qpos then qvel, else the environment's own state
    rewards: NDArray[np.float64]  # [T], true; nobody who learns may look

    def __len__(self) -> int:
        return len(self.rewards)

    @property
    def true_return(self) -> float:
        """Undiscounted sum of the true rewards."""
        return float(self.rewards.sum())


@dataclass(frozen=True)
class Query:
    """One question to a teacher: which of two segments is better?"""

    id: str
    left: Segment
    right: Segment


@dataclass(frozen=True)
class Segments:
    """N segments of one length and environment, stacked: what queries are chosen from and the predictor learns from."""

    ids: list[str]
    env: str
    obs: NDArray[np.float32]  # [N, T, do]
    actions: NDArray[np.float32]  # [N, T, da]
    states: NDArray[np.float64]  # [N, T, ds]
    rewards: NDArray[np.float64]  # [N, T]

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, i: int) -> Segment:
        return Segment(self.ids[i], self.env, self.obs[i], self.actions[i], self.states[i], self.rewards[i])

    def select(self, index: Sequence[int] | slice) -> "Segments":
        """The segments `index`."""
        ids = self.ids[index] if isinstance(index, slice) else [self.ids[i] for i in index]
        return Segments(ids, self.env, self.obs[index], self.actions[index], self.states[index], self.rewards[index])

    def __add__(self, other: "Segments") -> "Segments":
        arrays = {f.name: np.concatenate([getattr(self, f.name), getattr(other, f.name)]) for f in fields(self)[2:]}
        return Segments(self.ids + other.ids, self.env, **arrays)


def stack(segments: Iterable[Segment]) -> Segments:
    """Segments of one length and environment as one."""
    found = list(segments)
    arrays = {f.name: np.stack([getattr(s, f.name) for s in found]) for f in fields(Segments)[2:]}
    return Segments([s.id for s in found], found[0].env, **arrays)


class Recent:
    """The last `most` segments of an agent's life, which is what people are asked about."""

    def __init__(self, most: int):
        self.most, self.segments = most, None

    def add(self, new: Segments) -> None:
        """Append, and forget the oldest."""
        found = new if self.segments is None else self.segments + new
        self.segments = found.select(slice(max(0, len(found) - self.most), None))

    def state(self) -> dict:
        """For a checkpoint."""
        import torch

        if self.segments is None:
            return {}
        arrays = {f.name: getattr(self.segments, f.name) for f in fields(self.segments)[2:]}
        kept = {name: torch.from_numpy(np.ascontiguousarray(a)) for name, a in arrays.items()}
        names = "\n".join([self.segments.env, *self.segments.ids]).encode()
        return kept | {"names": torch.frombuffer(bytearray(names), dtype=torch.uint8)}

    def restore(self, tensors: dict) -> None:
        """Take up what `state` gave."""
        if tensors:
            env, *ids = bytes(tensors["names"].numpy()).decode().split("\n")
            self.segments = Segments(ids, env, **{f.name: tensors[f.name].numpy() for f in fields(Segments)[2:]})


def to_bytes(segments: Segments) -> bytes:
    """A compressed .npz of plain arrays, the same bytes for the same segments."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in {"ids": np.array(segments.ids), "env": np.array(segments.env),
                            **{f.name: getattr(segments, f.name) for f in fields(segments)[2:]}}.items():
            inner = io.BytesIO()
            np.lib.format.write_array(inner, array, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0)), inner.getvalue(), zipfile.ZIP_DEFLATED)
    return out.getvalue()


def from_file(path: Path) -> Segments:
    """What `to_bytes` gave, read from a file; RunError where it is damaged."""
    try:
        with np.load(path, allow_pickle=False) as a:
            return Segments(a["ids"].tolist(), str(a["env"]), a["obs"], a["actions"], a["states"], a["rewards"])
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise RunError(f"{path} holds no segments that can be read: {error}") from error
