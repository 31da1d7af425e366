"""serve: the pages where people answer: rank, compare, rate, write, talk with the model, review.

The first start prints an invitation for the first admin, who invites everybody else; there is no sign-up.
Ctrl-C stops it; nothing is lost by stopping, killing or starting it again.  One server may have an SQLite file at a time;
a PostgreSQL database may have several.
"""

import ipaddress
import os

from pydantic import Field, NonNegativeFloat

from heed.config import Settings
from heed.errors import UserError
from heed.workflows.settings import Names

SECRET_LENGTH = 32


class Serve(Settings):
    store: str  # file with the feedback, or postgresql://user@host/name
    host: str = "127.0.0.1"  # address to listen on; any but this machine's own needs a secret
    port: int = Field(8000, ge=0, le=65535)  # 0 takes a free one
    secret: str = ""  # 32 characters or more, best from the environment: secret='${HEED_SECRET}'
    public_url: str = ""  # how people reach it where a proxy stands in front, such as https://label.example.org
    proxy: str = ""  # address of that proxy: what it says of where people come from is believed
    title: str = "heed"  # name of the project, at the top of every page
    engines: Names = []  # models for conversations: checkpoint@http://host:port/v1, OpenAI-compatible; several share the work
    engine_key_env: str = ""  # environment variable with the key of the engines
    media: str = ""  # folder of the clips; by default media/ beside the store's file
    gold_share: float = Field(0.0, ge=0, le=1)  # share of the tasks handed out whose answer is known
    screening: float = Field(0.75, ge=0, le=1)  # share of the quiz that must be right, where there is a quiz; 0 asks nobody
    revise_hours: NonNegativeFloat = 24.0  # how long an answer may be changed


SETTINGS = Serve


def run(settings: Serve) -> None:
    """Serves until it is stopped."""
    check(settings)
    from heed.web.server import serve

    serve(settings)


def check(settings: Serve) -> None:
    """Raises UserError for settings that would leave a door open."""
    if settings.secret and len(settings.secret) < SECRET_LENGTH:
        raise UserError(f"secret has {len(settings.secret)} characters; expected at least {SECRET_LENGTH}, for example from "
                        "`python -c 'import secrets; print(secrets.token_urlsafe(32))'`")
    if not is_this_machine(settings.host) and not settings.secret:
        raise UserError(f"host = {settings.host!r} can be reached from other machines and needs a secret of "
                        f"{SECRET_LENGTH} characters or more: secret='${{HEED_SECRET}}'; 127.0.0.1 needs none")
    if settings.public_url and not settings.public_url.startswith(("http://", "https://")):
        raise UserError(f"public_url = {settings.public_url!r}; expected https://host or http://host")
    if settings.media and not os.path.isdir(settings.media):
        raise UserError(f"media: no folder at {settings.media}")


def is_this_machine(host: str) -> bool:
    """Whether only programs on this machine can reach that address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
