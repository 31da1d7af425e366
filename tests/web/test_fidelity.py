"""What was on the screen is what is in the store, in the file and in the pairs: random orders with ties, in a real browser,
entered by radio buttons, digits, dragging, move buttons and touch."""

import json
import random

import pytest
from live import Live, chromium
from visitors import a_task

from heed.feedback.bodies import dense_ranks
from heed.feedback.exchange import write_groups

WAYS = ("radios", "digits", "drag", "buttons", "touch")


def by_radios(page, wanted, rng):
    for letter in rng.sample(sorted(wanted), len(wanted)):
        page.locator(f'input[name="ranks.{letter}"][value="{wanted[letter]}"]').check()


def by_digits(page, wanted, rng):
    for letter in rng.sample(sorted(wanted), len(wanted)):
        page.keyboard.press(letter.lower())
        page.keyboard.press(str(wanted[letter]))


def by_buttons(page, wanted, rng):
    """Up until it stands below its place; then up once more, or tied."""
    placed = {}
    for letter in rng.sample(sorted(wanted), len(wanted)):
        act = lambda name, letter=letter: page.click(f'[data-chip="{letter}"] [data-act="{name}"]')  # noqa: E731
        act("down")  # it takes the last place
        above = sorted({rank for rank in placed.values() if rank >= wanted[letter]}, reverse=True)
        for rank in above:
            act("tie" if rank == wanted[letter] else "up")
        placed[letter] = wanted[letter]


def target(page, wanted, placed, letter):
    """(x, y) where a chip is let go: onto the level that it ties with, or at the edge of the one it comes before."""
    levels = page.locator(".level")
    ranks = sorted(set(placed.values()))
    if not ranks:
        box = page.locator("#strip").bounding_box()
        return box["x"] + 40, box["y"] + 30
    same = wanted[letter] in ranks
    at = ranks.index(wanted[letter]) if same else next((i for i, rank in enumerate(ranks) if rank > wanted[letter]), None)
    box = levels.nth(len(ranks) - 1 if at is None else at).bounding_box()
    part = 0.5 if same else 0.95 if at is None else 0.08
    return box["x"] + box["width"] / 2, box["y"] + box["height"] * part


def by_dragging(page, wanted, rng, press):
    placed = {}
    page.locator("#strip").scroll_into_view_if_needed()
    for letter in rng.sample(sorted(wanted), len(wanted)):
        box = page.locator(f'[data-chip="{letter}"] .grip').bounding_box()
        press((box["x"] + box["width"] / 2, box["y"] + box["height"] / 2), target(page, wanted, placed, letter))
        placed[letter] = wanted[letter]


def by_mouse(page):
    def press(start, end):
        page.mouse.move(*start)
        page.mouse.down()
        page.mouse.move(start[0] + 12, start[1] + 3)
        page.mouse.move(*end, steps=4)
        page.mouse.up()

    return press


def by_finger(page):
    wire = page.context.new_cdp_session(page)

    def send(kind, *points):
        wire.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y} for x, y in points]})

    def press(start, end):
        send("touchStart", start)
        for i in range(1, 5):
            send("touchMove", tuple(a + (b - a) * i / 4 for a, b in zip(start, end, strict=True)))
        send("touchEnd")

    return press


def screen(page):
    """What a person sees: ranks by the radio buttons, the order drawn, and the text under each letter."""
    return page.evaluate("""() => ({
        ranks: Object.fromEntries([...document.querySelectorAll('input[name^="ranks."]:checked')].map(
            i => [i.name.slice(6), Number(i.value)])),
        drawn: [...document.querySelectorAll('.level')].map(
            l => [...l.querySelectorAll('[data-chip]')].map(c => c.dataset.chip)),
        texts: Object.fromEntries([...document.querySelectorAll('.card')].map(
            c => [c.dataset.letter, c.querySelector('[data-untrusted]').innerText.trim()])),
    })""")


def work_through(live, orders, seed):
    """(way, wanted ranks, what the screen said) of each of so many random orders, handed in one after the other."""
    from playwright.sync_api import sync_playwright

    rng = random.Random(seed)
    sizes = [rng.randint(2, 9) for _ in range(orders)]
    live.work.ask([a_task("rank", f"Order {i}", texts=[f"text {i}-{j}" for j in range(k)]) for i, k in enumerate(sizes)])
    found = []
    with sync_playwright() as playwright:
        browser = chromium(playwright)
        mouse = live.page(browser, "mouse", viewport={"width": 1500, "height": 1400})
        finger = live.page(browser, "finger", viewport={"width": 420, "height": 1000}, has_touch=True, is_mobile=True)
        presses = {"drag": by_mouse(mouse), "touch": by_finger(finger)}
        for page in (mouse, finger):
            live.take(page, "rank")
        for i in range(orders):
            way = WAYS[i % len(WAYS)]
            page = finger if way == "touch" else mouse
            page.wait_for_selector("body[data-ready]", state="attached")
            letters = sorted(screen(page)["texts"])
            wanted = {letter: rng.randint(1, len(letters)) for letter in letters}
            if way in presses:
                by_dragging(page, wanted, rng, presses[way])
            else:
                {"radios": by_radios, "digits": by_digits, "buttons": by_buttons}[way](page, wanted, rng)
            url = page.url
            found.append((way, wanted, screen(page)))
            page.click("#submit")
            page.wait_for_url(lambda now, url=url: now.split("?")[0] != url.split("?")[0], wait_until="commit")
        assert mouse.faults == [] and finger.faults == []
        browser.close()
    return found


@pytest.fixture(scope="module", params=[
    pytest.param(2 * len(WAYS), id="ten orders"), pytest.param(200, id="200 orders", marks=pytest.mark.slow)])
def runs(request, tmp_path_factory):
    """The orders, and the store that they went into."""
    live = Live(tmp_path_factory.mktemp("fidelity"))
    yield work_through(live, request.param, seed=7), live
    live.close()


def test_every_way_shows_what_was_meant(runs):
    found, _ = runs
    for way, wanted, seen in found:
        meant = dense_ranks(wanted)
        assert dense_ranks(seen["ranks"]) == meant, way
        drawn = {letter: i for i, level in enumerate(seen["drawn"], start=1) for letter in level}
        assert drawn == meant, way


def test_the_screen_is_the_store_is_the_file_is_the_pairs(runs, tmp_path):
    found, live = runs
    rankings = live.store.rankings()
    assert len(rankings) == len(found)
    write_groups(rankings, tmp_path / "groups.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "groups.jsonl").read_text().splitlines()]
    by_texts = {frozenset(ranking.completions): (ranking, row) for ranking, row in zip(rankings, rows, strict=True)}
    for way, wanted, seen in found:
        ranking, row = by_texts[frozenset(seen["texts"].values())]
        meant = {seen["texts"][letter]: rank for letter, rank in dense_ranks(wanted).items()}
        assert dict(zip(ranking.completions, ranking.ranks, strict=True)) == meant, way
        texts = [one if isinstance(one, str) else one[-1]["content"] for one in row["completions"]]
        assert dict(zip(texts, row["ranks"], strict=True)) == meant, way
        pairs = {(ranking.completions[i], ranking.completions[j]) for i, j in ranking.pairs()}
        assert pairs == {(a, b) for a in meant for b in meant if meant[a] < meant[b]}, way
        text_of = {c.id: c.text for c in ranking.comparison.candidates}
        shown = [text_of[id] for id in ranking.judgement.ranks]  # the order in which they were shown is on record
        assert shown == [seen["texts"][letter] for letter in sorted(seen["texts"])], way
