"""lineage: which answers and which models made a model, or one of its completions.

    heed lineage of=runs/mine/online/round-3/ppo/model
    heed lineage of=round-3@1f2e3d4c5b store=runs/mine/online/store.db output=graph.svg

A completion leads to the checkpoint that wrote it and to what was said of it; a checkpoint to its parent, to the reward model
that improved it and to the snapshot of answers it learnt from; a snapshot to the labelers who gave these answers and to the
policies that they judged.  What stands in the tree for the second time is not unfolded again.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from heed.config import Settings
from heed.errors import UserError
from heed.feedback.models import Models, Node
from heed.records import Ranking
from heed.workflows.checkpoints import checkpoint_id, lineage_of, read_json, weights_sha256

UP = 4  # folders above a model in which its store is looked for


class Lineage(Settings):
    of: str  # directory of a checkpoint, or the id of a checkpoint, a completion or a snapshot
    store: str = ""  # path or URL of the store; the one that the run of a directory used when empty
    output: str = ""  # .svg or .dot: draw the graph into this file


SETTINGS = Lineage


def run(settings: Lineage) -> dict[str, Any]:
    """Prints the tree, and draws it where asked for."""
    from heed.evaluation.graph import to_dot, to_svg
    from heed.training.checkpoint import write_file

    kinds = {".svg": to_svg, ".dot": to_dot}
    if settings.output and Path(settings.output).suffix not in kinds:
        raise UserError(f"output = {settings.output!r}: expected a name that ends with .svg or .dot")
    tree = made_of(settings.of, settings.store)
    print("\n".join(lines(tree)))
    if settings.output:
        write_file(Path(settings.output), kinds[Path(settings.output).suffix](tree))
        print(f"graph: {settings.output}")
    return {}


def made_of(of: str, store: str = "") -> Node:
    """The tree.  Raises UserError where nothing of that name is known."""
    from heed.feedback.store import open_store

    of = directory(of)
    store = store or find_store(of)
    if not store:
        if weights_sha256(of):
            return from_files(of)
        raise UserError(f"{of!r} is no directory; to look up an id, give the store that knows it")
    with open_store(store, create=False) as opened:
        models, answers = Models(opened), Answers(opened)
        digest = weights_sha256(of)
        known = next((c.id for c in models.checkpoints() if digest and c.sha256 == digest), None)
        tree = from_files(of) if digest and known is None else models.lineage(known or of)
        return answers.unfold(tree)


def directory(of: str) -> str:
    """The directory of a model where `of` is one or the run that made it; an id stays what it is."""
    if not of or not Path(of).is_dir():
        return of
    place = Path(of) / "model" if (Path(of) / "model").is_dir() else Path(of)
    if not weights_sha256(str(place)):
        raise UserError(f"{of} is no checkpoint: expected a directory with model.safetensors, or the folder of its run")
    return str(place)


def find_store(of: str) -> str:
    """The store that a model's run used, or its reward model's, or one in a folder above it; "" where there is none."""
    if not weights_sha256(of):
        return ""
    made = [lineage_of(model) for model in (of, *_listed(lineage_of(of).get("reward_model")))]
    used = [store for m in made for store in _listed(m.get("store"))[:1]]
    beside = [str(folder / "store.db") for folder in list(Path(of).resolve().parents)[:UP]]
    return next((s for s in (*used, *beside) if "://" in s or Path(s).is_file()), "")


def from_files(model: str) -> Node:
    """A checkpoint as the lineage.json of its run tells it."""
    made = lineage_of(model)
    parts: list[tuple[str, Node]] = []
    parents = [("trained from", parent) for parent in _listed(made.get("parent"))]
    parents += [("improved by", model) for model in _listed(made.get("reward_model"))]
    for how, parent in parents:
        if Path(parent).resolve() != Path(model).resolve():
            gone = Node("checkpoint", parent, "not there" if parent.count("/") > 1 else "from the hub")
            parts.append((how, from_files(parent) if Path(parent).is_dir() else gone))
    parts += [("improved by", Node("function", name, "")) for name in made.get("reward_functions") or []]
    if made.get("dataset"):
        parts.append(("learnt from", Node("dataset", str(made["dataset"]), "")))
    parts += [("learnt from", _answers(store, made.get("upto"))) for store in _listed(made.get("store"))]
    step = f"step {made['step']}, " if "step" in made else ""
    return Node("checkpoint", checkpoint_id(model), f"{step}{model}", tuple(parts))


class Answers:
    """What the store adds to a tree: who gave the answers of a snapshot, whom they judged, what was said of a completion."""

    def __init__(self, store):
        self.store, self.models = store, Models(store)
        self.kinds = store.labelers()
        self.snapshots = {s.id: s for s in self.models.snapshots()}
        self.known: dict[tuple[str, str], Node] = {}  # unfolded before: rounds share most of what they were made of

    def unfold(self, node: Node) -> Node:
        """`node` with everything that is known below it."""
        key = (node.what, node.id)
        if key in self.known:
            return self.known[key]
        self.known[key] = replace(node, parts=())  # what it is while it is being unfolded: no circle is followed twice
        parts = node.parts
        if node.what == "snapshot":
            parts = (*parts, *self._snapshot(self.snapshots[node.id]))
        elif node.what == "completion":
            parts = (*parts, *self._said_of(node.id))
        elif node.label == "never registered" and Path(node.id).is_dir():
            node = from_files(node.id)
            parts = node.parts
        self.known[key] = replace(node, parts=tuple((how, self.unfold(part)) for how, part in parts))
        return self.known[key]

    def _snapshot(self, snapshot) -> Iterator[tuple[str, Node]]:
        rankings = self.store.rankings(split=snapshot.split, upto=snapshot.watermark)
        for name, n in sorted(Counter(r.judgement.labeler for r in rankings).items()):
            yield f"{n:,} answer{'s' * (n > 1)} by", self._labeler(name)
        for maker, n in sorted(Counter(c.made_by for r in rankings for c in r.comparison.candidates).items()):
            known = self.models.checkpoint(maker)
            yield (f"about {n:,} texts of",
                   self.models.lineage(maker) if known else Node("checkpoint", maker, "never registered"))

    def _said_of(self, completion: str) -> Iterator[tuple[str, Node]]:
        for ranking in self.store.rankings():
            if completion in ranking.judgement.ranks:
                yield "judged", Node("judgement", ranking.judgement.id, _said(ranking, completion),
                                     (("by", self._labeler(ranking.judgement.labeler)),))

    def _labeler(self, name: str) -> Node:
        return Node("labeler", name, self.kinds.get(name, "unknown"))


def lines(node: Node) -> Iterator[str]:
    """The tree as text; characters that a terminal would obey are written out."""
    from heed.evaluation.journey import visible

    seen: set[tuple[str, str]] = set()

    def walk(node: Node, head: str, rest: str, how: str) -> Iterator[str]:
        again = bool(node.parts) and (node.what, node.id) in seen
        seen.add((node.what, node.id))
        label = "" if node.label == f"{node.what} {node.id}" else node.label
        text = " ".join(x for x in (how and f"{how}:", node.what, node.id, label and f"({label})") if x)
        yield head + visible(text).replace("\n", " ") + (", as above" if again else "")
        for i, (edge, part) in enumerate(() if again else node.parts):
            last = i == len(node.parts) - 1
            yield from walk(part, rest + ("└─ " if last else "├─ "), rest + ("   " if last else "│  "), edge)

    yield from walk(node, "", "", "")


def _answers(store: str, upto: int | None) -> Node:
    """A store as a run's lineage.json names it; where a reward model gave its answers, that is below it."""
    models = [m for m in _listed(read_json(Path(store).parent / "lineage.json").get("reward_models")) if weights_sha256(m)]
    label = f"up to number {upto:,}" if upto else "all at that time"
    return Node("answers", store, label, tuple(("answered by", from_files(model)) for model in models))


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value or [])


def _said(ranking: Ranking, completion: str) -> str:
    tied = sum(rank == ranking.judgement.ranks[completion] for rank in ranking.ranks) > 1
    return f"rank {ranking.judgement.ranks[completion]} of {len(ranking.ranks)}{', tied' if tied else ''}"
