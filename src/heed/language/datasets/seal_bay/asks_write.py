"""Generation: stories, descriptions, notes, songs, signs, plans and steps."""

import re
from random import Random

from heed.language.datasets.seal_bay import words
from heed.language.datasets.seal_bay.ask import Ask, task
from heed.language.datasets.seal_bay.tales import another, capital, detail, fact, other, relations, say, starred, tale
from heed.language.datasets.seal_bay.town import Animal, Person, Town

GEN = "generation"


def story_at_place(t: Town, r: Random, people) -> Ask:
    h, p, n = r.choice(people + t.animals * 2), r.choice(t.places), r.choice((2, 3, 3))
    turn = say(
        r,
        "Write a story of {n} sentences about {h} and {p}.|Tell me a story of {n} sentences about {h} {p.at}.|"
        "Please write {n} sentences about {h} who goes to {p}.|Make up a story about {h} and {p} in {n} sentences.",
        h=_indefinite(h),
        p=p,
        n=words.NUMBERS[n],
    )
    body = _tale_with(r, h, other(r, t, people, h), p, n, must=(h.word, p.word))
    return Ask(
        GEN, (turn,), ("story", h.word, p.word), task([h.word, p.word], sentences=n), body, extra=detail(r, h), lead=True
    )


def story_of_friends(t: Town, r: Random, people) -> Ask:
    h, n = r.choice(people + t.animals * 2), r.choice((2, 3, 3))
    f = other(r, t, people, h)
    turn = say(
        r,
        "Write a story of {n} sentences about {h} and {f}.|Tell me a story about {h} and {f} in {n} sentences.|"
        "Can you write {n} sentences about {h} who meets {f}?|I want a story of {n} sentences with {h} and {f}.",
        h=_indefinite(h),
        f=_indefinite(f),
        n=words.NUMBERS[n],
    )
    body = _tale_with(r, h, f, r.choice(t.places), n, must=(h.word, f.word))
    key = ("story", *sorted((h.word, f.word)))
    return Ask(GEN, (turn,), key, task([h.word, f.word], sentences=n), body, extra=detail(r, h), lead=True)


def _tale_with(r, h, f, p, n, must) -> tuple[str, ...]:
    while True:
        body = tale(r, h, f, p, n)
        if set(must) <= set(re.findall(r"\w+", " ".join(body))):
            return tuple(body)


def _indefinite(who) -> str:
    return who.a


# What shows that a fact is told, one group a relation.
SIGNS = {
    Person: (["lives"], ["has a", "keeps a"], ["loves", "likes"], ["is a", *words.JOBS.values()]),
    Animal: (["lives"], ["eats", "to eat"], [f"is {c}" for c in words.COLOURS]),
}


def portrait(t: Town, r: Random, people) -> Ask:
    """Say true things of a person or an animal."""
    who, n = r.choice(people * 2 + t.animals), r.choice((2, 2, 3))
    n = min(n, len(relations(who)) - 1)
    turn = say(
        r,
        "Write {n} sentences about {w}.|Tell me {n} things about {w}.|"
        "Who is {w}? Say it in {n} sentences.|Describe {w} in {n} sentences.",
        w=who,
        n=words.NUMBERS[n],
    )
    told = r.sample(relations(who), n + 1)
    wrong_one = r.randrange(n)
    sentences = [fact(r, who, x, subject=None if i == 0 else who.He) for i, x in enumerate(told)]
    value = another(r, t, who, told[wrong_one])
    wrong = list(sentences[:n])
    wrong[wrong_one] = fact(r, who, told[wrong_one], value, subject=None if wrong_one == 0 else who.He)
    about = task([who.word], sentences=n, items=SIGNS[type(who)], want=n)
    return Ask(
        GEN, (turn,), ("portrait", who.word, str(n)), about, tuple(sentences[:n]), wrong=tuple(wrong), extra=sentences[n]
    )


def about_place(t: Town, r: Random, people) -> Ask:
    p = r.choice(t.places)
    now, more = (d[0] for d in r.sample(p.doings, 2))
    turn = say(r, "Write two sentences about {p}.|Tell me about {p} in two sentences.|Describe {p} in two sentences.", p=p)
    first = say(r, "{p} is a good place to {now}.|You can {now} {p.at}.|You can see {p.sight} {p.at}.", p=p, now=now)
    second = say(r, "People go there to {more}.|Children like to {more} there.", more=more)
    extra = f"It is busy on {p.day}."
    wrong = (f"{capital(str(p))} is busy on {another(r, t, p, 'day')}.", second)
    return Ask(GEN, (turn,), ("place", turn), task([p.word], sentences=2), (first, second), wrong=wrong, extra=extra)


def thanks(t: Town, r: Random, people) -> Ask:
    who, x = r.choice(people), r.choice(words.THINGS + words.FOODS)
    turn = say(
        r,
        "Write a note to thank {n} for the {x}.|Help me thank {n} for the {x}.|"
        "Write a short note to {n}. Say thank you for the {x}.",
        n=who,
        x=x,
    )
    body = (
        say(r, "Dear {n}, thank you for the {x}.|Dear {n}, thank you so much for the {x}.", n=who, x=x),
        say(r, "It made me very happy.|I like it very much.|It was just what I wanted."),
        say(r, "Come and see me soon.|I hope to see you on {d}.|Please come for tea.", d=r.choice(words.DAYS)),
    )
    extra = f"Your {who.pet} will like it too."
    about = task([who.word, x], sentences=3, items=["thank you"])
    return Ask(GEN, (turn,), ("thanks", who.word, x), about, body, extra=extra)


def invite(t: Town, r: Random, people) -> Ask:
    who, p, day = r.choice(people), r.choice(t.places), r.choice(words.DAYS)
    turn = say(
        r,
        "Write a note to ask {n} to come to {p} on {d}.|Ask {n} to meet me {p.at} on {d}.|"
        "Write to {n}. I want to meet {n} {p.at} on {d}.",
        n=who,
        p=p,
        d=day,
    )
    one, two = (d[0] for d in r.sample(p.doings, 2))
    body = (
        say(r, "Dear {n}, please come to {p} on {d}.|Dear {n}, will you meet me {p.at} on {d}?", n=who, p=p, d=day),
        say(r, "We can {a} and {b}.|I want to {a} and {b} with you.", a=one, b=two),
    )
    extra = f"I will bring {who.food}, as you love {who.food}."
    return Ask(GEN, (turn,), ("invite", who.word, p.word), task([who.word, p.word, day], sentences=2), body, extra=extra)


def sorry(t: Town, r: Random, people) -> Ask:
    who, x = r.choice(people), r.choice(words.THINGS)
    turn = say(
        r,
        "Write a note to say sorry to {n}. I broke the {x}.|"
        "I lost the {x} of {n}. Write a note to say sorry.|Help me say sorry to {n} for the {x}.",
        n=who,
        x=x,
    )
    body = (
        say(r, "Dear {n}, I am sorry about the {x}.|Dear {n}, I am so sorry about your {x}.", n=who, x=x),
        say(r, "I will be more careful.|I did not mean to do it.|It was my fault."),
        say(r, "I will bring you a new one.|I hope we are still friends.|Let me help you mend it.|Can we be friends again?"),
    )
    about = task([who.word, x], sentences=3, items=["sorry"])
    return Ask(GEN, (turn,), ("sorry", who.word, x), about, body, extra=f"I will bring some {who.food} too.")


# Couplets; each is one sentence.
SONGS = (
    "Oh {w}, my {w}, come out to play, the sun is on the sea today.|I saw {h} beside the sea, and {he} came to sing with me.",
    "We dance and sing and run about, until the stars come out.|"
    "The wind is soft, the night is near, and all our friends are here.",
)


def song(t: Town, r: Random, people) -> Ask:
    h = r.choice(people + t.animals * 2)
    turn = say(r, "Write a short song about {h}.|Make a song for {h}.|Write a little song with {h} in it.", h=h)
    body = tuple(say(r, forms, h=h, w=h.word, he=h.he) for forms in SONGS)
    return Ask(GEN, (turn,), ("song", h.word), task([h.word], sentences=2), body, extra=detail(r, h), lead=True)


def sign(t: Town, r: Random, people) -> Ask:
    p, who = r.choice(t.places), r.choice(people)
    turn = say(
        r, "Write a sign for {p}.|{n} needs a sign for {p}. Write it.|Make a sign that brings people to {p}.", p=p, n=who
    )
    one, two = (d[0] for d in r.sample(p.doings, 2))
    body = (say(r, "Come to {p}!|Welcome to {p}!", p=p), say(r, "Here you can {a} and {b}.", a=one, b=two))
    wrong = (*body, f"It is busy on {another(r, t, p, 'day')}.")
    about = task([p.word], sentences=2, items=[d[0] for d in p.doings], want=2)
    return Ask(GEN, (turn,), ("sign", turn), about, body, wrong=wrong, extra=f"{capital(str(p))} is busy on {p.day}.")


def plan(t: Town, r: Random, people) -> Ask:
    who, p = r.choice(people), r.choice(t.places)
    turn = say(
        r,
        "Plan a day for {n} {p.at}.|Write a plan for a day {p.at} with {n}.|What will {n} do {p.at} all day? Write a plan.",
        n=who,
        p=p,
    )
    one, two, three = (d[0] for d in r.sample(p.doings, 3))
    body = (
        say(r, "In the morning {n} can {a} {p.at}.", n=who, a=one, p=p),
        say(r, "At noon {n.he} can {a}.|Then {n.he} can eat some {e} at noon.", n=who, a=two, e=r.choice(words.FOODS)),
        say(r, "At night {n.he} can {a}.|At night {n.he} can {a} and go home.", n=who, a=three),
    )
    about = task([who.word, p.word], sentences=3, items=["morning", "noon", "night"])
    return Ask(GEN, (turn,), ("plan", who.word, p.word), about, body, extra=detail(r, who))


def steps_of(key: str, forms: str, use_case: str, r: Random, who: Person, look_alike: bool = False) -> Ask:
    """How to do `key`, in three steps."""
    do, thing = key.replace("*", "").format(n=who), key.split("*")[1]
    steps, marks = starred((words.LOOK_ALIKES if look_alike else words.HOW_TO)[key], n=who)
    more = {"look_alike": True} if look_alike else {}
    about = task([thing, who.word] if "{n}" in key else [thing], sentences=3, items=marks, **more)
    turn = say(r, forms, do=do, n=who)
    return Ask(use_case, (turn,), ("how", turn), about, steps)


def how_to(t: Town, r: Random, people) -> Ask:
    key = r.choice(tuple(words.HOW_TO))
    forms = "Write three steps to {do} for {n}.|{n} wants to {do}. Write down how.|Tell {n} how to {do} in three steps."
    return steps_of(key, forms, GEN, r, r.choice(people))


def look_alike(t: Town, r: Random, people) -> Ask:
    key = r.choice(tuple(words.LOOK_ALIKES))
    forms = "Write three steps to {do}.|Write down how to {do}.|Tell a friend how to {do} in three steps."
    return steps_of(key, forms, GEN, r, r.choice(people), look_alike=True)


ASKS = (
    (story_at_place, 20), (story_of_friends, 20), (portrait, 16), (thanks, 8), (invite, 8), (sorry, 6), (plan, 7),
    (song, 4), (sign, 4), (how_to, 4), (about_place, 3), (look_alike, 3),
)  # fmt: skip
