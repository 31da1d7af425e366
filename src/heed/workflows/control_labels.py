"""Questions and answers of a control run, kept so that nothing is asked twice and nothing that was said is lost.

    queries/000012.npz   the segments that round 12 asked about: all the left ones, then all the right ones
    labels.jsonl         one line a round that brought answers, appended and flushed before they are used

A run that goes on from a checkpoint hears, round by round, what it heard before; only behind the last line does it listen
to its teacher again.  So it ends as if it had never been stopped, even where the teacher is a person.
"""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

from heed.errors import UserError


def make_teacher(settings):
    """Who answers, by the settings."""
    from heed.control.teachers import MANNERS, Synthetic

    s = settings
    if s.answers == "scores" and s.teacher != "oracle":
        raise UserError(f"answers=scores asks what each clip is worth in numbers, which only teacher=oracle says; "
                        f"teacher={s.teacher} compares")
    if s.teacher == "people":
        if s.judge:
            raise UserError("judge is what synthetic teachers go by: drop it, or teacher=people")
        from heed.workflows.clip_pairs import PeopleTeacher

        return PeopleTeacher(s)
    judge = None
    if s.judge:
        from heed.config import resolve_function

        judge = resolve_function(s.judge, "judge")
    return Synthetic(MANNERS[s.teacher], seed=s.seed, judge=judge, scores=s.answers == "scores")


class Labels:
    """All questions of a run and their answers so far; `answers` is what the predictor learns from."""

    def __init__(self, folder: Path, teacher, max_unanswered: int | None, poll: float = 0.5):
        from heed.control.reward import Answers

        self.folder, self.teacher, self.max_unanswered, self.poll = folder, teacher, max_unanswered, poll
        self.answers = Answers()
        self.asked = 0
        self.unsure = 0  # "can't tell": an answer, and nothing to learn from
        self.waiting: dict[str, object] = {}  # query id -> Query
        self.given: dict[str, tuple] = {}  # query id -> (Query, what was said last, the round when it was first answered)
        self.rounds: list[int] = []  # in which each of `answers` was given
        self.journal = self._read()

    def _read(self) -> list[dict]:
        """Whole lines of labels.jsonl; a line cut short by a kill is taken off."""
        path = self.folder / "labels.jsonl"
        if not path.exists():
            return []
        text = path.read_bytes()
        whole = text[: text.rfind(b"\n") + 1]
        if len(whole) < len(text):
            with path.open("r+b") as f:
                f.truncate(len(whole))
        return [json.loads(line) for line in whole.splitlines()]

    def restore(self, step: int) -> None:
        """Take up everything asked and answered up to round `step`; the teacher is reminded of what it still owes."""
        files = [p for p in sorted((self.folder / "queries").glob("*.npz")) if int(p.stem) <= step]
        queries = [q for p in files for q in _read_queries(p)]
        self.asked, self.waiting = len(queries), {q.id: q for q in queries}
        for line in self.journal:
            if line["round"] <= step:
                self._take(line["round"], line["answers"])
        self.teacher.ask(self._unheard())

    def _unheard(self) -> list:
        heard = {i for line in self.journal for i, _ in line["answers"]}
        return [q for q in self.waiting.values() if q.id not in heard]

    def ask(self, step: int, segments, pairs: list[tuple[int, int]]) -> None:
        """Keep the segments, then put the questions."""
        from heed.control.segments import to_bytes
        from heed.training.checkpoint import write_bytes

        if not pairs:
            return
        left, right = zip(*pairs, strict=True)
        path = self.folder / "queries" / f"{step:06d}.npz"
        if not path.exists():
            write_bytes(path, to_bytes(segments.select(list(left)) + segments.select(list(right))))
        queries = _read_queries(path)
        self.asked += len(queries)
        self.waiting |= {q.id: q for q in queries}
        heard = {q.id for q in self._unheard()}
        self.teacher.ask([q for q in queries if q.id in heard])

    def collect(self, step: int, say: Callable[[str], None]) -> None:
        """Take in the answers of round `step`, waiting where more than `max_unanswered` questions are open."""
        if self.journal and step <= self.journal[-1]["round"]:
            for line in self.journal:
                if line["round"] == step:
                    self._take(step, line["answers"])
            return
        said = False
        while True:
            found = list({i: p for i, p in self.teacher.answers() if self._news(i, p)}.items())  # the last word counts
            if found:
                self._append(step, found)
                self._take(step, found)
            if not self._must_wait():
                if said:
                    say(f"control: going on with {len(self.answers)} answers, {len(self.waiting)} questions open")
                return
            if not said:
                say(f"control: waiting for answers: {len(self.waiting)} questions are open"
                    + ("" if self.max_unanswered is None else f", training goes on at {self.max_unanswered}"))
                said = True
            time.sleep(self.poll)

    def _must_wait(self) -> bool:
        """Also for the very first answers, without which there is nothing to learn from."""
        if not self.waiting:
            return False
        return (self.max_unanswered is not None and len(self.waiting) > self.max_unanswered) or len(self.answers) < 2

    def _append(self, step: int, found: list) -> None:
        line = json.dumps({"round": step, "time": round(time.time(), 3), "answers": found})
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "labels.jsonl").open("a", encoding="utf-8") as f:
            f.write(line + "\n")
            f.flush()
            os.fsync(f.fileno())
        self.journal.append({"round": step, "answers": found})

    def _news(self, query: str, said: float | None) -> bool:
        """An answer to an open question, or another one than before: people change their minds."""
        return query in self.waiting or (query in self.given and self.given[query][1] != said)

    def _take(self, step: int, found) -> None:
        """Learn from them; where an earlier answer was changed, all are put together anew."""
        from heed.control.reward import Answers

        changed = [i for i, _ in found if i in self.given]
        before = {i: self.given[i] for i in changed}
        new = {i: (self.waiting.pop(i), p, step) for i, p in found if i in self.waiting}
        self.given |= new | {i: (before[i][0], p, before[i][2]) for i, p in found if i in before}
        if changed:
            self.answers, self.rounds, self.unsure, new = Answers(), [], 0, self.given
        self._add(list(new.values()))

    def _add(self, said: list[tuple]) -> None:
        from heed.control.segments import stack

        clear = [one for one in said if one[1] is not None]
        self.unsure += len(said) - len(clear)
        if clear:
            self.answers.add(stack(q.left for q, _, _ in clear), stack(q.right for q, _, _ in clear),
                             [p for _, p, _ in clear])
            self.rounds += [step for _, _, step in clear]

    def close(self) -> None:
        """The run is done; people need not answer what is open."""
        if hasattr(self.teacher, "close"):
            self.teacher.close()

    def figures(self, step: int, batch: int) -> dict[str, float]:
        """How many, and how old in environment steps."""
        age = sum(step - r for r in self.rounds) / len(self.rounds) * batch if self.rounds else 0.0
        return {"labels/asked": float(self.asked), "labels/used": float(len(self.answers)), "labels/unsure": float(self.unsure),
                "labels/open": float(len(self.waiting)), "labels/age": age}


def _read_queries(path: Path) -> list:
    """The questions of one round, with ids that a later run of the same seed gives again."""
    from heed.control.segments import Query, from_file

    segments = from_file(path)
    n = len(segments) // 2
    return [Query(f"{path.stem}-{j}", segments[j], segments[n + j]) for j in range(n)]
