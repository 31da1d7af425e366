"""Rewriting and summing up: the user brings the text."""

from random import Random

from heed.language.datasets.seal_bay import words
from heed.language.datasets.seal_bay.ask import Ask, task
from heed.language.datasets.seal_bay.tales import capital, detail, say
from heed.language.datasets.seal_bay.town import Town

DEMANDS = "Give me the {x}, {n}!|Bring me the {x}, {n}!|Show me the {x}, {n}!|Hand over the {x}, {n}!|Let me have the {x}, {n}!"


def polite(t: Town, r: Random, people) -> Ask:
    x, who = r.choice(words.THINGS + words.FOODS), r.choice(people)
    turn = say(
        r, "Make this polite: {s}|Say this in a kind way: {s}|Write this in a polite way. {s}", s=say(r, DEMANDS, x=x, n=who)
    )
    forms = "Please give me the {x}, {n}.|Could I have the {x}, please, {n}?|{n}, may I please have the {x}?"
    about = task([x, who.word], answer=["please"])
    wrong = (f"Give me the {x}, {who}!",)
    return Ask("rewrite", (turn,), ("polite", x, who.word), about, (say(r, forms, x=x, n=who),), wrong=wrong)


def swap(t: Town, r: Random, people) -> Ask:
    """Another person in the same sentence."""
    one, two = r.sample(people, 2)
    slots = {"x": r.choice(words.THINGS), "p": r.choice(t.places), "c": r.choice(words.COLOURS)}
    form = say(
        r,
        "{n} took the {x} to {p}.|{n} found a {c} {x} {p.at}.|{n} left the {x} {p.at}.|{n} saw a {c} {x} {p.at}.",
        n="{n}",
        **slots,
    )
    old, new = form.format(n=one), form.format(n=two)
    forms = "Write this about {two}: {s}|Put {two} in place of {one}: {s}|Change {one} to {two}. {s}"
    turn = say(r, forms, one=one, two=two, s=old)
    about = task([slots["x"], slots["p"].word], answer=[two.word], rivals=[x.word for x in t.people if x != two])
    return Ask("rewrite", (turn,), ("swap", one.word, two.word, slots["x"]), about, (new,), wrong=(old,))


VERBS = {"walks": "walked", "runs": "ran", "goes": "went", "comes": "came"}


def past(t: Town, r: Random, people) -> Ask:
    h, p, verb = r.choice(people + t.animals), r.choice(t.places), r.choice(tuple(VERBS))
    tail = r.choice(("", f" with a {r.choice(words.THINGS)}", f" on {r.choice(words.DAYS)}"))
    now, then = (f"{capital(str(h))} {v} to {p}{tail}." for v in (verb, VERBS[verb]))
    turn = say(r, "Put this in the past: {s}|Say that this was long ago: {s}|Write this in the past. {s}", s=now)
    about = task([h.word, p.word], answer=[VERBS[verb]], rivals=[verb])
    return Ask("rewrite", (turn,), ("past", h.word, p.word, verb), about, (then,), wrong=(now,))


# What happened: in four sentences, in one, and the words that the one must have.
EVENTS = {
    "lost": (
        "{h} went to {p} with {h.his} {x}. Then the {x} was gone. {h} looked for an hour. {f} found it.",
        "{h} lost {h.his} {x} {p.at}, and {f} found it.",
        ("lost", "found"),
    ),
    "gift": (
        "{h} saw a {x} {p.at}. {h.He} thought of {f}. {h} took it home. {f} loved it.",
        "{h} found a {x} {p.at} for {f}.",
        ("found", "for"),
    ),
    "rain": (
        "{h} sat {p.at} with {f}. They ate {e}. Then it began to rain. They ran to {q}.",
        "{h} and {f} ate {e} {p.at} and ran from the rain.",
        ("ate", "rain"),
    ),
    "help": (
        "{h} was {p.at}. {f} was in a net and cried. {h} cut the net. {f} could go home.",
        "{h} helped {f} out of a net {p.at}.",
        ("helped", "net"),
    ),
    "song": (
        "{h} had a song. {h.He} sang it {p.at}. {f} came to hear it. They danced all night.",
        "{h} sang {p.at}, and {f} danced all night.",
        ("sang", "danced"),
    ),
}


def sum_up(t: Town, r: Random, people) -> Ask:
    h, f, event = r.choice(people), r.choice(t.animals), r.choice(tuple(EVENTS))
    p, q = r.sample(t.places, 2)
    slots = {"h": h, "f": f, "p": p, "q": q, "x": r.choice(words.THINGS), "e": r.choice(words.FOODS)}
    long, brief, items = EVENTS[event]
    text = " ".join(capital(s.format_map(slots)) for s in long.replace(". ", ".|").split("|"))
    turn = say(r, "Sum this up in one sentence. {s}|Say this in one sentence: {s}|What happened here, in short? {s}", s=text)
    about = task([h.word, f.word, p.word], items=items)
    body, short = (brief.format_map(slots),), (f"{h} was {p.at}.",)
    return Ask("summarization", (turn,), (event, h.word, f.word, p.word), about, body, short, extra=detail(r, h))


REWRITE = ((polite, 3), (swap, 4), (past, 4))
SUM = ((sum_up, 1),)
