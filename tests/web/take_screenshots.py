"""Pictures of every screen, of a service at work: for docs/images, and to be looked at after a change.

    python tests/web/take_screenshots.py docs/images             # the few that the documentation shows
    python tests/web/take_screenshots.py /tmp/all --all          # every screen, 320 and 1440 pixels wide, light and dark
"""

import argparse
import random
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from live import Live, chromium, ready
from playwright.sync_api import sync_playwright

from heed.feedback.assignment import Media
from heed.feedback.desk import Desk
from heed.feedback.gold import Gold
from heed.feedback.models import Checkpoint, Models
from heed.feedback.work import Task
from heed.records import Candidate, Message, Prompt

ASKED = ["How do seals sleep at sea?", "Write a short birthday poem for my neighbour Mira, who keeps bees.",
         "Why is the sky red in the evening?", "My sourdough does not rise. What may be wrong?",
         "Explain compound interest to a ten-year-old.", "Give me three ideas for a rainy Sunday with children."]  # fmt: skip
SAID = [
    "Seals sleep at sea in two ways. Some float upright like a bottle, with only the **nose** above the water; others take "
    "long breaths, sink, and *drift* down asleep for up to twenty minutes.\n\n- Elephant seals drift in spirals.\n- Harbour "
    "seals mostly bottle.",
    "They sleep on the water or under it. Half of the brain may stay awake in fur seals, so that they keep breathing.",
    "Seals do not sleep at sea. They always come to land.",
    "As a seal, I sleep whenever I like! Just kidding. Seals hold their breath and nap below the waves, where fewer sharks see "
    "them, and come up about every twenty minutes.",
    "Great question! Seals are amazing animals and there is a lot to say about how they sleep.",
]

class Engine:
    """A model with two things to say."""

    def replies(self, prompt: Prompt, n: int) -> list[Candidate]:
        said = ["They nap under water and come up to breathe.", "On ice or sand if they can; at sea they float and doze."]
        return [Candidate(said[i % 2], "step-40") for i in range(n)]


def furnish(live: Live) -> dict[str, int]:
    """Tasks of every kind, answers of five people, a review, rounds, a snapshot; the number of a task of each kind."""
    rng, work, desk = random.Random(3), live.work, Desk(live.store)
    flags = ["hallucination", "harmful_advice", "constraint"]
    scales = [{"name": "helpful", "worst": "not at all", "best": "very"},
              {"name": "truthful", "high": 5, "worst": "made up", "best": "true"}]
    work.instruct("ada", "rate", "# Rating\n\nFirst read the prompt. A helpful answer does what was *meant*, not only what "
                  "was said.\n\n1. Mark each scale on its own.\n2. A flag is about the whole answer.",
                  {"ratings": scales, "flags": flags})
    work.instruct("ada", "rank", "# Ranking\n\nPut the answers in order, the best first. **Ties are welcome**: do not invent a "
                  "difference that you do not see.")
    live.account("ada", "admin")
    people = ("ben", "cleo", "dara", "emil", "fay")
    for name in people:
        live.account(name)
    models = Models(live.store)

    def task(kind: str, i: int, texts: list[str], **more) -> Task:
        return Task(kind, Prompt((Message("user", ASKED[i % len(ASKED)]),)),
                    tuple(Candidate(text, f"step-{10 * (1 + j % 3)}") for j, text in enumerate(texts)), **more)

    past = work.ask([task("rank", i, rng.sample(SAID, 4), overlap=3, round=None) for i in range(24)])
    quality = {text: q for q, text in zip((1, 2, 5, 3, 4), SAID, strict=True)}
    for number in past:
        for name in rng.sample(people, 3):
            shown = desk.claim(name, ["rank"])
            if shown is None:
                continue
            noisy = {i.letter: quality[i.text] + rng.gauss(0, 2.5 if name == "emil" else 1.0) for i in shown.items}
            order = sorted(noisy, key=noisy.get)
            ranks = {letter: 1 + place for place, letter in enumerate(order)}
            body = {"ranks": ranks, "seconds": round(rng.lognormvariate(3, 0.4), 1)}
            desk.acknowledge(name, shown.instructions.id)
            desk.submit(name, shown.task, f"{name}-{shown.task}-{number}", body)
    gold = work.ask([task("rank", 0, SAID[:3], overlap=5)])[0]
    Gold(live.store).set("ada", gold, {"ranks": {"A": 1, "B": 2, "C": 3}}, "The third is false.")
    numbers = {
        "rank": task("rank", 0, SAID[:4], overlap=9, priority=5), "pairwise": task("pairwise", 0, SAID[:2], overlap=9),
        "rate": task("rate", 0, SAID[:1], overlap=9), "demonstrate": task("demonstrate", 1, [], overlap=9),
        "edit": task("edit", 0, SAID[3:4], overlap=9), "converse": task("converse", 4, [], overlap=9),
        "live_compare": task("live_compare", 0, [], overlap=9, mode="helpful"),
        "red_team": task("live_compare", 5, [], overlap=9, mode="red_team", priority=-1),
        "clips": Task("clips", Prompt("Which one hops more evenly?"), (c := (Candidate("", "seed-1"), Candidate("", "seed-2"))),
                      media={one.id: Media(f"{i}.png", "image/png") for i, one in enumerate(c)}, overlap=9),
    }  # fmt: skip
    found = dict(zip(numbers, work.ask(list(numbers.values())), strict=True))
    found["review"] = work.review(past[0], "ada", priority=1)
    work.set("ada", [found["review"]], overlap=9)
    snapshot = models.snapshot(None)
    names, before = ("gold_win_rate", "reward_accuracy", "kl"), None
    for policy, figures in (("sft", (0.50, 0.61, 0.0)), ("round-1", (0.62, 0.66, 3.1)), ("round-2", (0.68, 0.69, 4.0))):
        models.register(Checkpoint(policy, "policy", f"runs/{policy}", parent=before))
        before = policy
        models.close_round(models.open_round([policy]), snapshot.id, dict(zip(names, figures, strict=True)))
    return found


def draw_clips(folder: Path) -> None:
    """Two pictures, as stills of films."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    for i in range(2):
        figure, axes = plt.subplots(figsize=(4, 2.4))
        xs = [x / 10 for x in range(60)]
        axes.plot(xs, [abs((x * (1.5 - 0.6 * i)) % 2 - 1) + 0.05 * i * (n % 7) for n, x in enumerate(xs)])
        axes.set_axis_off()
        figure.savefig(folder / f"{i}.png", dpi=80)
        plt.close(figure)


def screens(live: Live, page, numbers: dict[str, int]):
    """(name, how to come there) of every screen."""
    def go(path):
        return lambda: (page.goto(live.base + path), page.locator("script").count() and ready(page))

    def take(kind):
        def act():
            live.take(page, kind)
            if page.locator("text=I have read them").count():
                page.click("text=I have read them")
                ready(page)
        return act

    def half_ranked():
        take("rank")()
        for key in ("a", "1", "b", "2", "c", "2"):
            page.keyboard.press(key)
        page.locator("main").evaluate("main => main.focus()")

    def compared():
        take("live_compare")()
        page.fill("#text", "How do seals sleep at sea?")
        page.click("#submit")
        page.wait_for_selector("[data-turn]")
        ready(page)

    def said():
        take("converse")()
        for text in ("How do I save for a bicycle?", "Put aside the same sum each week, and write it down."):
            page.fill("#text", text)
            page.click("#submit")
            page.wait_for_url("**at=**")
            page.wait_for_load_state()
            ready(page)

    def faults():
        take("rank")()
        page.click("#submit")
        page.wait_for_selector("#faults")

    def edited():
        take("edit")()
        page.fill("#text", SAID[3].replace("As a seal, I sleep whenever I like! Just kidding. ", ""))

    yield "home", go("/")
    yield "rank", half_ranked
    yield "rank_faults", faults
    yield "pairwise", take("pairwise")
    yield "rate", take("rate")
    yield "demonstrate", take("demonstrate")
    yield "edit", edited
    yield "converse", said
    yield "live_compare", compared
    yield "clips", take("clips")
    yield "review", take("review")
    paths = {"instructions": "/instructions/rate", "work": "/work", "account": "/account", "nothing": "/nothing",
             "quiz": "/quiz", "leave": "/leave?to=https://example.org/", "missing": "/no/such/page", "rounds": "/manage",
             "quality": "/manage/quality", "tasks": "/manage/tasks", "task": "/manage/tasks/1", "data": "/manage/data",
             "guidelines": "/manage/instructions?kind=rate", "access": "/manage/access", "audit": "/manage/audit"}  # fmt: skip
    for name, path in paths.items():
        yield name, go(path)


# In the docs, with the most pixels high; 0 is the whole page.
SHOWN = {"rank": 900, "live_compare": 760, "rate": 900, "quality": 1500, "rounds": 1000, "review": 1000}


def main() -> None:
    """Furnish a service, walk through it, take pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--all", action="store_true")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    looks = [(w, t) for w in (320, 1440) for t in ("light", "dark")] if args.all else [(1440, "light"), (390, "dark")]
    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright:
        draw_clips(Path(place))
        live, browser = Live(Path(place), engines=[Engine()]), chromium(playwright)
        numbers = furnish(live)
        for width, theme in looks:
            size = {"width": width, "height": 900}
            phone = {"has_touch": True, "is_mobile": True} if width < 500 and not args.all else {}
            page = live.page(browser, f"gil{width}" if phone else f"ada.{theme}{width}" if args.all else "ada", "admin",
                             viewport=size, color_scheme=theme, **phone)
            for name, act in screens(live, page, numbers):
                if not args.all and (name not in SHOWN or (width < 500 and name != "rank")):
                    continue
                act()
                page.wait_for_timeout(2000 if name == "rank" else 150)  # until the draft is saved
                look = f"-{width}-{theme}" if args.all else "-phone" if width < 500 else ""
                path = args.folder / f"{name}{look}.png"
                most = 0 if args.all else 844 if width < 500 else SHOWN[name]
                if most:  # the window itself: what sticks to its end would stick out of a taller picture
                    page.set_viewport_size({"width": width, "height": most})
                page.screenshot(path=path, full_page=not most)
                print(path, path.stat().st_size)
            page.context.close()
        browser.close()
        live.close()


if __name__ == "__main__":
    main()
