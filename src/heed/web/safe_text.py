"""Text from models, people and files, made safe to show.

Markdown without HTML -> an allow-list of tags -> Markup.  Images become text and links go through a page that says where
they lead, so that no text can make a browser ask another host.  Characters that turn text around, or that nobody can see,
are written out.
"""

import re
import threading
import unicodedata
from collections import OrderedDict
from hashlib import sha256
from urllib.parse import quote, urlsplit

import nh3
from markdown_it import MarkdownIt
from markupsafe import Markup, escape

LONGEST = 20_000  # characters rendered; the rest stands beside it as plain text
MARKS = re.compile(r"[\[\]*_`<~!&\\]")
MANY = 1_500  # of them: the parser's time grows with their square, and no text for people has so many
CACHED = 30_000_000  # characters of rendered text kept
TAGS = {"p", "br", "hr", "strong", "em", "s", "code", "pre", "blockquote", "ul", "ol", "li",
        "table", "thead", "tbody", "tr", "th", "td", "a"}  # fmt: skip
JOINERS = "\u200c\u200d"  # they shape Persian, Indic scripts and emoji, so they are written out in the raw view only


def leads_out(url: str) -> bool:
    """Whether a link may be followed, by way of the page that asks first."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme == "mailto" or (parts.scheme in ("http", "https") and bool(parts.hostname))


def visible(text: str, keep: str = "") -> str:
    """`text` with what cannot be seen written as ⟦U+202E⟧."""
    hidden = {ord(c): f"⟦U+{ord(c):04X}⟧" for c in set(text) if c not in keep and _hidden(c)}
    return text.translate(hidden) if hidden else text


def raw(text: str) -> Markup:
    """Every character as it is, nothing interpreted."""
    return escape(visible(text))


def short(text: str, most: int = 120) -> str:
    """The beginning of a text on one line."""
    line = " ".join(visible(text[: 4 * most]).split())
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"


def rendered(text: str) -> Markup:
    """Markdown as HTML that is safe inside a page of ours."""
    key = sha256(text.encode("utf-8", "surrogatepass")).digest()
    if (found := _cache.get(key)) is None:
        found = Markup(_render(text))
        _cache.put(key, found)
    return found


def _render(text: str) -> str:
    shown = visible(text[:LONGEST], JOINERS)
    if len(MARKS.findall(shown)) > MANY:
        return f'<pre class="raw">{raw(text)}</pre>'
    # A line break that somebody typed is one that they want to see.
    html = nh3.clean(_markdown().render(shown), tags=TAGS, attributes={"a": {"href"}}, url_schemes=set(),
                     link_rel="noopener noreferrer nofollow ugc", set_tag_attribute_values={"a": {"target": "_blank"}})
    if len(text) > LONGEST:
        rest = text[LONGEST:]
        html += (f"<details><summary>{len(rest):,} more characters, as plain text</summary>"
                 f'<pre class="raw">{raw(rest)}</pre></details>')
    return html


def _hidden(c: str) -> bool:
    if c in "\n\r\t":
        return False
    kind = unicodedata.category(c)
    return kind in ("Cc", "Cf", "Cs", "Co", "Cn") or c in "\u115f\u1160\u3164\uffa0\u2028\u2029"


class _Cache:
    """The last rendered texts, up to CACHED characters."""

    def __init__(self):
        self.lock, self.size, self.kept = threading.Lock(), 0, OrderedDict()

    def get(self, key: bytes) -> Markup | None:
        with self.lock:
            if key in self.kept:
                self.kept.move_to_end(key)
                return self.kept[key]
        return None

    def put(self, key: bytes, value: Markup) -> None:
        with self.lock:
            if key not in self.kept:
                self.kept[key], self.size = value, self.size + len(value)
            while self.size > CACHED and len(self.kept) > 1:
                self.size -= len(self.kept.popitem(last=False)[1])


_cache = _Cache()
_local = threading.local()


def _markdown() -> MarkdownIt:
    """A parser of this thread's own."""
    if not hasattr(_local, "markdown"):
        made = MarkdownIt("commonmark", {"html": False, "linkify": False, "breaks": True, "maxNesting": 50})
        made.enable(["table", "strikethrough"])
        made.add_render_rule("heading_open", lambda self, tokens, i, options, env: "<p><strong>")  # the page has its own
        made.add_render_rule("heading_close", lambda self, tokens, i, options, env: "</strong></p>\n")
        made.add_render_rule("image", _image)
        made.add_render_rule("link_open", _link)
        _local.markdown = made
    return _local.markdown


def _image(self, tokens, i, options, env) -> str:
    address = str(tokens[i].attrs.get("src", ""))
    return str(escape(f"[image: {tokens[i].content} ({address})]"))


def _link(self, tokens, i, options, env) -> str:
    address = str(tokens[i].attrs.get("href", ""))
    return f'<a href="/leave?to={quote(address, safe="")}">' if leads_out(address) else "<a>"
