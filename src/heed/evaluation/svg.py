"""Matplotlib figures as inline SVG that follows the page: text stays text, colours are the page's CSS variables."""

import contextlib
import html
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# A colour a role, replaced by the CSS variable of that name, so that one drawing serves light and dark.
COLOURS = {
    "ink": "#1a1a11",
    "muted": "#6b6b12",
    "line": "#d8d813",
    "main": "#1f5f14",
    "second": "#b0501a",
    "third": "#7a4a91",
    "panel": "#fefef7",
}
_STYLE = {
    "svg.fonttype": "none",  # text, not outlines: readable by people and screen readers, found by search
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
    "font.size": 13,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.titlepad": 4.0,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "axes.edgecolor": COLOURS["line"],
    "axes.labelcolor": COLOURS["muted"],
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "grid.color": COLOURS["line"],
    "grid.linewidth": 0.8,
    "text.color": COLOURS["ink"],
    "xtick.color": COLOURS["muted"],
    "ytick.color": COLOURS["muted"],
    "xtick.major.size": 3,
    "ytick.major.size": 0,
    "lines.linewidth": 2.0,
    "lines.solid_capstyle": "round",
    "lines.solid_joinstyle": "round",
    "axes.xmargin": 0.01,
}


@dataclass(frozen=True)
class Plot:
    """A drawing with its heading, a line under it, and the words for those who do not see it."""

    title: str
    note: str
    svg: str
    alt: str


@contextlib.contextmanager
def canvas(width: float = 360, height: float = 216) -> Iterator[tuple[Figure, Axes]]:
    """Axes of `width` x `height` points in the report's style; closed afterwards."""
    with matplotlib.rc_context(_STYLE):
        figure, axes = plt.subplots(figsize=(width / 72, height / 72), layout="constrained")
        axes.locator_params(axis="x", nbins=6)
        axes.locator_params(axis="y", nbins=5)
        try:
            yield figure, axes
        finally:
            plt.close(figure)


def to_svg(figure: Figure, name: str, alt: str) -> str:
    """The figure as an <svg> element.  `name` makes its ids unique on the page and the output the same every time."""
    buffer = io.StringIO()
    with matplotlib.rc_context({**_STYLE, "svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", svg, flags=re.DOTALL)
    for role, colour in COLOURS.items():
        svg = svg.replace(colour, f"var(--{role})")
    prefix = re.sub(r"\W+", "-", name)
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{prefix}-", svg)
    svg = re.sub(r"font-family: [^;\"]*;? ?", "", svg)
    svg = re.sub(r' d="[^"]*"', _shortened, svg)
    size = re.search(r'viewBox="[^"]*"', svg).group()
    head = f'<svg {size} role="img" aria-label="{html.escape(alt, quote=True)}">'
    return head + re.sub(r">\s+<", "><", svg[svg.index(">") + 1 :].strip()).replace("xlink:href", "href")


def _shortened(path: re.Match[str]) -> str:
    """A path with a tenth of a point as its last digit: a third of the page's weight."""
    return re.sub(r"(\.\d)\d+", r"\1", path.group()).replace(" \n", " ").replace("\n", " ")
