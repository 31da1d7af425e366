"""Settings: a recipe file and `key=value` overrides become one strict, typed object.

The comment beside a setting in the source is its help text, so there is one place to read and to write it.
An unknown key stops with the nearest known one; a value of the wrong type says what was expected.
"""

import contextlib
import dataclasses
import functools
import importlib
import inspect
import os
import re
import traceback
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from heed.errors import RunError, UserError, nearest


class Settings(BaseModel):
    """Base of every workflow's settings: frozen, and no key beyond the ones written down."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, protected_namespaces=())


S = TypeVar("S", bound=Settings)


def make(kind: type[S], values: Mapping[str, Any], where: str = "settings") -> S:
    """`kind(**values)`, or a UserError that names the key, what it holds and what was expected."""
    _refuse_unknown(kind, values, where)
    try:
        return kind(**values)
    except ValidationError as error:
        lines = [_explain(kind, e, where) for e in error.errors()]
        raise UserError("\n".join(lines)) from None


def read_recipe(path: str | Path) -> dict[str, Any]:
    """The mapping in a YAML recipe; `${NAME}` in a text is the environment variable of that name."""
    import yaml

    path = Path(path)
    if not path.is_file():
        beside = [p.name for p in path.parent.glob("*.yaml")] if path.parent.is_dir() else []
        raise UserError(f"no recipe at {path}{nearest(path.name, beside)}")
    try:
        recipe = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(recipe, dict):
        raise UserError(f"{path}: expected `key: value` lines, found {type(recipe).__name__}")
    return expanded(recipe, str(path))


def expanded(value: Any, where: str) -> Any:
    """`value` with every `${NAME}` in its texts replaced from the environment; UserError for one that is not set."""
    if isinstance(value, Mapping):
        return {k: expanded(v, f"{where}: {k}" if ": " not in where else f"{where}.{k}") for k, v in value.items()}
    if isinstance(value, list):
        return [expanded(v, where) for v in value]
    if not isinstance(value, str):
        return value

    def found(match: re.Match[str]) -> str:
        if match[1] not in os.environ:
            raise UserError(f"{where}: the environment variable {match[1]} in {value!r} is not set; "
                            f"give it before the command, as in {match[1]}=... heed ...")
        return os.environ[match[1]]

    return re.sub(r"\$\{(\w+)\}", found, value)


def override(values: Mapping[str, Any], assignments: Sequence[str]) -> dict[str, Any]:
    """`values` with each `a.b=c` applied, the last one winning; values are read as YAML."""
    import yaml

    result = _copy(values)
    for text in assignments:
        key, equals, raw = text.partition("=")
        if not equals or not key:
            raise UserError(f"expected key=value, got {text!r}")
        *parents, last = key.removeprefix("--").split(".")
        place = result
        for name in parents:
            place = place.setdefault(name, {})
            if not isinstance(place, dict):
                raise UserError(f"{text!r}: {name!r} is a single value and has no key {last!r}")
        try:
            place[last] = yaml.safe_load(raw) if raw else ""
        except yaml.YAMLError:
            place[last] = raw
    return result


def dump(settings: Settings) -> str:
    """The resolved settings as YAML, as saved with every run."""
    import yaml

    return yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def describe(kind: type, prefix: str = "") -> Iterator[tuple[str, str, Any, str]]:
    """(key, type, default, help) of every setting, nested ones as `outer.inner`; a required one has default `...`."""
    help_of = _comments(kind)
    for name, (annotation, default) in _fields(kind).items():
        inner = _nested(annotation)
        if inner:
            yield from describe(inner, f"{prefix}{name}.")
        else:
            yield prefix + name, _type_name(annotation), default, help_of.get(name, "")


def resolve_function(name: str, what: str = "function") -> Callable:
    """The function that "module:function" names; the current directory is searched too.

    What goes wrong inside it when it is called is a UserError that names the line.
    """
    import sys

    module_name, colon, attribute = name.partition(":")
    if not colon or not attribute:
        raise UserError(f"{what} {name!r}: expected module:function, for example my_rewards:brevity")
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and not module_name.startswith(error.name):
            raise
        raise UserError(f"{what} {name!r}: no module {module_name!r} here or among the installed ones") from None
    function = getattr(module, attribute, None)
    if not callable(function):
        choices = [n for n, v in vars(module).items() if inspect.isfunction(v) and not n.startswith("_")]
        raise UserError(f"{what} {name!r}: {module_name} has no function {attribute!r}{nearest(attribute, choices)}")
    return _blamed(function, f"{what} {name!r}")


def _blamed(function: Callable, name: str) -> Callable:
    """`function`, whose faults are told as the user's, with the line they happened in."""
    @contextlib.contextmanager
    def blaming() -> Iterator[None]:
        try:
            yield
        except (UserError, RunError):
            raise
        except Exception as error:
            frames = traceback.extract_tb(error.__traceback__)
            own = [f for f in frames if f.filename == inspect.getsourcefile(inspect.unwrap(function))]
            where = f" (line {own[-1].lineno} of {own[-1].filename}: {own[-1].line})" if own else ""
            raise UserError(f"{name} failed: {type(error).__name__}: {error}{where}") from error

    async def awaited(result: Any) -> Any:
        with blaming():
            return await result

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        with blaming():
            result = function(*args, **kwargs)
        return awaited(result) if inspect.isawaitable(result) else result

    return call


def _copy(values: Mapping[str, Any]) -> dict[str, Any]:
    return {k: _copy(v) if isinstance(v, Mapping) else v for k, v in values.items()}


def _fields(kind: type) -> dict[str, tuple[Any, Any]]:
    if issubclass(kind, BaseModel):
        return {n: (f.annotation, ... if f.is_required() else f.get_default(call_default_factory=True))
                for n, f in kind.model_fields.items()}
    hints = typing.get_type_hints(kind)
    return {f.name: (hints[f.name], ... if f.default is dataclasses.MISSING else f.default)
            for f in dataclasses.fields(kind)}


def _nested(annotation: Any) -> type | None:
    for option in typing.get_args(annotation) or (annotation,):
        if isinstance(option, type) and (dataclasses.is_dataclass(option) or issubclass(option, BaseModel)):
            return option
    return None


def _refuse_unknown(kind: type, values: Mapping[str, Any], where: str, prefix: str = "") -> None:
    fields = _fields(kind)
    for key, value in values.items():
        if key not in fields:
            raise UserError(f"{where}: unknown key {prefix + str(key)!r}{nearest(str(key), fields)}")
        inner = _nested(fields[key][0])
        if inner and isinstance(value, Mapping):
            _refuse_unknown(inner, value, where, f"{prefix}{key}.")


def _explain(kind: type, error: Mapping[str, Any], where: str) -> str:
    key = ".".join(str(part) for part in error["loc"] if not str(part).startswith(("function-", "lax-or-strict")))
    if error["type"] == "missing":
        text = _comments(kind).get(key, "")
        return f"{where}: {key!r} is required" + (f": {text}" if text else "")
    message = error["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    if message == error["msg"]:
        return f"{where}: {key}: {message}"
    return f"{where}: {key} = {error.get('input')!r}: expected {message}"


def _comments(kind: type) -> dict[str, str]:
    found: dict[str, str] = {}
    for owner in reversed(kind.__mro__[:-1]):
        if not owner.__module__.startswith("heed"):
            continue
        try:
            source = inspect.getsource(owner)
        except (OSError, TypeError):
            continue
        for line in source.splitlines():
            if match := re.match(r"\s+(\w+): .*?\s# (.+)$", line):
                found[match[1]] = match[2]
    if issubclass(kind, BaseModel):
        found |= {n: f.description for n, f in kind.model_fields.items() if f.description}
    return found


def _type_name(annotation: Any) -> str:
    if typing.get_origin(annotation) is typing.Literal:
        return "|".join(map(str, typing.get_args(annotation)))
    if typing.get_origin(annotation) is typing.Annotated:
        return _type_name(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return " | ".join("none" if a is type(None) else _type_name(a) for a in typing.get_args(annotation))
    return annotation.__name__ if isinstance(annotation, type) else str(annotation).replace("typing.", "")
