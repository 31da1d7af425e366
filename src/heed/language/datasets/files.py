"""Files to rows: .jsonl .json .csv .parquet .txt, each also .gz or .xz, a .tar.xz of texts, or a folder of them.

Nothing is ever unpickled.  A file that is not what its name says stops with one sentence; so do a broken line,
a duplicated key, a NUL byte and half a surrogate pair, because tokenizers and databases fail on them far from here.
"""

import csv
import gzip
import io
import json
import lzma
import re
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from heed.errors import UserError

KINDS = (".jsonl", ".json", ".csv", ".parquet", ".txt")
PACKED = (".gz", ".xz")
PICKLED = (".pkl", ".pickle", ".pt", ".pth", ".bin", ".ckpt", ".npy", ".npz", ".joblib")
END_OF_TEXT = "<|endoftext|>"
ODD = re.compile(r"\\u(?:d[89a-f]|0000)", re.IGNORECASE)  # escapes that may be half a pair, or NUL
CELL = 16 * 2**20  # the csv module's own limit, 128 KiB a cell, is below an article's length

Place = tuple[str, Any]  # "line 7", the values there (or the UserError that says why there are none)


def kind_of(path: Path) -> str:
    """`.jsonl` for pairs.jsonl.gz, `.tar` for reviews.tar.xz, `` for what heed does not read."""
    suffixes = [s.lower() for s in path.suffixes]
    while suffixes and suffixes[-1] in PACKED:
        suffixes.pop()
    last = suffixes[-1] if suffixes else ""
    if last == ".tgz":
        return ".tar"
    return last if last in (*KINDS, ".tar") else ""


def find(path: Path) -> list[Path]:
    """The readable files at `path`: itself, or those in the folder in the order of their names."""
    if path.is_dir():
        files = sorted(p for p in path.rglob("*") if p.is_file() and kind_of(p) and not p.name.startswith("."))
        if not files:
            raise UserError(f"{path}: no {', '.join(KINDS)} file (or one of them as .gz or .xz) in this folder")
        return files
    if any(s.lower() in PICKLED for s in path.suffixes):
        raise UserError(f"{path}: heed never unpickles data; export it as .jsonl, .csv or .parquet")
    if not kind_of(path):
        raise UserError(f"{path}: heed reads {', '.join(KINDS)}, each also as .gz or .xz, and .tar.xz of texts")
    return [path]


def rows(path: Path, whole: bool = False) -> Iterator[Place]:
    """(place, values) for everything in the file.  A .txt that is the `whole` of a source is cut into splits."""
    reader: Callable[[BinaryIO, Path], Iterator[Place]] = {
        ".jsonl": jsonl,
        ".json": json_file,
        ".csv": csv_file,
        ".parquet": parquet,
        ".txt": in_splits if whole else text_file,
        ".tar": tar,
    }[kind_of(path)]
    with explained(path), opened(path) as stream:
        yield from reader(stream, path)


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """The unpacked bytes of a file, after a look at its first ones."""
    with open(path, "rb") as raw:
        head = raw.read(6)
    packed = {b"\x1f\x8b": ".gz", b"\xfd7": ".xz"}.get(head[:2], "")
    named = path.suffix.lower() if path.suffix.lower() in PACKED else ".gz" if path.suffix.lower() == ".tgz" else ""
    if not head:
        raise UserError(f"{path}: the file is empty")
    if named and packed != named:
        raise UserError(f"{path}: the name says {named} but the bytes are not {named[1:]}; rename it to what it is")
    if packed and not named:
        raise UserError(f"{path}: the bytes are packed ({packed}); rename it to {path.name}{packed}")
    if head[:1] == b"\x80" or head[:4] == b"PK\x03\x04" or head[:6] == b"\x93NUMPY":
        raise UserError(f"{path}: looks like a pickle or an archive of one; heed never unpickles data")
    with {"": open, ".gz": gzip.open, ".xz": lzma.open}[named](path, "rb") as stream:
        yield stream


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """What reading can fail with, as one sentence."""
    try:
        yield
    except (gzip.BadGzipFile, lzma.LZMAError, zlib.error, EOFError) as error:
        raise UserError(f"{path}: broken or cut-off compressed file ({error})") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text (byte {error.object[error.start]:#04x})") from None
    except tarfile.TarError as error:
        raise UserError(f"{path}: not a readable tar file ({error})") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from None


def decoded(stream: BinaryIO, newline: str | None = "\n") -> io.TextIOWrapper:
    """The bytes as UTF-8 text; a byte order mark is dropped."""
    return io.TextIOWrapper(stream, encoding="utf-8-sig", newline=newline)


def jsonl(stream: BinaryIO, path: Path) -> Iterator[Place]:
    """One row a line; a broken line is handed on as its error, so that a doctor can read past it."""
    with_rows = False
    for number, line in enumerate(stream, 1):
        place = f"line {number}"
        if not line.strip():
            continue
        with_rows = True
        try:
            yield place, parsed(line.decode("utf-8-sig" if number == 1 else "utf-8"))
        except UnicodeDecodeError as error:
            yield place, UserError(f"{path}, {place}: not UTF-8 text (byte {line[error.start]:#04x})")
        except ValueError as error:
            # A .json file named .jsonl is told apart here: its first line is only an opening bracket.
            hint = "; a file with one JSON value over many lines is .json" if number == 1 and line.strip() in b"[{" else ""
            yield place, UserError(f"{path}, {place}: not a JSON value ({error}){hint}")
    if not with_rows:
        raise UserError(f"{path}: the file is empty")


def json_file(stream: BinaryIO, path: Path) -> Iterator[Place]:
    """A list of rows, one row, or (as many .json files in the wild are) one row a line."""
    text = decoded(stream).read()
    try:
        value = parsed(text)
    except ValueError as error:
        lines = text.strip().split("\n")
        if len(lines) > 1 and lines[0].strip()[-1:] in "}]":
            yield from jsonl(io.BytesIO(text.encode()), path)
            return
        raise UserError(f"{path}: not a JSON file ({error})") from None
    if value == []:
        raise UserError(f"{path}: an empty list")
    for number, row in enumerate(value if isinstance(value, list) else [value], 1):
        yield f"row {number}", row


def parsed(text: str) -> Any:
    """A JSON value; ValueError for what JSON or heed does not allow."""
    try:
        value = json.loads(text, object_pairs_hook=unique, parse_constant=refuse)
    except json.JSONDecodeError as error:
        where = f" of line {error.lineno}" if error.lineno > 1 else ""
        raise ValueError(f"{error.msg.removesuffix(' at')} at column {error.colno}{where}") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if ODD.search(text):
        sound(value)
    return value


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object whose keys differ; json.loads would keep the last of two."""
    values = dict(pairs)
    if len(values) < len(pairs):
        seen: set[str] = set()
        twice = next(k for k, _ in pairs if k in seen or seen.add(k))
        raise ValueError(f"the key {twice!r} stands there twice")
    return values


def refuse(name: str) -> None:
    """For NaN and the infinities, which Python writes and JSON does not know."""
    raise ValueError(f"{name} is not a JSON number")


def sound(value: Any) -> None:
    """ValueError if any text inside holds a NUL byte or half a surrogate pair."""
    if isinstance(value, str):
        if "\0" in value:
            raise ValueError("a NUL byte in a text")
        if any("\ud800" <= c <= "\udfff" for c in value):
            raise ValueError("half a surrogate pair in a text: not Unicode")
    elif isinstance(value, Mapping):
        for key, item in value.items():
            sound(key)
            sound(item)
    elif isinstance(value, list):
        for item in value:
            sound(item)


def checked(values: Any, place: str) -> Any:
    """`values`, or the UserError that says what is wrong with the texts inside."""
    try:
        sound(values)
    except ValueError as error:
        return UserError(f"{place}: {error}")
    return values


def csv_file(stream: BinaryIO, path: Path) -> Iterator[Place]:
    """One row a record, every cell as text under its column name."""
    csv.field_size_limit(CELL)
    reader = csv.reader(decoded(stream, newline=""), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        twice = {name for name in header if header.count(name) > 1}
        if not any(header) or twice:
            raise UserError(f"{path}: the first line should name each column once" + "".join(f"; {t!r}" for t in twice))
        for cells in reader:
            if not cells:
                continue
            place = f"line {reader.line_num}"
            if len(cells) != len(header):
                yield place, UserError(f"{path}, {place}: {len(cells)} cells under {len(header)} column names")
            elif any("\0" in c for c in cells):
                yield place, UserError(f"{path}, {place}: a NUL byte in a text")
            else:
                yield place, {k: c for k, c in zip(header, cells, strict=True) if k}
    except csv.Error as error:
        raise UserError(f"{path}, line {reader.line_num}: not CSV ({error})") from None


def parquet(stream: BinaryIO, path: Path) -> Iterator[Place]:
    """Rows, a thousand at a time."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise UserError(f"{path}: reading .parquet needs pyarrow: pip install 'heed[parquet]'") from None
    try:
        file = pyarrow.parquet.ParquetFile(stream)
        number = 0
        for batch in file.iter_batches(1024):
            for values in batch.to_pylist():
                number += 1
                yield f"row {number}", checked(values, f"{path}, row {number}")
    except (pyarrow.ArrowException, ValueError) as error:
        raise UserError(f"{path}: not a readable parquet file ({str(error).splitlines()[0]})") from None


def text_file(stream: BinaryIO, path: Path) -> Iterator[Place]:
    """Documents: the parts between <|endoftext|> where it stands, else the file."""
    text = decoded(stream, newline=None).read()
    if "\0" in text:
        raise UserError(f"{path}: a NUL byte in a text")
    for number, document in enumerate(text.split(END_OF_TEXT), 1):
        if document.strip():
            yield f"document {number}", {"text": document.strip(), "path": path.as_posix()}


def in_splits(stream: BinaryIO, path: Path) -> Iterator[Place]:
    """The documents; a single one is cut at the ends of lines into 90 % train, 5 % valid and 5 % test, because a hash
    would put all of it on one side."""
    documents = list(text_file(stream, path))
    if len(documents) != 1:
        yield from documents
        return
    text = documents[0][1]["text"]
    cuts = [0, *(text.find("\n", len(text) * percent // 100) + 1 for percent in (90, 95)), len(text)]
    for split, start, end in zip(("train", "valid", "test"), cuts, cuts[1:], strict=False):
        if start < end:
            yield f"the part for {split}", {"text": text[start:end], "split": split}


def tar(stream: BinaryIO, path: Path) -> Iterator[Place]:
    """The .txt members, one document each, read in place: nothing is unpacked to disk."""
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            if member.isfile() and PurePosixPath(member.name).suffix == ".txt":
                content = archive.extractfile(member)
                text = content.read().decode("utf-8") if content else ""
                yield member.name, {"text": text, "path": member.name}
