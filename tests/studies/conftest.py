"""A study as a module: studies/NAME/study.py for the tests in test_NAME.py."""

import importlib.util
import sys
from pathlib import Path

import pytest

STUDIES = Path(__file__).parents[2] / "studies"


@pytest.fixture(scope="module")
def study(request):
    """study.py, which lies in no package."""
    name = request.path.stem.removeprefix("test_")
    spec = importlib.util.spec_from_file_location(f"{name}_study", STUDIES / name / "study.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def elsewhere(monkeypatch, tmp_path):
    """Runs of this checkout are not looked at."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HEED_DATA", "some/folder")
