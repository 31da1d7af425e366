"""What was made of what, drawn: a box for each thing, however often the tree names it.

Four lanes: policies and what they wrote, the reward models that improved them, the answers these learnt from, and who gave
the answers.  In each lane what came later stands above what it was made of.
"""

import json
import re
from collections import Counter
from html import escape

from heed.feedback.models import Node

WIDTH, HEIGHT, GAP, ROW, EDGE = 240, 50, 120, 84, 24  # of a box, between lanes, from row to row, around all; pixels
LETTERS = 34  # of a line in a box
LANES = {"completion": 0, "checkpoint": 0, "snapshot": 2, "answers": 2, "dataset": 2, "judgement": 2}  # others: 3
COLOURS = {"completion": "#c98a1b", "checkpoint": "#1f6fb2", "snapshot": "#2c7d4f", "answers": "#2c7d4f", "labeler": "#7a4a91"}
UNSEEN = re.compile("[^\t\x20-\x7e\xa0-\u1fff\u2010-\u2027\u2030-\u205f\u2070-\ud7ff\uf900-\ufdcf\ufdf0-\ufffd]")
STYLE = """svg{--back:#fff;--ink:#222;--soft:#666;--line:#aaa;background:var(--back)}
@media (prefers-color-scheme:dark){svg{--back:#181818;--ink:#eee;--soft:#aaa;--line:#666}}
text{font:13px system-ui,sans-serif;fill:var(--ink)}.small{font-size:11px;fill:var(--soft)}
rect{fill:var(--back);stroke-width:1.5}
.edge{font-size:10px;fill:var(--soft);paint-order:stroke;stroke:var(--back);stroke-width:4px}path{fill:none;stroke:var(--line)}"""

Key = tuple[str, str]
Edge = tuple[Key, str, Key]


def flatten(root: Node) -> tuple[dict[Key, Node], list[Edge]]:
    """Every thing once (as it is named with the most parts), and every edge once: (thing, how, part).

    Rounds are left out: they are told from the names of what was made in them.
    """
    nodes: dict[Key, Node] = {}
    edges: dict[Edge, None] = {}
    todo = [root]
    while todo:
        node = todo.pop()
        key = (node.what, node.id)
        if key in nodes and len(node.parts) <= len(nodes[key].parts):
            continue
        nodes[key] = node
        for how, part in (edge for edge in node.parts if edge[1].what != "round"):
            edges.setdefault((key, how, (part.what, part.id)))
            todo.append(part)
    return nodes, list(edges)


def places(root: Node) -> dict[Key, tuple[int, int]]:
    """(lane, row) of each thing, no two in one place.

    A part stands beside what it was made for where it has a lane further right, else below.
    """
    nodes, edges = flatten(root)
    rewards = {b for _, how, b in edges if how == "improved by" and b[0] == "checkpoint"}
    rewards |= {key for key, node in nodes.items() if key[0] == "checkpoint" and node.label.startswith("reward,")}
    lane = {key: 1 if key in rewards else LANES.get(key[0], 3) for key in nodes}
    row = dict.fromkeys(nodes, 0)
    for _ in nodes:  # as often as the longest way has steps; what closes a circle in a broken store stays somewhere below
        before = dict(row)
        for a, _, b in edges:
            row[b] = min(max(row[b], row[a] + (lane[b] <= lane[a])), len(nodes))
        if row == before:
            break
    taken: dict[Key, tuple[int, int]] = {}
    free: Counter[int] = Counter()
    for key in sorted(nodes, key=lambda k: (row[k], k)):
        free[lane[key]] = max(free[lane[key]], row[key])
        taken[key] = lane[key], free[lane[key]]
        free[lane[key]] += 1
    return taken


def to_dot(root: Node) -> str:
    """Graphviz's language."""
    nodes, edges = flatten(root)
    names = {key: f"n{i}" for i, key in enumerate(nodes)}
    boxes = [f"  {names[key]} [label={_quoted(chr(10).join((f'{key[0]} {key[1]}', node.label)))}];"
             for key, node in nodes.items()]
    arrows = [f"  {names[a]} -> {names[b]} [label={_quoted(how)}];" for a, how, b in edges]
    return "\n".join(["digraph lineage {", "  node [shape=box];", *boxes, *arrows, "}", ""])


def to_svg(root: Node) -> str:
    """A picture that needs nothing else, light and dark."""
    nodes, edges = flatten(root)
    found = places(root)
    lanes = sorted({lane for lane, _ in found.values()})
    corner = {key: (EDGE + lanes.index(lane) * (WIDTH + GAP), EDGE + row * ROW) for key, (lane, row) in found.items()}
    width, height = (2 * EDGE + max(p[i] for p in corner.values()) + (WIDTH, HEIGHT)[i] - EDGE for i in (0, 1))
    parts = [_edge(corner[a], corner[b], how) for a, how, b in edges]
    parts += [_box(corner[key], node) for key, node in nodes.items()]
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" role="img" '
            f'aria-label="{_text(f"what {root.what} {root.id} was made of")}"><style>{STYLE}</style>{"".join(parts)}</svg>\n')


def _edge(a: tuple[int, int], b: tuple[int, int], how: str) -> str:
    """From the side of a box that faces the other; within a lane round the left of what lies between."""
    (x, y), (u, v) = a, b
    if x == u:
        x, y, u, v = x + WIDTH / 3, y + HEIGHT, u + WIDTH / 3, v
        if v - y < ROW:
            return f'<path d="M{x:g} {y:g}L{u:g} {v:g}"/>{_label(x, (y + v) / 2 + 3, how)}'
        x = u = a[0]
        y, v = y - HEIGHT / 2, v + HEIGHT / 2
        return f'<path d="M{x:g} {y:g}C{x - 40:g} {y:g} {u - 40:g} {v:g} {u:g} {v:g}"/>{_label(x - 8, v - 14, how)}'
    x, u = (x + WIDTH, u) if x < u else (x, u + WIDTH)
    y, v, middle = y + HEIGHT / 2, v + HEIGHT / 2, (x + u) / 2
    return (f'<path d="M{x:g} {y:g}C{middle:g} {y:g} {middle:g} {v:g} {u:g} {v:g}"/>'
            f"{_label(0.35 * x + 0.65 * u, 0.2 * y + 0.8 * v, how)}")


def _label(x: float, y: float, how: str) -> str:
    return f'<text class="edge" text-anchor="middle" x="{x:g}" y="{y:g}">{_text(how)}</text>'


def _box(corner: tuple[int, int], node: Node) -> str:
    x, y = corner
    return (f'<g><title>{_text(f"{node.what} {node.id}: {node.label}")}</title><rect x="{x:g}" y="{y:g}" rx="6" '
            f'width="{WIDTH}" height="{HEIGHT}" stroke="{COLOURS.get(node.what, "#777")}"/><text x="{x + 10:g}" y="{y + 20:g}">'
            f'{_text(_short(f"{node.what} {node.id}", LETTERS))}</text><text class="small" x="{x + 10:g}" y="{y + 38:g}">'
            f"{_text(_short(node.label, LETTERS + 4))}</text></g>")


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _text(text: str) -> str:
    """Words of models and people as XML may hold them."""
    return escape(UNSEEN.sub("\ufffd", text))


def _quoted(text: str) -> str:
    return json.dumps(UNSEEN.sub(lambda found: "\n" if found[0] == "\n" else "?", text), ensure_ascii=False)
