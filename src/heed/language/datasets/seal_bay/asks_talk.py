"""Brainstorming, chat, rewriting and summing up."""

from random import Random

from heed.language.datasets.seal_bay import words
from heed.language.datasets.seal_bay.ask import Ask, task
from heed.language.datasets.seal_bay.asks_write import steps_of
from heed.language.datasets.seal_bay.tales import another, capital, detail, fact, listed, say
from heed.language.datasets.seal_bay.town import Town, a

IDEAS = "brainstorming"


def _ideas(r: Random, forms: str, ideas: list[str], n: int, word: str, **slots) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The answer with n ideas, and the one that stops early."""
    chosen = r.sample(ideas, n)
    form = r.choice(forms.split("|"))
    return tuple((form.format_map(slots | {"list": listed(chosen[:k], word)}),) for k in (n, max(1, n - 2)))


def things_to_do(t: Town, r: Random, people) -> Ask:
    p, n, who = r.choice(t.places), r.choice((2, 3, 3)), r.choice(people)
    turn = say(r, "Give me {n} things to do {p.at}.|What can I do {p.at} with {w}? Name {n} things.|{w} wants {n} ideas for a day {p.at}.", n=words.NUMBERS[n], p=p, w=who)
    doings = [d[0] for d in p.doings]
    about = task([p.word], items=doings, want=n)
    full, short = _ideas(r, "You can {list} {p.at}.|{P}, you can {list}.", doings, n, "or", p=p, P=p.at.capitalize())
    return Ask(IDEAS, (turn,), ("do", p.word, str(n), who.word), about, full, short, extra=f"{str(p).capitalize()} is busy on {p.day}.")


def gifts(t: Town, r: Random, people) -> Ask:
    who, n = r.choice(people), r.choice((2, 3, 3))
    turn = say(r, "Give me {n} ideas for a gift for {w}.|Name {n} gifts for {w}.|What can I give {w}? Name {n} things.|{w} has a birthday. Give me {n} ideas for a gift.", n=words.NUMBERS[n], w=who)
    about = task([who.word], items=list(words.THINGS), want=n)
    full, short = _ideas(r, "You could give {w} {list}.|{w} would like {list}.", [a(x) for x in words.THINGS], n, "or", w=who)
    return Ask(IDEAS, (turn,), ("gift", who.word, str(n)), about, full, short, extra=fact(r, who, "food"))


def picnic(t: Town, r: Random, people) -> Ask:
    who, p, n = r.choice(people), r.choice(t.places), r.choice((2, 3, 3))
    turn = say(r, "Name {n} foods to eat {p.at} with {w}.|{w} and I will eat {p.at}. Give me {n} ideas for food.", n=words.NUMBERS[n], p=p, w=who)
    about = task([who.word], items=list(words.FOODS), want=n)
    full, short = _ideas(r, "You and {w} could eat {list}.|You could bring {list} for {w}.", list(words.FOODS), n, "and", w=who)
    return Ask(IDEAS, (turn,), ("picnic", who.word, p.word), about, full, short, extra=fact(r, who, "food"))


def pet_names(t: Town, r: Random, people) -> Ask:
    who, n = r.choice(people), r.choice((2, 3))
    pet = r.choice(words.PETS)
    turn = say(r, "Give me {n} names for a {x}.|{w} has a new {x}. Give me {n} names for it.|What is a good name for a {x}? Name {n}.", n=words.NUMBERS[n], x=pet, w=who)
    about = task([pet], items=list(words.PET_NAMES), want=n)
    full, short = _ideas(r, "Good names for a {x} are {list}.|You could call the {x} {list}.", list(words.PET_NAMES), n, "or", x=pet)
    return Ask(IDEAS, (turn,), ("names", pet, who.word), about, full, short)


KIND_DEEDS = ("share your food", "help with the work", "say thank you", "sing a song", "tell a story", "listen well")


def be_kind(t: Town, r: Random, people) -> Ask:
    who, n = r.choice(people), r.choice((2, 3, 3))
    turn = say(r, "Give me {n} ways to be kind to {w}.|How can I be nice to {w}? Name {n} ways.|{w} is sad. Give me {n} ways to help.", n=words.NUMBERS[n], w=who)
    about = task([who.word], items=list(KIND_DEEDS), want=n)
    full, short = _ideas(r, "You could {list} for {w}.|To be kind to {w}, {list}.", list(KIND_DEEDS), n, "or", w=who)
    return Ask(IDEAS, (turn,), ("kind", who.word, str(n)), about, full, short, extra=fact(r, who, "food"))


def look_alike_idea(t: Town, r: Random, people) -> Ask:
    key = r.choice(tuple(words.LOOK_ALIKES))
    forms = "Give me three steps to {do}.|Give me ideas on how to {do}.|Name three things to do to {do}."
    return steps_of(key, forms, words.LOOK_ALIKES[key], IDEAS, r, r.choice(people), look_alike=True)


# ---------------------------------------------------------------- chat

def hello(t: Town, r: Random, people) -> Ask:
    me = r.choice(people)
    turn = say(r, "Hello, I am {n}. How are you?|Good morning! My name is {n}.|Hi, it is {n}. How is your day?|Hello! I am {n} and I am new to this.", n=me)
    body = (
        say(r, "Hello {n}, it is good to meet you.|Hello {n}, I am well.|Good morning {n}, I am fine.", n=me),
        say(r, "How are you today?|What can I do for you?|What would you like to talk about?"),
    )
    about = task([me.word, ["hello", "good morning"]], sentences=2, items=[["how", "what"]])
    return Ask("chat", (turn,), ("hello", me.word, turn), about, body, extra="It is a fine day in Seal Bay.")


FEELINGS = {
    "sad": "I am sorry that you are sad.", "tired": "I am sorry that you are tired.", "cold": "I am sorry that you are cold.",
    "angry": "I can see why you are angry.", "afraid": "You do not have to be afraid.", "happy": "I am glad that you are happy.",
    "proud": "You can be proud.", "alone": "You are not alone, I am here.", "hungry": "Oh, are you hungry?",
}  # fmt: skip


def feeling(t: Town, r: Random, people) -> Ask:
    mood, who = r.choice(tuple(FEELINGS)), r.choice(people)
    turn = say(r, "I feel {m} today. {n} is not here.|I am so {m}.|{n} makes me {m}.|Today I was {m} with {n}.", m=mood, n=who)
    second = say(r, "Would you like to talk about it?|Do you want to hear a story?|What made you {m}?|Shall we go for a walk?", m=mood)
    about = task([mood], sentences=2, items=[["would you", "do you", "what made", "shall we"]])
    body = (FEELINGS[mood], second)
    return Ask("chat", (turn,), ("feel", mood, turn), about, body, extra="I am here for you.")


def news(t: Town, r: Random, people) -> Ask:
    pet, p = r.choice(words.PETS), r.choice(t.places)
    bad = r.random() < 0.5
    turn = say(r, "My {x} is sick.|I lost my {x} {p.at}.|My {x} ran away from me {p.at}." if bad else "I have a new {x}!|I found my {x} {p.at}!|My {x} had a good day {p.at}.", x=pet, p=p)
    first = say(r, "I am sorry to hear about your {x}.|Oh no, your poor {x}." if bad else "How nice for you and your {x}!|I am happy for you and your {x}.", x=pet)
    second = say(r, "Can I help you?|Where did you see it last?|Shall we ask {n} for help?" if bad else "What is its name?|What does it like to eat?|What will you do with it now?", n=r.choice(people))
    about = task([pet], sentences=2, items=[["can i", "where", "shall we"] if bad else ["what", "where"]])
    return Ask("chat", (turn,), ("news", pet, p.word, turn), about, (first, second), extra="I hope to meet it one day.")


def remember(t: Town, r: Random, people) -> Ask:
    """The answer stands in the user's own first turn."""
    me, food, place = r.choice(people), r.choice(words.FOODS), r.choice(t.places)
    first = say(r, "My name is {n}. I like {e}.|I am {n} and I like {e}.|I like {e}. My name is {n}.", n=me, e=food)
    reply = say(r, "Hello {n}.|It is good to meet you, {n}.|I like {e} too.", n=me, e=food)
    if r.random() < 0.5:
        last, body, wrong = "What is my name?", f"Your name is {me}.", f"Your name is {r.choice([x for x in people if x != me])}."
        about = task([me.word], answer=[me.word], rivals=[p.word for p in t.people if p != me])
        extra = f"You like {food}."
    else:
        false = r.choice([x for x in words.FOODS if x != food])
        last, body, wrong = "What do I like?", f"You like {food}.", f"You like {false}."
        about = task([food], answer=[food], rivals=[x for x in words.FOODS if x != food])
        extra = f"Your name is {me}."
    return Ask("chat", (first, reply, last), ("remember", me.word, food), about, (body,), wrong=(wrong,), extra=extra)


def follow_up(t: Town, r: Random, people) -> Ask:
    """The second question says only he or she."""
    who = r.choice(people)
    one, two = r.sample(("job", "home", "pet", "food"), 2)
    first = {"job": "What does {n} do?", "home": "Where does {n} live?", "pet": "What pet does {n} have?", "food": "What does {n} love?"}
    then = {"job": "And what work does {h} do?", "home": "And where does {h} live?", "pet": "And what pet does {h} have?", "food": "And what food does {h} love?"}
    false = another(r, t, who, two)
    plain = {"job": "{s} is a {v}.", "home": "{s} lives {v.at}.", "pet": "{s} has a {v}.", "food": "{s} loves {v}."}
    form = plain[two]
    right = getattr(who, two)
    subject = r.choice((who.word, capital(who.he)))
    body, wrong = (form.format(s=subject, v=right),), (form.format(s=subject, v=false),)
    about = task([[who.word, who.he]], answer=[getattr(right, "word", right)], rivals=[getattr(false, "word", false)])
    left = [x for x in ("job", "home", "pet", "food") if x not in (one, two)]
    extra = fact(r, who, r.choice(left), subject=capital(who.he))
    turns = (first[one].format(n=who), fact(r, who, one), then[two].format(h=who.he))
    return Ask("chat", turns, ("fact", who.word, two), about, body, wrong=wrong, extra=extra)


# ---------------------------------------------------------------- rewriting

DEMANDS = ("Give me {x}.", "Bring me {x}.", "Show me {x}.", "Hand over {x}.", "Let me have {x}.")


def polite(t: Town, r: Random, people) -> Ask:
    x, who = r.choice(words.THINGS + words.FOODS), r.choice(people)
    thing = f"the {x}"
    rude = f"{r.choice(DEMANDS).format(x=thing)[:-1]}, {who}!"
    turn = say(r, "Make this polite: {s}|Say this in a kind way: {s}|Write this in a polite way. {s}", s=rude)
    body = (say(r, "Please give me {x}, {n}.|Could I have {x}, please, {n}?|{n}, may I please have {x}?", x=thing, n=who),)
    wrong = (f"Give me {thing}, {who}!",)
    about = task([x, who.word], answer=["please"])
    return Ask("rewrite", (turn,), ("polite", x, who.word), about, body, wrong=wrong)


def swap(t: Town, r: Random, people) -> Ask:
    one, two = r.sample(people, 2)
    x, p, c = r.choice(words.THINGS), r.choice(t.places), r.choice(words.COLOURS)
    form = r.choice(("{n} took the {x} to {p}.", "{n} found a {c} {x} {p.at}.", "{n} left the {x} {p.at}.", "{n} saw a {c} {x} {p.at}."))
    old, new, wrong = (form.format(n=n, x=x, p=p, c=c) for n in (one, two, one))
    turn = say(r, "Write this about {two}: {s}|Put {two} in place of {one}: {s}|Change {one} to {two}. {s}", one=one, two=two, s=old)
    about = task([x, p.word], answer=[two.word], rivals=[one.word])
    return Ask("rewrite", (turn,), ("swap", one.word, two.word, x), about, (new,), wrong=(wrong,))


VERBS = {"walks": "walked", "runs": "ran", "goes": "went", "comes": "came"}


def past(t: Town, r: Random, people) -> Ask:
    h, p, verb = r.choice(people + t.animals), r.choice(t.places), r.choice(tuple(VERBS))
    tail = r.choice(("", " with a " + r.choice(words.THINGS), " on " + r.choice(words.DAYS)))
    now, then = (f"{str(h)[0].upper()}{str(h)[1:]} {v} to {p}{tail}." for v in (verb, VERBS[verb]))
    turn = say(r, "Put this in the past: {s}|Say that this was long ago: {s}|Write this in the past. {s}", s=now)
    about = task([h.word, p.word], answer=[VERBS[verb]], rivals=[verb])
    return Ask("rewrite", (turn,), ("past", h.word, p.word, verb), about, (then,), wrong=(now,))


# ---------------------------------------------------------------- summing up

def sum_up(t: Town, r: Random, people) -> Ask:
    h = r.choice(people)
    f, p, q = r.choice(t.animals), *r.sample(t.places, 2)
    x, e = r.choice(words.THINGS), r.choice(words.FOODS)
    event, long, brief = r.choice((
        ("lost", "{h} went to {p} with {h.his} {x}. Then the {x} was gone. {h} looked for an hour. {f} found it.", "{h} lost {h.his} {x} {p.at}, and {f} found it."),
        ("gift", "{h} saw a {x} {p.at}. {h.He} thought of {f}. {h} took it home. {f} loved it.", "{h} found a {x} {p.at} for {f}."),
        ("rain", "{h} sat {p.at} with {f}. They ate {e}. Then it began to rain. They ran to {q}.", "{h} and {f} ate {e} {p.at} and ran from the rain."),
        ("help", "{h} was {p.at}. {f} was in a net and cried. {h} cut the net. {f} swam away.", "{h} helped {f} out of a net {p.at}."),
        ("song", "{h} had a song. {h.He} sang it {p.at}. {f} came to hear it. They danced all night.", "{h} sang {p.at}, and {f} danced all night."),
    ))  # fmt: skip
    slots = {"h": _Spoken(h), "f": f, "p": p, "q": q, "x": x, "e": e}
    text = ". ".join(s[:1].upper() + s[1:] for s in long.format_map(slots).split(". "))
    brief = brief.format_map(slots)
    turn = say(r, "Sum this up in one sentence. {s}|Say this in one sentence: {s}|What happened here, in short? {s}", s=text)
    items = {"lost": ["lost", "found"], "gift": [x, "found"], "rain": [e, "rain"], "help": ["net", "helped"], "song": ["sang", "danced"]}[event]
    about = task([h.word, f.word, p.word], items=items)
    short = (f"{h} was {p.at}.",)
    return Ask("summarization", (turn,), (event, h.word, f.word, p.word), about, (brief,), short, extra=detail(r, h))


class _Spoken:
    """A person whose pronoun may begin a sentence: {h.He}."""

    def __init__(self, who):
        self.who, self.He, self.his = who, who.he.capitalize(), who.his

    def __format__(self, spec: str) -> str:
        return str(self.who)


BRAINSTORM = ((things_to_do, 4), (gifts, 4), (picnic, 3), (pet_names, 2), (be_kind, 3), (look_alike_idea, 1))
CHAT = ((hello, 3), (feeling, 4), (news, 3), (remember, 4), (follow_up, 4))
REWRITE = ((polite, 3), (swap, 4), (past, 4))
SUM = ((sum_up, 1),)
