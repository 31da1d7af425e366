"""Chat: a greeting, a feeling, a piece of news, and talk of three turns in which something must be kept in mind."""

from random import Random

from heed.language.datasets.seal_bay import words
from heed.language.datasets.seal_bay.ask import Ask, task
from heed.language.datasets.seal_bay.asks_know import beside, fact_task, plain_fact
from heed.language.datasets.seal_bay.tales import another, fact, say
from heed.language.datasets.seal_bay.town import Town


def hello(t: Town, r: Random, people) -> Ask:
    me = r.choice(people)
    forms = (
        "Hello, I am {n}. How are you?|Good morning! My name is {n}.|Hi, it is {n}. How is your day?|"
        "Hello! I am {n} and I am new to this.|Hello! It is me, {n}.|Good morning, I am {n}."
    )
    turn = say(r, forms, n=me)
    body = (
        say(r, "Hello {n}, it is good to meet you.|Hello {n}, I am well.|Good morning {n}, I am fine.", n=me),
        say(r, "How are you today?|What can I do for you?|What would you like to talk about?"),
    )
    about = task([me.word, ["hello", "good morning"]], sentences=2, items=[["how", "what"]])
    return Ask("chat", (turn,), ("hello", me.word, turn), about, body, extra="It is a fine day in Seal Bay.")


FEELINGS = {
    "sad": "I am sorry that you are sad.",
    "tired": "I am sorry that you are tired.",
    "angry": "I can see why you are angry.",
    "afraid": "You do not have to be afraid.",
    "happy": "I am glad that you are happy.",
    "proud": "It is good that you are proud.",
}


def feeling(t: Town, r: Random, people) -> Ask:
    mood, who = r.choice(tuple(FEELINGS)), r.choice(people)
    turn = say(r, "I feel {m} today. {n} is not here.|I am so {m}.|{n} makes me {m}.|Today I was {m} with {n}.", m=mood, n=who)
    forms = "Would you like to talk about it?|Do you want to hear a story?|What made you feel {m}?|Shall we go for a walk?"
    about = task([mood], sentences=2, items=[["would you", "do you", "what made", "shall we"]])
    body = (FEELINGS[mood], say(r, forms, m=mood))
    return Ask("chat", (turn,), ("feel", mood, turn), about, body, extra="I am here for you.")


# What happened to a pet: what is said of it, the kind word, the question, and how one knows the question.
NEWS = {
    "sick": (
        "My {x} is sick.|My {x} does not eat.|My {x} fell {p.at} and is sick.",
        "I am sorry to hear about your {x}.|Oh no, your poor {x}.",
        "Can I help you?|Shall we ask {n} for help?",
    ),
    "lost": (
        "I lost my {x} {p.at}.|My {x} ran away from me {p.at}.|I can not find my {x}. It was {p.at}.",
        "I am sorry to hear about your {x}.|Oh no, your poor {x}.",
        "Where did you see it last?|Shall we ask {n} for help?",
    ),
    "good": (
        "I have a new {x}!|I found my {x} {p.at}!|My {x} had a good day {p.at}.",
        "How nice for you and your {x}!|I am happy for you and your {x}.",
        "What is its name?|What does it like to eat?|What will you do with it now?",
    ),
}


def news(t: Town, r: Random, people) -> Ask:
    pet, p, kind = r.choice(words.PETS), r.choice(t.places), r.choice(tuple(NEWS))
    slots = {"x": pet, "p": p, "n": r.choice(people)}
    turn, first, second = (say(r, forms, **slots) for forms in NEWS[kind])
    about = task([pet], sentences=2, items=[["what", "where"] if kind == "good" else ["can i", "where", "shall we"]])
    extra = "I hope to meet it one day."
    return Ask("chat", (turn,), ("news", turn), about, (first, second), extra=extra)


def remember(t: Town, r: Random, people) -> Ask:
    """The answer stands in the user's own first turn."""
    me, food = r.choice(people), r.choice(words.FOODS)
    first = say(r, "My name is {n}. I like {e}.|I am {n} and I like {e}.|I like {e}. My name is {n}.", n=me, e=food)
    reply = say(r, "Hello {n}.|It is good to meet you, {n}.|I like {e} too.", n=me, e=food)
    if r.random() < 0.5:
        last, form, right, extra = "What is my name?", "Your name is {}.", me.word, f"You like {food}."
        rivals = [p.word for p in t.people if p != me]
        false = r.choice([p.word for p in people if p != me])
    else:
        last, form, right, extra = "What do I like?", "You like {}.", food, f"Your name is {me}."
        rivals = [x for x in words.FOODS if x != food]
        false = r.choice(rivals)
    about = task([["your name", "you like"]], answer=[right], rivals=rivals)
    body, wrong = (form.format(right),), (form.format(false),)
    return Ask("chat", (first, reply, last), ("remember", me.word, food), about, body, wrong=wrong, extra=extra)


# What is asked by name, and what is asked next of him or her.
IN_TURN = {
    "job": ("Do you know what {n} does?", "And what work does {n.he} do?"),
    "home": ("Do you know where {n} lives?", "And where does {n.he} live?"),
    "pet": ("Do you know the pet of {n}?", "And what pet does {n.he} have?"),
    "food": ("Do you know what {n} loves?", "And what food does {n.he} love?"),
}


def follow_up(t: Town, r: Random, people) -> Ask:
    """The second question says only he or she."""
    who = r.choice(people)
    one, two = r.sample(tuple(IN_TURN), 2)
    subject = r.choice((who.word, who.He))
    body, wrong = (plain_fact(who, two, v, subject) for v in (getattr(who, two), another(r, t, who, two)))
    turns = (IN_TURN[one][0].format(n=who), fact(r, who, one), IN_TURN[two][1].format(n=who))
    about = fact_task([[who.word, who.he]], t, who, two)
    return Ask("chat", turns, ("fact", who.word, two), about, (body,), wrong=(wrong,), extra=beside(r, who, two))


CHAT = ((hello, 3), (feeling, 4), (news, 4), (remember, 4), (follow_up, 4))
