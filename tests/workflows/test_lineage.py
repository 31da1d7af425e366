"""heed lineage: from a completion or a checkpoint back to the people and the models that made it."""

import xml.etree.ElementTree as xml
from pathlib import Path

import pytest

from heed.errors import UserError
from heed.evaluation.graph import flatten, places, to_dot, to_svg
from heed.feedback.models import Checkpoint, Models, Node
from heed.feedback.store import open_store
from heed.records import Candidate, Comparison, Judgement, Prompt
from heed.workflows.checkpoints import checkpoint_id, weights_sha256
from heed.workflows.lineage import Lineage, lines, made_of, run

HOSTILE = "\x1b[31m<script>alert(1)</script>\u202e\x00"


@pytest.fixture
def store(tmp_path):
    """Two rounds: sft answers, ann and a judge rank, r1 learns; sft and r1 answer, ann ranks, r2 learns."""
    with open_store(tmp_path / "store.db") as store:
        models = Models(store)
        store.introduce("ann", "human")
        store.introduce("judge", "judge")
        models.register(Checkpoint("sft", "policy", "runs/sft/model", step=6))
        last = "sft"
        for n, (name, makers, labelers) in enumerate((("r1", ("sft", "sft"), ("ann", "judge")),
                                                      ("r2", ("sft", "r1"), ("ann",))), start=1):  # fmt: skip
            models.open_round([last])
            shown = tuple(Candidate(f"{name} {i} {HOSTILE}", maker, id=f"{name}-{i}") for i, maker in enumerate(makers))
            store.add([Comparison(Prompt(f"p{n}"), shown, f"q{n}")])
            store.add([Judgement(f"q{n}", who, {f"{name}-0": 1, f"{name}-1": 2}, id=f"{who}{n}") for who in labelers])
            snapshot = models.snapshot()
            made = {"snapshot": snapshot.id, "round": n}
            models.register(Checkpoint(f"{name}-reward", "reward", "x", parent="sft", **made))
            models.register(Checkpoint(name, "policy", "y", parent=last, reward=f"{name}-reward", **made))
            models.close_round(n, snapshot.id)
            last = name
        yield store


def edges(tree):
    return {(a[1], how, b[1]) for a, how, b in flatten(tree)[1] if a[0] != "prompt"}


def test_a_completion_leads_to_everybody_who_had_a_part_in_it(store, tmp_path):
    found = edges(made_of("r2-1", str(tmp_path / "store.db")))
    first, second = (s.id for s in reversed(Models(store).snapshots()))
    assert found >= {
        ("r2-1", "written by", "r1"), ("r2-1", "judged", "ann2"), ("ann2", "by", "ann"), ("r1", "trained from", "sft"),
        ("r1", "improved by", "r1-reward"), ("r1", "learnt from", first), ("r1-reward", "learnt from", first),
        (first, "1 answer by", "ann"), (first, "1 answer by", "judge"), (first, "about 4 texts of", "sft")}  # fmt: skip
    assert not any(second in (a, b) for a, _, b in found), "what came later had no part in it"


def test_a_checkpoint_leads_to_what_earlier_policies_were_asked_about(store, tmp_path):
    found = edges(made_of("r2", str(tmp_path / "store.db")))
    _, second = (s.id for s in reversed(Models(store).snapshots()))
    assert {("r2", "trained from", "r1"), (second, "about 1 texts of", "r1"), (second, "about 5 texts of", "sft"),
            (second, "2 answers by", "ann"), (second, "1 answer by", "judge")} <= found  # fmt: skip


def test_the_tree_as_text(store, tmp_path, capsys):
    run(Lineage(of="r2-1", store=str(tmp_path / "store.db")))
    said = capsys.readouterr().out
    assert said.startswith("completion r2-1 (r2 1 ")
    assert "\n├─ answers: prompt" in said and "\n└─ judged: judgement ann2" in said
    assert "│  ├─ trained from: checkpoint sft (policy, step 6, runs/sft/model)" in said
    assert "1 answer by: labeler ann (human)" in said and "labeler judge (judge)" in said
    assert not {"\x1b", "\u202e", "\x00"} & set(said), "a text from a model gives the terminal no orders"


def test_what_was_shown_once_is_not_unfolded_again():
    shared = Node("checkpoint", "sft", "", (("trained from", Node("checkpoint", "base", "")),))
    said = list(lines(Node("checkpoint", "r1", "", (("trained from", shared), ("about", shared)))))
    assert said == ["checkpoint r1", "├─ trained from: checkpoint sft", "│  └─ trained from: checkpoint base",
                    "└─ about: checkpoint sft, as above"]  # fmt: skip


def test_many_rounds_are_not_told_a_thousand_times(store, tmp_path):
    models, last = Models(store), "r2"
    for n in range(3, 30):
        store.add([Comparison(Prompt(f"p{n}"), (Candidate("a", last, id=f"a{n}"), Candidate("b", "sft", id=f"b{n}")), f"q{n}"),
                   Judgement(f"q{n}", "ann", {f"a{n}": 1, f"b{n}": 2})])  # fmt: skip
        models.register(Checkpoint(f"r{n}", "policy", "y", parent=last, snapshot=models.snapshot().id))
        last = f"r{n}"
    tree = made_of(last, str(tmp_path / "store.db"))
    assert len(list(lines(tree))) < 700 and len(flatten(tree)[0]) < 70
    assert len(set(places(tree).values())) == len(flatten(tree)[0]), "no two boxes in one place"


def test_drawn(store, tmp_path, capsys):
    place = str(tmp_path / "store.db")
    run(Lineage(of="r2-1", store=place, output=str(tmp_path / "graph.svg")))
    run(Lineage(of="r2-1", store=place, output=str(tmp_path / "graph.dot")))
    assert f"graph: {tmp_path / 'graph.svg'}" in capsys.readouterr().out
    text = (tmp_path / "graph.svg").read_text()
    picture = xml.fromstring(text)
    nodes, found = flatten(made_of("r2-1", place))
    spaces = "{http://www.w3.org/2000/svg}"
    assert len(picture.findall(f"{spaces}g")) == len(nodes) and len(picture.findall(f"{spaces}path")) == len(found)
    assert "<script" not in text
    boxes = [(float(r.get("x")), float(r.get("y"))) for r in picture.iter(f"{spaces}rect")]
    assert len(set(boxes)) == len(boxes), "no two boxes in one place"
    dot = (tmp_path / "graph.dot").read_text()
    assert dot.startswith("digraph lineage {") and dot.count(" -> ") == len(found) and "\x1b" not in dot


def test_what_something_was_made_of_stands_below_it():
    a, b = Node("checkpoint", "a", ""), Node("checkpoint", "b", "")
    c = Node("checkpoint", "c", "", (("x", a), ("y", Node("snapshot", "s", "", (("z", a), ("z", b))))))
    assert places(c) == {("checkpoint", "c"): (0, 0), ("snapshot", "s"): (2, 0), ("checkpoint", "a"): (0, 1),
                         ("checkpoint", "b"): (0, 2)}  # fmt: skip
    assert "n0 -> n1" in to_dot(c) or "n0 -> n2" in to_dot(c)
    circle = Node("x", "1", "", (("of", Node("x", "2", "", (("of", Node("x", "1", "")),))),))
    assert to_svg(circle).startswith("<svg")


def test_a_directory_without_a_store(reward, sft, base, data):
    found = edges(made_of(str(Path(reward).parent)))
    assert (checkpoint_id(reward), "trained from", checkpoint_id(sft)) in found
    assert (checkpoint_id(reward), "learnt from", data["rankings"]) in found
    assert (checkpoint_id(base), "learnt from", data["texts"]) in found


def test_a_directory_is_looked_up_in_the_store_above_it(store, tmp_path, sft):
    Models(store).register(Checkpoint("mine", "policy", "elsewhere", sha256="", parent="sft"))
    folder = tmp_path / "round-1" / "ppo" / "model"
    folder.mkdir(parents=True)
    for file in Path(sft).iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    assert made_of(str(folder)).label == f"{folder}", "a checkpoint that the store does not know"
    Models(store).register(Checkpoint("known", "policy", "elsewhere", sha256=weights_sha256(sft), parent="r1"))
    assert made_of(str(folder)).id == "known"


@pytest.mark.parametrize(("of", "message"), [
    ("r3", "called 'r3'; valid choices: r1, "), ("r1-rewrd", "did you mean 'r1-reward'"), ("", "called ''")])  # fmt: skip
def test_what_is_not_there(store, tmp_path, of, message):
    with pytest.raises(UserError, match=message):
        made_of(of, str(tmp_path / "store.db"))


def test_wrong_settings(tmp_path):
    with pytest.raises(UserError, match="is no checkpoint"):
        made_of(str(tmp_path))
    with pytest.raises(UserError, match="give the store that knows it"):
        made_of("r2")
    with pytest.raises(UserError, match=r"\.svg or \.dot"):
        run(Lineage(of="x", output="graph.png"))
