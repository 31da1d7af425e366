"""The report's drawings."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from heed.evaluation.metrics.calibration import Calibration
from heed.evaluation.metrics.preference import MarginBin
from heed.evaluation.metrics.scaling import GaoFit
from heed.evaluation.panels import Line, Panel
from heed.evaluation.run_files import Stage
from heed.evaluation.svg import COLOURS, Plot, canvas, to_svg
from heed.evaluation.words import number, title

_INKS = ("main", "second", "third", "muted")
_MOST = 400  # points drawn a line: more cannot be seen


def curves(stage: str, panel: Panel, lines: Sequence[Line]) -> Plot:
    """A figure of training over steps: each measurement faint, its running mean strong, named at its end."""
    with canvas() as (figure, axes):
        ends = []
        for line, ink in zip(lines, _INKS, strict=False):
            x, y = _thinned(line.x, line.y)
            smooth_x, smooth_y = _running(x, y)
            if len(x) > 30:
                axes.plot(x, y, color=COLOURS[ink], linewidth=0.8, alpha=0.3)
            axes.plot(smooth_x, smooth_y, color=COLOURS[ink])
            ends.append((line.label, smooth_x[-1], smooth_y[-1], ink))
        _name_ends(axes, ends)
        alt = f"{panel.title} of {title(stage)} over steps. " + " ".join(_told(line) for line in lines)
        return Plot(panel.title, panel.note, to_svg(figure, f"{stage} {panel.title} {panel.metrics[0][0]}", alt), alt)


def over_distance(runs: Sequence[Stage], metric: str, heading: str, note: str, fit: GaoFit | None = None) -> Plot:
    """A judge's score over sqrt(KL), in the order of training, one line a run; `fit` is a law fitted to the first."""
    with canvas(360, 240) as (figure, axes):
        ends, words = [], []
        for run, ink in zip(runs, _INKS, strict=False):
            d, score = distances(run, metric)
            axes.plot(d, score, "o", color=COLOURS[ink], markersize=2.6, alpha=0.3, markeredgewidth=0)
            smooth_d, smooth = _running(d, score, least=5)
            axes.plot(smooth_d, smooth, color=COLOURS[ink])
            ends.append((title(run.name) if len(runs) > 1 else "", smooth_d[-1], smooth[-1], ink))
            words.append(
                f"{title(run.name)} goes from {number(smooth[0])} to {number(smooth[-1])}, highest {number(smooth.max())}."
            )
        if fit:
            axes.plot(fit.d, fit.fitted, color=COLOURS["ink"], linewidth=1, linestyle=(0, (4, 3)))
        _name_ends(axes, ends)
        axes.set_xlabel("distance from the start, √KL", loc="right")
        alt = f"{heading} over the square root of the KL. " + " ".join(words)
        return Plot(heading, note, to_svg(figure, f"{heading} {metric}", alt), alt)


def gold_against_proxy(runs: Sequence[Stage]) -> Plot:
    """The path of each run through (proxy, gold): a hook that bends down is a reward being gamed."""
    with canvas(360, 240) as (figure, axes):
        ends = []
        for run, ink in zip(runs, _INKS, strict=False):
            _, proxy = distances(run, "objective/scores")
            _, gold = distances(run, "objective/gold")
            smooth_proxy, smooth_gold = _running(proxy, gold, least=5)
            axes.plot(proxy, gold, "o", color=COLOURS[ink], markersize=2.6, alpha=0.3, markeredgewidth=0)
            axes.plot(smooth_proxy, smooth_gold, color=COLOURS[ink])
            axes.plot(smooth_proxy[0], smooth_gold[0], "o", color=COLOURS[ink], markersize=6)
            ends.append((title(run.name) if len(runs) > 1 else "", smooth_proxy[-1], smooth_gold[-1], ink))
        _name_ends(axes, ends)
        axes.set_xlabel("reward model", loc="right")
        _name_y(axes, "gold judge")
        alt = "Gold score against learned reward along training, from the large dot on."
        return Plot(
            "Gold against proxy", "from the large dot on; bending down is gaming", to_svg(figure, "hook", alt), alt
        )


def reliability(found: Calibration) -> Plot:
    """How often the reward model is right against how sure it is, with the band that chance alone would fill."""
    with canvas(450, 280) as (figure, axes):
        sure = np.linspace(0.5, 1, 60)
        n = found.n / len(found.bins)
        spread = 1.96 * np.sqrt(sure * (1 - sure) / n)
        low, high = np.clip(sure - spread, 0, 1), np.clip(sure + spread, 0, 1)
        axes.fill_between(sure, low, high, color=COLOURS["line"], alpha=0.6, linewidth=0)
        axes.plot(sure, sure, color=COLOURS["muted"], linewidth=1, linestyle=(0, (4, 3)))
        x, y = [b.confidence for b in found.bins], [b.accuracy for b in found.bins]
        axes.plot(x, y, "o-", color=COLOURS["main"], markersize=6, linewidth=1.2)
        axes.set_xlabel("how sure the model is", loc="right")
        _name_y(axes, "how often it is right")
        pairs = "; ".join(f"{number(a)} sure, {number(b)} right" for a, b in zip(x, y, strict=True))
        alt = f"Reliability in {len(x)} bins of {n:.0f} pairs: {pairs}."
        note = "dashed: perfect; grey: where 95 % of perfect models' dots fall"
        return Plot("Reliability", note, to_svg(figure, "reliability", alt), alt)


def by_margin(bins: Sequence[MarginBin]) -> Plot:
    """Accuracy from the closest calls to the widest margins."""
    with canvas(450, 280) as (figure, axes):
        x = np.arange(1, len(bins) + 1)
        values = [b.accuracy.value for b in bins]
        for place, b in zip(x, bins, strict=True):
            if b.accuracy.low is not None:
                axes.plot(
                    [place, place], [b.accuracy.low, b.accuracy.high], color=COLOURS["main"], linewidth=1.4, alpha=0.6
                )
        axes.axhline(0.5, color=COLOURS["muted"], linewidth=1, linestyle=(0, (4, 3)))
        axes.plot(x, values, "o", color=COLOURS["main"], markersize=6)
        axes.set_xticks([x[0], x[-1]], ["closest calls", "widest margins"])
        for tick, side in zip(axes.get_xticklabels(), ("left", "right"), strict=True):
            tick.set_horizontalalignment(side)
        _name_y(axes, "accuracy")
        alt = f"Accuracy in {len(bins)} equal shares of the pairs by margin: from {number(values[0])} to {number(values[-1])}."
        note = "pairs in tenths by reward difference; dashed: a coin"
        return Plot("Accuracy by margin", note, to_svg(figure, "margin", alt), alt)


def distances(run: Stage, metric: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(sqrt(KL), metric) of the steps that have both; a KL estimate below 0 counts as 0."""
    points = [(r["objective/kl"], r[metric]) for r in run.metrics if {"objective/kl", metric} <= r.keys()]
    values = np.array(points, dtype=float).reshape(-1, 2)
    values = values[np.isfinite(values).all(axis=1)]
    return np.sqrt(np.maximum(values[:, 0], 0)), values[:, 1]


def _thinned(x: Sequence[float], y: Sequence[float]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """At most `_MOST` points: means of neighbours; what is not finite is a gap."""
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    y = np.where(np.isfinite(y), y, np.nan)
    if len(x) <= _MOST:
        return x, y
    parts = np.array_split(np.arange(len(x)), _MOST)
    return np.array([x[p].mean() for p in parts]), np.array([y[p].mean() for p in parts])


def _running(x: NDArray[np.float64], y: NDArray[np.float64], least: int = 1) -> tuple[NDArray, NDArray]:
    """Means of both over a window of a twelfth of the points, cut off at the two ends."""
    half = max(least, len(x) // 12) // 2
    if half == 0 or len(x) < 10:
        return x, y
    windows = [slice(max(0, i - half), i + half + 1) for i in range(len(x))]
    return np.array([x[w].mean() for w in windows]), np.array([y[w].mean() for w in windows])


def _name_y(axes, label: str) -> None:
    """The vertical axis' name, level and above it, where it is read without turning the head."""
    axes.set_title(label, loc="left", fontsize=12, color=COLOURS["muted"], x=-0.03)


def _name_ends(axes, ends: list[tuple[str, float, float, str]]) -> None:
    """A dot at each line's end; with several lines its name beside the dot, the highest above it, the others below."""
    axes.margins(y=0.12)
    high = max(y for _, _, y, _ in ends)
    for label, x, y, ink in ends:
        axes.plot(x, y, "o", color=COLOURS[ink], markersize=4.5, clip_on=False)
        if label:
            up = y == high
            text = axes.annotate(label, (x, y), (2, 7 if up else -7), textcoords="offset points", ha="right",
                                 va="bottom" if up else "top", color=COLOURS[ink], fontweight="bold")  # fmt: skip
            text.set_gid(f"halo-{ink}")  # the page's style draws a rim of the panel's colour around it


def _told(line: Line) -> str:
    values = [v for v in line.y if np.isfinite(v)]
    name = f"{line.label}: " if line.label else ""
    return (
        f"{name}from {number(values[0])} to {number(values[-1])} in {len(line.x)} points."
        if values
        else f"{name}no finite value."
    )
