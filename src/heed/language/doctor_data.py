"""What a person would want to know about a dataset before training on it, as findings with advice.

A source is read to its end, past broken rows, and looked at as it stands: nothing is converted or left out silently.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterator

from heed.errors import UserError
from heed.language.datasets import WANTED, load, plural, split_of_record
from heed.language.datasets.reading import readings
from heed.language.datasets.row import Skip
from heed.language.datasets.source import NAMED, parse
from heed.language.doctor_preferences import classes, conflicts, empty_preferences, labelers, length_bias, position_bias
from heed.language.findings import Finding, Seen, answers, identity, prompt_of, said, share
from heed.records import Comparison, Rating, Text

LONG = 8000  # characters; about 2,000 tokens, more than most small models were made for
FEW = 2000  # rankings; below that, reward models were near chance on the true goal (Gao et al. 2022)
LEAK = 0.01  # of the prompts in several splits; above that, held-out figures are not to be believed
SHOWN = 5  # broken rows named one by one
ODD = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
HTML = re.compile(r"</?(?:br|p|div|span|a|b|i|ul|li|td|tr|table|img|script)\b[^<>]*>|&(?:amp|lt|gt|quot|nbsp|#\d+);", re.I)


def check(source: str) -> list[Finding]:
    """Findings about a dataset, the gravest first.  Raises nothing for bad data: that is a finding too."""
    try:
        seen = look(source)
    except UserError as error:
        return [Finding("error", str(error), advice="Nothing can be said of the data before it can be read")]
    found = [finding for examine in CHECKS for finding in examine(seen)]
    return sorted(found, key=lambda f: ("error", "warning", "ok").index(f.level))


def look(source: str) -> Seen:
    """The whole source."""
    seen = Seen(source)
    parsed = parse(source)
    if parsed.name.partition(":")[0] in NAMED:
        for kind in WANTED:
            try:
                seen.records += [(source, record) for record in load(source, kind, None)]
            except UserError:
                continue  # an embedded dataset has some of the kinds
        return seen
    for reading in readings(parsed):
        seen.titles.append(reading.title)
        for place, outcome in reading.outcomes:
            if isinstance(outcome, UserError):
                seen.errors.append(outcome)
            elif isinstance(outcome, Skip):
                seen.skipped[str(outcome)] += 1
            else:
                seen.records.append((place, outcome))
    return seen


def what_it_is(seen: Seen) -> Iterator[Finding]:
    """The format, the counts by kind and split, and the rows that could not be used."""
    kinds = Counter(type(r).__name__ for _, r in seen.records)
    units = {(p.id if (p := prompt_of(r)) else getattr(r, "text", "")): split_of_record(r) for _, r in seen.records}
    splits = Counter(filter(None, units.values()))
    title = "; ".join(dict.fromkeys(seen.titles)) or "embedded in heed"
    if kinds:
        counts = ", ".join(plural(k, n) for k, n in kinds.items())
        where = ", ".join(f"{splits[name]:,} {name}" for name in ("train", "valid", "test") if splits[name])
        yield Finding("ok", f"{title}: {counts}; different prompts or texts: {where}", seen.source)
    for error in seen.errors[:SHOWN]:
        yield Finding("error", str(error), advice="Mend or remove this row; loading stops at it")
    if len(seen.errors) > SHOWN:
        yield Finding("error", f"{len(seen.errors) - SHOWN:,} more broken rows", seen.source)
    for reason, rows in seen.skipped.items():
        yield Finding("warning", f"{rows:,} rows left out: {reason}", seen.source, "Fine if that is what you expect")
    if not kinds:
        yield Finding("error", "No row that can be used", seen.source)
    elif splits and not splits["train"]:
        advice = "Fine for an evaluation; to train, put ?split=hash behind it: a hash of the prompt divides it"
        yield Finding("warning", "Nothing in the training split", seen.source, advice)
    rankings = kinds["Ranking"]
    if 0 < rankings < FEW:
        advice = f"Under about {FEW:,}, reward models were near chance on the true goal; collect more, or expect noise"
        yield Finding("warning", f"Only {rankings:,} rankings", seen.source, advice)


def empties(seen: Seen) -> Iterator[Finding]:
    """Prompts and answers without a letter."""
    # A labelled text is the rating of an answer to an empty prompt, and rightly so.
    prompts = [(place, prompt_of(r)) for place, r in seen.records if prompt_of(r) and not isinstance(r, Rating)]
    blank = [place for place, prompt in prompts if not said(prompt).strip()]
    if blank:
        yield Finding("warning", f"{share(len(blank), len(prompts))} of the prompts are empty", blank[0], "Remove them")
    texts = [(place, text) for place, r in seen.records for text in answers(r)]
    blank = [place for place, text in texts if not text.strip()]
    if blank:
        yield Finding("warning", f"{share(len(blank), len(texts))} of the answers are empty", blank[0],
                      "An empty answer teaches a model to say nothing; remove those rows")  # fmt: skip


def duplicates(seen: Seen) -> Iterator[Finding]:
    """Records that say the same thing twice, by kind."""
    first: dict[Hashable, str] = {}
    again: dict[str, list[str]] = defaultdict(list)
    for place, record in seen.records:
        key = identity(record)
        if key in first:
            again[type(record).__name__].append(place)
        first.setdefault(key, place)
    for kind, places in again.items():
        yield Finding("warning", f"{share(len(places), len(seen.of(KIND[kind])))} of the {plural(kind)} are repeats", places[0],
                      "Repeats count twice in training and flatter the accuracy where they fall in several splits")  # fmt: skip


def leaks(seen: Seen) -> Iterator[Finding]:
    """The same prompt, or the same text, in several splits."""
    splits: dict[str, set[str]] = defaultdict(set)
    place_of: dict[str, str] = {}
    for place, record in seen.records:
        prompt = prompt_of(record)
        key = prompt.id if prompt else record.text if isinstance(record, Text) else None
        if key is not None:
            splits[key].add(split_of_record(record))
            if len(splits[key]) > 1:
                place_of.setdefault(key, place)
    if place_of:
        what = f"{share(len(place_of), len(splits))} of the prompts or texts stand in several splits"
        level = "error" if len(place_of) > LEAK * len(splits) else "warning"
        yield Finding(level, what, next(iter(place_of.values())),
                      "What is held out must not be trained on: remove them, or put ?split=hash behind the source")  # fmt: skip
    elif splits:
        yield Finding("ok", "No prompt or text stands in more than one split", seen.source)


def long_ones(seen: Seen) -> Iterator[Finding]:
    """Prompts and answers longer than small models take."""
    prompts = {p.id: (place, len(said(p))) for place, r in seen.records if (p := prompt_of(r))}
    texts = [(place, len(text)) for place, r in seen.records for text in answers(r)]
    for name, sizes in (("prompts", list(prompts.values())), ("answers", texts)):
        over = [(place, n) for place, n in sizes if n > LONG]
        if over:
            longest = max(n for _, n in over)
            what = f"{share(len(over), len(sizes))} of the {name} are over {LONG:,} characters, the longest {longest:,}"
            yield Finding("warning", what, over[0][0], "What is cut off is not learnt from; set max_length, or remove them")


def rubbish(seen: Seen) -> Iterator[Finding]:
    """Control characters and the remains of web pages."""
    texts = [(place, t) for place, r in seen.records for t in (*answers(r), *([r.text] if isinstance(r, Text) else []))]
    texts += list({p.id: (place, said(p)) for place, r in seen.records if (p := prompt_of(r))}.values())
    for name, pattern in (("control characters", ODD), ("HTML", HTML)):
        with_it = [place for place, text in texts if pattern.search(text)]
        if with_it:
            yield Finding("warning", f"{share(len(with_it), len(texts))} of the texts hold {name}", with_it[0],
                          "A policy will learn to write it; clean it out unless it belongs there")  # fmt: skip


CHECKS: tuple[Callable[[Seen], Iterator[Finding]], ...] = (
    what_it_is, empties, duplicates, leaks, empty_preferences, length_bias, position_bias, classes, long_ones, rubbish,
    labelers, conflicts,
)  # fmt: skip
KIND: dict[str, type] = {k.__name__: k for k in (*WANTED, Comparison)}
