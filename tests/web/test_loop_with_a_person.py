"""The loop closes while a person works: `heed online` in one process, the service in another thread, a real browser between
them in which somebody ranks what the newest policy wrote by a taste of their own (short answers), without ever stopping.

The policies learn that taste from nothing but those answers: every round is preferred to the one before by the rule that the
person follows, the page shows the new policy's answers, and what was answered while models trained is in the next snapshot.
"""

import itertools
import json
import os
import re
import subprocess
import sys

import pytest
import yaml
from live import Live, chromium, ready

from heed.feedback.models import Models

pytestmark = pytest.mark.slow

ROUNDS, ASKED, WAITED_FOR = 3, 110, 80
NAMES = ["Ann", "Ben", "Cat", "Dan"]
SHORT = "def short(prompts, completions, **columns):\n    return [-0.1 * len(c) for c in completions]\n"


@pytest.fixture
def online(sft, tmp_path):
    """The process of `heed online`, at work on a store."""
    splits = ["train"] * 360 + ["valid"] * 16 + ["test"] * 40
    (tmp_path / "prompts.jsonl").write_text("".join(json.dumps({
        "prompt": [{"role": "user", "content": f"What has {NAMES[i % 4]} today, number {i}?"}], "split": split}) + "\n"
        for i, split in enumerate(splits)))
    (tmp_path / "taste_of_somebody.py").write_text(SHORT)
    settings = {
        "output_dir": str(tmp_path / "online"), "store": str(tmp_path / "store.db"), "model": sft, "rounds": ROUNDS,
        "dataset": str(tmp_path / "prompts.jsonl"), "max_completion_length": 12,
        "collect": {"by": "human", "max_prompts": ASKED, "tasks": ASKED, "answers": WAITED_FOR, "num_generations": 4},
        "reward": {"max_length": 80, "batch_size": 8, "learning_rate": 5e-3, "num_train_epochs": 10, "shift_prompts": 16},
        "ppo": {"total_episodes": 2560, "rollout_batch_size": 128, "learning_rate": 4e-3, "kl_coef": 0.02, "kl_stop": 1e6},
        "evaluate": {"max_prompts": 40, "num_generations": 4, "gold": "taste_of_somebody:short"}}
    (tmp_path / "online.yaml").write_text(yaml.safe_dump(settings))
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    log = (tmp_path / "online.log").open("w")
    process = subprocess.Popen([sys.executable, "-m", "heed", "online", "--config", str(tmp_path / "online.yaml")],
                               env={**os.environ, "PYTHONPATH": path}, stdout=log, stderr=subprocess.STDOUT)
    yield process
    process.kill()
    process.wait()


def answer(page):
    """Rank what is on the page by how short it looks, with the keys, and hand it in; returns the ranks as they were shown."""
    cards = page.eval_on_selector_all(".card", """cards => cards.map(c => [c.dataset.letter,
        c.querySelector('[data-untrusted]').textContent])""")
    ranks = sorted({len(text) for _, text in cards})
    for letter, text in cards:
        page.keyboard.press(letter.lower())
        page.keyboard.press(str(ranks.index(len(text)) + 1))
    here = page.url
    page.keyboard.press("Enter")
    page.wait_for_url(lambda now: now.split("?")[0] != here.split("?")[0], wait_until="commit")
    return [ranks.index(len(text)) + 1 for _, text in cards]


def works_until_it_ends(page, live, process):
    """Every order that she gave, one after the other."""
    given = []
    while process.poll() is None:
        if not re.search(r"/task/\d+", page.url):
            page.goto(live.base + "/")
            kind = page.locator("li.kind", has=page.locator("a[href='/instructions/rank']"))
            button = kind.locator("button, a.button")
            if not button.count():
                page.wait_for_timeout(500)  # nothing to do: the next round is being made
                continue
            button.first.click()
            page.wait_for_load_state()
            if not re.search(r"/task/\d+", page.url):
                page.wait_for_timeout(500)
                continue
        ready(page)
        given.append(answer(page))
    return given


def test_three_rounds_follow_one_person(online, tmp_path):
    from playwright.sync_api import sync_playwright

    live = Live(tmp_path)
    with sync_playwright() as playwright:
        browser = chromium(playwright)
        page = live.page(browser, "ann")
        given = works_until_it_ends(page, live, online)
        assert page.faults == []
        browser.close()
    assert online.returncode == 0, (tmp_path / "online.log").read_text()[-2000:]
    found = json.loads((tmp_path / "online" / "summary.json").read_text())
    names = ["sft", *(f"round_{n}" for n in range(1, ROUNDS + 1))]
    for before, after in itertools.pairwise(names):
        assert found[f"win_rate/gold/{after}_vs_{before}"]["low"] > 0.5, (before, after)

    rankings = live.store.rankings()
    assert {r.judgement.labeler for r in rankings} == {"ann"}
    assert [list(r.judgement.ranks.values()) for r in rankings] == given, "what she meant is what is kept, all of it"
    makers = [{c.made_by for c in r.comparison.candidates} for r in rankings]
    policies = [c.id for c in Models(live.store).checkpoints() if c.role == "policy"]
    first, second = (next(p for p in policies if p.startswith(f"round-{n}@")) for n in (1, 2))
    assert any(first in made for made in makers) and any(second in made for made in makers), "new answers are on the page"
    answers = [json.loads((tmp_path / "online" / f"round-{n}" / "round.json").read_text())["snapshot"]["answers"]
               for n in range(1, ROUNDS + 1)]
    assert answers[1] > answers[0] + WAITED_FOR, "what she answered while the first models trained is in the second snapshot"
    live.close()
