"""Rows as parquet, and as a `datasets.Dataset`, without losing anything.

Texts, numbers, lists of either and turns (lists of {"role", "content"}) have a column of their own kind.  What has no one
kind (text prompts among conversations, objects of any shape, half surrogates, which UTF-8 does not know) stands as JSON in
a column whose name ends with `_json`, and is read back from there.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from heed.errors import UserError

JSON = "_json"
AT_ONCE = 1000  # rows turned into Python objects at a time


def table(rows: Iterable[Mapping[str, Any]]) -> Any:
    """A pyarrow.Table of rows; a key that a row lacks is null there."""
    arrow = _arrow()
    rows = list(rows)
    columns = {}
    for name in dict.fromkeys(name for row in rows for name in row):
        values = [row.get(name) for row in rows]
        kind = _kind(arrow, values)
        if kind is None:
            name, kind, values = name + JSON, arrow.string(), [json.dumps(v) for v in values]
        columns[name] = arrow.array(values, kind)
    return arrow.table(columns)


def write(rows: Iterable[Mapping[str, Any]], path: Path) -> int:
    """A file that is there as a whole or not at all; returns the number of rows."""
    import pyarrow.parquet as files

    made = table(rows)
    part = path.with_name(path.name + ".part")
    files.write_table(made, part, compression="zstd")
    os.replace(part, path)
    return made.num_rows


def read(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """("file, row n", values), n from 1.  Raises UserError for a file that is no parquet."""
    arrow = _arrow()
    import pyarrow.parquet as files

    try:
        with files.ParquetFile(path) as file:
            n = 0
            for batch in file.iter_batches(AT_ONCE):
                for row in batch.to_pylist():
                    n += 1
                    yield f"{path}, row {n}", unfolded(row, f"{path}, row {n}")
    except (arrow.ArrowException, OSError) as error:
        raise UserError(f"{path} is not a readable parquet file: {str(error).splitlines()[0]}") from None


def to_dataset(rows: Iterable[Mapping[str, Any]]) -> Any:
    """A datasets.Dataset, for push_to_hub and for trainers; `read_groups` and `read_pairs` take one too."""
    try:
        from datasets import Dataset
    except ImportError:
        raise UserError("a Dataset needs the `datasets` library: pip install 'heed[hub]'") from None
    return Dataset(table(rows))


def unfolded(row: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The row with its `_json` columns read."""
    found = {}
    for name, value in row.items():
        plain = name.removesuffix(JSON)
        if plain == name or plain in row or not isinstance(value, str):
            found[name] = value
            continue
        try:
            found[plain] = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{where}: {name} is not valid JSON: {error}") from None
    return found


def _kind(arrow: Any, values: Sequence[Any]) -> Any:
    """The arrow type that holds all values as they are, or None."""
    if all(_is_text(v) for v in values):
        return arrow.string()
    if all(v is None or isinstance(v, float) for v in values):
        return arrow.float64()
    if not all(isinstance(v, list) for v in values):
        return None
    inner = [x for v in values for x in v]
    if all(_is_text(x) for x in inner):
        return arrow.list_(arrow.string())
    if all(type(x) is int and -(2**63) <= x < 2**63 for x in inner):
        return arrow.list_(arrow.int64())
    if all(isinstance(x, dict) and list(x) == ["role", "content"] and all(map(_is_text, x.values())) for x in inner):
        return arrow.list_(arrow.struct([("role", arrow.string()), ("content", arrow.string())]))
    return None


def _is_text(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _arrow() -> Any:
    try:
        import pyarrow
    except ImportError:
        raise UserError("parquet needs pyarrow: pip install 'heed[parquet]'") from None
    return pyarrow
