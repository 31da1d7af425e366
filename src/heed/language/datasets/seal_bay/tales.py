"""Telling things: one phrase of several, a true detail, a small tale.

`say` is the whole grammar: forms are separated by |, slots are filled with Person, Animal, Place or plain words,
and a sentence begins with a capital.
"""

from functools import lru_cache
from random import Random

from heed.language.datasets.seal_bay import words
from heed.language.datasets.seal_bay.town import Animal, Person, Place, Town

Being = Person | Animal


@lru_cache(maxsize=2048)
def _forms(forms: str) -> tuple[str, ...]:
    return tuple(forms.split("|"))


def say(r: Random, forms: str, **slots) -> str:
    """One of `forms` with its slots filled, and a capital in front."""
    return capital(r.choice(_forms(forms)).format_map(slots))


def capital(text: str) -> str:
    """The text with a capital in front, behind a quotation mark where it begins with one."""
    return text[:2].upper() + text[2:] if text[:1] == '"' else text[:1].upper() + text[1:]


def listed(parts: list[str], word: str = "and") -> str:
    """a, b and c."""
    return f"{', '.join(parts[:-1])} {word} {parts[-1]}" if len(parts) > 1 else parts[0]


def starred(text: str, **slots) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The sentences of `text`, its slots filled and without its stars; and the words that were starred."""
    text = text.format_map(slots)
    sentences = text.replace("*", "").rstrip(".").split(". ")
    return tuple(capital(s) + "." for s in sentences), tuple(text.split("*")[1::2])


# ---------------------------------------------------------------- what is so

FACT_FORMS = {
    "job": "{s} is a {v}.|{s} {does}.|{s} is a {v} and {does}.",
    "pet": "{s} has a {v}.|{s} keeps a {v}.",
    "food": "{s} loves {v}.|{s} likes {v} best.",
    "home": "{s} lives {v.at}.",
    "eats": "{s} eats {v}.|{s} likes to eat {v}.",
    "colour": "{s} is {v}.",
    "day": "{s} is busy on {v}.",
}


def fact(r: Random, who: Being | Place, relation: str, value=None, subject: str | None = None) -> str:
    """One sentence that says `relation` of `who`; with `value` it says that instead, true or not."""
    v = getattr(who, relation) if value is None else value
    form = "eats" if isinstance(who, Animal) and relation == "food" else relation
    return say(r, FACT_FORMS[form], s=subject or str(who), v=v, does=words.JOBS.get(v, "") if relation == "job" else "")


def relations(who: Being | Place) -> list[str]:
    """What is known of a person, an animal or a place."""
    if isinstance(who, Person):
        return ["job", "home", "pet", "food"]
    return ["home", "food", "colour"] if isinstance(who, Animal) else ["day"]


def detail(r: Random, who: Being | Place, avoid: tuple[str, ...] = ()) -> str:
    """One true sentence about `who`, of a relation that is not in `avoid`."""
    return fact(r, who, r.choice([x for x in relations(who) if x not in avoid]))


def rivals(t: Town, who: Being | Place, relation: str) -> list:
    """All values of the same kind that are not true of `who`."""
    pool = {"home": t.places, "job": tuple(words.JOBS), "pet": words.PETS, "colour": words.COLOURS, "day": words.DAYS}
    foods = words.FOODS if isinstance(who, Person) else sorted({x.food for x in t.animals})
    return [v for v in pool.get(relation, foods) if v != getattr(who, relation)]


def another(r: Random, t: Town, who: Being | Place, relation: str):
    """A value of the same kind that is not true of `who`."""
    return r.choice(rivals(t, who, relation))


# ---------------------------------------------------------------- what happened

# A plot is its opening, its middle (two parts) and its ending.  h is the hero, f the friend, p the place, x a thing,
# c a colour, e some food, now and then what one does at p (and did), s what one can learn.
PLOTS = {
    "visit": (
        "One day {h} went to {p}.|{h} wanted to see {p}.|Early one morning {h} walked to {p}.|One warm day {h} came to {p}.",
        "There {h.he} met {f}.|{f} was there and said hello.|\"Come and {now} with me,\" said {f}.",
        "They {then} and laughed a lot.|They {then} all day.|{f} gave {h.him} some {e}.|They {then} until the sun was low.",
        "At night {h} went home happy.|Then {h} went home with a new friend.|{h} and {f} are friends now.|"
        "{h} went home and told everyone about {f}.",
    ),
    "lost": (
        "{h} lost {h.his} {c} {x} {p.at}.|{h} could not find {h.his} {x} {p.at}.|{h} took a {x} to {p}, and then it was gone.",
        "{h.he} looked under a stone, but it was not there.|{h.he} looked here and there and began to cry.|"
        "\"Do not be sad,\" {f} told {h.him}.",
        "{f} came to help {h.him} look.|{f} and {h} looked behind a tree.|{h} looked until it was dark.",
        "{f} found the {x}, and {h} was happy again.|In the end {f} saw it in the grass and gave it to {h}.|"
        "{f} found the {x} in a boat, and {h} said thank you.",
    ),
    "help": (
        "{h} saw {f} in a net {p.at}.|One day {h} heard {f} cry {p.at}.|{f} fell into a hole {p.at}, and {h} saw it.",
        "{f} could not get out of there.|\"Please help me,\" said {f}.|{f} was cold and afraid there.",
        "{h} took a rope and pulled.|{h} worked for an hour.|{h} was strong and did not stop.",
        "Soon {f} was free and thanked {h}.|{h} helped {f} get home.|\"You are kind,\" said {f} to {h}.",
    ),
    "storm": (
        "A storm came to {p} when {h} was there.|{h} was {p.at} when it began to rain.|"
        "The wind was strong {p.at}, and {h} was afraid.",
        "The rain was cold and the wind was loud.|{h} hid under an old boat.|The sky was black.",
        "{f} came to {h} with a lamp.|{f} gave {h.him} a warm blanket.|\"Sit here with me,\" said {f}.",
        "When the sun came back, {h} and {f} danced.|{h} and {f} waited until the storm was over.|"
        "After the rain {h} walked home with {f}.",
    ),
    "share": (
        "{h} had some {e} {p.at}.|{h} sat {p.at} with a basket of {e}.|{h} took some {e} to {p}.",
        "{f} came by and had none of it.|{f} looked at it and was hungry.|\"May I have some, please,\" said {f}.",
        "{h} thought about it for a while.|There was not much, but {h} smiled.",
        "{h} gave half to {f}, and they ate in the sun.|{h} shared the {e} with {f}.|{h} and {f} ate it all and felt good.",
    ),
    "quarrel": (
        "{h} and {f} both wanted the {x} {p.at}.|{p.at}, {h} and {f} wanted the same {x}.",
        "They pulled until it broke.|\"It is mine,\" said {f}.|They were loud and angry.",
        "Then they were sad and did not talk.|{h} went to sit under a tree.|All was quiet for a while.",
        "In the end {h} said sorry, and {f} did too.|{h} and {f} mended the {x} and were friends again.|"
        "Then {h} laughed, and {f} laughed too.",
    ),
    "race": (
        "{h} and {f} ran a race to {p}.|\"I will be first at {p},\" said {h} to {f}.",
        "{h} was fast but stopped to rest.|{h} ran and ran.|{f} was slow, but that did not matter.",
        "It was a hot day.|All their friends came to see it.|A bird sang in a tree.",
        "{f} won, and {h} was glad for {f.him}.|{h} won by a nose and gave {f} some {e}.|"
        "They came in at the same time, {h} and {f}.",
    ),
    "gift": (
        "It was the birthday of {f}, and {h} went to {p}.|{h} went to {p} to find a gift for {f}.",
        "{h} found a {c} {x} there.|{h} looked at a {x} there.|\"I want to make {f} happy,\" said {h}.",
        "{h.he} put a {x} in a box.|{h.he} ran all the way back with a {x}.",
        "{f} loved the {x} and thanked {h}.|{f} opened the box, and {h} sang a song.|{h} and {f} ate {e} and danced.",
    ),
    "night": (
        "{h} could not sleep {p.at}.|One night {h} sat {p.at} and was afraid of the dark.",
        "The moon was white over the sea.|{h.he} heard a sound in the dark.|All the birds were quiet.",
        "{f} came and sang {h.him} a soft song.|{f} told {h.him} a story about the stars.|{f} sat with {h.him} for a while.",
        "Soon {h} slept, and {f} slept too.|With {f} there, {h} was not afraid.|Then {h} and {f} counted the stars.",
    ),
    "learn": (
        "{h} wanted to learn to {s} {p.at}.|{h} could not {s}, and all the others {p.at} could.",
        "{f} showed {h.him} how to do it.|\"It is not hard,\" said {f}.|{h.he} tried and fell down.",
        "{h.he} tried three times.|{h.he} did not stop trying.|It was a long day.",
        "In the end {h} could {s}, and {f} clapped.|Now {h} can {s} as well as {f}.|{h} was proud and thanked {f}.",
    ),
}  # fmt: skip
SKILLS = ("sing", "dance", "read", "draw", "swim", "climb", "run fast", "tell a story")


def tale(r: Random, h: Being, f: Being, p: Place, n: int, plot: str | None = None) -> list[str]:
    """A tale of n sentences (2 to 4): opening, n - 2 from the middle, ending."""
    now, then = r.choice(p.doings)
    slots = {"h": h, "f": f, "p": p, "now": now, "then": then}
    slots |= {"x": r.choice(words.THINGS), "c": r.choice(words.COLOURS), "e": r.choice(words.FOODS), "s": r.choice(SKILLS)}
    first, *middle, last = PLOTS[plot or r.choice(tuple(PLOTS))]
    if n < 4:
        middle = r.sample(middle, n - 2)
    return [say(r, forms, **slots) for forms in (first, *middle, last)]


def other(r: Random, t: Town, people: tuple[Person, ...], *taken: Being) -> Being:
    """Somebody else, a person or an animal."""
    while (who := r.choice(people if r.random() < 0.4 else t.animals)) in taken:
        pass
    return who
