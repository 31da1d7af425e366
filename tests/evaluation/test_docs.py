"""docs/metrics.md lists exactly the public metrics, with their arguments, and every figure that a summary may hold."""

import importlib
import inspect
import pkgutil
import re
from pathlib import Path

from heed.evaluation import metrics
from heed.evaluation.rankings import summarise_rankings
from heed.evaluation.summary import summarise

PAGE = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")


def public_metrics() -> dict[str, list[str]]:
    """file.function: its arguments."""
    found = {}
    for info in pkgutil.iter_modules(metrics.__path__):
        module = importlib.import_module(f"{metrics.__name__}.{info.name}")
        for name, function in vars(module).items():
            if inspect.isfunction(function) and function.__module__ == module.__name__ and not name.startswith("_"):
                found[f"{info.name}.{name}"] = list(inspect.signature(function).parameters)
    return found


def test_the_page_lists_exactly_the_metrics():
    headings = re.findall(r"^### ([\w.]+)\(([\w, ]*)\)$", PAGE, re.MULTILINE)
    assert len(headings) == PAGE.count("\n### ")
    assert {name: arguments.split(", ") for name, arguments in headings} == public_metrics()


def test_every_metric_says_what_it_is():
    for name in public_metrics():
        module, function = name.split(".")
        assert inspect.getdoc(getattr(importlib.import_module(f"{metrics.__name__}.{module}"), function)), name


def test_every_name_of_a_summary_is_on_the_page():
    columns = {"use_case": "tale", "harmful": False}
    rows = [
        {
            "prompt_id": str(i),
            "columns": {**columns, "harmful": i > 1},
            "completions": {"sft": ["a", "b"], "ppo": ["c", "c"]},
            **{column: {"sft": [0.0, 1.0], "ppo": [1.0, 2.0 + i]} for column in ("gold", "proxy", "kl", "tokens")},
        }
        for i in range(4)
    ]
    ranked = [
        {
            "prompt_id": i,
            "completions": ["a", "bb"],
            "ranks": [1, 2],
            "scores": [i - 0.5, 0.0],
            "columns": {"use_case": i % 2},
        }
        for i in range(4)
    ]
    names = {re.sub(r"/(tale|[01])$", "/<use case>", name) for name in (*summarise(rows), *summarise_rankings(ranked))}
    names = {name.replace("/proxy/", "/gold/").replace("/sft", "/ppo") for name in names}
    missing = {
        n
        for n in names
        if f"`{n}`" not in PAGE and f"`{re.sub('/(constant|random|oracle)$', '/longer', n)}`" not in PAGE
    }
    assert not missing
