import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from fake_run import write_fake_run


@pytest.fixture(scope="session")
def fake_run(tmp_path_factory) -> Path:
    """A whole run; not to be written to."""
    return write_fake_run(tmp_path_factory.mktemp("runs") / "bay", prompts=48)


@pytest.fixture
def own_run(fake_run, tmp_path) -> Path:
    """A copy of it to change."""
    return Path(shutil.copytree(fake_run, tmp_path / "bay"))
