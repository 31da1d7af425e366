"""bfloat16 where it is slow: not used, and said once."""

import pytest
import torch

from heed.training import bfloat16


@pytest.fixture(autouse=True)
def _asked_anew(monkeypatch):
    bfloat16._slow.cache_clear()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    yield
    bfloat16._slow.cache_clear()


@pytest.mark.parametrize(("machine", "instructions", "used"), [
    ("x86_64", "AVX2", False), ("AMD64", "DEFAULT", False), ("x86_64", "AVX512", True), ("aarch64", "DEFAULT", True)])
def test_float32_where_a_processor_has_no_bfloat16(machine, instructions, used, monkeypatch, capsys):
    monkeypatch.setattr("platform.machine", lambda: machine)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: instructions)
    assert [bfloat16.bf16_here(True) for _ in range(2)] == [used, used]
    assert capsys.readouterr().out.count("float32 is used") == (0 if used else 1)
    assert not bfloat16.bf16_here(False), "nobody asked for it"


def test_a_learner_and_an_engine_ask(monkeypatch):
    from heed.workflows.settings import Optimisation, make_learner

    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    settings = Optimisation(output_dir="x", bf16=True)
    for instructions, used in (("AVX2", False), ("AVX512", True)):
        bfloat16._slow.cache_clear()
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda instructions=instructions: instructions)
        assert make_learner(torch.nn.Linear(2, 2), settings).bf16 is used
