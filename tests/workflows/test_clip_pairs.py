"""People as the teacher of a control run: what they say is what is learnt, whoever is killed, and in whatever order."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("av")

from heed.config import make
from heed.control.environments.tasks import TASKS
from heed.control.segments import Query, from_file
from heed.errors import RunError, UserError
from heed.feedback.desk import Desk
from heed.feedback.store import open_store
from heed.feedback.work import Work
from heed.records import Judgement, new_id
from heed.workflows import control
from heed.workflows.clip_pairs import GOALS, PeopleTeacher, preference, together

SMALL = {"env": "Pendulum-v1", "copies": 4, "steps": 60, "total_steps": 2400, "labels": 12, "hidden": [16],
         "first_reward_steps": 20, "reward_steps": 4, "reward_batch": 8, "ppo": {"num_ppo_epochs": 2, "num_mini_batches": 2},
         "save_steps": 3, "max_unanswered": 0}
SAYS = {1.0: {"preference": 1}, 0.0: {"preference": 1}, 0.5: {"preference": 0},
        None: {"outcome": "not_rankable", "reason": "cannot_tell"}}


def settings(place, **changes):
    return make(control.ControlSettings, {**SMALL, "output_dir": str(place), **changes})


def wait_for(what, seconds=60.0):
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, "this never came"
        time.sleep(0.05)
    return found


def say(desk, said, who="ann", task=None):
    """An answer to the next pair (or to `task`): 1 prefers the left one, wherever the screen shows it."""
    task = task or wait_for(lambda: desk.draw(who, ["clips"])).task
    sheet = desk._sheet(who, task)
    letter = {name.rsplit("-", 1)[1]: letter for letter, name in sheet.completions.items()}
    body = dict(SAYS[said])
    if said in (0.0, 1.0):
        body["preference"] = -1 if letter["left" if said else "right"] == "A" else 1
    return desk.submit(who, task, new_id(), body), sheet.task_id, task


def queries(n):
    """Pairs of pendulum segments: the left one stands, the right one hangs."""
    from heed.control.segments import Segment

    def segment(name, angle):
        return Segment(name, "Pendulum-v1", np.zeros((8, 3), np.float32), np.zeros((8, 1), np.float32),
                       np.full((8, 2), angle), np.zeros(8))

    return [Query(f"000000-{i}", segment(f"l-{i}", 0.1 * i), segment(f"r-{i}", 3.0)) for i in range(n)]


@pytest.fixture
def teacher(tmp_path):
    made = PeopleTeacher(settings(tmp_path))
    yield made
    made.process.kill()
    made.store.close()


def test_an_answer_is_read_as_it_was_meant():
    def judged(ranks, outcome="answered"):
        return Judgement("k-q", "ann", ranks, outcome)

    assert preference(judged({"left": 1, "right": 2}), "left") == 1.0
    assert preference(judged({"right": 1, "left": 2}), "left") == 0.0
    assert preference(judged({"left": 1, "right": 1}), "left") == 0.5
    assert preference(judged({}, "not_rankable"), "left") is None
    assert together([1.0, 0.0, 1.0]) == 1.0 and together([1.0, 0.0]) == 0.5 and together([None]) is None
    assert together([None, 0.0]) == 0.0, "who cannot tell does not count"


def test_every_task_of_the_paper_says_what_to_look_for():
    assert set(TASKS) <= set(GOALS) and all(len(goal) < 300 for goal in GOALS.values())


def test_what_people_say_comes_back_and_the_last_word_counts(teacher, tmp_path):
    teacher.ask(queries(4))
    desk = Desk(teacher.store)
    given = [say(desk, said) for said in (1.0, 0.0, 0.5, None)]
    assert dict(teacher.answers()) == {"000000-0": 1.0, "000000-1": 0.0, "000000-2": 0.5, "000000-3": None}
    receipt = given[0][0]
    body = desk.my_work("ann")[-1].body
    desk.revise("ann", new_id(), receipt.submission_id, {"preference": -body["preference"]})
    assert dict(teacher.answers())["000000-0"] == 0.0
    desk.undo("ann", new_id(), given[1][0].submission_id)
    assert dict(teacher.answers())["000000-1"] is None, "taken back: nothing to learn from"
    say(desk, 1.0, task=given[1][2])
    assert dict(teacher.answers())["000000-1"] == 1.0
    films = sorted(p.relative_to(tmp_path / "media").as_posix() for p in (tmp_path / "media").rglob("*.webm"))
    assert films == sorted(f"{teacher.key}/{side}-{i}.webm" for side in "lr" for i in range(4))


def test_whoever_asks_again_is_not_asked_twice_and_hears_everything(teacher, tmp_path):
    teacher.ask(queries(2))
    desk = Desk(teacher.store)
    say(desk, 1.0)
    wait_for(lambda: len(Work(teacher.store).tasks(kind="clips")) == 2)
    teacher.process.kill()
    again = PeopleTeacher(settings(tmp_path))
    again.ask(queries(3))
    say(desk, 0.0), say(desk, 0.5)
    assert dict(again.answers()) == {"000000-0": 1.0, "000000-1": 0.0, "000000-2": 0.5}
    assert [row.id for row in Work(again.store).tasks(kind="clips")] == [f"{again.key}-000000-{i}" for i in range(3)]
    again.ask(queries(5))
    wait_for(lambda: len(Work(teacher.store).tasks(kind="clips")) == 5)
    again.close()
    assert [row.status for row in Work(teacher.store).tasks(kind="clips")][3:] == ["cancelled"] * 2, "the run is done"


def test_the_films_process_is_missed_when_it_dies(teacher):
    assert teacher.answers() == []
    teacher.process.kill()
    teacher.process.join()
    with pytest.raises(RunError, match="the process that films clips has ended with code -9"):
        teacher.answers()


def test_an_environment_that_people_cannot_see_is_said_at_once(tmp_path):
    with pytest.raises(UserError, match=r"MountainCarContinuous-v0.*cannot be shown to people"):
        PeopleTeacher(settings(tmp_path, env="MountainCarContinuous-v0"))
    with pytest.raises(UserError, match="its password would be saved"):
        PeopleTeacher(settings(tmp_path, store="postgresql://me:secret@host/name"))


def true_returns(run):
    """Segment -> true return, of everything that was asked about."""
    found = {}
    for path in (run / "queries").glob("*.npz"):
        segments = from_file(path)
        found |= dict(zip(segments.ids, segments.rewards.sum(1), strict=True))
    return found


def person(run, finished):
    """Somebody at the desk who goes by the true reward until the run is done."""
    wait_for(lambda: (run / "asked.json").exists() and (run / "store.db").exists())
    with open_store(run / "store.db") as store:
        desk = Desk(store)
        while not finished.is_set():
            if (drawn := desk.draw("ann", ["clips"])) is None:
                time.sleep(0.02)
                continue
            film = {Path(item.media.path).stem: item.letter for item in desk.assignment("ann", drawn.task).items}
            returns = true_returns(run)
            better = max(film, key=lambda name: returns[name])
            desk.submit("ann", drawn.task, new_id(), {"preference": -1 if film[better] == "A" else 1})


def curve(place):
    rows = [json.loads(line) for line in (place / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if k not in ("seconds", "cpu_seconds")} for row in rows]


@pytest.fixture(scope="module")
def oracle(tmp_path_factory):
    """The same run with a teacher who sees the true reward."""
    place = tmp_path_factory.mktemp("clip_pairs") / "oracle"
    control.run(settings(place))
    return place


def test_a_person_who_goes_by_the_true_reward_teaches_as_the_oracle_does(tmp_path, oracle):
    """max_unanswered = 0 is the barrier that makes a run with people a function of its seed and their answers."""
    finished = threading.Event()
    somebody = threading.Thread(target=person, args=(tmp_path / "run", finished), daemon=True)
    somebody.start()
    control.run(settings(tmp_path / "run", teacher="people"))
    finished.set()
    somebody.join()
    assert curve(tmp_path / "run") == curve(oracle)


class Visitor:
    """Somebody who answers through the API by the true reward, as long as the server is there to hear it."""

    def __init__(self, run, port, token):
        self.run, self.url, self.headers = run, f"http://127.0.0.1:{port}", {"Authorization": f"Bearer {token}"}
        self.asked, self.stop = Counter(), threading.Event()

    def work(self):
        import httpx

        waiting = None  # an answer that the server has not acknowledged
        while not self.stop.is_set():
            try:
                with httpx.Client(base_url=self.url, headers=self.headers, timeout=5) as client:
                    while not self.stop.is_set():
                        waiting = waiting or self.decide(client)
                        if waiting:
                            number, key, body = waiting
                            sent = client.post(f"/api/task/{number}/submit", json=body, headers={"Idempotency-Key": key})
                            assert sent.status_code == 200, sent.text
                        waiting = None
            except httpx.TransportError:
                time.sleep(0.1)

    def decide(self, client):
        drawn = client.post("/api/claim", json={"kind": "clips"}).json()
        if not drawn["task"]:
            time.sleep(0.05)
            return None
        shown = client.get(f"/api/task/{drawn['task']}").json()
        with open_store(self.run / "store.db") as store:
            films = {i.letter: Path(i.media.path).stem for i in Desk(store).assignment("ann", drawn["task"]).items}
        assert all(item["media"].endswith(item["letter"]) for item in shown["items"]) and len(films) == 2
        self.asked[tuple(sorted(films.values()))] += 1
        returns = true_returns(self.run)
        better = max(films, key=lambda letter: returns[films[letter]])
        return drawn["task"], new_id(), {"preference": -1 if better == "A" else 1}


@pytest.mark.slow
def test_whoever_is_killed_at_most_the_answer_in_flight_is_asked_again(tmp_path):
    """Twenty times kill -9, of the trainer or of the server: the run ends as the oracle's, and nobody is asked twice."""
    pytest.importorskip("httpx")
    from heed.feedback.people import People
    from heed.feedback.tokens import Tokens

    words = {**SMALL, "labels": 60, "total_steps": 24_000}
    control.run(make(control.ControlSettings, {**words, "output_dir": str(tmp_path / "oracle")}))
    run, chance = tmp_path / "run", random.Random(7)
    run.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    with open_store(run / "store.db") as store:
        people = People(store)
        people.accept(people.invite("test", "labeler")[1], "ann", "a password of hers 7")
        token = Tokens(people).make("test", "ann", "test")[1]
    flat = [f"{k}={json.dumps(v)}" for k, v in words.items()]
    commands = {"control": ["control", *flat, f"output_dir={run}", "teacher=people", "save_steps=10"],
                "serve": ["serve", f"store={run / 'store.db'}", f"port={port}"]}

    def start(verb):
        with (tmp_path / f"{verb}.log").open("ab") as log:
            return subprocess.Popen([sys.executable, "-m", "heed", *commands[verb]], start_new_session=True,
                                    env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=log, stderr=log)

    running = {verb: start(verb) for verb in commands}
    visitor = Visitor(run, port, token)
    somebody = threading.Thread(target=visitor.work, daemon=True)
    somebody.start()
    kills = Counter()
    try:
        while sum(kills.values()) < 20 and not (run / "summary.json").exists():
            time.sleep(chance.uniform(1, 12))
            verb = chance.choice(list(commands))
            if running[verb].poll() is None:
                kill = chance.choice([os.kill, os.killpg])  # alone, or with the process that films
                kill(running[verb].pid, signal.SIGKILL)
                kills[verb] += 1
            running[verb].wait()
            running[verb] = start(verb)
        assert running["control"].wait(600) == 0, (tmp_path / "control.log").read_text()[-2000:]
    finally:
        visitor.stop.set()
        somebody.join(10)
        for process in running.values():
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    assert curve(run) == curve(tmp_path / "oracle"), f"after {dict(kills)}"
    with open_store(run / "store.db") as store:
        answers = Counter(j.comparison_id for j in store.judgements())
        asked = [row.id for row in Work(store).tasks(kind="clips", limit=1000)]
    assert len(asked) == len(set(asked)) == 60 == len(answers) and set(answers.values()) == {1}
    again = {pair: n for pair, n in visitor.asked.items() if n > 1}
    assert sum(n - 1 for n in again.values()) <= kills["serve"], f"more than the one in flight: {again}"
    print(f"kills {dict(kills)}, asked again {again}")
