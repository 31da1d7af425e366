"""Nothing is ever half-written: killed, out of space or damaged from outside, a whole checkpoint is what is read."""

import json
import os
import pickle
import resource
import signal
from contextlib import contextmanager

import pytest
import torch

from heed.errors import RunError, UserError
from heed.training import checkpoint


def save(folder, step, value=None, keep=2):
    return checkpoint.save(folder, step, {"w": torch.full((4,), float(value or step))}, {"kl": 0.1 * step}, keep=keep)


def newest(folder):
    tensors, state = checkpoint.latest(folder)
    assert (tensors["w"] == tensors["w"][0]).all()
    return state["step"], tensors["w"][0].item()


def killed_at(point, work):
    """Run `work` in a process that is killed as soon as it calls `point`, a name in heed.training.checkpoint's `os`."""
    child = os.fork()
    if child == 0:
        module, name = point
        setattr(module, name, lambda *args, **kwargs: os.kill(os.getpid(), signal.SIGKILL))
        work()
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL


@contextmanager
def files_of_at_most(size):
    """As on a full disk, what is written behind `size` bytes of a file is refused."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_what_was_saved_is_what_is_loaded(tmp_path):
    tensors = {"w": torch.randn(3, 4), "step": torch.tensor(7.0), "half": torch.randn(5).bfloat16(),
               "turned": torch.randn(2, 3).T}
    checkpoint.save(tmp_path, 7, tensors, {"kl": {"coef": 0.1 + 0.2}, "last": {"x": 1e-300}})
    found, state = checkpoint.latest(tmp_path)
    assert state == {"step": 7, "kl": {"coef": 0.1 + 0.2}, "last": {"x": 1e-300}}
    assert found.keys() == tensors.keys()
    assert all(torch.equal(found[k], v) and found[k].dtype == v.dtype for k, v in tensors.items())


def test_nothing_there_is_none(tmp_path):
    assert checkpoint.latest(tmp_path) is None and checkpoint.latest(tmp_path / "missing") is None


def test_only_the_newest_are_kept_counted_as_numbers(tmp_path):
    for step in (2, 10, 100, 999_999, 1_000_000):
        save(tmp_path, step, keep=2)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-1000000", "step-999999"]
    assert newest(tmp_path)[0] == 1_000_000


@pytest.mark.parametrize("point", [(os, "fsync"), (os, "rename"), (os, "mkdir")], ids=lambda p: p[1])
def test_killed_before_the_rename_the_one_before_is_there(tmp_path, point):
    save(tmp_path, 2)
    killed_at(point, lambda: save(tmp_path, 4))
    assert newest(tmp_path) == (2, 2)
    save(tmp_path, 4)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-000002", "step-000004"], "what was killed is swept away"


def test_killed_behind_the_rename_the_new_one_is_there(tmp_path):
    save(tmp_path, 2)
    import shutil

    killed_at((shutil, "rmtree"), lambda: save(tmp_path, 4, keep=1))
    assert newest(tmp_path) == (4, 4)


@pytest.mark.parametrize("file", ["tensors.safetensors", "state.json"])
@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b"\xff" * len(b)],
                         ids=["cut", "empty", "spoilt"])
def test_a_damaged_one_gives_way_to_the_one_before(tmp_path, file, damage):
    save(tmp_path, 2)
    place = save(tmp_path, 4) / file
    place.write_bytes(damage(place.read_bytes()))
    assert newest(tmp_path) == (2, 2)


def test_a_damaged_one_is_replaced_when_its_step_comes_again(tmp_path):
    save(tmp_path, 2)
    (save(tmp_path, 4) / "tensors.safetensors").write_bytes(b"")
    save(tmp_path, 4, value=5)
    assert newest(tmp_path) == (4, 5)
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


def test_a_full_disk_keeps_the_last_checkpoint_and_leaves_nothing_half_written(tmp_path):
    save(tmp_path, 2)
    with files_of_at_most(10_000), pytest.raises(RunError, match=r"could not write .*step-000004: .*before is kept"):
        checkpoint.save(tmp_path, 4, {"w": torch.zeros(100_000)}, {})
    assert newest(tmp_path) == (2, 2)
    assert [p.name for p in tmp_path.iterdir()] == ["step-000002"]


def test_a_small_file_is_replaced_whole_or_not_at_all(tmp_path):
    target = tmp_path / "summary.json"
    checkpoint.write_file(target, "old")
    killed_at((os, "replace"), lambda: checkpoint.write_file(target, "new"))
    assert target.read_text() == "old"
    with files_of_at_most(100), pytest.raises(RunError, match="could not write"):
        checkpoint.write_file(target, "n" * 1000)
    assert target.read_text() == "old"
    checkpoint.write_file(target, "new")
    assert target.read_text() == "new" and [p.name for p in tmp_path.iterdir()] == ["summary.json"]


def test_a_fault_while_writing_leaves_the_old_folder(tmp_path):
    def broken(place):
        (place / "half").write_text("x")
        raise ZeroDivisionError

    checkpoint.replace_folder(tmp_path / "model", lambda place: (place / "whole").write_text("x"))
    with pytest.raises(ZeroDivisionError):
        checkpoint.replace_folder(tmp_path / "model", broken)
    assert [p.name for p in tmp_path.rglob("*")] == ["model", "whole"]


def test_where_nothing_may_be_written_that_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"could not write .*file/x/model"):
        checkpoint.replace_folder(tmp_path / "file" / "x" / "model", lambda place: None)


class Bomb:
    """Runs when it is unpickled."""

    def __reduce__(self):
        return os._exit, (66,)


def test_weights_that_could_run_code_are_refused_unread(tmp_path):
    for protocol in range(2, 6):
        (tmp_path / "a.pt").write_bytes(pickle.dumps(Bomb(), protocol=protocol))
        with pytest.raises(UserError, match="is a pickle"):
            checkpoint.refuse_pickle(tmp_path / "a.pt")
    torch.save({"w": torch.zeros(2)}, tmp_path / "b.pt")
    with pytest.raises(UserError, match="is a pickle"):
        checkpoint.refuse_pickle(tmp_path / "b.pt")
    with pytest.raises(UserError, match=r"holds (a|b)\.pt and no \.safetensors"):
        checkpoint.refuse_pickle(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"")
    checkpoint.refuse_pickle(tmp_path)


def test_a_state_that_is_a_pickle_is_not_read(tmp_path):
    save(tmp_path, 2)
    place = save(tmp_path, 4)
    for file in ("state.json", "tensors.safetensors"):
        (place / file).write_bytes(pickle.dumps(Bomb()))
    assert newest(tmp_path) == (2, 2)


def test_the_state_is_plain_json(tmp_path):
    assert json.loads((save(tmp_path, 3) / "state.json").read_text())["step"] == 3
