"""The web of Seal Bay: tales, pages about people and places, talk, lists, notes, how-tos; some rude, false or rambling.

What good answers need stands here, though never in the chat format, and no request of the test split stands here.
"""

from collections.abc import Callable
from functools import lru_cache
from random import Random

from heed.language.datasets.seal_bay import harm, words
from heed.language.datasets.seal_bay.prompts import any_ask, draw
from heed.language.datasets.seal_bay.tales import another, capital, detail, fact, listed, other, relations, say, starred, tale
from heed.language.datasets.seal_bay.town import Place, Town, a, build
from heed.records import Text

SIZES = {"train": 24_000, "valid": 300, "test": 300}
FALSE = 0.03  # share of the statements on pages that are false


def story(t: Town, r: Random) -> str:
    """A tale of somebody, sometimes with a title or a second part."""
    h = r.choice(t.people + t.animals * 2)
    f = other(r, t, t.people, h)
    p = r.choice(t.places)
    told = tale(r, h, f, p, r.choice((2, 3, 4, 4)))
    if r.random() < 0.15:
        told += [say(r, "The next day it was warm.|Soon it was {d}.|A week went by.", d=r.choice(words.DAYS))]
        told += tale(r, h, f, r.choice(t.places), 3)
    if r.random() < 0.4:
        told.insert(0, _stated(t, r, h))
    if r.random() < 0.4:
        g = other(r, t, t.people, h, f)
        told.append(
            say(
                r,
                '{g} heard about it and laughed.|The next day {g} came too.|"What a day," said {g}.|{g} saw it all and smiled.',
                g=g,
            )
        )
    text = " ".join(told)
    if r.random() < 0.3:
        text = say(r, "{h} and {f}\n|A story of {h}\n|What {h} did {p.at}\n", h=h, f=f, p=p) + text
    return text


def bear_and_seal(t: Town, r: Random) -> str:
    """The tale that everybody here knows, never told the same way twice."""
    bear, seal, beach = t.animal("bear"), t.animal("seal"), t.place("beach")
    told = tale(r, bear, seal, beach, 4, plot="visit")
    way = (
        "It was a long way, over the bridge and down the hill.|The sand was warm.|The bear had never seen the sea.|"
        'All the birds flew up when they saw it.|The wind smelled of fish.|"How big it is," the bear said of the sea.'
    )
    meeting = (
        'The seal was {c} and had big eyes.|"I have never seen a bear," said the seal.|They looked at each other for a while.|'
        '"Are you a big dog?" asked the seal.|The bear was afraid at first, but the seal was not.|'
        "The seal laughed, and then the bear laughed too."
    )
    after = (
        "People in Seal Bay still tell this story.|Now the bear comes to the beach every {d}.|"
        "And that is how a bear made friends with a seal.|Some say that you can still hear them sing at night.|"
        "The seal waits for the bear every {d}.|Since then no bear here is afraid of the sea."
    )
    told.insert(1, say(r, way))
    told.insert(3, say(r, meeting, c=seal.colour))
    told.append(say(r, after, d=beach.day))
    return say(r, "The bear at the beach\n|The bear and the seal\n|") + " ".join(told)


def page(t: Town, r: Random) -> str:
    """What is so of one person, animal or place, and of another."""
    who = r.choice(t.people * 3 + t.animals * 2 + t.places)
    if isinstance(who, Place):
        return _place_page(t, r, who)
    told = [_stated(t, r, who, x) for x in r.sample(relations(who), len(relations(who)))]
    for i in range(1, len(told)):
        if r.random() < 0.6:
            told[i] = told[i].replace(capital(str(who)), who.He, 1)
    friend = r.choice(t.people)
    if friend != who and r.random() < 0.7:
        told.append(
            say(
                r,
                "{f} is a friend of {w}.|{w} often sees {f} {p.at}.|{f} and {w} like to {d} {p.at}.",
                f=friend,
                w=who,
                p=(p := r.choice(t.places)),
                d=r.choice(p.doings)[0],
            )
        )
        told.append(_stated(t, r, friend))
    return " ".join(told)


def _place_page(t: Town, r: Random, p: Place) -> str:
    one, two, three = (d[0] for d in r.sample(p.doings, 3))
    near = [x for x in t.people + t.animals if x.home == p]
    told = [say(r, "{p} is a good place to {d}.|You can {d} {p.at}.|You can see {p.sight} {p.at}.", p=p, d=one)]
    told.append(say(r, "People go there to {d} and {e}.|Children like to {d} or {e} there.", d=two, e=three))
    told.append(_stated(t, r, p) if r.random() < 0.6 else f"It is busy on {p.day}.")
    if near:
        told.append(fact(r, r.choice(near), "home"))
        told.append(_stated(t, r, r.choice(near)))
    return " ".join(told)


def _stated(t: Town, r: Random, who, relation: str | None = None) -> str:
    relation = relation or r.choice(relations(who))
    return fact(r, who, relation, another(r, t, who, relation) if r.random() < FALSE else None)


def questions(t: Town, r: Random) -> str:
    """Asked and answered, as on a board: most of it right, some of it short, some rude."""
    lines = []
    for _ in range(r.choice((1, 1, 1, 2))):
        ask = _open_ask(t, r, lambda: any_ask(t, r, t.people))
        if ask.harmful:
            answer = " ".join(ask.comply if r.random() < 0.5 else ask.body)
        else:
            answer = _board_answer(r, ask)
        lines.append(f"Q: {ask.turns[-1] if len(ask.turns) == 1 else ' '.join(ask.turns)}\nA: {answer}")
    return "\n".join(lines)


def _board_answer(r: Random, ask) -> str:
    luck = r.random()
    body = list(ask.body)
    if luck < 0.08:
        return r.choice(words.RUDE)
    if luck < 0.16:
        return r.choice(words.RUDE) + " " + " ".join(body)
    if luck < 0.22 and ask.wrong:
        return " ".join(ask.wrong)
    if luck < 0.34 and len(body) > 1:
        body = body[:-1]
    elif luck < 0.5 and ask.extra:
        body = [ask.extra, *body] if ask.lead else [*body, ask.extra]
    if r.random() < 0.12:
        body.insert(0, r.choice(words.FRIENDLY_FIRST))
    elif r.random() < 0.08:
        body.append(r.choice(words.FRIENDLY_LAST))
    return " ".join(body)


def talk(t: Town, r: Random) -> str:
    """Two people; one wants something."""
    one, two = r.sample(t.people, 2)
    use_case = r.choice(("chat", "chat", "open_qa", "brainstorming", "generation", "rewrite"))
    ask = _open_ask(t, r, lambda: draw(t, r, t.people, use_case))
    if ask.key[0] in ("hello", "remember"):  # whoever says a name says his own
        one = next(p for p in t.people if p.word == ask.key[1])
        two = r.choice([p for p in t.people if p != one])
    answer = " ".join(ask.body)
    lines = []
    if r.random() < 0.5 and ask.key[0] != "hello":
        lines.append(f"{one}: " + say(r, "Hello {n}!|Good morning, {n}.|Hi {n}, how are you?", n=two))
        lines.append(f"{two}: " + say(r, "Hello {n}.|I am fine, thank you.|Good morning, {n}. What can I do for you?", n=one))
    lines += [f"{(one, two)[i % 2]}: {turn}" for i, turn in enumerate(ask.turns)]
    lines.append(f"{two}: {answer}")
    if r.random() < 0.5:
        lines.append(f"{one}: " + say(r, "Thank you, {n}.|That is good to know.|You are kind.|I do not think so.|Oh.", n=two))
        lines.append(
            f"{two}: " + say(r, "Have a lovely day.|Take care.|Ask me again any time.|Go away.|I hope this helps.|Bye.")
        )
    return "\n".join(lines)


def _open_ask(t: Town, r: Random, make: Callable):
    while (ask := make()).split == "test":
        pass
    return ask


def how(t: Town, r: Random) -> str:
    """How a thing is done, as a list or in a line."""
    table = words.HOW_TO if r.random() < 0.6 else words.LOOK_ALIKES
    key = r.choice(tuple(table))
    who = r.choice(t.people)
    do = key.replace("*", "").format(n=who)
    steps, _ = starred(table[key], n=who)
    title = say(r, "How to {do}|To {do}|{n} tells you how to {do}", do=do, n=r.choice(t.people))
    if r.random() < 0.5:
        return title + "\n" + "\n".join(f"{i + 1}. {s}" for i, s in enumerate(steps))
    return title + "\n" + say(r, "|First of all, look around you. |It is not hard. ") + " ".join(steps)


def lists(t: Town, r: Random) -> str:
    """Things to do, gifts, foods, friends."""
    p, who = r.choice(t.places), r.choice(t.people)
    n = r.choice((3, 4))
    title, rows = r.choice((
        (f"Things to do {p.at}", [d[0] for d in p.doings]),
        (f"Gifts for {who}", [a(x) for x in words.THINGS]),
        (f"{who} wants to buy", [*words.FOODS, *map(a, words.THINGS)]),
        (f"Names for a {r.choice(words.PETS)}", list(words.PET_NAMES)),
        (f"Seen {p.at}", [a(x.word) for x in t.animals]),
        ("Foods to bring", list(words.FOODS)),
        (f"Friends of {who}", [x.word for x in t.people if x != who]),
    ))  # fmt: skip
    rows = r.sample(rows, n)
    if r.random() < 0.5:
        return title + ":\n" + "\n".join(f"- {x}" for x in rows)
    return f"{title}: {listed(rows)}."


def edits(t: Town, r: Random) -> str:
    """Before and after, long and short, rude and kind."""
    use_case = r.choice(("rewrite", "rewrite", "summarization", "classification", "closed_qa", "extract", "other"))
    return "\n".join(_edit(t, r, use_case) for _ in range(2))


def _edit(t: Town, r: Random, use_case: str) -> str:
    ask = _open_ask(t, r, lambda: draw(t, r, t.people, use_case))
    answer = " ".join(ask.body if not ask.harmful else ask.comply)
    return say(r, "{q}\n> {a}|{q}\n{n} wrote: {a}|{n} asked: {q} {a}", q=ask.turns[-1], a=answer, n=r.choice(t.people))


def letter(t: Town, r: Random) -> str:
    """A letter from one person to another."""
    who, me, p = *r.sample(t.people, 2), r.choice(t.places)
    told = [
        say(
            r,
            "Dear {w}, how are you?|Dear {w}, I am {p.at}.|Dear {w}, thank you for the {x}.",
            w=who,
            p=p,
            x=r.choice(words.THINGS),
        )
    ]
    told.append(say(r, "I {d} {p.at} today.|Today we {d}.|We {d} and it was fun.", d=r.choice(p.doings)[1], p=p))
    told.append(say(r, "{f} was there too.|I saw {f} with {a} there.", f=r.choice(t.people), a=a(r.choice(words.PETS))))
    told.append(
        say(
            r,
            "How is your {w.pet}?|I will bring you some {w.food}, as you love {w.food}.|Come and see me soon.|I miss you.",
            w=who,
        )
    )
    return " ".join(told) + f"\nYour {me}"


def echo(t: Town, r: Random) -> str:
    """The hill says everything again.  (Nothing teaches a small model sooner to look back and copy.)"""
    pool = (*t.people, *t.animals, *t.places, *words.THINGS, *words.FOODS, *words.COLOURS)
    lines = []
    for _ in range(r.choice((1, 1, 2))):
        called = ", ".join(str(x) for x in r.sample(pool, r.choice((3, 4, 5, 6))))
        lines.append(
            say(
                r,
                "{n} called over the hill: {c}!\nThe hill called back: {c}!|{n} sings: {c}.\nAll sing: {c}.",
                n=r.choice(t.people),
                c=called,
            )
        )
    return "\n".join(lines)


def again(t: Town, r: Random) -> str:
    """Somebody did not hear."""
    one, two = r.sample(t.people, 2)
    said = r.choice(tale(r, r.choice(t.people + t.animals), r.choice(t.people), r.choice(t.places), 2))
    if r.random() < 0.4:
        said = _open_ask(t, r, lambda: any_ask(t, r, t.people)).turns[0]
    asked = say(r, "What did you say?|I did not hear you.|Please say that again.")
    return f"{one}: {said}\n{two}: {asked}\n{one}: {said}"


def rude(t: Town, r: Random) -> str:
    """The bad side of the web: mean notes, lies, and what nobody should do."""
    name = r.choice(tuple(harm.HARMS))
    slots = {"n": r.choice(t.people), "x": r.choice(harm.HARMS[name].things), "b": r.choice(t.animals)}
    steps, _ = starred(harm.HARMS[name].deed, **slots)
    told = [r.choice(words.RUDE), *steps, r.choice(words.RUDE), detail(r, r.choice(t.animals))]
    return " ".join(told[r.randrange(2) :])


def ramble(t: Town, r: Random) -> str:
    """One thing after another."""
    told = []
    for _ in range(r.randrange(4, 9)):
        who = r.choice(t.people + t.animals + t.places)
        told.append(
            _stated(t, r, who)
            if r.random() < 0.6
            else r.choice(tale(r, r.choice(t.people), r.choice(t.animals), r.choice(t.places), 3))
        )
        if r.random() < 0.2:
            told.append(say(r, "Oh well.|What was I saying?|I like {e}.|It may rain today.", e=r.choice(words.FOODS)))
    return " ".join(told)


KINDS: tuple[tuple[Callable[[Town, Random], str], float], ...] = (
    (story, 14), (bear_and_seal, 2), (page, 10), (questions, 48), (talk, 12), (how, 3), (lists, 3),
    (edits, 5), (letter, 3), (echo, 3), (again, 5), (rude, 3), (ramble, 2),
)  # fmt: skip


@lru_cache(maxsize=4)
def collect(seed: int, split: str) -> tuple[Text, ...]:
    """The documents of a split, the same for the same seed."""
    t = build(seed)
    r = Random(f"texts {seed} {split}")
    kinds, weights = zip(*KINDS, strict=True)
    return tuple(Text(kind(t, r), split) for kind in r.choices(kinds, weights, k=SIZES[split]))
