"""compare.html: one self-contained page of a comparison, for people."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from heed import __version__
from heed.evaluation import journey
from heed.evaluation.comparison import Comparison, Method, told
from heed.evaluation.svg import COLOURS, Plot, canvas, to_svg
from heed.evaluation.words import duration, number, percent

TEMPLATES = Path(__file__).parent / "templates"
INKS = {"reinforcement": "main", "direct": "second", "imitation": "third"}  # others are muted


def write_page(folder: Path, name: str, about: str, found: Comparison) -> Path:
    """Write compare.html of a comparison, and return its path."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    page = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
                       lstrip_blocks=True, finalize=lambda v: journey.visible(v) if type(v) is str else v)  # fmt: skip
    page.filters |= {"svg": lambda plot: Markup(plot.svg)}
    style = Markup((TEMPLATES / "report.css").read_text(encoding="utf-8"))
    text = page.get_template("compare.html").render(style=style, version=__version__, name=name, about=about,
                                                    **context(found))  # fmt: skip
    path = folder / "compare.html"
    partial = path.with_suffix(".html.partial")
    partial.write_text(text, encoding="utf-8", errors="replace")
    os.replace(partial, path)
    return path


def context(found: Comparison) -> dict[str, Any]:
    """What the page shows."""
    ranked = found.ranked
    place = {m.name: i + 1 for i, m in enumerate(ranked)}
    return {
        "conclusion": found.conclusion,
        "headline": headline(found),
        "judge": "gold judge" if found.judge == "gold" else "reward model",
        "rows": [row(m, place) for m in (*ranked, *(m for m in found.methods if not m.gold))],
        "plots": plots(found) if ranked else [],
        "families": sorted({m.family for m in ranked}),
        "inks": {family: INKS.get(family, "muted") for family in {m.family for m in ranked}},
        "names": [m.name for m in ranked],
        "cells": [[cell(found, a.name, b.name) for b in ranked] for a in ranked],
        "failures": [(m.name, seed, why) for m in found.methods for seed, why in sorted(m.failures.items())],
        "decoding": any(m.family == "decoding" for m in ranked),
        "trainings": max((len(m.scores) for m in ranked), default=0),
        "prompts": found.prompts,
    }


def headline(found: Comparison) -> str:
    """Who is best, or who cannot be told apart at the top."""
    ranked = found.ranked
    if not ranked:
        return "Nothing to compare"
    even = [m.name for m in ranked[1:] if (found.matrix[ranked[0].name, m.name].low or 0) <= 0.5]
    return f"{ranked[0].name} is liked best" if not even else f"{ranked[0].name} leads, level with {len(even)} more"


def row(m: Method, place: dict[str, int]) -> dict[str, Any]:
    """One line of the table."""
    mean = {name: sum(getattr(c, name) for c in m.costs) / len(m.costs) for name in ("generated", "trained", "seconds")} \
        if m.costs else {}
    return {"place": place.get(m.name, "–"), "name": m.name, "family": m.family, "win": told(m.win, share=True),
            "gold": told(m.gold), "proxy": told(m.proxy), "kl": number(sum(m.kl) / len(m.kl)) if m.kl else "–",
            "length": number(m.length) if m.scores else "–", "seeds": " ".join(percent(w) for w in m.wins),
            "generated": number(round(mean["generated"])) if mean else "–",
            "trained": number(round(mean["trained"])) if mean else "–",
            "seconds": duration(mean["seconds"]) if mean else "–",
            "memory": f"{max(c.memory_mb for c in m.costs) / 1024:.1f} GB" if m.costs else "–"}


def cell(found: Comparison, a: str, b: str) -> dict[str, Any] | None:
    """How often a is preferred to b; None on the diagonal."""
    if a == b:
        return None
    e = found.matrix[a, b]
    tone = "won" if (e.low or 0) > 0.5 else "lost" if (e.high or 1) < 0.5 else "even"
    between = f"{100 * e.low:.0f} to {percent(e.high)}" if e.low is not None else "no interval"
    return {"value": f"{100 * e.value:.0f}", "tone": tone, "title": f"{a} over {b}: {percent(e.value)} ({between})"}


def plots(found: Comparison) -> list[Plot]:
    """Judge and win rate over distance, tokens and time."""
    judge = "Gold" if found.judge == "gold" else "Reward"

    def distance(m: Method, i: int) -> float:
        return max(m.kl[i], 0.0) ** 0.5

    def tokens(m: Method, i: int) -> float:
        return (m.costs[i].generated + m.costs[i].trained) / 1000 if i < len(m.costs) else 0.0

    def seconds(m: Method, i: int) -> float:
        return m.costs[i].seconds if i < len(m.costs) else 0.0

    def score(m: Method, i: int) -> float:
        return m.means[i]

    return [
        scatter(found, f"{judge} over distance", "faint lines: the way there", "distance from the start, √KL", distance, score,
                ways=True),
        scatter(found, "Win rate over distance", "against the policy all began with", "distance from the start, √KL", distance,
                lambda m, i: m.wins[i]),
        scatter(found, f"{judge} over tokens", "sampled and learnt from, all passes", "thousands of tokens", tokens, score),
        scatter(found, f"{judge} over time", "one core a training", "seconds of training", seconds, score),
    ]


def scatter(found: Comparison, heading: str, note: str, label: str, x: Callable[[Method, int], float],
            y: Callable[[Method, int], float], ways: bool = False) -> Plot:
    """A dot a training, the method's number at the mean of its dots."""
    with canvas(450, 330) as (figure, axes):
        told_of: list[str] = []
        centres: list[tuple[float, float, int, str]] = []
        for place, m in enumerate(found.ranked, start=1):
            ink = COLOURS[INKS.get(m.family, "muted")]
            xs, ys = zip(*((x(m, i), y(m, i)) for i in range(len(m.means))), strict=True)
            for path in m.paths if ways else []:
                axes.plot([max(kl, 0.0) ** 0.5 for kl, _ in path], [g for _, g in path], color=ink, linewidth=0.7, alpha=0.22)
            axes.plot(xs, ys, "o", color=ink, markersize=4, alpha=0.75, markeredgewidth=0)
            centres.append((sum(xs) / len(xs), sum(ys) / len(ys), place, ink))
            told_of.append(f"{place} {m.name}: {number(centres[-1][0])}, {number(centres[-1][1])}")
        axes.margins(x=0.06, y=0.08)
        for cx, cy, place, ink in _apart(centres, axes):
            axes.annotate(str(place), (cx, cy), (4, 2), textcoords="offset points", color=ink, fontsize=11, fontweight="bold")
        if ways:
            axes.axhline(found.start.means[0], color=COLOURS["muted"], linewidth=1, linestyle=(0, (4, 3)))
        axes.set_xlabel(label, loc="right")
        alt = f"{heading}. " + "; ".join(told_of) + "."
        return Plot(heading, note, to_svg(figure, heading, alt), alt)


def _apart(centres: Sequence[tuple[float, float, int, str]], axes) -> list[tuple[float, float, int, str]]:
    """Numbers that would lie on one another are moved up until they do not."""
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    wide, tall = (right - left) * 0.05, (high - low) * 0.045
    placed: list[tuple[float, float, int, str]] = []
    for cx, cy, place, ink in centres:
        while any(abs(cx - px) < wide and abs(cy - py) < tall for px, py, _, _ in placed):
            cy += tall / 2
        placed.append((cx, cy, place, ink))
    return placed
