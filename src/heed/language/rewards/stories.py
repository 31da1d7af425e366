"""What makes the next lines of a children's story better: they keep its hero, somebody speaks, they are cheerful and fresh.

`story` is for training.  Everything in it is counted once and has a ceiling, so that saying a word again earns nothing:

    hero       sentences that name the character of the prompt, up to 2                            | the mean of these
    dialogue   something said: three words or more in closed quotation marks beside a verb of      | three (two where the
               speaking; enough once                                                               | prompt names nobody)
    cheer      different happy words less different sad ones, up to 3                              |
    fresh      the share of word triples that stand for the first time, squared                    multiplies that mean

`valence` is for looking only: the mean valence people gave to the words (VADER, Hutto & Gilbert 2014) that `story` does not
count.  A policy that learnt to be cheerful raises it; one that learnt the list of happy words does not.
"""

import os
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from heed.errors import UserError

HAPPY = frozenset(re.findall(r"\w+", """
    happy happily glad smile smiled smiling laugh laughed laughing love loved fun joy joyful proud hug hugged kind thank
    thanked excited cheerful wonderful friend friends friendly best"""))
SAD = frozenset(re.findall(r"\w+", """
    sad sadly cry cried crying tears scared afraid scary angry mad hurt upset alone lonely lost broke broken mean bad died
    sorry fight worried"""))
SPEAKING = r"(?:said|asked|replied|answered|shouted|called|cried|whispered|yelled|exclaimed|told|laughed)"
SPOKEN = re.compile(rf'\b{SPEAKING}\b[^".!?]{{0,30}}[,:]? ?"([^"]+)"|"([^"]+)"[^".!?]{{0,30}}\b{SPEAKING}\b')
NAMED = re.compile(r"\b(?:named|called|name was|name is) ([A-Z][a-z]+)")
INSIDE = re.compile(r"(?<=[a-z,] )([A-Z][a-z]+)")  # a capital that opens no sentence
NOBODY = frozenset({"Mom", "Mommy", "Dad", "Daddy", "Mum", "Mummy", "Mama", "Papa", "Grandma", "Grandpa", "Christmas"})
LEXICON = "toxicity_lexicons/vader_lexicon.txt"  # in the folder HEED_DATA


def story(prompts: Sequence[str], completions: Sequence[str], **columns) -> list[float]:
    """Each continuation's score, 0 to 1."""
    return [score(str(p), c) for p, c in zip(prompts, completions, strict=True)]


def score(prompt: str, text: str) -> float:
    """The mean of what is there, times how fresh it is."""
    name = hero(prompt)
    parts = [dialogue(text), cheer(text)]
    if name:
        parts.append(min(1.0, sum(name in words(s) for s in sentences(text)) / 2))
    return sum(parts) / len(parts) * fresh(prompt, text)


def hero(prompt: str) -> str | None:
    """The first character the prompt names: after `named`, else a capital inside a sentence; None where it names nobody."""
    found = NAMED.findall(prompt) + [n for n in INSIDE.findall(prompt) if n not in NOBODY]
    return found[0] if found else None


def dialogue(text: str) -> float:
    """1 where somebody says three words or more, else 0."""
    said = (a or b for a, b in SPOKEN.findall(straight(text)))
    return float(any(len(words(s)) >= 3 for s in said))


def cheer(text: str) -> float:
    """Different happy words less different sad ones, a third each, within 0 and 1."""
    found = {w.lower() for w in words(text)}
    return min(1.0, max(0.0, (len(found & HAPPY) - len(found & SAD)) / 3))


def fresh(prompt: str, text: str) -> float:
    """The share of the continuation's word triples that stand there for the first time, squared; 0 without any."""
    before, said = words(prompt.lower()), words(text.lower())
    whole = before + said
    triples = list(zip(whole, whole[1:], whole[2:], strict=False))
    first = max(0, len(before) - 2)  # triples that end in the continuation
    new = [t not in triples[: first + i] for i, t in enumerate(triples[first:])]
    return (sum(new) / len(new)) ** 2 if len(said) >= 3 else 0.0


def valence(prompts: Sequence[str], completions: Sequence[str], **columns) -> list[float | None]:
    """Mean valence, -4 to 4, of the words in the lexicon that `story` does not count; None without any."""
    known = lexicon()
    found = [[known[w] for w in words(c.lower()) if w in known and w not in HAPPY | SAD] for c in completions]
    return [sum(values) / len(values) if values else None for values in found]


@cache
def lexicon() -> dict[str, float]:
    """word: mean valence, read once from the folder that HEED_DATA names."""
    path = Path(os.environ.get("HEED_DATA", "")) / LEXICON
    if not path.is_file():
        raise UserError(f"no lexicon at {path}: set HEED_DATA to the folder that holds {LEXICON}, or leave `gold` out")
    lines = (line.split("\t") for line in path.read_text(encoding="utf-8").splitlines())
    return {cells[0]: float(cells[1]) for cells in lines if len(cells) > 1}


def words(text: str) -> list[str]:
    """Runs of letters, apostrophes inside them included."""
    return re.findall(r"[A-Za-z]+(?:'[a-z]+)?", text)


def sentences(text: str) -> list[str]:
    """Parts between full stops, exclamation and question marks."""
    return [s for s in re.split(r"[.!?]+", text) if s.strip()]


def straight(text: str) -> str:
    """Typographic quotation marks as straight ones."""
    return text.replace("\u201c", '"').replace("\u201d", '"')
