"""The labelling service under load: `heed serve` as a process of its own, labelers in this one, on the same cores.

    python benchmarks/labelling.py hammer          # 50 labelers who claim and submit without a pause
    python benchmarks/labelling.py think           # 200 labelers, 5 s between two answers: claim, page, submit
    python benchmarks/labelling.py page            # the whole page of nine answers of 1,000 tokens
    python benchmarks/labelling.py kill            # 100 times kill -9 in the middle of the work
    python benchmarks/labelling.py start           # from the command to the first page, with 1,000,000 answers

`--postgres` keeps the store in a PostgreSQL server started for it (durable commits); else SQLite, synchronous=FULL.
Labelers come in by the door that browsers use: the session's cookie and the page's token.  Prints what it found and
appends one JSON line to benchmarks/results/labelling.jsonl.
"""

import argparse
import asyncio
import json
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from time import perf_counter

import sqlalchemy as sa
from argon2 import PasswordHasher
from claims import answer_all, fill
from crowd import Line, Lost, Times, percentiles, timed, work_for
from record import record

from heed.feedback import schema
from heed.feedback.desk import Desk
from heed.feedback.people import People
from heed.feedback.store import open_store
from heed.feedback.work import Task, Work
from heed.records import Candidate, Prompt
from heed.testing.postgres import private_server

PASSWORD = "open sesame street"
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)  # for the accounts made here; logging in is not measured
WORDS = ("the", "seal", "swims", "along", "a", "cold", "shore", "and", "sleeps", "on", "ice", "while", "fish", "pass", "under")


class Server:
    """`heed serve` on a free port."""

    def __init__(self, url: str):
        self.url, self.process, self.port = url, None, 0

    def start(self) -> float:
        """Seconds until it serves its first page."""
        begun = perf_counter()
        command = [sys.executable, "-m", "heed", "serve", f"store={self.url}", f"port={self.port}"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        for line in self.process.stdout:
            if found := re.search(r"http://127\.0\.0\.1:(\d+)", line):
                self.port = int(found[1])
                break
        else:
            raise RuntimeError("heed serve ended")
        while asyncio.run(self.alive()) != 200:
            pass
        return perf_counter() - begun

    async def alive(self) -> int:
        """The status of /healthz; 0 while nobody listens."""
        line = Line("127.0.0.1", self.port)
        try:
            return (await line.ask("GET", "/healthz"))[0]
        except Lost:
            return 0
        finally:
            line.close()

    def stop(self, how: int = signal.SIGTERM) -> None:
        """End it."""
        self.process.send_signal(how)
        self.process.wait()
        self.process.stdout.close()

    def cpu(self) -> float:
        """Seconds of processor time it has used."""
        stat = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")

    def line(self, token: str) -> Line:
        """A browser that is logged in."""
        return Line("127.0.0.1", self.port, {"Cookie": f"heed={token}", "Sec-Fetch-Site": "same-origin"})


async def enter(line: Line) -> Line:
    """With the token that its pages carry."""
    line.headers["X-CSRF-Token"] = json.loads((await line.ask("GET", "/api/session"))[1])["csrf"]
    return line


def prepare(url: str, people: int, tasks: int, answers: int, tokens: int) -> list[str]:
    """A store with accounts and questions of `answers` answers; a session's token for each account."""
    rng = random.Random(0)
    with open_store(url) as store:
        accounts, found = People(store, CHEAP), []
        _, invite = accounts.invite("benchmark", "labeler", uses=people)
        for i in range(people):
            accounts.accept(invite, f"labeler{i}", PASSWORD)
            found.append(accounts.login(f"labeler{i}", PASSWORD, ""))
        texts = [Candidate(written(rng, tokens), "step-1") for _ in range(answers * min(tasks, 500))]
        for start in range(0, tasks, 1000):
            Work(store).ask([Task("rank", Prompt(f"What is seal number {i}?"), _some(texts, i, answers))
                             for i in range(start, min(tasks, start + 1000))])  # fmt: skip
    return found


def _some(texts: list[Candidate], i: int, answers: int) -> tuple[Candidate, ...]:
    shown = [texts[(i * answers + k) % len(texts)] for k in range(answers)]
    return tuple(Candidate(c.text, c.made_by, id=f"c{i}.{k}") for k, c in enumerate(shown))


def written(rng: random.Random, tokens: int) -> str:
    """About so many tokens of Markdown: paragraphs, some emphasis, a list."""
    words = [rng.choice(WORDS) for _ in range(max(3, int(tokens * 0.9)))]
    words = [f"**{word}**" if rng.random() < 0.02 else word for word in words]
    parts = [" ".join(words[i : i + 60]) for i in range(0, len(words), 60)]
    return "\n\n".join(f"- {part}" if i % 4 == 3 else part for i, part in enumerate(parts))


@contextmanager
def place(args: argparse.Namespace) -> Iterator[str]:
    """Where the store goes."""
    server = private_server(durable=True) if args.postgres else nullcontext()
    with server as url, tempfile.TemporaryDirectory(dir=args.folder) as folder:
        yield url or str(Path(folder) / "store.db")


def random_ranks(answers: int) -> dict:
    """The body of an answer."""
    return {"ranks": {letter: random.randint(1, answers) for letter in "ABCDEFGHI"[:answers]}}


def new_id() -> str:
    """As pages make them."""
    digits = f"{random.getrandbits(92):023x}"
    return f"0198c0de-{digits[:4]}-7{digits[4:7]}-8{digits[7:10]}-{digits[10:22]}"


async def answer(line: Line, times: Times, answers: int, look: bool) -> bool:
    """Claim, look at the page, hand in: one label."""
    status, said = await timed(times, "claim", line.ask("POST", "/api/claim", {}))
    assert status == 200, said
    task = json.loads(said)["task"]
    if task is None:
        return False
    if look:
        status, page = await timed(times, "page", line.ask("GET", f"/task/{task}"))
        assert status == 200 and page.count(b'class="card"') == answers, page[:500]
    given = random_ranks(answers)
    status, said = await timed(
        times, "submit", line.ask("POST", f"/api/task/{task}/submit", given, Idempotency_Key=new_id()))
    assert status == 200, said
    return True


def load(args: argparse.Namespace, people: int, answers: int, tokens: int, think: float, look: bool) -> dict:
    """Labelers at work for `args.seconds`."""
    tasks = int(args.seconds * (500 if not think else 2 * people / think)) + people + 500
    with place(args) as url:
        entered, server = prepare(url, people, tasks, answers, tokens), Server(url)
        server.start()

        async def everybody() -> tuple[Times, float]:
            lines = await asyncio.gather(*(enter(server.line(token)) for token in entered))
            found = await work_for(args.seconds, people, lambda i, times: answer(lines[i], times, answers, look), think,
                                   warm=2.0 + think)
            for line in lines:
                line.close()
            return found

        try:
            before = server.cpu()
            times, seconds = asyncio.run(everybody())
            busy = server.cpu() - before
        finally:
            server.stop()
        left, stored = over_assigned(url), count(url)
    labels = len(times["submit"])
    return {"labelers": people, "answers_a_task": answers, "think_s": think, "seconds": round(seconds, 1), "labels": labels,
            "labels_per_s": round(labels / seconds, 1), **percentiles(times, 50, 95, 99),
            "server_cpu_ms_a_label": round(1e3 * busy / stored, 2), "over_assigned": left}  # fmt: skip


def over_assigned(url: str) -> int:
    """Tasks that more people answered or hold than were asked for."""
    a, t = schema.assignments.c, schema.tasks.c
    taken = a.state.in_(["leased", "submitted"])
    n = sa.select(sa.func.count()).where(a.task_id == t.id, taken).scalar_subquery()
    with open_store(url) as store, store.database.reading() as db:
        return sum(count > overlap for overlap, count in db.execute(sa.select(t.overlap, n)))


def count(url: str) -> int:
    """Answers in the store."""
    with open_store(url) as store, store.database.reading() as db:
        return db.scalar(sa.select(sa.func.count()).select_from(schema.submissions))


def hammer(args: argparse.Namespace) -> dict:
    """Bar: 150 labels a second, submit p95 150 ms and p99 300 ms."""
    return load(args, args.people or 50, 4, 40, 0.0, look=False)


def think(args: argparse.Namespace) -> dict:
    """Bar: p95 of claim and of submit 40 ms."""
    return load(args, args.people or 200, 4, 40, 5.0, look=True)


def page(args: argparse.Namespace) -> dict:
    """Bar: p95 80 ms for the page.  Fifty people who read for five seconds."""
    return load(args, args.people or 50, 9, 1000, 5.0, look=True)


def kill(args: argparse.Namespace) -> dict:
    """Bar: no acknowledged answer and no acknowledged draft is missing after 100 kills."""
    people, kept, sent, drafts, starts = 16, set(), {}, {}, []
    with place(args) as url:
        entered, server = prepare(url, people, args.kills * 300, 3, 10), Server(url)

        async def labeler(line: Line, name: str, again: dict | None) -> None:
            try:
                await enter(line)
                if again:  # what was on its way when the server died is sent once more, as a page does
                    status, said = await line.ask("POST", again["path"], again["body"], Idempotency_Key=again["id"])
                    assert status == 200, said
                    kept.add(again["id"])
                    sent.pop(name)
                for rev in range(1, 1 << 30):
                    task = json.loads((await line.ask("POST", "/api/claim", {}))[1])["task"]
                    body = {"body": {"note": f"{name} {rev}"}, "rev": int(perf_counter() * 1e6)}
                    status, _ = await line.ask("PUT", f"/api/task/{task}/draft", body)
                    assert status == 200
                    drafts[name] = (task, body["body"])
                    one = {"path": f"/api/task/{task}/submit", "body": random_ranks(3), "id": new_id()}
                    sent[name] = one
                    status, said = await line.ask("POST", one["path"], one["body"], Idempotency_Key=one["id"])
                    assert status == 200, said
                    kept.add(one["id"])
                    sent.pop(name)
            except Lost:
                line.close()

        async def life() -> None:
            everybody = [labeler(server.line(token), f"labeler{i}", sent.get(f"labeler{i}")) for i, token in enumerate(entered)]
            work = asyncio.gather(*everybody)
            before = len(kept)
            while len(kept) < before + people:  # everybody is at work
                await asyncio.sleep(0.01)
            await asyncio.sleep(random.uniform(0.0, 1.5))
            server.process.send_signal(signal.SIGKILL)
            await work

        for _ in range(args.kills):
            starts.append(server.start())
            asyncio.run(life())
            server.stop(signal.SIGKILL)
        with open_store(url) as store:
            with store.database.reading() as db:
                stored = set(db.scalars(sa.select(schema.submissions.c.id)))
                fine = args.postgres or db.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
            lost = 0
            for name, (task, body) in drafts.items():
                seen = Desk(store).assignment(name, task)
                lost += seen.state == "leased" and (seen.draft is None or seen.draft.body != body)
        left = over_assigned(url)
    return {"kills": args.kills, "labelers": people, "acknowledged": len(kept), "missing": len(kept - stored),
            "stored": len(stored), "drafts_lost": lost, "integrity_ok": fine, "over_assigned": left,
            "start_median_s": round(sorted(starts)[len(starts) // 2], 2), "start_most_s": round(max(starts), 2)}  # fmt: skip


def start(args: argparse.Namespace) -> dict:
    """Bar: 2 s from the command to the first page, with 1,000,000 answers in the store."""
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        path = Path(folder) / "store.db"
        fill(path, 1_001_000)
        answer_all(path, 1_000_000)
        server, seconds = Server(str(path)), []
        for _ in range(5):
            server.port = 0
            seconds.append(server.start())
            server.stop()
        size = path.stat().st_size
    return {"answers": 1_000_000, "bytes": size, "start_s": [round(s, 2) for s in seconds]}


def main() -> None:
    """Measure, print, note."""
    what = {"hammer": hammer, "think": think, "page": page, "kill": kill, "start": start}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=what)
    parser.add_argument("--postgres", action="store_true")
    parser.add_argument("--folder", help="where SQLite's files go while it runs: a disk, no memory", default=".")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--people", type=int)
    parser.add_argument("--kills", type=int, default=100)
    args = parser.parse_args()
    result = what[args.what](args)
    row = record("labelling", {"what": args.what, "database": "postgresql" if args.postgres else "sqlite",
                            "sqlite": sqlite3.sqlite_version, **result})
    for name, value in row.items():
        print(f"{name:>24}  {value}")


if __name__ == "__main__":
    main()
