"""The shape of the code, kept by a test instead of by memory.  Imports inside functions count like any other."""

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "src" / "heed"

# Each layer may import those below it, never those above.  Siblings in one layer do not see each other.
LAYERS = [
    {"__main__"},
    {"cli", "web", "launch"},
    {"workflows"},
    {"evaluation"},
    {"language", "control", "feedback"},
    {"algorithms"},
    {"training"},
    {"equations"},
    {"protocols"},
    {"records", "experience", "config"},
    {"errors"},
]
# A verb that opens a door: the workflow reads the settings, the door does the rest.
DOORS = {("workflows.serve", "web")}
# The suite of contracts, for us and for outsiders: it may import anything, nothing may import it.
OUTSIDE = "testing"
# Every heavy library has one home.
HOMES = {
    "torch.distributed": ("training.distributed",),
    "ray": ("launch",),
    "vllm": ("language.engines.vllm",),
    "transformers": ("language",),
    "peft": ("language",),
    "tokenizers": ("language",),
    "gymnasium": ("control",),
    "mujoco": ("control",),
    "sqlalchemy": ("feedback",),
    "alembic": ("feedback",),
    "psycopg": ("feedback",),
    "fastapi": ("web",),
    "starlette": ("web",),
    "uvicorn": ("web",),
    "matplotlib": ("evaluation",),
}
WITHOUT_TORCH = ("records", "protocols", "config", "errors", "feedback", "cli", "web")
MAX_LINES = {"algorithms": 200, "workflows": 250, "": 500}
MAX_FUNCTION = 60
NO_NAMES = {"utils", "util", "helpers", "common", "misc"}


@cache
def modules(root=ROOT):
    """(dotted name below heed, path, syntax tree) of every file; a package goes by its own name."""
    found = []
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)
        found.append((name, path, ast.parse(path.read_text(encoding="utf-8"))))
    return found


def imports(tree):
    """(dotted name, line) of everything a file imports, uses as `torch.distributed`, or names in a table of modules."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield f"{node.value.id}.{node.attr}", node.lineno
        elif isinstance(node, ast.Constant) and re.fullmatch(r"heed(\.\w+)+(:\w+)?", str(node.value)):
            yield node.value.replace(":", "."), node.lineno


def inside(name, homes):
    return any(name == home or name.startswith(home + ".") for home in homes)


def layer(name):
    return next((i for i, names in enumerate(LAYERS) if name.split(".")[0] in names), None)


def wrong_directions(root=ROOT):
    known = {top for names in LAYERS for top in names} | {OUTSIDE}
    for name, path, tree in modules(root):
        here = name.split(".")[0]
        if here in ("__init__", OUTSIDE):
            continue
        if here not in known:
            yield f"{path.relative_to(root)}: {here!r} stands in no layer"
            continue
        for target, line in imports(tree):
            there = target.removeprefix("heed.").split(".")[0]
            if not target.startswith("heed.") or there not in known or there == here or (name, there) in DOORS:
                continue
            if there == OUTSIDE or layer(there) <= layer(here):
                yield f"{path.relative_to(root)}:{line} imports {target}"


def homeless(root=ROOT):
    for name, path, tree in modules(root):
        if inside(name, [OUTSIDE]):
            continue
        for target, line in imports(tree):
            if inside(target, ["torch"]) and inside(name, WITHOUT_TORCH):
                yield f"{path.relative_to(root)}:{line} imports {target}, which {', '.join(WITHOUT_TORCH)} do without"
            library = next((lib for lib in HOMES if inside(target, [lib])), None)
            if library and not inside(name, HOMES[library]):
                yield f"{path.relative_to(root)}:{line} imports {target}, at home in {', '.join(HOMES[library])}"


def relative(root=ROOT):
    for _, path, tree in modules(root):
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.level:
                yield f"{path.relative_to(root)}:{node.lineno}: imports are absolute"


def too_long(root=ROOT):
    for name, path, tree in modules(root):
        limit = MAX_LINES.get(name.split(".")[0], MAX_LINES[""])
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if lines > limit:
            yield f"{path.relative_to(root)} has {lines} lines, more than {limit}"
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                size = node.end_lineno - node.lineno + 1
                if size > MAX_FUNCTION:
                    yield f"{path.relative_to(root)}:{node.lineno} {node.name} has {size} lines, more than {MAX_FUNCTION}"


def without_docstring(root=ROOT):
    for name, path, tree in modules(root):
        if tree.body and not ast.get_docstring(tree):
            yield f"{path.relative_to(root)} does not say what it is for"
        # Tables in a past form, and questions of the embedded world: each function's name says all there is to say.
        if any(part.startswith("_") for part in name.split(".")) or re.search(r"migrations\.versions|seal_bay\.asks_", name):
            continue
        # The settings of a workflow are explained by its module's docstring, which `heed <verb> --help` prints.
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef) + (() if inside(name, ["workflows"]) else (ast.ClassDef,))
        for node in tree.body:
            named = isinstance(node, kinds)
            if named and not node.name.startswith("_") and not ast.get_docstring(node):
                yield f"{path.relative_to(root)}:{node.lineno} {node.name} has no docstring"


def without_paper(root=ROOT):
    for name, path, tree in modules(root):
        cited = re.search(r"\b(19|20)\d\d\b", ast.get_docstring(tree) or "")
        if inside(name, ["algorithms", "equations"]) and tree.body and not cited:
            yield f"{path.relative_to(root)} cites nothing (no year in its docstring)"


def badly_named(root=ROOT):
    for name, path, _ in modules(root):
        if NO_NAMES & set(name.split(".")):
            yield f"{path.relative_to(root)}: name it after what it is about"


CHECKS = [wrong_directions, homeless, relative, too_long, without_docstring, without_paper, badly_named]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_shape(check):
    faults = list(check())
    assert not faults, "\n" + "\n".join(faults)


FAULTY = [
    (wrong_directions, "equations/x.py", '"""2020."""\nfrom heed.training.learner import Learner\n'),
    (wrong_directions, "language/x.py", '"""X."""\ndef f():\n    """F."""\n    import heed.control.rollout\n'),
    (wrong_directions, "records.py", '"""X."""\nfrom heed import config\n'),
    (wrong_directions, "training/x.py", '"""X."""\nfrom heed.testing import check_store\n'),
    (wrong_directions, "algorithms/x.py", '"""2020."""\nTABLE = {"x": "heed.workflows.run:run"}\n'),
    (wrong_directions, "stuff/x.py", '"""X."""\n'),
    (homeless, "workflows/x.py", '"""X."""\nfrom transformers import AutoModel\n'),
    (homeless, "training/x.py", '"""X."""\nfrom torch import distributed\n'),
    (homeless, "training/x.py", '"""X."""\nimport torch\nRANK = torch.distributed.get_rank()\n'),
    (homeless, "feedback/x.py", '"""X."""\ndef f():\n    """F."""\n    from torch.nn import Linear\n'),
    (relative, "training/x.py", '"""X."""\nfrom .learner import Learner\n'),
    (too_long, "algorithms/x.py", '"""2020."""\n' + "x = 1\n" * 200),
    (too_long, "training/x.py", '"""X."""\ndef f():\n' + "    x = 1\n" * 60),
    (without_docstring, "training/x.py", '"""X."""\nclass Public:\n    pass\n'),
    (without_docstring, "training/x.py", "x = 1\n"),
    (without_paper, "algorithms/x.py", '"""It trains."""\n'),
    (badly_named, "training/utils.py", '"""X."""\n'),
]


@pytest.mark.parametrize(("check", "file", "source"), FAULTY, ids=[f"{c.__name__}-{i}" for i, (c, _, _) in enumerate(FAULTY)])
def test_each_check_sees_a_fault(tmp_path, check, file, source):
    """A check that lets everything pass would look just like clean code."""
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(source)
    assert len(list(check(tmp_path))) == 1


HEAVY = ["torch", "transformers", "numpy", "matplotlib", "sqlalchemy", "scipy"]


@pytest.mark.parametrize("argv", [["--help"], ["--version"]], ids=" ".join)
def test_help_answers_without_heavy_libraries(argv):
    code = "import sys; from heed.cli import main; main({!r}); print('loaded:', [m for m in {!r} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code.format(argv, HEAVY)], capture_output=True, text=True, check=True)
    assert out.stdout.rstrip().endswith("loaded: []"), out.stdout


def test_people_and_records_live_without_torch():
    """Not even by way of something they import."""
    names = ["heed." + name for name, _, _ in modules() if inside(name, WITHOUT_TORCH) and "migrations" not in name]
    code = f"import sys, importlib\nfor name in {names!r}: importlib.import_module(name)\nprint('torch' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"
