"""What a newcomer types first: heed, heed --help, heed <verb> --help."""

import importlib
import subprocess
import sys

import pytest

from heed import __version__
from heed.config import describe
from heed.workflows import VERBS


@pytest.mark.parametrize("argv", [[], ["--help"], ["-h"], ["help"]], ids=str)
def test_the_first_page_names_every_verb_with_what_it_does(heed, argv):
    said = heed(*argv)
    assert said.code == 0 and not said.err
    for verb, (_, text) in VERBS.items():
        assert f"  {verb:<10}{text}\n" in said.out


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_a_verb_lists_every_setting_with_its_meaning(heed, verb):
    said = heed(verb, "--help")
    kind = importlib.import_module(VERBS[verb][0]).SETTINGS
    assert said.code == 0 and f"usage: heed {verb}" in said.out
    listed = {line.split()[0] for line in said.out.split("settings:\n")[1].splitlines() if line[2:3].strip()}
    assert listed == {key for key, *_ in describe(kind)} and {key.split(".")[0] for key in listed} == set(kind.model_fields)
    for key, type_, _, text in describe(kind):
        assert text, f"{verb}: {key} says nothing of itself"
        assert "Annotated" not in type_ and "Optional" not in type_, f"{verb}: {key} is shown as {type_}"


def test_nested_settings_are_listed_as_they_are_typed(heed):
    assert "\n  ppo.num_ppo_epochs " in heed("ppo", "--help").out


def test_help_wins_over_whatever_else_stands_there(heed):
    assert heed("sft", "model=x", "nonsense", "--help").code == 0


def test_the_version(heed):
    for word in ("--version", "-V"):
        assert heed(word).out == f"heed {__version__}\n"


def test_as_a_program_it_answers_and_ends_with_its_code():
    """One real process each for: fine, a mistake, and a reader who has seen enough."""
    ran = [sys.executable, "-m", "heed"]
    fine = subprocess.run([*ran, "--version"], capture_output=True, text=True)
    assert (fine.returncode, fine.stdout) == (0, f"heed {__version__}\n")
    mistake = subprocess.run([*ran, "pppo"], capture_output=True, text=True)
    assert (mistake.returncode, mistake.stderr) == (2, "heed: unknown verb 'pppo'; did you mean 'ppo'?\n")
    enough = subprocess.run(f"{sys.executable} -u -m heed --help | head -c 1", shell=True, capture_output=True, text=True)
    assert (enough.stdout, enough.stderr) == ("h", "")


@pytest.mark.parametrize("verb", ["offline", "rl"])
def test_methods_are_listed_with_their_parameters(verb, heed):
    """Every name of the table, and what its paper lets one choose."""
    from heed.workflows import methods

    out = heed(verb, "--help").out
    for name in {"offline": methods.OFFLINE, "rl": methods.ONLINE}[verb]:
        assert f"\n  {name} " in out
    assert ("beta=0.1, label_smoothing=0.0" if verb == "offline" else "epsilon_high=None") in out
