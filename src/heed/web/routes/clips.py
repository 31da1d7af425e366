"""Clips: the films and pictures of a task, to whom the task was given; and how the agent that they show gets on."""

import json
from functools import lru_cache
from pathlib import Path

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, Response

from heed.feedback.media import media_folder
from heed.web import charts
from heed.web.guard import Labeler, Visit

router = APIRouter()
MIMES = ("video/mp4", "video/webm", "image/png", "image/jpeg", "image/gif", "image/webp")  # none that can hold a script
METRICS = "metrics.jsonl"  # of the run that keeps its store in its own folder


@router.get("/media/{task}/{letter}", include_in_schema=False)
def clip(visit: Labeler, task: int, letter: str) -> Response:
    """The clip shown under that letter; its name and place are not told."""
    items = visit.site.desk.assignment(visit.name, task).items
    media = next((item.media for item in items if item.letter == letter and item.media), None)
    settings = visit.site.settings
    folder = Path(settings.media) if settings.media else media_folder(settings.store)
    if media is None or folder is None or media.mime not in MIMES:
        raise HTTPException(404, "there is no such clip")
    path = (folder.resolve() / media.path).resolve()
    if not path.is_relative_to(folder.resolve()) or not path.is_file():
        raise HTTPException(404, "the file of this clip is missing")
    return FileResponse(path, media_type=media.mime, headers={"Cache-Control": "private, max-age=3600"})


@router.get("/clips/reward.svg", include_in_schema=False)
def reward(visit: Labeler) -> Response:
    """The true return over steps of training, of a run whose store lies in its folder; else an empty picture."""
    return Response(charts.small_line(returns(visit), "the environment’s own reward", "steps"), media_type="image/svg+xml",
                    headers={"Cache-Control": "no-store"})


def returns(visit: Visit) -> tuple[tuple[float, float], ...]:
    """(environment steps, true return) as the run has logged them."""
    media = media_folder(visit.site.settings.store)
    path = media.parent / METRICS if media else None
    return _read(path, path.stat().st_mtime_ns) if path and path.is_file() else ()


@lru_cache(maxsize=4)
def _read(path: Path, changed: int) -> tuple[tuple[float, float], ...]:
    found = []
    for row in path.read_text(encoding="utf-8").split("\n")[:-1]:  # the last line may still be on its way
        figures = json.loads(row)
        if isinstance(figures.get("true/return"), float) and "steps" in figures:
            found.append((figures["steps"], figures["true/return"]))
    return tuple(found)
