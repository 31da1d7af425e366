"""kill -9 in the middle of the work: what was acknowledged is there, whole and once; what was not may be sent again."""

import json
import os
import random
import signal
import subprocess
import sys

import pytest
import sqlalchemy as sa

from heed.feedback import schema
from heed.feedback.desk import Desk
from heed.feedback.store import open_store
from heed.feedback.work import Task, Work
from heed.records import Candidate, Prompt

KILLS, THREADS = 100, 8
# Eight labelers answer without a pause; each says what it had acknowledged: an answer, or a draft that it saved.
AT_WORK = """
import json, os, sys, threading
from heed.feedback.desk import Desk
from heed.feedback.store import open_store
desk, turn = Desk(open_store(sys.argv[1])), sys.argv[2]

def say(*words):
    os.write(1, (json.dumps(words) + "\\n").encode())

def work(name):
    step = 0
    while shown := desk.claim(name):
        step += 1
        rev = shown.draft.rev + 1 if shown.draft else 1  # a page counts on from the draft that it was given
        desk.save_draft(name, shown.task, {"life": turn, "rev": rev}, rev)
        say("draft", name, shown.task, {"life": turn, "rev": rev})
        id = f"{turn}-{name}-{step}"
        body = {"ranks": {"A": 1 + step % 3, "B": 2, "C": 1}, "note": id}
        say("sent", name, shown.task, id, body)
        say("kept", desk.submit(name, shown.task, id, body).submission_id)

for i in range(int(sys.argv[3])):
    threading.Thread(target=work, args=(f"p{i}",)).start()
"""


def killed(path, turn, after):
    """What one life of the labelers said, up to some moment after `after` words."""
    command = [sys.executable, "-c", AT_WORK, str(path), str(turn), str(THREADS)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    words = []
    for line in process.stdout:
        words.append(json.loads(line))
        if len(words) == after:
            os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert process.returncode == -signal.SIGKILL, "they had nothing left to do"
    return words


def rows(store, query):
    with store.database.reading() as db:
        return [tuple(row) for row in db.execute(query)]


def whole(store):
    """Every answer has its ranks, its bytes and its assignment; the places add up; SQLite finds nothing wrong."""
    with store.database.reading() as db:
        assert db.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
        assert db.exec_driver_sql("PRAGMA foreign_key_check").first() is None
    a, s, r = schema.assignments.c, schema.submissions.c, schema.ranking_items.c
    ranked = sa.select(sa.func.count()).where(r.submission_id == s.id).scalar_subquery()
    state = sa.select(a.state).where(a.task_id == s.task_id, a.labeler_id == s.labeler_id).scalar_subquery()
    assert {row[1:] for row in rows(store, sa.select(s.id, ranked, state, s.raw.is_not(None)))} <= {(3, "submitted", True)}
    taken = sa.select(sa.func.count()).where(a.task_id == schema.tasks.c.id, a.state.in_(["leased", "submitted"]))
    for overlap, free, n in rows(store, sa.select(schema.tasks.c.overlap, schema.tasks.c.open_slots, taken.scalar_subquery())):
        assert n <= overlap and free == overlap - n


def lives(path, kills):
    """(answers acknowledged, answers stored) after so many kills, each checked."""
    store, dice, kept, all_sent = open_store(path), random.Random(0), set(), set()
    pool = [Candidate(text, id=text) for text in "abc"]
    Work(store).ask([Task("rank", Prompt("p"), tuple(pool), overlap=2, id=f"t{i}") for i in range(kills * 400)])
    for turn in range(kills):
        words = killed(path, turn, dice.randint(1, 250))
        kept |= {word[1] for word in words if word[0] == "kept"}
        sent = {word[3]: word for word in words if word[0] == "sent"}
        stored = {id for id, in rows(store, sa.select(schema.submissions.c.id))}
        assert kept <= stored, f"{len(kept - stored)} acknowledged answers are gone"
        drafts = {word[1]: word for word in words if word[0] == "draft"}  # the last of each labeler
        for name, task, body in (word[1:] for word in drafts.values()):
            seen = Desk(store).assignment(name, task)
            assert seen.state == "submitted" or seen.draft.body == body
        for word in sent.values():  # whatever came of it, the page sends it again
            assert Desk(store).submit(*word[1:]).outcome in ("new", "replay")
        all_sent |= set(sent)
    whole(store)
    assert {id for id, in rows(store, sa.select(schema.submissions.c.id))} == all_sent
    return len(kept), len(all_sent)


def test_killed_three_times(tmp_path):
    kept, sent = lives(tmp_path / "x.db", 3)
    assert kept and sent >= kept


@pytest.mark.slow
def test_killed_a_hundred_times(tmp_path):
    kept, sent = lives(tmp_path / "x.db", KILLS)
    print(f"{KILLS} kills: {kept} acknowledged answers, 0 missing; {sent - kept} more were on their way")
