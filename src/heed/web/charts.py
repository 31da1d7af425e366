"""Drawings for managers, as SVG with presentation attributes and classes only: the policy of the pages allows no style."""

import math
from collections.abc import Mapping, Sequence

from markupsafe import Markup, escape

from heed.feedback.interval import Figure
from heed.web.safe_text import short

ROW, LEFT, WIDTH = 30, 190, 720


def intervals(rows: Sequence[tuple[str, Figure]], low: float, high: float, ticks: Sequence[float], *,
              share: bool = True, references: Mapping[str, float] | None = None, title: str = "") -> Markup:  # fmt: skip
    """A dot with its 95 % interval for each row, beside dashed lines of reference."""
    height = ROW * len(rows) + 34

    def x(value: float) -> float:
        return LEFT + (min(high, max(low, value)) - low) / (high - low) * (WIDTH - LEFT - 70)

    parts = [_open(height, title)]
    for tick in ticks:
        parts.append(f'<line class="grid" x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="6" y2="{height - 26}"/>'
                     f'<text class="soft cell-text" x="{x(tick):.1f}" y="{height - 8}">{_number(tick, share)}</text>')
    for value in (references or {}).values():
        parts.append(f'<line class="reference" x1="{x(value):.1f}" x2="{x(value):.1f}" y1="2" y2="{height - 26}"/>')
    for i, (label, figure) in enumerate(rows):
        y = ROW * i + 22
        parts.append(f'<text x="{LEFT - 12}" y="{y + 4}" text-anchor="end">{escape(short(label, 26))}</text>')
        if math.isnan(figure.value):
            parts.append(f'<text class="soft" x="{LEFT}" y="{y + 4}">too little to say</text>')
            continue
        if figure.low is not None and figure.high is not None:
            parts.append(f'<line class="span" x1="{x(figure.low):.1f}" x2="{x(figure.high):.1f}" y1="{y}" y2="{y}"/>')
        parts.append(f'<circle class="mark" cx="{x(figure.value):.1f}" cy="{y}" r="5"/>'
                     f'<text x="{WIDTH - 4}" y="{y + 4}" text-anchor="end">{_number(figure.value, share)}</text>')
    return Markup("".join([*parts, "</svg>"]))


def matrix(names: Sequence[str], rates: Sequence[Sequence[float | None]], title: str = "") -> Markup:
    """A square a pair of labelers; the fuller, the more often they agree.  None is left empty."""
    side, top = max(34, min(64, 520 // max(1, len(names)))), 34
    width, height = LEFT + side * len(names) + 10, top + side * len(names) + 8
    parts = [f'<svg viewBox="0 0 {max(width, WIDTH)} {height}" role="img" aria-label="{escape(title)}">']
    for j in range(len(names)):
        parts.append(f'<text class="soft cell-text" x="{LEFT + side * j + side / 2:.1f}" y="{top - 10}">{j + 1}</text>')
    for i, name in enumerate(names):
        y = top + side * i
        middle = f"{y + side / 2 + 4:.1f}"
        parts.append(f'<text x="{LEFT - 12}" y="{middle}" text-anchor="end">{escape(short(name, 20))} {i + 1}</text>')
        for j, rate in enumerate(rates[i]):
            if rate is None or math.isnan(rate):
                continue
            where = LEFT + side * j
            full = max(0.04, (rate - 0.5) * 1.1) if rate > 0.5 else 0.04
            parts.append(f'<rect class="cell" x="{where + 1}" y="{y + 1}" width="{side - 2}" height="{side - 2}" rx="4" '
                         f'fill-opacity="{full:.2f}"/>'
                         f'<text class="cell-text" x="{where + side / 2:.1f}" y="{middle}">{100 * rate:.0f}</text>')
    return Markup("".join([*parts, "</svg>"]))


def line(points: Sequence[tuple[float, float]], title: str = "", share: bool = True) -> Markup:
    """A figure over the rounds."""
    height = 180
    values = [value for _, value in points]
    low, high = min(values), max(values)
    high = high if high > low else low + 1.0
    places = [(60 + i / max(1, len(points) - 1) * (WIDTH - 110), 24 + (high - v) / (high - low) * (height - 70))
              for i, v in enumerate(values)]
    parts = [_open(height, title)]
    parts.append(f'<polyline class="span" fill="none" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in places)}"/>')
    for (x, y), (n, value) in zip(places, points, strict=True):
        parts.append(f'<circle class="mark" cx="{x:.1f}" cy="{y:.1f}" r="5"/>'
                     f'<text class="cell-text" x="{x:.1f}" y="{y - 10:.1f}">{_number(value, share)}</text>'
                     f'<text class="soft cell-text" x="{x:.1f}" y="{height - 12}">{n:g}</text>')
    return Markup("".join([*parts, "</svg>"]))


def small_line(points: Sequence[tuple[float, float]], name: str, along: str) -> str:
    """A picture of its own, 320 by 90, in colours for light and dark; with fewer than two points it is empty."""
    wide, high = 320, 90
    start = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" width="{wide}" height="{high}">'
    if len(points) < 2:
        return start + "</svg>"
    (xs, ys), grey = zip(*points, strict=True), 'fill="#84807a" font-family="sans-serif" font-size="11"'
    low, top, last = min(ys), max(ys), xs[-1] or 1.0
    places = " ".join(f"{4 + x / last * (wide - 8):.1f},{high - 20 - (y - low) / ((top - low) or 1.0) * (high - 42):.1f}"
                      for x, y in points)
    return (f'{start}<text x="4" y="12" {grey}>{escape(name)}: {_short(ys[-1])}</text>'
            f'<text x="{wide - 4}" y="12" text-anchor="end" {grey}>{_short(low)} to {_short(top)}</text>'
            f'<line x1="4" x2="{wide - 4}" y1="{high - 16}" y2="{high - 16}" stroke="#84807a" stroke-opacity=".5"/>'
            f'<polyline points="{places}" fill="none" stroke="#3a8fb5" stroke-width="1.8" stroke-linejoin="round"/>'
            f'<text x="{wide - 4}" y="{high - 4}" text-anchor="end" {grey}>{last:,.0f} {escape(along)}</text></svg>')


def _short(value: float) -> str:
    return f"{value:.3g}".replace("-", "−") if abs(value) < 1000 else f"{value:,.0f}".replace("-", "−")


def _open(height: float, title: str) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">'


def _number(value: float, share: bool) -> str:
    return f"{100 * value:.0f} %" if share else f"{value:.2f}".replace("-", "−")
