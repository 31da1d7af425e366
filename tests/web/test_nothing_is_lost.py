"""Offline, a broken proxy, a restart, an ended session, a closed tab: nothing typed is lost, and every answer is kept once."""

import pytest
from live import Live, opened, ready
from visitors import PASSWORD, a_task

pytestmark = pytest.mark.slow
WORDS = "Seals sleep on the ice.\nAnd in the water — “really”."


browser = pytest.fixture(scope="module")(opened)


@pytest.fixture
def live(tmp_path):
    made = Live(tmp_path)
    made.work.ask([a_task("demonstrate", f"Prompt {i}", overlap=9) for i in range(3)])
    yield made
    made.close()


def writing(live, browser, name="ann"):
    page = live.page(browser, name)
    live.take(page, "demonstrate")
    page.fill("#text", WORDS)
    return page


def kept(live):
    return [d.completion.replace("\r\n", "\n") for d in live.store.demonstrations()]


def gone_on(page):
    page.wait_for_url("**said=saved**")
    ready(page)


def test_offline(live, browser):
    page = writing(live, browser)
    page.context.set_offline(True)
    page.click("#submit")
    page.wait_for_selector("#notice")
    assert "is kept in this browser" in page.inner_text("#notice") and "Offline — 1 waiting" in page.inner_text("#pill")
    assert page.input_value("#text") == WORDS and kept(live) == []
    page.context.set_offline(False)
    gone_on(page)
    assert kept(live) == [WORDS] and page.faults == []


def test_a_proxy_that_answers_in_our_place(live, browser):
    page = writing(live, browser)
    answers = iter([502, 503, 200, 504])  # 200, but a page of somebody else's

    def proxy(route):
        status = next(answers, None)
        route.continue_() if status is None else route.fulfill(status=status, body="<h1>Please log in to our network</h1>")

    page.route("**/submit", proxy)
    page.click("#submit")
    gone_on(page)
    assert kept(live) == [WORDS]


def test_an_answer_whose_receipt_was_lost_is_kept_once(live, browser):
    page, seen = writing(live, browser), []

    def lose(route):
        seen.append(route.request.headers["idempotency-key"])
        if len(seen) <= 2:
            route.fetch()  # it arrives, and nobody hears of it
            route.abort("connectionreset")
        else:
            route.continue_()

    page.route("**/submit", lose)
    page.click("#submit")
    gone_on(page)
    assert kept(live) == [WORDS] and len(seen) == 3 and len(set(seen)) == 1


def test_the_server_is_restarted(live, browser):
    page = writing(live, browser)
    live.stop()
    page.click("#submit")
    page.wait_for_selector("#notice")
    live.start()
    gone_on(page)
    assert kept(live) == [WORDS]


def test_the_session_has_ended(live, browser):
    page = writing(live, browser)
    live.people.logout_everywhere("test", "ann")
    page.click("#submit")
    page.wait_for_selector("#relogin[open]")
    page.fill("#relogin [name=password]", "something else")
    page.keyboard.press("Enter")
    page.wait_for_selector("#relogin-fault:not([hidden])")
    assert page.input_value("#text") == WORDS and kept(live) == []
    page.fill("#relogin [name=password]", PASSWORD)
    page.keyboard.press("Enter")
    gone_on(page)
    assert kept(live) == [WORDS]


def test_a_page_left_open_over_night_has_an_old_token(live, browser):
    """Logged out and in again in another tab: the page's token is of another session."""
    page = writing(live, browser)
    other = page.context.new_page()
    other.goto(live.base + "/")
    other.click("text=Log out")
    other.wait_for_url("**/login")
    other.fill("input[name=name]", "ann")
    other.fill("input[name=password]", PASSWORD)
    other.press("input[name=password]", "Enter")
    other.wait_for_url(live.base + "/")
    page.click("#submit")
    gone_on(page)
    assert kept(live) == [WORDS]


def test_a_tab_closed_while_offline_is_sent_by_the_next_one(live, browser):
    page = writing(live, browser)
    context = page.context
    context.set_offline(True)
    page.click("#submit")
    page.wait_for_selector("#notice")
    page.close()
    context.set_offline(False)
    other = context.new_page()
    other.goto(live.base + "/")
    other.wait_for_function("() => document.querySelector('#pill').textContent.includes('Saved')")
    assert kept(live) == [WORDS]


def test_a_draft_survives_the_tab_and_the_browser(live, browser):
    page = writing(live, browser)
    page.wait_for_function("() => document.querySelector('#pill').textContent.includes('Draft saved')")
    url = page.url
    page.context.close()  # as if it had crashed: no page says goodbye
    elsewhere = live.page(browser, "ann")  # another browser, which has nothing of its own
    elsewhere.goto(url)
    assert elsewhere.input_value("#text") == WORDS


def test_a_draft_survives_without_a_server(live, browser):
    page = writing(live, browser)
    url = page.url
    live.stop()
    page.fill("#text", WORDS + " More.")
    page.wait_for_function("() => document.querySelector('#pill').textContent.includes('Offline')")
    context = page.context
    page.close()
    live.start()
    again = context.new_page()
    again.goto(url)
    ready(again)
    assert again.input_value("#text") == WORDS + " More."


def test_two_tabs_and_two_answers(live, browser):
    """The second answer overwrites nothing: both are shown, and a person decides."""
    page = writing(live, browser)
    other = page.context.new_page()
    other.goto(page.url)
    ready(other)
    page.wait_for_selector("#notice")
    assert "open in another tab" in page.inner_text("#notice")
    other.fill("#text", "Another answer.")
    page.click("#submit")
    gone_on(page)
    other.click("#submit")
    other.wait_for_selector("#clash[open]")
    assert "Seals sleep" in other.inner_text("#clash-stored") and "Another answer." in other.inner_text("#clash-yours")
    other.click("#clash-drop")
    gone_on_or_home = "() => !location.pathname.endsWith(%r)" % ("/" + page.url.rsplit("/", 1)[1])
    other.wait_for_function(gone_on_or_home)
    assert kept(live) == [WORDS]


def test_what_is_missing_is_said_and_nothing_is_cleared(live, browser):
    page = live.page(browser, "ann")
    live.take(page, "demonstrate")
    page.fill("#text", "  ")
    page.click("#submit")
    page.wait_for_selector("#faults")
    assert page.evaluate("document.activeElement.id") == "faults" and page.inner_text("#text-fault") == "Is empty."
    page.fill("#text", WORDS)
    page.click("#submit")
    gone_on(page)
    assert kept(live) == [WORDS]
