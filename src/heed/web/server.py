"""Starting the service: the store, the address, the first invitation, and one clear message for whatever is in the way."""

import errno
import os
import socket
import sys
import threading

from heed.errors import UserError
from heed.feedback.database import only_server
from heed.feedback.people import People
from heed.feedback.store import open_store
from heed.web.app import create_app
from heed.web.engines import parse_engines
from heed.web.pages import warm_up
from heed.workflows.serve import Serve, is_this_machine

KEEP_ALIVE = 75  # seconds; browsers pause for longer than uvicorn's own 5 and would find the line dead
WAITING = 1024  # connections that may queue up


def serve(settings: Serve) -> None:
    """Serve until interrupted."""
    import uvicorn

    secret = settings.secret or os.environ.get("HEED_SECRET", "")
    settings = settings.model_copy(update={"secret": secret})
    engines = parse_engines(settings.engines, settings.engine_key_env)
    with listen(settings.host, settings.port) as listener, open_store(settings.store) as store, only_server(store.database):
        address = settings.public_url.rstrip("/") or address_of(listener)
        app = create_app(store, settings, engines=engines)
        print(f"heed: serving {store.database.name} at {address}")
        if link := first_invitation(app.state.site.people, address):
            print(f"heed: nobody has an account yet; the first admin comes in here (once, within a day):\n  {link}")
        if not is_this_machine(settings.host) and not settings.public_url.startswith("https://"):
            print("heed: passwords travel unencrypted; put a proxy with https in front and say so with public_url",
                  file=sys.stderr)
        sys.stdout.flush()
        config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_keep_alive=KEEP_ALIVE, server_header=False,
                                backlog=WAITING, proxy_headers=bool(settings.proxy),
                                forwarded_allow_ips=settings.proxy or None, timeout_graceful_shutdown=5)
        threading.Thread(target=warm_up, daemon=True).start()
        uvicorn.Server(config).run(sockets=[listener])


def first_invitation(people: People, address: str) -> str:
    """A link that makes the first admin; "" where somebody has an account.  Links of earlier starts open no more."""
    if not people.empty():
        return ""
    for old in people.invites():
        if not old.revoked:
            people.revoke_invite("heed serve", old.id)
    _, token = people.invite("heed serve", "admin", days=1)
    return f"{address}/invite/{token}"


def listen(host: str, port: int) -> socket.socket:
    """A socket at that address.  Raises UserError where it cannot be had."""
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except socket.gaierror:
        raise UserError(f"host = {host!r}: there is no such address") from None
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(place)
        listener.listen(WAITING)  # whoever comes before the server runs waits in line
    except OSError as error:
        listener.close()
        why = {errno.EADDRINUSE: "something else is listening there; give another port=, or stop that first",
               errno.EACCES: "only the administrator may use this port; give one above 1024",
               errno.EADDRNOTAVAIL: "this machine has no such address"}  # fmt: skip
        raise UserError(f"cannot listen on {host} port {port}: {why.get(error.errno, error.strerror)}") from None
    return listener


def address_of(listener: socket.socket) -> str:
    """How a browser on this machine reaches it."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
