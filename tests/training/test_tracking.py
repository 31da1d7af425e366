"""metrics.jsonl: whole lines, and after a restart the curve that an uninterrupted run would have drawn."""

import json

import pytest

from heed.errors import UserError
from heed.training.tracking import JsonLines, make_trackers

ODD = "line\u2028paragraph\u2029next\x85\x0b\x0c\x1c and 日本 👩‍👧"


def write(path, steps, **more):
    log = JsonLines(path)
    for step in steps:
        log.log({"loss": step / 3, **more}, step=step)
    log.close()


def steps(path):
    return [json.loads(line)["step"] for line in path.read_text(encoding="utf-8").split("\n") if line]


def test_one_object_a_line_and_nothing_lost(tmp_path):
    write(tmp_path / "m.jsonl", [1, 2], text=ODD)
    rows = [json.loads(line) for line in (tmp_path / "m.jsonl").read_text().split("\n")[:-1]]
    assert rows == [{"step": s, "loss": s / 3, "text": ODD} for s in (1, 2)]


@pytest.mark.parametrize(("resumed", "kept"), [(0, []), (2, [1, 2]), (3, [1, 2, 3]), (99, [1, 2, 3, 4])])
def test_what_lies_behind_the_checkpoint_is_cut_off(tmp_path, resumed, kept):
    path = tmp_path / "m.jsonl"
    write(path, [1, 2, 3, 4], text=ODD)
    before = path.read_bytes().splitlines(keepends=True)
    log = JsonLines(path, resumed)
    assert path.read_bytes() == b"".join(before[: len(kept)]), "what stays is not changed by a byte"
    log.log({}, step=resumed + 1)
    log.close()
    assert steps(path) == [*kept, resumed + 1]


def test_several_lines_of_one_step_stay_together(tmp_path):
    path = tmp_path / "s.jsonl"
    write(path, [0, 1, 1, 2, 2])
    JsonLines(path, 1).close()
    assert steps(path) == [0, 1, 1]


def test_what_was_said_behind_the_checkpoint_of_the_same_step_is_cut_off(tmp_path):
    """The figures of the end are written behind the last checkpoint, and again when the end is done again."""
    path = tmp_path / "m.jsonl"
    write(path, [1, 2, 2])
    log = JsonLines(path, 2, lines=2)
    assert steps(path) == [1, 2] and log.lines == 2
    log.log({}, step=2)
    assert steps(path) == [1, 2, 2] and log.lines == 3
    log.close()
    JsonLines(path, 1, lines=3).close()
    assert steps(path) == [1], "never more than the step allows"


def test_the_line_that_was_being_written_is_dropped_wherever_it_was_cut(tmp_path):
    """In the middle of a letter too: a byte of UTF-8 is no text."""
    path = tmp_path / "m.jsonl"
    write(path, [1, 2], text=ODD)
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for cut in range(first, len(whole) - 1):
        path.write_bytes(whole[:cut])
        JsonLines(path, 9).close()
        assert path.read_bytes() == whole[:first]
    path.write_bytes(whole[:-1])  # only its line end is missing
    JsonLines(path, 9).close()
    assert path.read_bytes() == whole


def test_what_is_no_row_is_not_kept(tmp_path):
    path = tmp_path / "m.jsonl"
    path.write_text('{"step": 1}\n\n7\nnull\n{"step": 2}\n{"step"\n{"step": 3}\n')
    JsonLines(path, 9).close()
    assert steps(path) == [1, 2], "behind a broken line nothing is to be trusted"


def test_every_line_is_on_the_disk_at_once(tmp_path):
    log = JsonLines(tmp_path / "deep" / "m.jsonl")
    log.log({"x": 1}, step=1)
    assert steps(tmp_path / "deep" / "m.jsonl") == [1]


def test_an_unknown_tracker_is_answered_with_the_nearest(tmp_path):
    with pytest.raises(UserError, match="unknown tracker 'tensorbord'; did you mean 'tensorboard'"):
        make_trackers(["tensorbord"], tmp_path)


@pytest.mark.parametrize(("name", "module"), [("tensorboard", "torch.utils.tensorboard"), ("wandb", "wandb")])
def test_a_tracker_that_is_not_installed_says_what_to_install(tmp_path, monkeypatch, name, module):
    monkeypatch.setitem(__import__("sys").modules, module, None)
    with pytest.raises(UserError, match=rf"report_to={name} needs the package: pip install 'heed\[{name}\]'"):
        make_trackers([name], tmp_path)
