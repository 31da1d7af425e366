"""Two clips side by side: what the keys say is what is in the store, the next pair is there at once, nothing is lost, and it
works without JavaScript, without a network and without motion."""

import json
import time

import numpy as np
import pytest
from live import Live, opened, ready
from visitors import post

from heed.feedback.assignment import Media
from heed.feedback.desk import Desk
from heed.feedback.work import Task
from heed.records import Candidate, Prompt

GOAL = Prompt("Prefer the clip in which the bar gets further.")
SAYS = {"ArrowLeft": 0, "ArrowRight": 1, "ArrowUp": "tie", "ArrowDown": "cannot tell"}


def pairs(n):
    """Tasks whose films are `clips/0.webm` and `clips/1.webm`."""
    found = []
    for i in range(n):
        both = [Candidate("", "policy", id=f"q{i}-{side}") for side in ("left", "right")]
        media = {c.id: Media(f"clips/{k}.webm", "video/webm", "") for k, c in enumerate(both)}
        found.append(Task("clips", GOAL, tuple(both), media, id=f"q{i}"))
    return found


def make_films(folder):
    """Two films of a bar that moves, 30 frames each."""
    pytest.importorskip("av")
    from heed.control.clips import film

    (folder / "clips").mkdir(exist_ok=True)
    for k in range(2):
        frames = np.full((30, 120, 160, 3), 240, np.uint8)
        for t, frame in enumerate(frames):
            frame[40:80, (1 + k) * t : (1 + k) * t + 20] = 60
        (folder / "clips" / f"{k}.webm").write_bytes(film(frames, 20.0).data)


browser = pytest.fixture(scope="module")(opened)


@pytest.fixture
def live(tmp_path):
    make_films(tmp_path)
    made = Live(tmp_path)
    yield made
    made.close()


def opened(live, browser, name="ann", **context):
    page = live.page(browser, name, **context)
    live.take(page, "clips")
    return page


def in_view(page, number):
    """The pair of that task has put a picture on the screen."""
    page.wait_for_selector(f"#task[data-task='{number}'][data-seen='{number}']")


def next_is_loaded(page):
    """The films after these have arrived."""
    page.wait_for_selector("#task[data-ahead]")


def told(live):
    """What was said, in order: which film was preferred, from 0."""
    def word(j):
        if j.outcome != "answered":
            return "cannot tell"
        left, right = (j.ranks[f"{j.comparison_id}-{side}"] for side in ("left", "right"))
        return "tie" if left == right else int(right < left)

    return [(j.comparison_id, word(j)) for j in live.store.judgements()]


def film_on(page, letter):
    """The size of the film under a letter, by which it is known."""
    return page.evaluate("""async (letter) => {
        const film = document.querySelector(`#card-${letter} video`);
        return (await (await fetch(film.src)).arrayBuffer()).byteLength }""", letter)


def seconds_until_the_next(page, key):
    """From the key to a picture of both new films on the screen."""
    return page.evaluate("""(key) => new Promise((done) => {
        const task = document.querySelector('#task'), before = task.dataset.seen, start = performance.now();
        const look = () => task.dataset.seen === before ? requestAnimationFrame(look)
            : done((performance.now() - start) / 1000);
        document.body.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
        look(); })""", key)


def wait_for(what, seconds=20.0):
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "this never came"
        time.sleep(0.05)


def test_the_keys_say_what_is_stored_and_the_next_pair_is_there_at_once(live, browser, tmp_path):
    live.work.ask(pairs(6))
    size_of = {(tmp_path / "clips" / f"{k}.webm").stat().st_size: k for k in range(2)}
    page = opened(live, browser)
    meant, waits = [], []
    for number, key in enumerate(["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "ArrowLeft"], start=1):
        in_view(page, number)
        left, right = (size_of[film_on(page, letter)] for letter in "AB")
        assert {left, right} == {0, 1}
        meant.append((f"q{number - 1}", {"ArrowLeft": left, "ArrowRight": right}.get(key, SAYS[key])))
        next_is_loaded(page)
        waits.append(seconds_until_the_next(page, key))
    wait_for(lambda: len(told(live)) == 5)
    assert told(live) == meant
    assert sorted(waits)[len(waits) // 2] <= 0.3, f"seconds to the next pair: {waits}"
    assert page.url.endswith("/task/6") and "5 answers" in page.inner_text("#pace") and "a minute" in page.inner_text("#pace")
    assert page.faults == [] and page.left == []


def test_the_last_answer_is_taken_back_and_given_anew(live, browser):
    live.work.ask(pairs(3))
    page = opened(live, browser)
    next_is_loaded(page)
    page.keyboard.press("ArrowLeft")
    in_view(page, 2)
    page.keyboard.press("Control+z")
    page.wait_for_url("**/task/1?said=undone")
    ready(page)
    assert page.locator("[data-key=ArrowLeft]").get_attribute("aria-pressed") == "true", "what was said stands there"
    next_is_loaded(page)
    page.keyboard.press("ArrowUp")
    in_view(page, 2)
    wait_for(lambda: len(told(live)) == 3)
    assert [said for _, said in told(live)][-1] == "tie" and len(live.store.rankings()) == 1


def test_without_a_connection_answers_wait_in_the_browser(live, browser):
    live.work.ask(pairs(3))
    page = opened(live, browser)
    next_is_loaded(page)
    page.context.set_offline(True)
    page.keyboard.press("ArrowRight")
    in_view(page, 2)
    assert told(live) == []
    page.context.set_offline(False)
    wait_for(lambda: len(told(live)) == 1)
    next_is_loaded(page)
    page.keyboard.press("ArrowRight")
    in_view(page, 3)


def test_a_new_question_is_found_while_one_looks_at_the_last(live, browser):
    live.work.ask(pairs(1))
    page = opened(live, browser)
    in_view(page, 1)
    live.work.ask(pairs(2))
    next_is_loaded(page)
    page.keyboard.press("ArrowLeft")
    in_view(page, 2)
    page.keyboard.press("ArrowLeft")
    page.wait_for_url("**/nothing**")


def test_both_play_together_and_pause_together(live, browser):
    live.work.ask(pairs(1))
    page = opened(live, browser)
    in_view(page, 1)
    playing = "[...document.querySelectorAll('video')].map(v => !v.paused && !v.ended)"
    page.wait_for_function(f"{playing}.every(Boolean)")
    page.wait_for_timeout(1900)  # longer than they last
    times = page.evaluate("[...document.querySelectorAll('video')].map(v => v.currentTime)")
    assert max(times) < 1.6 and abs(times[0] - times[1]) < 0.25, "they begin again, together"
    page.keyboard.press("Space")
    page.wait_for_function("[...document.querySelectorAll('video')].every(v => v.paused)")


def test_nothing_moves_for_whoever_wants_no_motion(live, browser):
    live.work.ask(pairs(1))
    page = opened(live, browser, reduced_motion="reduce")
    in_view(page, 1)
    assert page.evaluate("[...document.querySelectorAll('video')].every(v => v.paused && v.currentTime === 0)")
    page.click("#pause")
    page.wait_for_function("[...document.querySelectorAll('video')].every(v => !v.paused)")


def test_a_form_without_javascript_says_the_same(browser_of, work, store):
    work.ask(pairs(4))
    client = browser_of("ann")
    for value, expected in (("-1", "A"), ("1", "B"), ("0", "tie")):
        page = post(client, "/next", kind="clips")
        number = int(str(page.url).split("/")[-1].split("?")[0])
        assert page.text.count("<video") == 2 and "Prefer the clip" in page.text
        fields = {"submission_id": f"0198c0de-{number}", "preference": value, "reason": "cannot_tell"}
        said = post(client, f"/task/{number}/submit", **fields)
        assert said.status_code == 200
        shown = Desk(store)._sheet("ann", number).completions
        ranks = store.judgements()[-1].ranks
        best = [letter for letter, id in shown.items() if ranks[id] == 1]
        assert best == (["A", "B"] if expected == "tie" else [expected])
    number = int(str(post(client, "/next", kind="clips").url).split("/")[-1].split("?")[0])
    post(client, f"/task/{number}/submit", submission_id="0198c0de-last", outcome="not_rankable", reason="cannot_tell")
    assert store.judgements()[-1].outcome == "not_rankable"


@pytest.fixture
def browser_of(request, app, people):
    """`browser` of conftest.py, whose name the real browser has here."""
    from starlette.testclient import TestClient
    from visitors import PASSWORD

    def open_browser(name):
        client = TestClient(app, base_url="http://127.0.0.1", follow_redirects=True)
        request.addfinalizer(client.close)
        _, token = people.invite("test", "labeler")
        people.accept(token, name, PASSWORD)
        post(client, "/login", name=name, password=PASSWORD)
        return client

    return open_browser


def test_two_pairs_may_be_in_hand_and_no_more(work, store):
    work.ask(pairs(4))
    desk = Desk(store)
    first = desk.draw("ann", ["clips"])
    second = desk.draw("ann", ["clips"], besides=first.task)
    assert second.task != first.task
    assert desk.draw("ann", ["clips"], besides=first.task) == second, "asked again: the same"
    assert desk.draw("ann", ["clips"]) == first and desk.draw("ann", ["clips"], besides=second.task) == first
    assert desk.draw("ben", ["clips"]).task not in (first.task, second.task)


def test_the_reward_is_drawn_from_the_run_that_keeps_the_store(browser_of, tmp_path):
    client = browser_of("ann")
    assert "polyline" not in client.get("/clips/reward.svg").text, "no run, no curve"
    rows = [{"step": i, "steps": 1000.0 * i, "true/return": float(i * i)} for i in range(1, 6)]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows) + '{"step": 6, "st')
    picture = client.get("/clips/reward.svg")
    assert picture.headers["content-type"] == "image/svg+xml" and picture.text.count(",") > 4
    assert ": 25<" in picture.text and "1 to 25" in picture.text and "5,000 steps" in picture.text
