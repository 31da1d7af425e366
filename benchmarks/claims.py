"""Handing out tasks: is any handed out too often, how long does it take, and does that depend on how many there are?

    python benchmarks/claims.py crowd     # 100,000 claims by 64 threads on SQLite, about 2 minutes
    python benchmarks/claims.py crowd --url postgresql://me@host/empty   # the same by two processes of 32 threads
    python benchmarks/claims.py flat      # claims among 10,000 and 1,000,000 tasks, in turn
    python benchmarks/claims.py open      # opening a store that holds 1,000,000 answers
    python benchmarks/claims.py labels    # claim and submit by 1 and by 50 labelers without a pause

Everything runs in this process (crowd on PostgreSQL: in two), without the web in between; SQLite commits with
synchronous=FULL.  Prints what it found and appends one JSON line to benchmarks/results/claims.jsonl.
"""

import argparse
import multiprocessing
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, process_time

import sqlalchemy as sa
from record import record

from heed.feedback import schema
from heed.feedback.desk import Desk
from heed.feedback.store import open_store
from heed.feedback.work import Task, Work
from heed.records import Candidate, Prompt

THREADS, PROMPTS = 64, 1000


def fill(path: Path, tasks: int, overlap: str = "1") -> None:
    """`tasks` comparisons of two, over PROMPTS prompts, written by SQLite itself; `overlap` is an expression of i."""
    open_store(path).close()
    with sqlite3.connect(path) as db:
        numbers = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?)"
        db.execute(f"{numbers} INSERT INTO prompts SELECT 'p' || i, '\"What is ' || i || '?\"', '{{}}', 'train' FROM n",
                   [PROMPTS])  # fmt: skip
        db.execute(f"{numbers} INSERT INTO completions (id, prompt_id, text, made_by, sampling) "
                   "SELECT 'c' || i, 'p' || (i / 2), 'It is ' || i, 'step-1', '{}' FROM n", [2 * PROMPTS])  # fmt: skip
        db.execute(f"{numbers} INSERT INTO tasks (seq, id, kind, prompt_id, overlap, open_slots, asked_at) "
                   f"SELECT i + 1, 't' || i, 'rank', 'p' || (i % {PROMPTS}), {overlap}, {overlap}, 0.0 FROM n", [tasks])
        db.execute(f"{numbers} INSERT INTO task_items SELECT 't' || (i / 2), i % 2, "
                   f"'c' || (2 * ((i / 2) % {PROMPTS}) + i % 2) FROM n", [2 * tasks])  # fmt: skip
    db.close()


def answer_all(path: Path, answers: int) -> None:
    """An answer to each of the first tasks, by one of fifty labelers, written by SQLite itself."""
    with sqlite3.connect(path) as db:
        numbers = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?)"
        db.execute(f"{numbers} INSERT INTO labelers (id, kind) SELECT 'l' || i, 'human' FROM n", [50])
        db.execute(f"{numbers} INSERT INTO submissions (id, kind, task_id, labeler_id, outcome, seconds, note, answered_at) "
                   "SELECT 's' || i, 'rank', 't' || i, 'l' || (i % 50), 'answered', 9, '', 1 FROM n", [answers])  # fmt: skip
        db.execute(f"{numbers} INSERT INTO assignments (task_id, labeler_id, state) "
                   "SELECT 't' || i, 'l' || (i % 50), 'submitted' FROM n", [answers])  # fmt: skip
        db.execute(f"{numbers} INSERT INTO ranking_items SELECT 's' || (i / 2), "
                   f"'c' || (2 * ((i / 2) % {PROMPTS}) + i % 2), 1 + i % 2, i % 2 FROM n", [2 * answers])  # fmt: skip
        db.execute("UPDATE tasks SET open_slots = 0 WHERE seq <= ?", [answers])
    db.close()


def percentile(values: list[float], share: float) -> float:
    """In milliseconds."""
    return round(sorted(values)[min(len(values) - 1, int(share * len(values)))] * 1e3, 2)


def together(n: int, work: Callable[[int], None]) -> float:
    """Seconds until n threads have done `work(i)`."""
    threads = [threading.Thread(target=work, args=(i,)) for i in range(n)]
    start = perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return perf_counter() - start


def claim_many(url: str, threads: int, claims: int, first: int) -> None:
    """Each claim by a labeler of its own, so that nothing but the places limits it."""
    store, numbers, lock = open_store(url), iter(range(first, first + claims)), threading.Lock()

    def work(_: int) -> None:
        while True:
            with lock:
                i = next(numbers, None)
            if i is None:
                return
            store.draw(f"labeler {i}", ["rank"], lease_seconds=86_400.0)  # no lease ends while it lasts

    together(threads, work)
    store.close()


def crowd(args: argparse.Namespace) -> dict:
    """More claims than places, of tasks with 1 to 4 places each."""
    claims, tasks = args.claims, int(args.claims * 0.38)  # 2.5 places a task on average: 95 % of the claims get one
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        url = args.url or str(Path(folder) / "crowd.db")
        if args.url:
            with open_store(url) as store:
                Work(store).ask([
                    Task("rank", Prompt(f"p{i}"), (Candidate("a"), Candidate("b")), overlap=1 + i % 4) for i in range(tasks)])
        else:
            fill(Path(url), tasks, "1 + i % 4")
        start = perf_counter()
        if args.url:
            spawn = multiprocessing.get_context("spawn")
            half = [spawn.Process(target=claim_many, args=(url, THREADS // 2, claims // 2, i * claims)) for i in range(2)]
            for process in half:
                process.start()
            for process in half:
                process.join()
        else:
            claim_many(url, THREADS, claims, 0)
        seconds = perf_counter() - start
        with open_store(url) as store, store.database.reading() as db:
            a, t = schema.assignments.c, schema.tasks.c
            n = sa.select(sa.func.count()).where(a.task_id == t.id, a.state == "leased").scalar_subquery()
            rows = db.execute(sa.select(t.overlap, t.open_slots, n)).all()
    return {
        "claims": claims, "tasks": tasks, "places": sum(o for o, _, _ in rows), "given": sum(n for *_, n in rows),
        "over_assigned": sum(n > o for o, _, n in rows), "wrong_count": sum(free != o - n for o, free, n in rows),
        "claims_per_s": round(claims / seconds, 1), "seconds": round(seconds, 1),
    }  # fmt: skip


def flat(args: argparse.Namespace) -> dict:
    """Twenty labelers claim and answer, one step in each store in turn, so that both see the same machine."""
    sizes, times = (10_000, 1_000_000), {}
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        desks = {}
        for size in sizes:
            fill(Path(folder) / f"{size}.db", size)
            desks[size] = Desk(open_store(Path(folder) / f"{size}.db"))
            times[size] = []
        for step in range(args.steps):
            for size, desk in desks.items():
                start = perf_counter()
                task = desk.claim(f"l{step % 20}").task
                times[size].append(perf_counter() - start)
                desk.submit(f"l{step % 20}", task, f"answer-{step}", {"ranks": {"A": 1, "B": 2}})
        for desk in desks.values():
            desk.store.close()
    warm = {size: found[50:] for size, found in times.items()}
    result = {f"{size}/p{p}_ms": percentile(warm[size], p / 100) for size in sizes for p in (50, 95)}
    result["p95_ratio"] = round(result["1000000/p95_ms"] / result["10000/p95_ms"], 3)
    result["p50_ratio"] = round(result["1000000/p50_ms"] / result["10000/p50_ms"], 3)
    return {"steps": args.steps, **result}


def open_large(args: argparse.Namespace) -> dict:
    """In a process of its own: import, open, and the first claim."""
    code = """
import sys, time
start = time.perf_counter()
from heed.feedback.store import open_store
from heed.feedback.desk import Desk
imported = time.perf_counter()
store = open_store(sys.argv[1])
opened = time.perf_counter()
assert Desk(store).claim("newcomer").task == 1_000_001
claimed = time.perf_counter()
store.watermark()
print(imported - start, opened - imported, claimed - opened)
"""
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        path = Path(folder) / "open.db"
        fill(path, 1_001_000)
        answer_all(path, 1_000_000)
        size = path.stat().st_size
        out = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    imported, opened, claimed = map(float, out.stdout.split())
    return {"answers": 1_000_000, "bytes": size, "import_s": round(imported, 3), "open_s": round(opened, 3),
            "first_claim_s": round(claimed, 3)}  # fmt: skip


def labels(args: argparse.Namespace) -> dict:
    """Claim and submit without a pause, K = 4."""
    result = {}
    for n in (1, 50):
        with tempfile.TemporaryDirectory(dir=args.folder) as folder:
            url = args.url or str(Path(folder) / "labels.db")
            store = open_store(url)
            Work(store).ask([
                Task("rank", Prompt(f"{n} p{i}"), tuple(Candidate(f"{k} to {i}") for k in range(4)))
                for i in range(8000 if n > 1 else 4000)])  # fmt: skip
            desk, claims, submits, end = Desk(store), [], [], perf_counter() + args.seconds

            def work(i: int, desk=desk, claims=claims, submits=submits, end=end, n=n) -> None:
                step = 0
                while perf_counter() < end and (shown := timed(claims, lambda: desk.claim(f"{n} l{i}"))):
                    body = {"ranks": {item.letter: 1 + place // 2 for place, item in enumerate(shown.items)}}
                    timed(submits, lambda t=shown.task, s=step, b=body: desk.submit(f"{n} l{i}", t, f"{n}-{i}-{s}", b))
                    step += 1

            busy = process_time()
            seconds = together(n, work)
            busy = process_time() - busy
            store.close()
        result |= {f"{n}/labels_per_s": round(len(submits) / seconds, 1), f"{n}/cpu_ms": round(busy / len(submits) * 1e3, 2)}
        result |= {f"{n}/claim_p{p}_ms": percentile(claims, p / 100) for p in (50, 95, 99)}
        result |= {f"{n}/submit_p{p}_ms": percentile(submits, p / 100) for p in (50, 95, 99)}
    return result


def timed(times: list[float], call: Callable):
    """What `call` returns, with its seconds noted."""
    start = perf_counter()
    result = call()
    times.append(perf_counter() - start)
    return result


def main() -> None:
    """Measure, print, note."""
    what = {"crowd": crowd, "flat": flat, "open": open_large, "labels": labels}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=what)
    parser.add_argument("--url", help="an empty PostgreSQL database or schema; without it, SQLite in --folder")
    parser.add_argument("--folder", help="where SQLite's files go while it runs: a disk, no memory", default=".")
    parser.add_argument("--claims", type=int, default=100_000)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=10.0)
    args = parser.parse_args()
    result = what[args.what](args)
    row = record("claims", {"what": args.what, "database": "postgresql" if args.url else "sqlite",
                            "sqlite": sqlite3.sqlite_version, **result})
    for name, value in row.items():
        print(f"{name:>20}  {value}")


if __name__ == "__main__":
    main()
