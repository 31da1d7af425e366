"""The guide and the README, executed: every `bash` and `python` block of docs/guide/?01.md runs, in order, in one folder.

`heed ...` runs in this process, and so do the stages of a recipe: a process each would spend its time on imports.  All else
is given to bash.
"""

import contextlib
import importlib
import io
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from heed.cli import _arguments, _settings, main
from heed.workflows import VERBS
from heed.workflows import run as runs

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = sorted((ROOT / "docs" / "guide").glob("?01.md"))
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The reader's folder, which the pages share."""
    return tmp_path_factory.mktemp("guide")


@pytest.fixture
def there(folder, monkeypatch, in_this_process):
    """In that folder, with `python` being this one."""
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(runs, "subprocess", in_this_process)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")


def statements(block):
    """The commands of a bash block: continued lines joined, a here-document kept with its command."""
    lines = iter(block.splitlines())
    for line in lines:
        while line.endswith("\\"):
            line = line[:-1] + next(lines)
        if end := re.search(r"<<'(\w+)'", line):
            for more in lines:
                line += "\n" + more
                if more == end[1]:
                    break
        if line.strip():
            yield line


def bash(block, monkeypatch):
    for line in statements(block):
        if not line.startswith("heed "):
            done = subprocess.run(["bash", "-euc", line], capture_output=True, text=True)
            assert done.returncode == 0, f"$ {line}\n{done.stdout}{done.stderr}"
            continue
        command, _, source = line.partition(" < ")
        monkeypatch.setattr(sys, "stdin", io.StringIO(Path(source.strip()).read_text() if source else ""))
        said, code = io.StringIO(), 0
        with contextlib.redirect_stderr(said):
            try:
                main(shlex.split(command)[1:])
            except SystemExit as stop:
                code = stop.code
        assert not code, f"$ {line}\nexit {code}\n{said.getvalue()}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_a_page_does_what_it_says(page, there, monkeypatch):
    for language, block in FENCE.findall(page.read_text(encoding="utf-8")):
        if language == "bash":
            bash(block, monkeypatch)
        elif language == "python":
            exec(compile(block, f"{page.name}: {block.splitlines()[0]}", "exec"), {"__name__": "guide"})


def test_at_the_end_there_is_what_the_pages_spoke_of(folder):
    if not (folder / "runs/mine/verified/model").is_dir():
        pytest.skip("the pages were not run before this")
    for path in ("runs/first/report.html", "runs/mine/report.html", "runs/mine/reward/model/config.json"):
        assert (folder / path).is_file(), path


def test_the_pages_are_those_that_the_readme_names():
    assert [p.stem for p in PAGES] == ["101", "201", "301", "401", "501"]
    assert all(f"docs/guide/{p.name}" in README for p in PAGES)


@pytest.mark.parametrize("page", [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))], ids=lambda p: p.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert target.startswith("http") or (page.parent / target).exists(), f"{page.name}: {target}"


def commands(text):
    """Every `heed ...` command in a text, continued lines joined."""
    joined = re.sub(r"\\\n\s*", "", text)
    return [c.strip() for c in re.findall(r"^    (heed [a-z]+ .*?)(?: {2,}#.*)?$", joined, re.MULTILINE)]


@pytest.mark.parametrize("command", commands(README), ids=lambda c: c[:60])
def test_the_commands_of_the_readme_are_commands(command, monkeypatch):
    """Their settings are read as the verb would read them."""
    monkeypatch.chdir(ROOT)
    verb, *words = shlex.split(command)[1:]
    if "--help" not in words:
        _settings(verb, importlib.import_module(VERBS[verb][0]), *_arguments(words))


def test_the_readme_names_every_verb_and_only_targets_that_are_there():
    assert re.findall(r"^\| `heed (\w+(?: watch)?)", README, re.MULTILINE) == list(VERBS)
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:^    |`)make ([\w-]+)", README, re.MULTILINE)) <= targets
    assert len(README.splitlines()) < 200
