"""The page: whole, closed to the network, harmless whatever a model wrote, readable without seeing it."""

import json
import re
import shutil
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from fake_run import HOSTILE

from heed.errors import UserError
from heed.evaluation.evidence import Evidence
from heed.evaluation.journey import choose, fallen, visible
from heed.evaluation.report import _wins, write_report
from heed.evaluation.run_files import RunFiles

VOID = {"meta", "link", "br", "img", "hr", "input"}


class Page(HTMLParser):
    """Elements with their attributes, in order; complains about tags that do not match."""

    def __init__(self, text: str):
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text.append(data)

    def all(self, *tags: str) -> list[dict[str, str]]:
        return [attributes for tag, attributes in self.elements if tag in tags]


@pytest.fixture(scope="module")
def html(fake_run, tmp_path_factory) -> str:
    copy = shutil.copytree(fake_run, tmp_path_factory.mktemp("report") / "bay")
    return write_report(copy).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(html) -> Page:
    return Page(html)


def test_the_page_has_every_part(page):
    ids = {a["id"] for a in page.all("section") if "id" in a}
    assert ids == {"verdict", "journey", "figures", "gaming", "reward", "training", "time", "settings"}
    links = {a["href"] for a in page.all("a")}
    assert links <= {f"#{i}" for i in ids}


def test_the_page_asks_no_server_for_anything(html, page):
    assert not page.all("script", "link", "iframe", "img", "object", "embed", "form", "base")
    assert "http://" not in html
    assert "https://" not in html
    assert not re.search(r"@import|url\((?!#)", html)
    for _, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on") or name in ("src", "srcset", "action")]
        assert attributes.get("href", "#").startswith("#")
    policy = next(a["content"] for a in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline';")


def test_hostile_words_are_shown_and_do_nothing(html, page):
    text = "".join(page.text)
    assert visible(HOSTILE) in text
    assert "<script>alert(1)" in text
    assert "<script" not in html
    assert "\u202e" not in html
    assert "\x00" not in html


def test_it_can_be_read_without_seeing_it(page):
    assert page.all("html")[0]["lang"] == "en"
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))
    assert all("scope" in a for a in page.all("th"))
    drawings = page.all("svg")
    assert len(drawings) > 20
    assert all(a.get("aria-hidden") == "true" or (a["role"] == "img" and len(a["aria-label"]) > 20) for a in drawings)


def test_ids_are_used_once_and_every_reference_has_its_target(html, page):
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    references = set(re.findall(r'href="#([^"]+)"', html)) | set(re.findall(r"url\(#([^)]+)\)", html))
    assert references <= set(ids)


def test_drawings_follow_the_page_and_keep_their_text(html):
    drawings = "".join(re.findall(r"<svg.*?</svg>", html, re.DOTALL))
    assert "var(--main)" in drawings
    assert not re.search(r"(stroke|fill): #", drawings)
    assert "without KL</text>" in drawings


def test_the_same_files_give_the_same_page(own_run):
    assert write_report(own_run / "sft").read_bytes() == write_report(own_run / "sft").read_bytes()
    assert not list((own_run / "sft").glob("*.partial"))


@pytest.mark.parametrize("kept", [["evaluate"], ["ppo"], ["reward"], ["pretrain", "sft"], ["ppo", "evaluate"]])
def test_any_stage_may_be_missing(own_run, kept):
    for stage in [f for f in own_run.iterdir() if f.name not in kept]:
        shutil.rmtree(stage)
    page = Page(write_report(own_run).read_text(encoding="utf-8"))
    assert len(page.all("h1")) == 1
    assert len(page.all("details")) >= len(kept)


def test_a_stage_that_is_still_running(own_run):
    """No summary, no times, and a line that was being written."""
    stage = own_run / "ppo"
    for name in ("summary.json", "lineage.json", "time.json"):
        (stage / name).unlink()
    with (stage / "metrics.jsonl").open("a") as file:
        file.write('{"step": 151, "objecti')
    page = write_report(stage).read_text(encoding="utf-8")
    assert "What it wrote while it was trained" in page
    assert page.index("<h4>step 1</h4>") < page.index("<h4>step 150</h4>")


def test_numbers_that_are_none_are_named(own_run):
    path = own_run / "sft" / "metrics.jsonl"
    lines = path.read_text().splitlines()
    lines[5] = json.dumps({**json.loads(lines[5]), "loss": float("nan")})
    path.write_text("\n".join(lines) + "\n")
    page = Page(write_report(own_run / "sft").read_text(encoding="utf-8"))
    assert "SFT: loss is not a finite number at step 6, and 1 times in all." in page.text


def test_broken_files_are_named(own_run, tmp_path):
    path = own_run / "sft" / "metrics.jsonl"
    path.write_text('{"step": 1}\nnot json\n{"step": 2}\n')
    with pytest.raises(UserError, match=r"metrics.jsonl, line 2 is not JSON"):
        write_report(own_run)
    path.write_text("")
    (own_run / "sft" / "summary.json").write_text("[1]")
    with pytest.raises(UserError, match=r"summary.json holds a list, expected an object"):
        write_report(own_run)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no stage"):
        write_report(tmp_path / "empty")
    with pytest.raises(UserError, match="no run folder"):
        write_report(tmp_path / "nowhere")


def test_win_rates_are_listed_from_the_end_of_the_story():
    def figure(value: float) -> dict:
        return {"value": value, "low": value - 0.1, "high": value + 0.1, "n": 50}

    names = ["sft_vs_base", "ppo_vs_base", "ppo_vs_sft", "ppo_vs_sft/open_qa", "ppo_no_kl_vs_ppo"]
    figures = {f"win_rate/gold/{name}": figure(0.6) for name in names}
    figures["length_controlled/gold/ppo_vs_sft"] = figure(0.55)
    found = Evidence(RunFiles("x", []), [], ["base", "sft", "ppo", "ppo_no_kl"], figures, None, {})
    assert [(win.name, win.indent) for win in _wins(found)] == [
        ("PPO over SFT", False),
        ("at equal length", True),
        ("open qa", True),
        ("PPO over Base", False),
        ("SFT over Base", False),
        ("PPO without KL over PPO", False),
    ]


def row(i: int, case: str, sft: float, ppo: float, harmful: bool = False) -> dict:
    return {
        "prompt_id": str(i),
        "prompt": f"question {i}",
        "columns": {"use_case": case, "harmful": harmful},
        "completions": {"sft": ["x" * 2000], "ppo": ["I can't help with that."]},
        "gold": {"sft": [sft], "ppo": [ppo]},
    }


def test_examples_are_taken_as_they_come_and_harmful_ones_stand_apart():
    rows = [
        row(0, "tale", 0, 1),
        row(1, "tale", 2, 1),
        row(2, "tale", 0, 1),
        row(3, "chat", 0, 1, True),
        row(1, "tale", 5, 0),
    ]
    groups = choose(rows, ["sft", "ppo"])
    assert {name: [c.prompt[0][1] for c in cases] for name, cases in groups.items()} == {
        "tale": ["question 0", "question 1"],
        "requests that should be declined": ["question 3"],
    }
    sft, ppo = groups["tale"][1].answers
    assert (sft.best, ppo.best, ppo.declines, sft.cut) == (True, False, True, 400)


def test_the_worst_are_shown_too():
    cases = fallen([row(0, "a", 0, 1), row(1, "a", 2, 1), row(2, "a", 3, 0), row(3, "a", 1, 0.5)], "ppo", "sft")
    assert [case.prompt[0][1] for case in cases] == ["question 2", "question 1"]


def test_hidden_characters_become_visible():
    assert visible("a\u202eb\x1b[0m\ud800\n\tc") == "a⟨U+202E⟩b⟨U+001B⟩[0m⟨U+D800⟩\n\tc"
