"""Asks with a right answer: open and closed questions, classification, extraction, and the odd ones (other)."""

from random import Random

from heed.language.datasets.seal_bay import words
from heed.language.datasets.seal_bay.ask import Ask, task
from heed.language.datasets.seal_bay.asks_write import steps_of
from heed.language.datasets.seal_bay.tales import another, capital, detail, fact, listed, relations, rivals, say
from heed.language.datasets.seal_bay.town import Animal, Town, a

QUESTIONS = {
    "job": "What does {w} do all day?|What is the job of {w}?|What work does {w} do?",
    "home": "Where does {w} live?|Where is the home of {w}?|Where can I find {w}?",
    "pet": "What pet does {w} have?|Which pet lives with {w}?|Does {w} have a pet?",
    "food": "What food does {w} love?|What does {w} like to eat?|What can I cook for {w}?",
    "eats": "What does {w} eat?|What food does {w} like?",
    "colour": "What colour is {w}?|Can you tell me the colour of {w}?",
    "day": "When is {w} busy?|On which day is {w} busy?|When do most people go to {w}?",
}


def question(t: Town, r: Random, people) -> Ask:
    """One fact of one person, animal or place."""
    who = r.choice(people * 3 + t.animals * 2 + t.places)
    relation = r.choice(relations(who))
    forms = QUESTIONS["eats" if isinstance(who, Animal) and relation == "food" else relation]
    body, wrong = (plain_fact(who, relation, v) for v in (getattr(who, relation), another(r, t, who, relation)))
    return Ask(
        "open_qa",
        (say(r, forms, w=who),),
        ("fact", who.word, relation),
        fact_task([who.word], t, who, relation),
        (body,),
        wrong=(wrong,),
        extra=beside(r, who, relation),
    )


def plain_fact(who, relation: str, value, subject: str | None = None) -> str:
    """The answer that names the value: "Ann is a baker", not "Ann bakes bread"."""
    forms = {"job": "{s} is a {v}.", "home": "{s} lives {v.at}.", "pet": "{s} has a {v}.", "food": "{s} loves {v}."}
    forms |= {"colour": "{s} is {v}.", "day": "{s} is busy on {v}."}
    form = "{s} eats {v}." if isinstance(who, Animal) and relation == "food" else forms[relation]
    return form.format(s=subject or capital(str(who)), v=value)


def fact_task(about: list, t: Town, who, relation: str) -> dict:
    """The task of telling one fact: any other value of its kind is wrong."""
    right, *wrong = (getattr(v, "word", v) for v in (getattr(who, relation), *rivals(t, who, relation)))
    return task(about, answer=[right], rivals=wrong)


def beside(r: Random, who, relation: str) -> str:
    """One more true thing of `who`, which does not say a second job, home, pet, food, colour or day."""
    left = [x for x in relations(who) if x != relation and {x, relation} != {"job", "food"}]
    return fact(r, who, r.choice(left), subject=who.He) if left else f"People go there to {r.choice(who.doings)[0]}."


def who_question(t: Town, r: Random, people) -> Ask:
    """Who is the baker?  Any of those who are is right."""
    one = r.choice(people)
    relation = r.choice(("job", "pet"))
    value = getattr(one, relation)
    forms = (
        "Who is a {v}?|Who is the {v} in Seal Bay?|I need a {v}. Who can help?"
        if relation == "job"
        else "Who has a {v}?|Who keeps a {v} in Seal Bay?"
    )
    right = [p.word for p in t.people if getattr(p, relation) == value]
    false = r.choice([p for p in people if getattr(p, relation) != value])
    about = task([value], answer=right, rivals=[p.word for p in t.people if p.word not in right])
    form = "{s} is a {v}." if relation == "job" else "{s} has a {v}."
    extra = fact(r, one, "home", subject=one.He)
    body, wrong = (form.format(s=one, v=value),), (form.format(s=false, v=value),)
    return Ask("open_qa", (say(r, forms, v=value),), ("who", relation, value), about, body, wrong=wrong, extra=extra)


def how_question(t: Town, r: Random, people) -> Ask:
    key = r.choice(tuple(words.HOW_TO))
    forms = (
        "How do I {do}?|How can {n} {do}? Give me three steps.|Please tell me how to {do}.|"
        "{n} does not know how to {do}. How is it done?"
    )
    return steps_of(key, forms, "open_qa", r, r.choice(people))


def look_alike_question(t: Town, r: Random, people) -> Ask:
    key = r.choice(tuple(words.LOOK_ALIKES))
    forms = "How do I {do}?|How can I {do}?|Please tell me how to {do}.|I want to {do}. How is it done?"
    return steps_of(key, forms, "open_qa", r, r.choice(people), look_alike=True)


def count_in_text(t: Town, r: Random, people) -> Ask:
    """A number that stands in the text."""
    one, two = r.sample(people, 2)
    x, y = r.sample(words.THINGS, 2)
    n, m = r.sample((2, 3, 4, 5, 6), 2)
    text = f"{one} has {words.NUMBERS[n]} {x}s. {two} has {words.NUMBERS[m]} {y}s."
    turn = say(r, "{text} How many {x}s does {one} have?|Read this: {text} How many {x}s are there?", text=text, one=one, x=x)
    body, wrong = (f"{one} has {words.NUMBERS[n]} {x}s.",), (f"{one} has {words.NUMBERS[m]} {x}s.",)
    about = task([one.word, x + "s"], answer=[words.NUMBERS[n]], rivals=[w for w in words.NUMBERS if w != words.NUMBERS[n]])
    return Ask("closed_qa", (turn,), ("count", one.word, x), about, body, wrong=wrong)


def who_in_text(t: Town, r: Random, people) -> Ask:
    """Who did it, or where, according to the text."""
    one, two = r.sample(people, 2)
    p, q = r.sample(t.places, 2)
    x = r.choice(words.THINGS)
    text = f"{one} took the {x} to {p}. {two} went to {q}."
    if r.random() < 0.5:
        turn = say(r, "{text} Who took the {x}?|Read this: {text} Who has the {x}?", text=text, x=x)
        body, wrong = (f"{one} took the {x}.",), (f"{two} took the {x}.",)
        about = task([x], answer=[one.word], rivals=[x.word for x in t.people if x != one])
        extra = f"{one.He} took it to {p}."
    else:
        turn = say(r, "{text} Where is the {x} now?|Read this: {text} Where is the {x}?", text=text, x=x)
        body, wrong = (f"The {x} is {p.at}.",), (f"The {x} is {q.at}.",)
        about = task([x], answer=[p.word], rivals=[x.word for x in t.places if x != p])
        extra = f"{one} took it there."
    return Ask("closed_qa", (turn,), ("text", one.word, x, p.word), about, body, wrong=wrong, extra=extra)


SAID = {
    "kind": "Thank you for the {x}, {n}.|May I help you, {n}?|What a fine {x} you have, {n}!|Please come in, {n}.",
    "rude": "Give me the {x}, {n}!|You are slow, {n}.|Go away, {n}.|Your {x} is ugly, {n}.",
}


def kind_or_rude(t: Town, r: Random, people) -> Ask:
    n, x, label = r.choice(people), r.choice(words.THINGS), r.choice(("kind", "rude"))
    said = say(r, SAID[label], n=n, x=x)
    turn = say(r, "Is this kind or rude? {s}|Kind or rude: {s}|Tell me if this is kind or rude. {s}", s=said)
    false = "rude" if label == "kind" else "kind"
    extra = (
        say(r, "It would make {n} smile.|{n} would like it.", n=n)
        if label == "kind"
        else say(r, "It would make {n} sad.|{n} would not like it.", n=n)
    )
    about = task([["this", "it"]], answer=[label], rivals=[false])
    return Ask(
        "classification", (turn,), ("manners", said), about, (f"This is {label}.",), wrong=(f"This is {false}.",), extra=extra
    )


GROUPS = {
    "animal": tuple(words.ANIMALS),
    "food": tuple(x for x in words.FOODS if x[-1] != "s"),
    "place": tuple(words.PLACES),
    "thing": words.THINGS,
}


def sort_of(t: Town, r: Random, people) -> Ask:
    right, false = r.sample(sorted(GROUPS), 2)
    word = r.choice(GROUPS[right])
    n = r.choice(people)
    one, two = r.sample((right, false), 2)
    shown = word if right == "food" else f"the {word}"
    turn = say(
        r,
        "Is {w} {one} or {two}?|{n} asks if {w} is {one} or {two}.|What is {w}, {one} or {two}?",
        w=shown,
        n=n,
        one=_kind(one),
        two=_kind(two),
    )
    form = "{s} is {k}."
    about = task([word], answer=[right], rivals=[g for g in GROUPS if g != right])
    body = (capital(form.format(s=shown, k=_kind(right))),)
    wrong = (capital(form.format(s=shown, k=_kind(false))),)
    return Ask("classification", (turn,), ("sort", word, one, two), about, body, wrong=wrong, extra=_about(t, r, word))


def _about(t: Town, r: Random, word: str) -> str:
    """One true thing of an animal, a place or a food."""
    if word in words.FOODS:
        return f"{r.choice([p for p in t.people if p.food == word and not p.held_out] or t.people)} loves {word}."
    known = [x for x in t.animals + t.places if x.word == word]
    return detail(r, known[0]) if known else ""


def _kind(group: str) -> str:
    return "food" if group == "food" else a(group)


def find_all(t: Town, r: Random, people) -> Ask:
    """Pick the animals, the places or the people out of a text."""
    n = r.choice((2, 3))
    animals, place, who = r.sample(t.animals, n), r.choice(t.places), r.choice(people)
    food, x = r.choice(words.FOODS), r.choice(words.THINGS)
    seen = listed([a(y.word) for y in animals])
    text = say(
        r,
        "{who} saw {seen} {p.at}. {he} had a {x}.|{p.at} {who} saw {seen}. {he} ate {food}.",
        who=who,
        seen=seen,
        p=place,
        x=x,
        he=who.He,
        food=food,
    )
    turn = say(
        r, "Which animals are in this text? {text}|Find the animals: {text}|List all animals in this text. {text}", text=text
    )
    others = [y.word for y in t.animals if y not in animals]
    body = (say(r, "The animals are {s}.|I see {s}.", s=listed([str(y) for y in animals])),)
    short = (say(r, "The animals are {s}.|I see {s}.", s=listed([str(y) for y in animals[:-1]])),)
    wrong = (f"The animals are {listed([str(y) for y in animals[:-1]] + ['the ' + r.choice(others)])}.",)
    about = task([[y.word for y in animals]], items=[y.word for y in animals], answer=[animals[-1].word], rivals=others)
    return Ask(
        "extract",
        (turn,),
        ("find", who.word, *(y.word for y in animals)),
        about,
        body,
        short,
        wrong,
        extra=f"{who} saw them {place.at}.",
    )


def bigger(t: Town, r: Random, people) -> Ask:
    x, y = r.sample(t.animals, 2)
    big, small = (x, y) if x.size > y.size else (y, x)
    turn = say(r, "Which is bigger, {x} or {y}?|Is {x} bigger than {y}?|Tell me which one is bigger, {x} or {y}.", x=x, y=y)
    about = task(
        [x.word, y.word],
        answer=[f"{big.word} is bigger", f"{small.word} is smaller"],
        rivals=[f"{small.word} is bigger", f"{big.word} is smaller"],
    )
    body, wrong = (f"{capital(str(big))} is bigger than {small}.",), (f"{capital(str(small))} is bigger than {big}.",)
    return Ask("other", (turn,), ("bigger", *sorted((x.word, y.word))), about, body, wrong=wrong, extra=detail(r, big))


def next_one(t: Town, r: Random, people) -> Ask:
    who = r.choice(people)
    series = r.choice((words.DAYS, words.NUMBERS[1:]))
    i = r.randrange(1, len(series) - 1)
    before, now, after = series[i - 1], series[i], series[i + 1]
    turn = say(
        r,
        "{n} says {b}, {c}. What comes next?|What comes after {c}? {n} wants to know.|{n} counts {b}, {c}. Which is next?",
        n=who,
        b=before,
        c=now,
    )
    about = task([["next", "comes"]], answer=[after], rivals=[x for x in series if x not in (now, after)])
    body, wrong = (f"Next comes {after}.",), (f"Next comes {r.choice([x for x in series if x not in (before, now, after)])}.",)
    return Ask("other", (turn,), ("next", now, who.word), about, body, wrong=wrong, extra=f"It comes after {now}.")


def speak_to(t: Town, r: Random, people) -> Ask:
    who, p = r.choice(people), r.choice(t.places)
    turn = say(r, "Say hello to {n} {p.at}.|Wish {n} a good day {p.at}.|Greet {n} for me {p.at}.", n=who, p=p)
    body = (say(r, "Hello {n}, I wish you a good day {p.at}!|Good morning {n}, it is good to see you {p.at}!", n=who, p=p),)
    return Ask("other", (turn,), ("greet", who.word, p.word), task([who.word, p.word]), body, extra=f"How is your {who.pet}?")


OPEN = ((question, 12), (who_question, 2), (how_question, 3), (look_alike_question, 3))
CLOSED = ((count_in_text, 1), (who_in_text, 1))
LABEL = ((kind_or_rude, 3), (sort_of, 2))
FIND = ((find_all, 1),)
OTHER = ((bigger, 2), (next_one, 1), (speak_to, 2))
