"""One row of a file, read with care: a wrong value stops with the file, the row and the key, never with a KeyError."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from heed.errors import UserError, nearest
from heed.language.datasets.splits import SplitRule
from heed.records import Message, Prompt, Text, content_id

MISSING = object()


class Skip(Exception):
    """A well-formed row that holds nothing to learn from (a deleted message, an unfinished tree); counted, not fatal."""


@dataclass(frozen=True, slots=True)
class Row:
    """The values of one row and where they stand.  Keys may be paths: `info.post`, `summaries.0.text`."""

    values: Mapping[str, Any]
    place: str = "row 1"  # "reviews.jsonl, line 7"
    rule: SplitRule = field(default_factory=SplitRule)

    def wrong(self, key: str, expected: str) -> UserError:
        """The error for a value that is not what its key promises."""
        try:
            got = self.get(key)
        except UserError as error:
            return error
        return UserError(f"{self.place}: {key!r} should be {expected}, not {shown(got)}")

    def get(self, key: str, default: Any = MISSING) -> Any:
        """The value at `key`; UserError when it is absent and no default was given."""
        if key in self.values:
            return self.values[key]
        value: Any = self.values
        for part in key.split("."):
            value = unfolded(value)
            if isinstance(value, Mapping) and part in value:
                value = value[part]
            elif isinstance(value, Sequence) and not isinstance(value, str) and part.isdigit() and int(part) < len(value):
                value = value[int(part)]
            elif default is not MISSING:
                return default
            else:
                names = value if isinstance(value, Mapping) else ()
                raise UserError(f"{self.place}: no {key!r}{nearest(part, names)}")
        return value

    def text(self, key: str, default: Any = MISSING) -> str:
        """The text at `key`; the default, where there is one, also for null."""
        value = self.get(key, default)
        if value is None and default is not MISSING:
            return default
        if not isinstance(value, str) and value is not default:
            raise self.wrong(key, "text")
        return value

    def name(self, key: str, default: str = "unknown") -> str:
        """A short label such as a worker or a model: text or a number, `default` when absent or null."""
        value = self.get(key, None)
        if value is None or value == "":
            return default
        if isinstance(value, str | int | float):
            return str(value)
        raise self.wrong(key, "a name")

    def number(self, key: str, default: Any = MISSING) -> float:
        """A finite number; text that reads as one (as every CSV cell does) counts."""
        value = self.get(key, default)
        if value is default:
            return value
        try:
            number = float(value) if isinstance(value, str | int | float) else math.nan
        except (ValueError, OverflowError):
            number = math.nan
        if not math.isfinite(number):
            raise self.wrong(key, "a number")
        return number

    def whole(self, key: str, choices: Sequence[int] | None = None) -> int:
        """A whole number, one of `choices` where they are given."""
        number = self.number(key)
        if number != int(number) or (choices is not None and int(number) not in choices):
            raise self.wrong(key, "one of " + ", ".join(map(str, choices)) if choices is not None else "a whole number")
        return int(number)

    def true(self, key: str) -> bool:
        """A yes or no: a boolean, 1 or 0, or those words in a CSV cell."""
        value = self.get(key)
        word = value.strip().lower() if isinstance(value, str) else value
        if word in (True, 1, "true", "1", "1.0", "yes"):
            return True
        if word in (False, 0, "false", "0", "0.0", "no"):
            return False
        raise self.wrong(key, "true or false")

    def items(self, key: str) -> list[Any]:
        """A list; a CSV cell may hold it as JSON."""
        value = unfolded(self.get(key))
        if not isinstance(value, list | tuple):
            raise self.wrong(key, "a list")
        return list(value)

    def texts(self, key: str) -> list[str]:
        values = self.items(key)
        if not all(isinstance(v, str) for v in values):
            raise self.wrong(key, "a list of texts")
        return values

    def rest(self, *used: str) -> dict[str, Any]:
        """The columns not used for anything else; they travel with the prompt to reward functions."""
        return {k: v for k, v in self.values.items() if k not in used and k != "split"}

    def prompt(self, content: str | Sequence[Message], columns: Mapping[str, Any] | None = None) -> Prompt:
        """A prompt in its split.  A conversation's split is decided by its opening turn, so that the branches of one
        conversation never stand on both sides."""
        content = content if isinstance(content, str) else tuple(content)
        prompt = Prompt(content, columns or {})
        key = prompt.id
        if not isinstance(content, str):
            first = next((i for i, m in enumerate(content) if m.role == "user"), len(content) - 1)
            key = content_id(*(x for m in content[: first + 1] for x in (m.role, m.content)))
        return Prompt(content, prompt.columns, self.rule.of(self.values.get("split"), key), prompt.id)

    def document(self, text: str) -> Text:
        """A text in its split."""
        return Text(text, self.rule.of(self.values.get("split"), content_id(text)))


def unfolded(value: Any) -> Any:
    """A list or object that stands as JSON in a CSV cell; anything else as it is."""
    if isinstance(value, str) and value[:1] in ("[", "{"):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            pass
    return value


def shown(value: Any) -> str:
    """A value as a person may recognise it in an error: its kind and its first characters."""
    if value is None:
        return "null"
    text = repr(value)
    kind = {"str": "text", "dict": "object"}.get(type(value).__name__, type(value).__name__)
    return f"the {kind} {text if len(text) <= 60 else text[:57] + '...'}"
