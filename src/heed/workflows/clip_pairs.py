"""People as the teacher of a control run: pairs of clips put into the store, answers read back from it.

The trainer and the people meet in the store alone.  A process of its own films the clips, so that training goes on; a
question is there once both of its films are on disk.  Its id is the run's key and the query's id: whoever is killed, and
whenever, nothing is asked twice.
"""

import json
import multiprocessing
import sys
import threading
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue

from heed.errors import RunError, UserError
from heed.records import Candidate, Judgement, Prompt, new_id
from heed.workflows.settings import Output

KIND = "clips"
LEASE = 180.0  # seconds that a pair is kept for whoever has it on the screen; the page renews it
KEY = "asked.json"  # in the run's folder: what its questions are called

GUIDE = """\
Two short clips of one simulated robot, slowed down. Say in which of them it does **better** what you are asked to look for.

- Judge by what happens in these few seconds, not by what may have come before or after.
- Where both do equally well, or equally badly, say that they are the same.
- Where you cannot make out what happens, say that you cannot tell: that is better than a guess.
- Do not think for long. A few seconds a pair are enough, and your first impression is usually right.
"""
# What people are asked to look for, after the instructions to raters in appendix B of the paper.
GOALS = {
    "HalfCheetah": "The robot is to run to the right, as fast as it can. Prefer the clip in which it gets along faster; "
                   "lying on its back while sliding forward still counts as moving.",
    "Hopper": "The robot is to hop to the right as fast as it can without falling. If it falls in one clip, prefer the other; "
              "if in neither or in both, prefer the one in which its middle gets further to the right. Standing is better "
              "than lying.",
    "HopperFlip": "The robot is to do backflips: jump off its foot, turn over backwards in the air, land on its foot again. "
                  "Prefer the clip in which it turns further backwards; if neither turns, the one that stands upright or jumps "
                  "higher. Turning forwards is worse than not turning.",
    "Walker2d": "The robot is to walk to the right as fast as it can without falling. If it falls in one clip, prefer the "
                "other; if in neither or in both, prefer the one that gets further. Standing is better than lying.",
    "Ant": "The robot is to move to the right as fast as it can, on its feet. Upright before upside down; then the one that "
           "gets further.",
    "Swimmer": "The robot is to swim to the right, as fast as it can. Prefer the clip in which it gets further.",
    "Reacher": "The green tip of the arm is to be at the red dot, and stay there. Prefer the clip in which it is nearer to it, "
               "most of all at the end.",
    "InvertedPendulum": "The rod is to stand upright. Prefer the clip in which it stays up for longer, and straighter.",
    "InvertedDoublePendulum": "Both rods are to stand upright. Prefer the clip in which they stay up for longer, and higher.",
    "Pendulum": "The rod is to swing up and stand upright. Prefer the clip in which it is higher, most of all at the end; if "
                "it hangs in both, the one that swings more.",
    "CartPole": "The pole is to stand upright on the cart, inside the marks. Prefer the clip in which it is straighter.",
    "Acrobot": "The lower end is to swing above the line. Prefer the clip in which it gets higher.",
}
ANY = "Prefer the clip in which the robot does better what it is meant to do."


class Asking(Output):
    store: str = ""  # where people find the questions (teacher=people): a file or a PostgreSQL address; default store.db
    goal: str = ""  # what they are to look for, in a sentence or two; by default the environment's usual goal


class PeopleTeacher:
    """heed.control.teachers.Teacher for people who answer in `heed serve` on the same store."""

    def __init__(self, settings):
        from heed.control.drawing import knows
        from heed.control.scene import task_of
        from heed.feedback.media import media_folder
        from heed.feedback.store import open_store
        from heed.feedback.work import Work
        from heed.workflows.answers import refuse_password

        refuse_password(settings.store)
        if not knows(settings.env):
            raise UserError(f"env = {settings.env!r} cannot be shown to people: expected one of MuJoCo's, Pendulum-v1, "
                            "CartPole-v1 or Acrobot-v1")
        self.run = Path(settings.output_dir)
        address = settings.store or str(self.run / "store.db")
        self.media = media_folder(address) or self.run / "media"
        self.key = _key(self.run / KEY)
        self.store = open_store(address)
        if not (work := Work(self.store)).instructions(KIND):
            work.instruct("heed control", KIND, GUIDE)
        self.goal = settings.goal or GOALS.get(task_of(settings.env), ANY)
        self.asked: set[str] = set()
        self.given: dict[str, dict[str, float | None]] = {}  # query -> labeler -> what they said last
        self.seen = 0  # the store's watermark up to which answers were read
        self._start(address, settings.env)
        print(f"control: people answer at `heed serve store={address}"
              f"{'' if media_folder(address) else f' media={self.media}'}`", flush=True)

    def _start(self, address: str, env: str) -> None:
        fresh = multiprocessing.get_context("spawn")
        self.line, theirs = fresh.Pipe()
        job = (theirs, address, str(self.media), self.key, env, self.goal)
        self.process = fresh.Process(target=film_and_ask, args=job, daemon=True, name="clips")
        self.process.start()
        theirs.close()  # so that it ends with us, however we end
        self.jobs: SimpleQueue = SimpleQueue()
        threading.Thread(target=self._hand_over, daemon=True).start()

    def _hand_over(self) -> None:
        """The line holds few jobs; training does not wait for it."""
        while (job := self.jobs.get()) is not None:
            try:
                self.line.send(job)
            except OSError:
                return  # `answers` says what happened
        self.line.close()

    def ask(self, queries: Sequence) -> None:
        """Have them filmed and put before people; what was asked before stays as it is."""
        for query in queries:
            if query.id not in self.asked:
                self.asked.add(query.id)
                self.jobs.put((query.id, *[(s.id, s.states) for s in (query.left, query.right)]))

    def answers(self) -> list[tuple[str, float | None]]:
        """What people say by now: 1 left, 0 right, 0.5 the same, None cannot tell; where somebody changed their mind, that.

        An answer that was taken back is None until there is another: a trainer that has heard it must forget it.  Several
        people's answers to one pair are their majority.
        """
        self._alive()
        upto = self.store.watermark()
        for judgement in self.store.judgements(after=self.seen):
            key, _, query = judgement.comparison_id.partition("-")
            if key == self.key:
                of = self.given.setdefault(query, {})
                if judgement.outcome == "skipped":
                    of.pop(judgement.labeler, None)
                else:
                    of[judgement.labeler] = preference(judgement, f"{self.key}-{query}-left")
        self.seen = upto
        return [(query, together(list(of.values()))) for query, of in self.given.items()]

    def _alive(self) -> None:
        if self.process.exitcode is not None:
            raise RunError(f"the process that films clips has ended with code {self.process.exitcode}; what it said stands "
                           "above. The same command goes on")

    def close(self) -> None:
        """The run is done: what nobody has answered is not asked any more."""
        from heed.feedback.work import Work

        self.jobs.put(None)
        self.process.terminate()
        self.process.join()
        work, last = Work(self.store), 0
        while found := work.tasks(kind=KIND, status="open", after=last):
            last = found[-1].task
            work.set("heed control", [row.task for row in found if row.id.startswith(f"{self.key}-") and row.open_slots],
                     status="cancelled")
        self.store.close()


def _key(path: Path) -> str:
    """The name of this run's questions in the store, made once and kept in its folder."""
    from heed.training.checkpoint import write_bytes

    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, json.dumps({"key": new_id()[:12]}).encode())
    return json.loads(path.read_text())["key"]


def preference(judgement: Judgement, left: str) -> float | None:
    """1 where the candidate `left` is ranked above the other, 0 below, 0.5 beside it; None where there are no ranks."""
    if judgement.outcome != "answered":
        return None
    mine = judgement.ranks[left]
    other = next(rank for id, rank in judgement.ranks.items() if id != left)
    return 0.5 if mine == other else float(mine < other)


def together(said: Sequence[float | None]) -> float | None:
    """The majority of those who could tell."""
    clear = [p for p in said if p is not None]
    mean = sum(clear) / len(clear) if clear else None
    return mean if mean is None or mean == 0.5 else float(mean > 0.5)


def film_and_ask(line: Connection, store: str, media: str, key: str, env: str, goal: str) -> None:
    """Until `line` is closed: take a query, film both segments, put the pair into the store.  Runs in a process of its own."""
    from heed.control.clips import film, fps_of, painter
    from heed.feedback.store import open_store
    from heed.feedback.work import Task, Work

    try:
        show, fps = painter(env), fps_of(env)
        print(f"control: clips are shown by {show.how}", file=sys.stderr, flush=True)
        prompt = Prompt(goal, {"env": env})
        with open_store(store) as opened:
            work = Work(opened)
            while True:
                query, *segments = line.recv()
                made = [_file(Path(media), f"{key}/{id}", lambda states=states: film(show(states), fps))
                        for id, states in segments]
                names = [f"{key}-{query}-{side}" for side in ("left", "right")]
                candidates = tuple(Candidate("", "policy", id=name) for name in names)
                work.ask([Task(KIND, prompt, candidates, dict(zip(names, made, strict=True)), lease_seconds=LEASE,
                               id=f"{key}-{query}")])  # fmt: skip
    except (EOFError, KeyboardInterrupt):
        return  # whoever asked is gone
    except (UserError, RunError) as error:
        print(f"heed: clips: {error}", file=sys.stderr, flush=True)
        raise SystemExit(3) from None


def _file(folder: Path, name: str, make):
    """The film as a file below `folder`, made unless it is there already."""
    from hashlib import sha256

    from heed.feedback.assignment import Media
    from heed.training.checkpoint import write_bytes

    found = next(iter(sorted(folder.glob(f"{name}.*"))), None)
    if found is None:
        made = make()
        found = folder / f"{name}.{made.ending}"
        found.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(found, made.data)
    kind = {"webm": "video/webm", "webp": "image/webp"}[found.suffix[1:]]
    return Media(found.relative_to(folder).as_posix(), kind, sha256(found.read_bytes()).hexdigest())
