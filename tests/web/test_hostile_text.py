"""Text that tries to be more than text, in every place where text is shown."""

import re
from html.parser import HTMLParser
from urllib.parse import quote

import pytest
from markupsafe import Markup
from payloads import EVIL, PAYLOADS
from visitors import a_task, post

from heed.feedback.desk import Desk
from heed.web import safe_text
from heed.web.safe_text import TAGS, raw, rendered

OURS = {"details", "summary"}  # around what is too long to render


class Tags(HTMLParser):
    """Every tag and attribute of a text."""

    def __init__(self, html):
        super().__init__()
        self.found = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))


def test_there_are_enough_of_them():
    assert len(PAYLOADS) >= 150 and len(set(PAYLOADS)) == len(PAYLOADS)


@pytest.mark.parametrize("payload", PAYLOADS, ids=range(len(PAYLOADS)))
def test_only_tags_of_the_list_come_out(payload):
    for tag, attributes in Tags(rendered(payload)).found:
        assert tag in TAGS | OURS, (tag, payload[:80])
        allowed = {"href", "rel", "target"} if tag == "a" else {"class"} if tag == "pre" else set()
        assert set(attributes) <= allowed, (attributes, payload[:80])
        if href := attributes.get("href"):
            assert re.match(r"/leave\?to=(https?|mailto)%3A", href), href
            assert attributes["rel"] == "noopener noreferrer nofollow ugc"
    assert "<" not in str(raw(payload)).replace("&lt;", "")


def test_nothing_that_cannot_be_seen_comes_through():
    shown = str(rendered("a\u202eb\u2066c\u200bd\ufeffe\x00f\ud800"))
    for hidden in ("\u202e", "\u2066", "\u200b", "\ufeff", "\x00", "\ud800"):
        assert hidden not in shown and f"U+{ord(hidden):04X}" in str(raw(hidden))
    assert "👩\u200d🚀" in rendered("👩\u200d🚀")  # one picture of a woman in space, not two


def test_long_text_is_all_there():
    text = "x\n" * 20_000 + "the end"
    html = str(rendered(text))
    assert html.count("x") >= 20_000 and "the end" in html and "more characters" in html


@pytest.mark.parametrize("text", ["[" * 65_000, "![" * 32_000, "_a" * 32_000, "`a" * 32_000, "[a](b" * 12_000, "<" * 65_000])
def test_what_would_keep_the_parser_busy_is_shown_as_it_is(text):
    assert str(rendered(text)).startswith('<pre class="raw">') and len(rendered(text)) > len(text)


def test_what_is_kept_of_rendered_text_has_an_end(monkeypatch):
    monkeypatch.setattr(safe_text, "CACHED", 1000)
    cache = safe_text._Cache()
    for i in range(100):
        cache.put(b"%d" % i, Markup("x" * 90))
    assert cache.size <= 1000 and cache.get(b"99") and cache.get(b"0") is None


def escaped_everywhere(html, what):
    """No tag in the page that our templates do not write, and no way to another host."""
    for tag, attributes in Tags(html).found:
        assert tag not in ("iframe", "object", "embed", "base", "marquee", "portal", "math", "style", "frameset"), (tag, what)
        assert not [name for name in attributes if re.match("on|style|srcdoc|ping", name)], (attributes, what)
        for name in ("src", "href", "action", "formaction", "data", "srcset", "poster"):
            value = attributes.get(name) or ""
            assert not value.lstrip().lower().startswith(("javascript:", "data:", "vbscript:", "//", "\\")), (value, what)
            assert EVIL not in value or value.startswith("/leave?to=") or what == "leave", (value, what)
        if tag == "script":
            assert attributes == {"type": "module", "src": "/static/app.js"}, what
        if tag == "meta":
            assert attributes.get("http-equiv") is None, what


@pytest.mark.parametrize("part", [0, *(pytest.param(part, marks=pytest.mark.slow) for part in range(1, 6))])
def test_pages_hold_against_all_of_them(browser, work, store, part):
    """A sixth of the payloads at a time: as prompt, answers, notes, names of scales and flags, instructions, pool, faults."""
    mine = PAYLOADS[part::6]
    client, boss = browser("ann"), browser("ada", "admin")
    for at in range(0, len(mine), 9):
        texts = mine[at : at + 9]
        texts += ["x"] * (2 - len(texts))
        escaped_everywhere(client.get("/instructions/" + quote(texts[0][:50], errors="replace")).text, "an address")
        scale = {"name": texts[0].replace(".", "")[:500], "worst": texts[1][:500], "best": texts[-1][:500]}
        instructions = {"ratings": [scale], "flags": [texts[-1].replace(".", "")[:500]]}
        work.instruct("ada", "rate", "\n\n".join(texts), instructions)
        rank = work.ask([a_task("rank", texts[0], texts=texts, pool=""), a_task("rate", texts[1], texts=texts)])[0]
        for kind in ("rank", "rate"):
            page = post(client, "/next", kind=kind)
            escaped_everywhere(page.text, "task")
            if id := re.search("/instructions/([0-9a-f]+)/acknowledge", page.text):
                page = post(client, f"/instructions/{id[1]}/acknowledge", back=page.url.path)
                escaped_everywhere(page.text, "task")
            faulty = post(client, page.url.path + "/submit", {"submission_id": f"0198c0de-{part}-{at}", "note": texts[0],
                                                              "ranks.A": texts[-1], "text": texts[0]})  # fmt: skip
            assert faulty.status_code == 422
            escaped_everywhere(faulty.text, "fault")
            skip = post(client, page.url.path + "/skip", {"submission_id": f"0198c0de-{kind}-{part}-{at}", "reason": "other",
                                                          "note": texts[0][:2000]})  # fmt: skip
            assert skip.status_code == 200
        escaped_everywhere(client.get("/work").text, "work")
        escaped_everywhere(boss.get(f"/manage/tasks/{rank}").text, "manage")
        escaped_everywhere(boss.get("/manage/tasks").text, "manage")
    for payload in mine[:8]:
        escaped_everywhere(post(boss, "/manage/instructions", kind="rank", body=payload, form=payload).text, "form")
        escaped_everywhere(post(boss, "/manage/tasks", kind=payload, prompts=payload, overlap=payload).text, "tasks")
        escaped_everywhere(post(boss, "/manage/access/invite", role=payload, pool=payload, uses=payload).text, "access")
        escaped_everywhere(post(boss, "/account/tokens", label=payload).text, "account")
        escaped_everywhere(post(browser(), "/login", name=payload, password=payload, back=payload, kept=payload).text, "login")
        escaped_everywhere(client.get("/leave", params={"to": payload[:3000]}).text, "leave")
        escaped_everywhere(client.get("/work", params={"before": payload[:500]}).text, "query")
        escaped_everywhere(client.get("/", params={"said": payload[:500], "done": payload[:500]}).text, "query")


@pytest.mark.parametrize("mine", [
    pytest.param(PAYLOADS[::20], id="some"), pytest.param(PAYLOADS, id="all", marks=pytest.mark.slow)])  # fmt: skip
def test_conversations_and_reviews_hold_too(browser, work, store, mine):
    """What people and models say in a conversation, the model's suggestions, both replies; notes and edits under review."""
    client, boss, desk = browser("ann", "reviewer"), browser("ada", "admin"), Desk(store)
    for i, payload in enumerate(payload for payload in mine if payload.strip()):
        text = payload[:5000].encode("utf-8", "replace").decode()  # a form holds no half surrogates
        work.ask([a_task("converse", text), a_task("live_compare", text)])
        for kind in ("converse", "live_compare"):
            page = post(client, "/next", kind=kind)
            task, said = page.url.path, f"0198c0de-{kind}-{i}"
            escaped_everywhere(page.text, kind)
            page = post(client, f"{task}/say", message_id=said, parent_id="", role="user", text=text)
            escaped_everywhere(page.text, kind)
            more = "suggest" if kind == "converse" else "replies"
            page = post(client, f"{task}/{more}", parent_id=said, message_id=f"{said}-x", role="assistant", text="")
            assert "Echo" in page.text  # the model says it again
            escaped_everywhere(page.text, kind)
            post(client, f"{task}/skip", submission_id=f"{said}-skip", reason="other", note=text[:2000])
        [asked, edited] = work.ask([a_task("rank", text, texts=[text, "x"], overlap=2), a_task("edit", text, texts=[text])])
        for name, ranks in (("ben", {"A": 1, "B": 2}), ("cat", {"A": 2, "B": 1})):
            store.draw(name, ["rank"])
            desk.submit(name, asked, f"{name}-{i}", {"ranks": ranks, "note": payload[:10_000]})
        store.draw("ben", ["edit"])
        desk.submit("ben", edited, f"edit-{i}", {"text": text + " and so on", "reasons": ["style"], "note": payload[:10_000]})
        for task in (asked, edited):
            work.review(task, "ada")
            page = post(client, "/next", kind="review")
            escaped_everywhere(page.text, "review")
            escaped_everywhere(boss.get(f"/manage/tasks/{task}").text, "manage")
            post(client, f"{page.url.path}/skip", submission_id=f"0198c0de-r-{task}", reason="other")
    escaped_everywhere(boss.get("/manage/quality").text, "quality")
    escaped_everywhere(boss.get("/manage/audit").text, "audit")
