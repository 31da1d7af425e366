"""`heed ...` in this process: quick, and as a person meets it."""

import pytest

from heed.cli import main


class Said:
    """What a command printed, and the code it ended with."""

    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err


@pytest.fixture
def heed(capfd, tmp_path, monkeypatch):
    """heed("sft", "model=x") -> Said, run in an empty folder; a traceback fails the test."""
    monkeypatch.chdir(tmp_path)

    def run(*argv):
        capfd.readouterr()
        code = 0
        try:
            main([str(a) for a in argv])
        except SystemExit as stop:
            code = stop.code
        out, err = capfd.readouterr()
        return Said(code, out, err)

    return run
