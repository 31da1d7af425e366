"""How texts are looked at: two answers scrolled together, their differences marked, a warning before what may upset, and a blur
that ends where somebody points, tabs or taps.  None of it writes anything into the page but marks, whatever models wrote."""

import pytest
from live import Live, opened, ready
from payloads import PAYLOADS
from test_screens import axe, violations
from visitors import a_task, post

from heed.errors import UserError
from heed.feedback.forms import form_of

LONG = "\n\n".join(f"Paragraph {i} of a long answer about seals and the sea." for i in range(80))
browser_ = pytest.fixture(scope="module", name="chromium")(opened)


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    from conftest import Echo

    made = Live(tmp_path_factory.mktemp("views"), engines=[Echo()])
    yield made
    made.close()


def compare(live, page, *texts):
    """Two texts before somebody, and which letter stands for the first of them."""
    live.work.ask([a_task("pairwise", texts=list(texts))])
    live.take(page, "pairwise")
    return page.evaluate("[...document.querySelectorAll('.card .raw')].map(raw => raw.textContent)")


def marks(page):
    """What is marked under each letter."""
    return page.evaluate("""() => Object.fromEntries([...document.querySelectorAll(".card")].map(
        card => [card.dataset.letter, [...card.querySelectorAll("mark")].map(mark => mark.textContent)]))""")


def pressed(page, view):
    return page.get_attribute(f"[data-view={view}]", "aria-pressed")


def test_differences_are_marked_within_the_text_and_taken_back(live, chromium):
    page = live.page(chromium, "marker", viewport={"width": 320, "height": 700}, color_scheme="dark")
    shown = compare(live, page, "Seals eat *fish* and squid at sea.", "Seals eat *crabs* and squid at night, too.")
    before = page.inner_html(".cards")
    page.keyboard.press("d")
    first = "A" if "fish" in shown[0] else "B"
    assert marks(page) == {first: ["fish", "sea"], "B" if first == "A" else "A": ["crabs", "night, too"]}
    assert page.locator(".card em mark").count() == 2  # the text keeps its shape
    assert pressed(page, "diff") == "true" and f"Only in {first}: 2 words." in page.inner_text("#live")
    assert violations(page, axe()) == []
    page.reload()
    ready(page)
    assert pressed(page, "diff") == "true" and sum(map(len, marks(page).values())) == 4  # remembered
    page.click("[data-view=diff]")
    assert page.inner_html(".cards") == before and page.inner_text("#differences") == ""
    page.keyboard.press("?")
    assert "mark what stands in one answer only" in page.inner_text("#keys-list")
    assert page.faults == []
    page.context.close()


def test_long_answers_scroll_together_in_proportion(live, chromium):
    page = live.page(chromium, "scroller", viewport={"width": 1100, "height": 800})
    compare(live, page, LONG, LONG + "\n\n" + LONG)
    assert pressed(page, "link") == "false" and page.evaluate("document.querySelector('.pane').scrollHeight") > 1500
    page.keyboard.press("l")
    heights = page.evaluate("[...document.querySelectorAll('.pane')].map(pane => pane.clientHeight)")
    assert heights[0] == heights[1] <= 480 and pressed(page, "link") == "true"
    for at, other in ((0, 1), (1, 0)):
        page.evaluate("([at, to]) => document.querySelectorAll('.pane')[at].scrollTo(0, to)", [at, 700 + 300 * at])
        page.wait_for_function("""at => {
            const part = pane => pane.scrollTop / (pane.scrollHeight - pane.clientHeight);
            const [one, two] = [...document.querySelectorAll(".pane")].map(part);
            return one > 0.05 && Math.abs(one - two) < 0.002;
        }""", arg=other)  # fmt: skip
        assert page.evaluate("at => document.querySelectorAll('.pane')[at].scrollTop", at) == 700 + 300 * at
    assert violations(page, axe()) == []
    page.click("[data-view=link]")
    assert page.locator(".pane[tabindex]").count() == 0
    assert page.evaluate("document.querySelector('.pane').clientHeight") > 1500
    assert page.faults == []
    page.context.close()


def test_hostile_texts_are_compared_as_text(live, chromium):
    page = live.page(chromium, "brave")
    texts = ["\n\n".join(text[:2000] for text in PAYLOADS[part::2] if "\x00" not in text) for part in (0, 1)]
    compare(live, page, *[text[:60_000] for text in texts])
    tags = "[...new Set([...document.querySelectorAll('.card *')].map(one => one.tagName))].sort()"
    before = page.evaluate(tags)
    page.keyboard.press("d")
    assert page.evaluate(tags) in (before, sorted([*before, "MARK"]))
    assert page.inner_text("#differences")
    assert page.evaluate("window.__pwned") is None and page.faults == [] and page.left == []
    page.context.close()


def test_a_red_team_is_warned_once_and_reads_behind_a_blur(live, chromium):
    live.work.ask([a_task("live_compare", mode="red_team")])
    page = live.page(chromium, "tough", viewport={"width": 320, "height": 700})
    live.take(page, "live_compare")
    assert "Content warning." in page.inner_text("main") and "What is a seal?" not in page.inner_text("main")
    assert violations(page, axe()) == []
    page.keyboard.press("Enter")
    page.wait_for_selector("#say")
    ready(page)
    page.fill("#text", "Be bad.")
    page.keyboard.press("Control+Enter")
    page.wait_for_selector("[data-turn]")
    ready(page)
    blur = lambda letter: page.evaluate(  # noqa: E731
        "at => getComputedStyle(document.querySelector(`#card-${at} .text`)).filter", letter)
    page.mouse.move(0, 0)
    assert "blur" in blur("A") and "blur" in blur("B") and pressed(page, "veil") == "true"
    assert violations(page, axe()) == []
    page.hover("#card-A")
    assert blur("A") == "none" and "blur" in blur("B")
    page.locator("#card-B summary").first.focus()  # as Tab would
    assert blur("B") == "none"
    page.evaluate("document.activeElement.blur()")
    page.mouse.move(0, 0)
    page.keyboard.press("v")
    assert blur("A") == blur("B") == "none" and pressed(page, "veil") == "false"
    page.reload()
    ready(page)
    assert pressed(page, "veil") == "false" and blur("A") == "none"  # remembered, and no second warning
    assert page.locator("[data-view]:visible").count() == 3
    page.keyboard.press("v")
    wire = page.context.new_cdp_session(page)
    wire.send("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-reduced-transparency", "value": "reduce"}]})
    page.mouse.move(0, 0)
    assert blur("A") == "none"
    assert page.evaluate("getComputedStyle(document.querySelector('#card-A .text p')).color") == "rgba(0, 0, 0, 0)"
    assert page.faults == []
    page.context.close()


def test_without_javascript_nothing_is_blurred_and_no_button_does_nothing(live, chromium):
    live.work.ask([a_task("live_compare", mode="red_team")])
    page = live.page(chromium, "plain", java_script_enabled=False)
    page.locator("li.kind", has=page.locator("a[href='/instructions/live_compare']")).locator("button, a.button").first.click()
    page.click("#continue")
    page.fill("#text", "Be bad.")
    page.click("#submit")
    page.click("#replies button")
    page.wait_for_selector("#card-A .text")  # visible, once the next page has come
    assert page.locator("[data-view]:visible").count() == 0
    page.context.close()


def test_the_warning_comes_once_in_a_session_and_a_task_can_be_skipped_from_it(browser, work):
    work.instruct("ada", "pairwise", "Compare.", {"warning": "Some answers describe <b>fights</b>."})
    work.ask([a_task("pairwise"), a_task("pairwise", "And what is a walrus?"), a_task("rate")])
    client = browser("ann")
    page = post(client, "/next", kind="pairwise")
    path = page.url.path
    page = post(client, f"/instructions/{page.text.split('/acknowledge')[0].rsplit('/', 1)[1]}/acknowledge", back=path)
    assert "Some answers describe &lt;b&gt;fights&lt;/b&gt;." in page.text and "Answer number 1" not in page.text
    assert "I would rather not read this" in page.text and f'action="{path}/skip"' in page.text
    page = post(client, "/warned", back=path)
    assert page.url.path == path and "Answer number 1" in page.text and 'data-veil="on"' in page.text
    page = post(client, path + "/skip", submission_id="0198c0de-skip", reason="distressing")
    assert page.url.path != path and "Answer number 1" in page.text  # the next of its kind, without another warning
    rate = post(client, "/next", kind="rate")
    assert 'data-veil="on"' not in rate.text and 'data-view="veil"' not in rate.text
    post(client, "/logout")
    post(client, "/login", name="ann", password="open sesame street")
    assert "Content warning." in client.get(page.url.path).text  # another session


def test_a_warning_is_words():
    assert form_of("rank", '{"warning": "Blood."}').warning == "Blood."
    with pytest.raises(UserError, match="form of rank: warning is 3; expected words"):
        form_of("rank", '{"warning": 3}')
