"""Where the clips of a store lie: a folder that trainers write to and the server reads from."""

from pathlib import Path

FOLDER = "media"


def media_folder(store: str | Path) -> Path | None:
    """Beside the store's file; None for a store that is no file, whose clips have to be given a place."""
    text = str(store)
    if "://" in text and not text.startswith("sqlite:"):
        return None
    return Path(text.removeprefix("sqlite:///")).parent / FOLDER
