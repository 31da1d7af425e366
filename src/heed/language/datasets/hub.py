"""Datasets on the Hugging Face hub, through the optional `datasets` library.  Never runs a dataset's own code."""

from collections.abc import Iterable, Iterator
from typing import Any

from heed.errors import UserError
from heed.language.datasets.files import Place, checked


def parts(name: str) -> dict[str, Iterator[Place]]:
    """{split name there: its rows} of `organisation/dataset` or `organisation/dataset:config`."""
    try:
        from datasets import load_dataset
    except ImportError:
        raise UserError(
            f"{name!r} is neither a file here nor an embedded dataset; as a hub name it needs the `datasets` library: "
            "pip install 'heed[hub]'"
        ) from None
    repo, _, config = name.partition(":")
    try:
        found = load_dataset(repo, config or None)
    except Exception as error:  # the library raises a dozen unrelated kinds: no network, no such name, a config missing
        raise UserError(f"{name}: cannot be loaded from the hub ({str(error).splitlines()[0]})") from None
    return {split: rows(found[split], f"{name}, {split}") for split in found}


def rows(dataset: Iterable[Any], name: str) -> Iterator[Place]:
    """The rows of one split, numbered from 1."""
    for number, values in enumerate(dataset, 1):
        yield f"row {number}", checked(values, f"{name}, row {number}")
