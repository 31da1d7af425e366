"""TRL's preference rows: one for each two candidates of different rank, with the answer that they come from.

    {"prompt", "chosen", "rejected", "group_id"}      strings, or lists of {"role", "content"}
    and "margin" where the strength of a preference between two was asked

Rows with one group_id are read back as one ranking (a tie is two candidates that no row compares).  Rows without are
rankings of two.  Candidates of one answer with the same text are one candidate; where their ranks differ the labeler
contradicts himself, and they are left out.  Writing, adding to a store and writing again gives the same bytes.
"""

import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from pathlib import Path
from typing import Any

from heed.errors import UserError
from heed.feedback.exchange import Source, content_of, needed, number_of, read_rows, write_rows
from heed.records import Candidate, Comparison, Judgement, Prompt, Ranking, Split, content_id, split_of

LABELER = "imported"
EXPECTED = "prompt, chosen, rejected; and group_id where several rows are one ranking"
Pair = tuple[str, str]  # chosen, rejected


def write_pairs(rankings: Iterable[Ranking], path: str | Path) -> int:
    """Write the pairs of each ranking, in order; returns how many."""
    return write_rows(pair_rows(rankings), path)


def pair_rows(rankings: Iterable[Ranking]) -> Iterator[dict[str, Any]]:
    """The rows of `write_pairs`."""
    return (_row(r, pair) for r in rankings for pair in text_pairs(r))


def text_pairs(ranking: Ranking) -> list[Pair]:
    """(chosen, rejected) for each two texts of different rank."""
    ranks_of: dict[str, set[int]] = {}
    for text, rank in zip(ranking.completions, ranking.ranks, strict=True):
        ranks_of.setdefault(text, set()).add(rank)
    clear = [(text, min(ranks)) for text, ranks in ranks_of.items() if len(ranks) == 1]
    return [(a, b) for a, rank_a in clear for b, rank_b in clear if rank_a < rank_b]


def read_pairs(source: Source, split: Split | None = None) -> list[Ranking]:
    """The rankings behind a file of pairs, or rows of them; the split is a hash of the prompt where it is not given.

    Raises UserError with the place of the first row that is wrong.
    """
    return rankings_of(read_rows(source), split)


def rankings_of(rows: Iterable[tuple[str, Mapping[str, Any]]], split: Split | None = None) -> list[Ranking]:
    """The rankings behind pairs, each with the place it stood at."""
    groups: dict[str, tuple[Prompt, list[Pair], list[float | None]]] = {}
    times: Counter = Counter()
    useless = 0
    for where, row in rows:
        try:
            prompt, pair = _pair(row)
            margin = number_of(row, "margin")
            group = _group_id(row, prompt, pair, times)
        except UserError as error:
            raise UserError(f"{where}: {error} [expected {EXPECTED}]") from None
        if pair[0] == pair[1]:
            useless += 1
            continue
        first, pairs, margins = groups.setdefault(group, (prompt, [], []))
        if first != prompt:
            raise UserError(f"{where}: group_id {group!r} already belongs to another prompt")
        pairs.append(pair)
        margins.append(margin)
    if useless:
        warnings.warn(f"{useless} rows prefer a text to itself and were left out", stacklevel=2)
    return [ranking for group, found in groups.items() for ranking in _rankings(group, *found, split)]


def _row(ranking: Ranking, pair: Pair) -> dict[str, Any]:
    chat = not isinstance(ranking.prompt.content, str)
    chosen, rejected = ([{"role": "assistant", "content": text}] if chat else text for text in pair)
    row = {"prompt": ranking.prompt.trl(), "chosen": chosen, "rejected": rejected, "group_id": ranking.judgement.id}
    strength = ranking.judgement.strength
    return row if strength is None or len(ranking.completions) > 2 else {**row, "margin": float(strength)}


def _pair(row: Mapping[str, Any]) -> tuple[Prompt, Pair]:
    prompt = Prompt(content_of(needed(row, "prompt", (str, list), "a text or turns"), "prompt"))
    texts = []
    for key in ("chosen", "rejected"):
        content = content_of(needed(row, key, (str, list), "a text or one assistant turn"), key)
        if not isinstance(content, str):
            if len(content) != 1 or content[0].role != "assistant":
                raise UserError(f"{key}: expected one turn of the assistant after the prompt, found {len(content)} turns")
            content = content[0].content
        texts.append(content)
    return prompt, (texts[0], texts[1])


def _group_id(row: Mapping[str, Any], prompt: Prompt, pair: Pair, times: Counter) -> str:
    if "group_id" in row:
        return needed(row, "group_id", str, "a text")
    times[prompt.id, pair] += 1
    return content_id("pair", prompt.id, *pair, str(times[prompt.id, pair]))


def _rankings(
    group: str, prompt: Prompt, pairs: list[Pair], margins: list[float | None], split: Split | None
) -> list[Ranking]:
    """One ranking with exactly these pairs; where no order has exactly these, one ranking a pair."""
    prompt = Prompt(prompt.content, split=split or split_of(prompt.id), id=prompt.id)
    order = _order(pairs)
    lost = Counter(loser for _, loser in pairs)  # in a ranking with ties, as many as there are better ones
    ranks = {text: lost[text] + 1 for text in order}
    if Counter((a, b) for a in order for b in order if ranks[a] < ranks[b]) == Counter(pairs):
        return [_ranking(group, prompt, ranks, margins[0] if len(pairs) == 1 else None)]
    return [_ranking(f"{group}:{n}", prompt, {a: 1, b: 2}, margin)
            for n, ((a, b), margin) in enumerate(zip(pairs, margins, strict=True))]


def _order(pairs: list[Pair]) -> list[str]:
    """The texts in an order of candidates from which these pairs follow in this sequence; [] when there is none."""
    losers: dict[str, list[str]] = {}
    for winner, loser in pairs:
        losers.setdefault(winner, []).append(loser)
    sorter: TopologicalSorter = TopologicalSorter()
    for chain in (list(losers), *losers.values()):
        sorter.add(chain[0])
        for before, after in pairwise(chain):
            sorter.add(after, before)
    try:
        return list(sorter.static_order())
    except CycleError:
        return []


def _ranking(group: str, prompt: Prompt, ranks: Mapping[str, int], strength: float | None) -> Ranking:
    levels = {rank: place for place, rank in enumerate(sorted(set(ranks.values())), start=1)}
    candidates = tuple(Candidate(text, id=content_id("completion", prompt.id, text)) for text in ranks)
    comparison = Comparison(prompt, candidates, content_id("comparison", group))
    of = {c.id: levels[ranks[c.text]] for c in candidates}
    return Ranking(comparison, Judgement(comparison.id, LABELER, of, strength=strength, id=group))
