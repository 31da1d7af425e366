"""Pairs as the transcripts of Bai et al. 2022 (HH): two conversations in one text each, which part at the last reply.

    {"chosen": "\\n\\nHuman: ...\\n\\nAssistant: ...", "rejected": "\\n\\nHuman: ...\\n\\nAssistant: ...", "group_id"}

Rows are TRL's pairs in another form (heed.feedback.pairs): those with one group_id are read back as one ranking.  A system
turn has no place in a transcript, and neither have texts in which somebody seems to begin to speak: such pairs are left
out, with a warning that counts them.  Writing, reading and writing again gives the same bytes.
"""

import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from heed.errors import UserError
from heed.feedback.exchange import Source, needed, read_rows, write_rows
from heed.feedback.pairs import pair_rows, rankings_of
from heed.records import Ranking, Split

SPEAKERS = {"user": "Human", "assistant": "Assistant"}
ROLES = {name: role for role, name in SPEAKERS.items()}
TURN = re.compile(r"\n\n(Human|Assistant):")
EXPECTED = "chosen, rejected: transcripts that open with '\\n\\nHuman: '; and group_id where several rows are one ranking"


def write_transcripts(rankings: Iterable[Ranking], path: str | Path) -> int:
    """Write the pairs of each ranking, in order; returns how many."""
    return write_rows(transcript_rows(rankings), path)


def transcript_rows(rankings: Iterable[Ranking]) -> Iterator[dict[str, Any]]:
    """The rows of `write_transcripts`."""
    left_out = 0
    for pair in pair_rows(rankings):
        row = {side: _transcript(pair["prompt"], pair[side]) for side in ("chosen", "rejected")}
        if None in row.values():
            left_out += 1
        else:
            yield {**row, "group_id": pair["group_id"]}
    if left_out:
        warnings.warn(f"{left_out} pairs left out: a system turn, or a text in which somebody seems to speak, cannot be told "
                      "apart in a transcript; groups and TRL's pairs hold them", stacklevel=2)


def read_transcripts(source: Source, split: Split | None = None) -> list[Ranking]:
    """The rankings behind a file of transcripts, or rows of them; the split is a hash of the prompt where it is not given.

    Raises UserError with the first row that is wrong.  Rows that part before the last reply are left out with a warning.
    """
    left_out = 0

    def pairs() -> Iterator[tuple[str, dict[str, Any]]]:
        nonlocal left_out
        for where, row in read_rows(source):
            try:
                pair = _pair(row)
            except UserError as error:
                raise UserError(f"{where}: {error} [expected {EXPECTED}]") from None
            if pair is None:
                left_out += 1
            else:
                yield where, pair

    found = rankings_of(pairs(), split)
    if left_out:
        warnings.warn(f"{left_out} rows left out: their transcripts part before the last reply", stacklevel=2)
    return found


def _transcript(prompt: str | list[dict[str, str]], completion: str | list[dict[str, str]]) -> str | None:
    """None where reading it would not give the same turns."""
    if isinstance(prompt, str):
        prompt, completion = [{"role": "user", "content": prompt}], [{"role": "assistant", "content": completion}]
    turns = [*prompt, *completion]
    if not all(turn["role"] in SPEAKERS for turn in turns):
        return None
    text = "".join(f"\n\n{SPEAKERS[turn['role']]}: {turn['content']}" for turn in turns)
    return text if _turns(text) == turns else None


def _turns(text: str) -> list[dict[str, str]]:
    before, *pieces = TURN.split(text)
    if before or len(pieces) < 4:
        return []
    return [{"role": ROLES[who], "content": said.removeprefix(" ")}
            for who, said in zip(pieces[::2], pieces[1::2], strict=True)]


def _pair(row: Mapping[str, Any]) -> dict[str, Any] | None:
    """The row as TRL's pair; None where the two do not share everything but the last reply."""
    sides = []
    for key in ("chosen", "rejected"):
        text = needed(row, key, str, "a transcript")
        if not (turns := _turns(text)):
            raise UserError(f"{key} = {text!r:.60}: expected at least two turns")
        sides.append(turns)
    chosen, rejected = sides
    if chosen[:-1] != rejected[:-1] or not chosen[-1]["role"] == rejected[-1]["role"] == "assistant":
        return None
    pair = {"prompt": chosen[:-1], "chosen": chosen[-1:], "rejected": rejected[-1:]}
    return {**pair, "group_id": row["group_id"]} if "group_id" in row else pair
