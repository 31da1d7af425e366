"""heed beside Label Studio, in one run: as many labelers, the same questions, each system as `pip install` leaves it (SQLite).

    python -m venv peer && peer/bin/pip install label-studio
    python benchmarks/label_studio.py peer/bin/label-studio --people 8

Both servers run as processes of their own, one after the other, and are asked over HTTP with a session's cookie: heed by
`claim` and `submit`, Label Studio by `GET /api/projects/1/next` and `POST /api/tasks/<id>/annotations/`, one annotation a
task (`maximum_annotations` = 1, sequential sampling, which are its defaults).  Appends one JSON line to
benchmarks/results/labelling.jsonl.
"""

import argparse
import asyncio
import http.cookiejar
import json
import os
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from pathlib import Path
from time import perf_counter

from crowd import Line, Times, percentiles, timed, work_for
from labelling import load
from record import record

CONFIG = ('<View><Text name="prompt" value="$prompt"/><List name="answers" value="$answers"/>'
          '<Ranker name="rank" toName="answers"/></View>')
PASSWORD = "open sesame street 1"


class Browser:
    """Cookies, forms and JSON, for what is not measured."""

    def __init__(self, base: str):
        self.base, self.jar = base, http.cookiejar.CookieJar()
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.jar))

    def cookies(self) -> dict[str, str]:
        """By name."""
        return {cookie.name: cookie.value for cookie in self.jar}

    def ask(self, path: str, form: dict | None = None, body: object = None) -> bytes:
        """A page, a form that is sent, or JSON that is posted."""
        data, headers = None, {"Referer": self.base + path}
        if form is not None:
            data = urllib.parse.urlencode({**form, "csrfmiddlewaretoken": self.cookies().get("csrftoken", "")}).encode()
        if body is not None:
            data = json.dumps(body).encode()
            headers |= {"Content-Type": "application/json", "X-CSRFToken": self.cookies().get("csrftoken", "")}
        with self.opener.open(urllib.request.Request(self.base + path, data, headers), timeout=120) as answer:
            return answer.read()

    def sign_up(self, name: str) -> "Browser":
        """Anybody may."""
        self.ask("/user/signup/")
        self.ask("/user/signup/", form={"email": f"{name}@example.org", "password": PASSWORD, "allow_newsletters": "false"})
        return self


def wait_for(base: str, process: subprocess.Popen) -> float:
    """Seconds until it answers."""
    begun = perf_counter()
    while True:
        try:
            urllib.request.urlopen(base + "/user/login/", timeout=5).close()
            return perf_counter() - begun
        except (OSError, urllib.error.URLError):
            if process.poll() is not None:
                raise RuntimeError("Label Studio ended") from None
            time.sleep(0.5)


def label_studio(program: str, people: int, seconds: float, port: int) -> dict:
    """Labels a second, times, and how many tasks were labelled more often than asked for."""
    base = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "LABEL_STUDIO_BASE_DATA_DIR": folder, "COLLECT_ANALYTICS": "false",
                       "LATEST_VERSION_CHECK": "0"}
        command = [program, "start", "--no-browser", "--port", str(port), "--username", "ada@example.org", "--password",
                   PASSWORD]
        with open(Path(folder) / "log", "wb") as log:
            process = subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=log, start_new_session=True)
        try:
            started = wait_for(base, process)
            ada = Browser(base)
            ada.ask("/user/login/")
            ada.ask("/user/login/", form={"email": "ada@example.org", "password": PASSWORD})
            project = json.loads(ada.ask("/api/projects/", body={"title": "heed", "label_config": CONFIG}))["id"]
            answers = [{"id": str(k), "title": f"Answer {k}", "body": f"It is {k}."} for k in range(4)]
            tasks = [{"prompt": f"What is seal number {i}?", "answers": answers} for i in range(int(60 * seconds) + 200)]
            ada.ask(f"/api/projects/{project}/import", body=tasks)
            everybody = [Browser(base).sign_up(f"labeler{i}").cookies() for i in range(people)]
            result = [{"from_name": "rank", "to_name": "answers", "type": "ranker",
                       "value": {"ranker": {"rank": ["0", "1", "2", "3"]}}}]  # fmt: skip
            done: Counter[int] = Counter()
            failed: Counter[int] = Counter()

            async def one(line: Line, times: Times) -> bool:
                status, said = await timed(times, "claim", line.ask("GET", f"/api/projects/{project}/next"))
                if status == 404:
                    return False
                if status != 200:
                    failed[status] += 1
                    return True
                task = json.loads(said)["id"]
                status, said = await timed(times, "submit", line.ask(
                    "POST", f"/api/tasks/{task}/annotations/", {"result": result, "project": project}))
                done[task] += status == 201
                failed[status] += status != 201
                return True

            lines = [Line("127.0.0.1", port, {"Cookie": "; ".join(f"{k}={v}" for k, v in jar.items()),
                                              "X-CSRFToken": jar["csrftoken"], "Referer": base + "/"}) for jar in everybody]
            times, seconds = asyncio.run(work_for(seconds, people, lambda i, times: one(lines[i], times), warm=3.0))
        finally:
            os.killpg(process.pid, 15)
            process.wait()
    labels = sum(done.values())
    code = "import importlib.metadata; print(importlib.metadata.version('label-studio'))"
    version = subprocess.run([Path(program).with_name("python"), "-c", code], capture_output=True, text=True, check=True).stdout
    return {"version": version.strip(), "start_s": round(started, 1), "labels": labels,
            "labels_per_s": round(labels / seconds, 1), **percentiles(times, 50, 95, 99),
            "failed": {str(k): n for k, n in failed.items() if n},
            "over_labelled": sum(n > 1 for n in done.values()), "tasks": len(done)}  # fmt: skip


def main() -> None:
    """Measure both, print, note."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="the label-studio of an environment of its own")
    parser.add_argument("--people", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--port", type=int, default=8093)
    parser.add_argument("--folder", default=".")
    args = parser.parse_args()
    args.postgres = False
    ours = load(args, args.people, 4, 5, 0.0, look=False)
    theirs = label_studio(args.program, args.people, args.seconds, args.port)
    row = record("labelling", {"what": "beside Label Studio", "database": "sqlite", "labelers": args.people, "heed": ours,
                               "label_studio": theirs})
    print(json.dumps(row, indent=1))


if __name__ == "__main__":
    main()
