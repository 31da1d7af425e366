"""`heed serve` as a process: the first invitation, and one clear message for whatever is in the way."""

import re
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

from heed.errors import UserError
from heed.feedback.people import People
from heed.web.engines import RemoteEngine, Silent, parse_engines, two_replies
from heed.web.server import first_invitation, listen

HEED = [sys.executable, "-m", "heed", "serve"]


def start(*arguments):
    return subprocess.Popen([*HEED, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def until(process, pattern):
    for line in process.stdout:
        if found := re.search(pattern, line):
            return found
    raise AssertionError(f"{pattern} was not said")


def refused(*arguments):
    done = subprocess.run([*HEED, *arguments], capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr
    return done.stderr


def test_the_first_start_prints_one_invitation_and_a_second_server_is_refused(tmp_path):
    store = f"store={tmp_path / 's.db'}"
    server = start(store, "port=0")
    try:
        address = until(server, r"serving .* at (http://127.0.0.1:\d+)")[1]
        link = until(server, r"(http://127.0.0.1:\d+/invite/[\w-]{40,})")[1]
        assert link.startswith(address)
        page = urllib.request.urlopen(link, timeout=30)
        assert "as a <b>admin</b>" in page.read().decode() and page.headers["Server"] is None
        assert "is already served by process" in refused(store, "port=0")
        assert "something else is listening there" in refused(f"store={tmp_path / 't.db'}", f"port={address.rsplit(':', 1)[1]}")
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(30)
    assert "Traceback" not in server.stdout.read()


def test_what_would_leave_a_door_open_is_refused(tmp_path):
    assert "needs a secret" in refused(f"store={tmp_path / 's.db'}", "host=0.0.0.0")
    assert not (tmp_path / "s.db").exists()


def test_a_later_start_makes_the_earlier_link_worthless(store, people):
    first = first_invitation(people, "http://x")
    second = first_invitation(people, "http://x")
    assert first != second
    people.accept(second.rsplit("/", 1)[1], "ann", "a long password")
    assert first_invitation(people, "http://x") == "" and isinstance(people, People)
    with pytest.raises(UserError):
        people.open_invite(first.rsplit("/", 1)[1])


def test_addresses_that_cannot_be_had():
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(UserError, match="something else is listening"):
        listen("127.0.0.1", taken.getsockname()[1])
    with pytest.raises(UserError, match="no such address"):
        listen("no-such-host.invalid", 0)
    with pytest.raises(UserError, match="this machine has no such address"):
        listen("192.0.2.1", 8000)


def test_engines_are_named_with_their_checkpoint(monkeypatch):
    [engine] = parse_engines(["runs/a/ppo@http://127.0.0.1:9/v1"])
    assert engine.checkpoint == "runs/a/ppo" and engine.url == "http://127.0.0.1:9/v1"
    for bad in ("http://127.0.0.1:9/v1", "x@ftp://host", "x@", "@http://h"):
        with pytest.raises(UserError, match="checkpoint@http"):
            parse_engines([bad])
    with pytest.raises(UserError, match="NO_SUCH_KEY"):
        parse_engines(["a@https://h/v1"], "NO_SUCH_KEY")


def test_a_model_behind_a_server(monkeypatch):
    import json
    import threading
    from http.server import BaseHTTPRequestHandler, HTTPServer

    from heed.records import Message, Prompt

    asked, bodies = [], []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            said = [{"message": {"content": f"reply {i}"}} for i in range(asked[-1]["n"])]
            body = bodies.pop(0) if bodies else {"choices": said}
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body if isinstance(body, bytes) else json.dumps(body).encode())

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    engine = RemoteEngine(f"http://127.0.0.1:{server.server_port}/v1", "ppo-3")
    prompt = Prompt((Message("user", "Hello"),))
    a, b = two_replies([engine], prompt)
    assert (a.text, b.text, a.made_by) == ("reply 0", "reply 1", "ppo-3") and a.id != b.id
    assert asked[0]["messages"] == [{"role": "user", "content": "Hello"}] and asked[0]["n"] == 2
    a, b = two_replies([engine, RemoteEngine(engine.url, "ppo-4")], prompt)
    assert {a.made_by, b.made_by} == {"ppo-3", "ppo-4"}
    for bad in (b"<html>", {"choices": []}, {"choices": [{"message": {"content": None}}]}, {"error": "x"}):
        bodies.append(bad)
        with pytest.raises(Silent):
            engine.replies(prompt, 1)
    bodies += [{"choices": [{"message": {"content": "only one"}}]}] * 2
    assert {c.text for c in two_replies([engine], prompt)} == {"only one"}  # some servers do not know n
    server.shutdown()
    server.server_close()
    with pytest.raises(Silent, match="cannot be reached"):
        engine.replies(prompt, 1)
    with pytest.raises(Silent, match="no model"):
        two_replies([], prompt)
