"""Templates and the response that they become."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from heed import __version__
from heed.feedback import forms
from heed.web.guard import Visit
from heed.web.safe_text import raw, rendered, short, visible

HERE = Path(__file__).parent
THEMES = {"": "as the system", "light": "light", "dark": "dark"}
# What a page says at its top after something was done; addresses carry the key, never the words.
SAID = {
    "saved": "Saved.",
    "late": "Saved. Your place had been given to somebody else by then; your answer is kept all the same.",
    "skipped": "Skipped. You will not be asked this again.",
    "undone": "Taken back. Here it is again, as you left it.",
    "revised": "Your new answer stands; the old one stays on record.",
    "draft": "Draft kept.",
    "done": "Done.",
    "password": "Your password is changed. Please log in again.",
    "welcome": "Your account is ready. Please log in.",
    "quiz": "That was the last question of the quiz.",
}


class Page(HTMLResponse):
    """HTML that may hold half a surrogate pair, as text of models does."""

    def render(self, content: str) -> bytes:
        return content.encode("utf-8", "replace")


@cache
def environment() -> Environment:
    """The templates; every value is escaped."""
    made = Environment(loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined,
                       trim_blocks=True, lstrip_blocks=True, auto_reload=False)
    made.filters |= {"rendered": rendered, "raw": raw, "visible": visible, "when": when, "iso": iso, "percent": percent,
                     "short": short}  # fmt: skip
    made.globals |= {"version": __version__, "kinds": KIND_WORDS, "flags": forms.FLAGS, "skip_reasons": forms.SKIP_REASONS,
                     "not_rankable": forms.NOT_RANKABLE, "verdicts": forms.VERDICTS}  # fmt: skip
    return made


def warm_up() -> None:
    """Make every template ready, so that nobody waits for it."""
    for name in environment().list_templates():
        environment().get_template(name)


KIND_WORDS = {
    "rank": ("Rank answers", "Put several answers in order, the best first."),
    "pairwise": ("Compare two", "Say which of two answers is better, and by how much."),
    "rate": ("Rate", "Give marks to one answer on several scales."),
    "demonstrate": ("Write", "Write the answer you would want to get."),
    "converse": ("Play both sides", "Write a conversation, as the person and as the assistant."),
    "live_compare": ("Talk and compare", "Talk with the model and choose between two replies at each turn."),
    "edit": ("Edit", "Make an answer better."),
    "clips": ("Compare clips", "Say which of two clips shows the better behaviour."),
    "review": ("Review", "Look at answers on which people differ."),
}


def page(visit: Visit, template: str, status: int = 200, **values: Any) -> Page:
    """A page for this visit."""
    return Page(render(visit.request, template, visit=visit, user=visit.user, csrf=visit.csrf,
                       title=visit.site.settings.title, **values), status)


def render(request: Request, template: str, **values: Any) -> str:
    """A template with what every page knows."""
    theme = request.cookies.get("theme", "")
    said = SAID.get(request.query_params.get("said", ""), "")
    return environment().get_template(template).render(
        request=request, here=request.url.path, theme=theme if theme in THEMES else "", said=said, **values)


def go(path: str, **said: str) -> Response:
    """After something was done: see there.  `path` is one of ours."""
    from urllib.parse import urlencode

    more = {name: value for name, value in said.items() if value}
    return RedirectResponse(path + ("?" + urlencode(more) if more else ""), 303)


def local(path: str, otherwise: str = "/") -> str:
    """`path` if it leads to a page of this server; no text may send people elsewhere."""
    ours = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isascii() and path.isprintable()
    return path if ours and "\\" not in path else otherwise


def when(seconds: float | None) -> str:
    """A time for people, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M") if seconds is not None else ""


def iso(seconds: float) -> str:
    """A time for the machine-readable half of <time>."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def percent(value: float | None, digits: int = 0) -> str:
    """A share; a dash where there is none."""
    return "–" if value is None or value != value else f"{100 * value:.{digits}f} %"



def first_words(content: Any) -> str:
    """What a prompt is about, on one line."""
    return short(content if isinstance(content, str) else next((m.content for m in reversed(content)), ""))


def flat(body: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A body by the names of its form fields: {"ranks": {"A": 1}} is {"ranks.A": "1"}; lists stay lists."""
    found: dict[str, Any] = {}
    for name, value in body.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{name}.")
        elif isinstance(value, list):
            found[prefix + name] = [str(one) for one in value]
        elif value is not None:
            found[prefix + name] = str(int(value)) if isinstance(value, bool) else str(value)
    return found
