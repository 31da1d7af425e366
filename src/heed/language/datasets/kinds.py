"""One kind of record read as another, where that is natural.

A record that already is what is wanted passes through.  Rankings give their prompts and their best answer, demonstrations
their prompts and their text, texts their first words, and ratings of one prompt by one labeler a ranking.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain, islice

from heed.errors import UserError
from heed.language.datasets.build import first_words, ranking
from heed.records import Comparison, Demonstration, Judgement, Prompt, Ranking, Rating, Record, Text

LOOK = 1000  # records looked at before deciding that a file does not hold the wanted kind itself


def convert(records: Iterable[Record], want: type, opening: int = 8) -> Iterator[Record]:
    """The records as `want`; nothing comes out where no record can be read so.  `opening` words of a text are a prompt."""
    records = iter(records)
    first = list(islice(records, LOOK))
    if any(isinstance(r, want) for r in first):
        found: Iterator[Record] = (r for r in chain(first, records) if isinstance(r, want))
    else:
        found = {**CONVERSIONS, Prompt: partial(prompts, opening=opening)}[want](chain(first, records))
    return distinct(found) if want is Prompt else found


def distinct(prompts: Iterable[Prompt]) -> Iterator[Prompt]:
    """Each prompt once, where it first stood."""
    seen: set[str] = set()
    for prompt in prompts:
        if prompt.id not in seen:
            seen.add(prompt.id)
            yield prompt


def prompts(records: Iterable[Record], opening: int) -> Iterator[Prompt]:
    """What was asked, of every record that was asked anything; the first words of a text."""
    for record in records:
        if isinstance(record, Prompt):
            yield record
        elif isinstance(record, Text):
            yield Prompt(first_words(record.text, opening), split=record.split)
        elif isinstance(record, Demonstration):
            prompt = record.prompt
            yield Prompt(prompt.content, {"reference": record.completion, **prompt.columns}, prompt.split, prompt.id)
        elif isinstance(record, Ranking | Rating | Comparison) and record.prompt.content:
            yield record.prompt


def texts(records: Iterable[Record]) -> Iterator[Text]:
    """Whole conversations once: a demonstration that is the beginning of the next one is left out."""
    before: Text | None = None
    for record in chain(demonstrations(records)):
        prompt = record.prompt
        if isinstance(prompt.content, str):
            text = Text(prompt.content + record.completion, prompt.split)
        else:
            text = Text("\n\n".join([m.content for m in prompt.content] + [record.completion]), prompt.split)
        if before and not text.text.startswith(before.text):
            yield before
        before = text
    if before:
        yield before


def demonstrations(records: Iterable[Record]) -> Iterator[Demonstration]:
    """Demonstrations, and the best answer of each ranking."""
    for record in records:
        if isinstance(record, Demonstration):
            yield record
        elif isinstance(record, Ranking):
            best = min(record.comparison.candidates, key=lambda c: record.judgement.ranks[c.id])
            yield Demonstration(record.prompt, best.text, best.made_by)


def rankings(records: Iterable[Record]) -> Iterator[Ranking]:
    """Rankings, answers joined to their questions, and ratings put in order."""
    asked: dict[str, Comparison] = {}
    groups: dict[tuple[str, str], list[Rating]] = {}
    answers: list[Judgement] = []
    for record in records:
        if isinstance(record, Ranking):
            yield record
        elif isinstance(record, Comparison):
            asked[record.id] = record
        elif isinstance(record, Judgement):
            answers.append(record)
        elif isinstance(record, Rating):
            groups.setdefault((record.prompt.id, record.labeler), []).append(record)
    for answer in answers:
        if answer.outcome == "answered" and answer.comparison_id in asked:
            yield joined(asked[answer.comparison_id], answer)
    for ratings in groups.values():
        if len(ratings) > 1:
            yield ranking(
                ratings[0].prompt,
                [r.candidate.text for r in ratings],
                [-overall(r) for r in ratings],
                labeler=ratings[0].labeler,
                made_by=[r.candidate.made_by for r in ratings],
            )


def joined(comparison: Comparison, answer: Judgement) -> Ranking:
    """The question beside its answer; UserError where the answer ranks other candidates than were shown."""
    if set(answer.ranks) != {c.id for c in comparison.candidates}:
        raise UserError(f"judgement {answer.id!r} ranks other candidates than comparison {comparison.id!r} shows")
    return Ranking(comparison, answer)


def overall(rating: Rating) -> float:
    """The one score to order by: `overall` where it was asked, else the mean over dimensions."""
    return rating.scores.get("overall", sum(rating.scores.values()) / len(rating.scores))


def ratings(records: Iterable[Record]) -> Iterator[Rating]:
    """Ratings only: a rank is no score."""
    return (r for r in records if isinstance(r, Rating))


CONVERSIONS: dict[type, Callable[[Iterable[Record]], Iterator[Record]]] = {
    Text: texts,
    Demonstration: demonstrations,
    Ranking: rankings,
    Rating: ratings,
}
