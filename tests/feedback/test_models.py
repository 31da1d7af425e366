"""Rounds, snapshots and lineage: which answers made which model."""

import pytest

from heed.errors import UserError
from heed.feedback.models import Checkpoint, Models
from heed.records import Candidate, Comparison, Prompt
from heed.testing.store import answer, question

ABC = {"ranks": {"A": 1, "B": 2, "C": 2}}


@pytest.fixture
def models(room):
    return Models(room.store)


def answered(room, n=1, who="ann", **more):
    for _ in range(n):
        task = room.ask(**more)
        room.claim(who)
        room.submit(who, task, ABC, f"answer-{task}")


def test_what_comes_later_is_not_in_it(room, models):
    """Answers, corrections and withdrawals that arrive while a model trains are in the next snapshot."""
    answered(room, 3)
    before = models.snapshot()
    kept = room.store.rankings(upto=before.watermark)
    answered(room, 2, "bob")
    room.desk.revise("ann", "better-1", "answer-1", {"ranks": {"A": 3, "B": 2, "C": 1}})
    room.desk.undo("ann", "undo-2", "answer-2")
    assert room.store.rankings(upto=before.watermark) == kept and len(kept) == 3
    after = models.snapshot()
    then = [r.judgement.id for r in room.store.rankings(upto=after.watermark)]
    assert then == ["answer-3", "answer-4", "answer-5", "better-1"]
    assert (before.answers, after.answers) == (3, 4) and before.sha256 != after.sha256
    assert models.snapshots() == [after, before]


def test_the_same_answers_are_the_same_snapshot(room, models):
    answered(room, 2)
    assert models.snapshot() == models.snapshot() and len(models.snapshots()) == 1
    room.store.add([question(99, split="test"), answer(question(99, split="test"))])
    assert models.snapshot("train").answers == 2 and models.snapshot("test").answers == 1 and models.snapshot().answers == 3
    with pytest.raises(UserError, match="did you mean 'train'"):
        models.snapshot("trian")


def test_rounds(room, models):
    for name in ("sft", "ppo-1", "ppo-2"):
        models.register(Checkpoint(name, "policy", f"runs/{name}"))
    assert models.open_round(["ppo-1", "sft"]) == models.open_round(["sft", "ppo-1"]) == 1, "beginning it twice is once"
    with pytest.raises(UserError, match="round 1 is still open"):
        models.open_round(["ppo-2"])
    answered(room, 2, round=1)
    answered(room)
    snapshot = models.snapshot()
    models.close_round(1, snapshot.id, {"win_rate": 0.6})
    assert models.open_round(["ppo-2"]) == 2
    first, second = models.rounds()
    assert (first.policies, first.snapshot, first.answers) == (("ppo-1", "sft"), snapshot.id, 2)
    assert first.figures == {"win_rate": 0.6}
    assert second.closed_at is None and second.answers == 0
    models.close_round(2)
    with pytest.raises(UserError, match="never registered"):
        models.open_round(["ppo-3"])
    with pytest.raises(UserError, match="no round 7"):
        models.close_round(7)


def test_from_a_completion_back_to_the_answers_behind_its_policy(room, models):
    answered(room, 2)
    models.register(Checkpoint("sft", "policy", "runs/sft"))
    n, snapshot = models.open_round(["sft"]), models.snapshot()
    models.register(Checkpoint("rm-1", "reward", "runs/rm", parent="sft", snapshot=snapshot.id, round=n))
    models.register(Checkpoint("ppo-1", "policy", "runs/ppo", step=40, parent="sft", reward="rm-1", round=n))
    made = Candidate("hello", "ppo-1", sampling={"temperature": 0.7})
    prompt = Prompt("hi")
    room.store.add([Comparison(prompt, (made, Candidate("hullo", "elsewhere")))])
    node = models.lineage(made.id)
    how = dict(node.parts)
    assert "0.7" in node.label and how["answers"].id == prompt.id
    policy = dict(how["written by"].parts)
    assert (how["written by"].id, policy["trained from"].id, policy["improved by"].id) == ("ppo-1", "sft", "rm-1")
    learnt = dict(policy["improved by"].parts)["learnt from"]
    assert learnt.id == snapshot.id and "2 answers" in learnt.label and "1 labelers" in learnt.label
    assert models.lineage("ppo-1") == how["written by"] and models.lineage(snapshot.id) == learnt
    with pytest.raises(UserError, match="did you mean 'ppo-1'"):
        models.lineage("ppo1")


def test_a_checkpoint_says_one_thing(models):
    sft = Checkpoint("sft", "policy", "runs/sft", "abc")
    models.register(sft)
    models.register(sft)
    assert models.checkpoint("sft") == sft and models.checkpoints() == [sft] and models.checkpoint("x") is None
    for wrong, message in ((Checkpoint("sft", "policy", "elsewhere"), "something else"),
                           (Checkpoint("x", "polciy", ""), "did you mean 'policy'"),
                           (Checkpoint("x", "policy", "", parent="y"), "its parent 'y'"),
                           (Checkpoint("x", "policy", "", snapshot="y"), "its snapshot"),
                           (Checkpoint("x", "policy", "", round=3), "its round 3")):  # fmt: skip
        with pytest.raises(UserError, match=message):
            models.register(wrong)
    assert models.checkpoints() == [sft]
