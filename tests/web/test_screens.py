"""Every screen in a real browser: axe-core finds nothing, at three widths, light and dark; every kind of task by keyboard
alone; and with hostile text in all of them, nothing runs and no request leaves."""

from pathlib import Path

import pytest
from live import Live, opened, ready
from payloads import PAYLOADS
from visitors import a_task

from heed.feedback.assignment import Media
from heed.feedback.forms import SKIP_REASONS

slow = pytest.mark.slow
WIDTHS, THEMES = (320, 768, 1440), ("light", "dark")
KINDS = ("rank", "pairwise", "rate", "demonstrate", "edit", "clips", "converse", "live_compare", "review")
PAGES = ("/", "/work", "/account", "/nothing", "/quiz", "/instructions/rate", "/leave?to=https://example.org/", "/no/such/page",
         "/manage", "/manage/quality", "/manage/tasks", "/manage/instructions", "/manage/data", "/manage/access",
         "/manage/audit", "/manage/tasks/1")  # fmt: skip


browser = pytest.fixture(scope="module")(opened)


def ask_everything(live, texts=("Seals are *mammals*.", "They eat:\n\n- fish\n- squid", "`seal`"), prompt="What is a seal?"):
    """A task of every kind, and a disagreement to review; the number of each."""
    def shown(n):
        return (list(texts) * 9)[:n]

    clips = a_task("clips", prompt)
    media = {c.id: Media(f"{i}.webm", "video/webm", "") for i, c in enumerate(clips.candidates)}
    tasks = {kind: a_task(kind, prompt, texts=shown(n), overlap=50)
             for kind, n in (("rank", 4), ("pairwise", 2), ("rate", 1), ("edit", 1), ("demonstrate", 0), ("converse", 0),
                             ("live_compare", 0))}  # fmt: skip
    tasks["clips"] = clips.__class__("clips", clips.prompt, clips.candidates, media=media, overlap=50)
    numbers = dict(zip(tasks, live.work.ask(list(tasks.values())), strict=True))
    return numbers


def answered(live, names=("ben", "cat")):
    """Two people who differ about the first task, and a review of it."""
    from heed.feedback.desk import Desk

    desk = Desk(live.store)
    for i, name in enumerate(names):
        live.account(name)
        assignment = desk.claim(name, ["rank"])
        letters = [item.letter for item in assignment.items]
        ranks = {letter: n if i else len(letters) - n for n, letter in enumerate(letters, start=1)}
        desk.submit(name, assignment.task, f"0198c0de-{name}", {"ranks": {k: max(1, v) for k, v in ranks.items()},
                                                                "seconds": 20 + i, "note": "Hm."})  # fmt: skip
    for _ in range(12):
        live.work.review(1, "ada")


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    from conftest import Echo

    made = Live(tmp_path_factory.mktemp("screens"), engines=[Echo()])
    scale = {"name": "helpful", "worst": "not", "best": "very"}
    made.work.instruct("ada", "rate", "# Rate\n\nBe *fair*.", {"ratings": [scale]})
    ask_everything(made)
    answered(made)
    yield made
    made.close()


def axe():
    """The source of axe-core, which comes with the package axe-playwright-python."""
    package = pytest.importorskip("axe_playwright_python", reason="the package axe-playwright-python is not installed")
    return Path(package.__file__).with_name("axe.min.js").read_text(encoding="utf-8")


def violations(page, source):
    """What axe finds on the page, as lines.  It is evaluated by the browser itself, past the page's policy."""
    page.evaluate(source)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    return [f"{one['id']}: {node['target']} {node['failureSummary']}" for one in found for node in one["nodes"]]


def too_wide(page, width):
    """Whatever makes people scroll sideways."""
    seen = page.evaluate("document.documentElement.scrollWidth")
    return [f"{seen} pixels wide"] if seen > width else []


def open_task(page, live, kind):
    live.take(page, kind)
    if page.locator("text=I have read them").count():
        page.click("text=I have read them")
        ready(page)


@pytest.mark.parametrize(("width", "theme"), [
    pytest.param(w, t, marks=() if (w, t) == (320, "dark") else slow) for w in WIDTHS for t in THEMES])
def test_axe_finds_nothing(live, browser, width, theme):
    source, found = axe(), {}
    size = {"width": width, "height": 900}
    page = live.page(browser, "ada", "admin", viewport=size, color_scheme=theme)
    for path in PAGES:
        page.goto(live.base + path)
        found[path] = violations(page, source) + too_wide(page, width)
    for kind in KINDS:
        open_task(page, live, kind)
        if kind == "live_compare" and page.locator("#say").count():
            page.fill("#text", "Do seals sleep?")
            page.click("#submit")
            page.wait_for_selector("[data-turn]")
            ready(page)
        for box in page.locator("main details > summary").all():
            box.click()
        found[kind] = violations(page, source) + too_wide(page, width)
        if kind in ("rank", "demonstrate"):
            page.click("#submit")
            page.wait_for_selector("#faults")
            found[kind + " with faults"] = violations(page, source)
        if kind == "rank" and width > 700:
            page.click("#help-button")
            found["keys"] = violations(page, source)
    nobody = live.page(browser, viewport=size, color_scheme=theme)
    _, token = live.people.invite("ada", "labeler")
    for path in ("/login", f"/invite/{token}"):
        nobody.goto(live.base + path)
        found[path] = violations(nobody, source)
    assert {where: lines for where, lines in found.items() if lines} == {}
    assert page.faults == [] and page.left == []
    page.context.close()
    nobody.context.close()


def press(page, *keys):
    for key in keys:
        page.keyboard.press(key)


def done(page, name, live, kind):
    """Their last answer, once the page has gone on."""
    page.wait_for_url("**said=**", wait_until="commit")
    from heed.feedback.desk import Desk

    [last] = Desk(live.store).my_work(name, limit=1)
    assert last.kind == kind and last.outcome == "answered", last
    return last.body


@pytest.mark.parametrize("kind", [pytest.param(kind, marks=() if kind == "rank" else slow) for kind in KINDS])
def test_by_keyboard_alone(live, browser, kind):
    """Not one click after the log-in: Tab, Enter, and the keys that the page lists."""
    name = f"keys_{kind}"
    page = live.page(browser, name, "reviewer")
    card = f"a.button[href^='/task'], li.kind:has(a[href='/instructions/{kind}']) button"
    page.locator(card).last.focus()  # as Tab would, after a while
    press(page, "Enter")
    page.wait_for_url("**/task/*")
    ready(page)
    if page.locator("text=I have read them").count():
        page.get_by_text("I have read them").focus()
        press(page, "Enter")
        page.wait_for_selector(".task", state="attached")
        ready(page)
    assert page.locator(f".kind-{kind}").count() == 1
    if kind == "rank":
        press(page, "a", "2", "j", "1", "c", "2", "d", "4", "[", "Control+Enter")
        body = done(page, name, live, kind)
        assert body["ranks"] == {"B": 1, "A": 2, "C": 2, "D": 3} or set(body["ranks"]) == set("ABCD")
    elif kind == "pairwise":
        press(page, "1", "Control+Enter")
        assert done(page, name, live, kind)["preference"] == -4
    elif kind == "clips":
        press(page, "ArrowRight", "Control+Enter")
        assert done(page, name, live, kind)["preference"] == 1
    elif kind == "rate":
        press(page, "6", "Control+Enter")
        assert done(page, name, live, kind)["ratings"]["A"]["helpful"] == 6
    elif kind in ("demonstrate", "edit"):
        page.locator("#text").focus()
        press(page, "Control+a")
        page.keyboard.type("Seals sleep; ask them? s u x")
        press(page, "Control+Enter")
        assert done(page, name, live, kind)["text"] == "Seals sleep; ask them? s u x"
    elif kind == "review":
        page.locator("input[name=verdict]").first.focus()
        press(page, "ArrowDown", "Space", "Control+Enter")
        assert done(page, name, live, kind)["verdict"] == "ambiguous"
    else:
        page.locator("#text").focus()
        page.keyboard.type("Hello")
        press(page, "Control+Enter")
        if kind == "converse":
            page.wait_for_selector(".role-assistant")
            ready(page)
            page.locator("#text").focus()
            page.keyboard.type("Hello to you.")
            press(page, "Control+Enter")
            page.wait_for_selector(".role-user")
        else:
            page.wait_for_selector("[data-turn]")
            ready(page)
            press(page, "2", "Control+Enter")
        page.wait_for_selector("#end")
        ready(page)
        page.locator("#end summary").focus()
        press(page, "Enter")
        page.locator("#finish button").focus()
        press(page, "Enter")
        assert done(page, name, live, kind)["leaf"]
    assert page.faults == []
    page.context.close()


@slow
def test_a_skip_and_its_undo_by_keyboard(live, browser):
    page = live.page(browser, "skipper")
    live.take(page, "pairwise")
    url = page.url
    press(page, "s", "ArrowDown", "Enter")
    page.wait_for_url("**said=skipped**")
    ready(page)
    assert page.locator("[data-undo]").count() <= 1
    page.goto(live.base + "/work")
    assert SKIP_REASONS["expertise"] in page.inner_text("main")
    page.get_by_role("button", name="Take back").first.focus()
    press(page, "Enter")
    page.wait_for_url(lambda now: now.split("?")[0] == url.split("?")[0])


@slow
def test_single_keys_can_be_switched_off(live, browser):
    page = live.page(browser, "quiet")
    live.take(page, "pairwise")
    press(page, "?")
    page.locator("#keys-on").uncheck()
    press(page, "Escape", "1", "s")
    assert page.locator("input[name=preference]:checked").count() == 0
    assert not page.evaluate("document.querySelector('#skip').open")


@slow
def test_hostile_text_runs_nothing_and_asks_nobody(tmp_path, browser):
    """All the payloads, by nines, on the pages of labelers, reviewers and managers, with the policy's own listener."""
    from conftest import Echo

    live = Live(tmp_path, engines=[Echo()])
    page = live.page(browser, "ada", "admin")
    page.add_init_script("""window.__violations = [];
        document.addEventListener("securitypolicyviolation",
                                  e => window.__violations.push(e.violatedDirective + " " + e.blockedURI));""")

    def look(where):
        page.wait_for_timeout(50)
        state = page.evaluate("({pwned: window.__pwned, violations: window.__violations, url: location.origin})")
        assert state == {"pwned": None, "violations": [], "url": live.base}, (where, state)

    for at in range(0, len(PAYLOADS), 9):
        texts = [text[:20_000] for text in PAYLOADS[at : at + 9]]
        texts += ["x"] * (2 - len(texts))
        [number] = live.work.ask([a_task("rank", texts[0], texts=texts)])
        live.take(page, "rank")
        for box in page.locator("summary").all()[:12]:
            box.click()
        look(("rank", at))
        page.locator("details.note").evaluate("box => box.open = true")
        page.fill("#note", texts[0].replace("\x00", ""))
        page.click("#submit")
        page.wait_for_selector("#faults")
        look(("faults", at))
        page.goto(f"{live.base}/manage/tasks/{number}")
        look(("manage", at))
        live.work.set("ada", [number], status="cancelled")
        page.goto(live.base + "/work")
        from heed.feedback.desk import Desk

        Desk(live.store).skip("ada", number, f"0198c0de-{at}", "other", texts[-1][:2000])
        page.goto(live.base + "/manage/audit")
        look(("audit", at))
    assert page.left == [] and page.faults == []
    live.close()
