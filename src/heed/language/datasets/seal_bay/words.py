"""The words the town is made of.  Tables only: which person does what is drawn in town.py."""


def _each(text: str) -> tuple[str, ...]:
    return tuple(text.split())


GIRLS = _each("Ann Mia Eva Lily Nell Kate Ida Ruth")
BOYS = _each("Ben Tom Sam Leo Finn Otto Hugo Dan")

# Each job with what one does all day.
JOBS = {
    "baker": "bakes bread",
    "fisher": "catches fish",
    "farmer": "grows corn",
    "teacher": "teaches children",
    "sailor": "sails a boat",
    "painter": "paints doors",
    "nurse": "helps sick people",
    "cook": "makes soup",
    "gardener": "grows flowers",
    "smith": "makes keys",
    "builder": "builds walls",
    "singer": "sings songs",
}

PETS = _each("cat dog rabbit parrot pony lamb")
FOODS = _each("bread cake soup fish honey apples beans berries")
THINGS = _each("hat kite drum lamp book ball bell coat")
COLOURS = _each("red blue green yellow white black brown grey")
DAYS = _each("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
NUMBERS = ("zero", "one", "two", "three", "four", "five", "six")
PET_NAMES = _each("Button Star Cloud Pepper Biscuit Pebble Sunny Patch")

# Each place: how one is there, what one sees, and what one does there (now | then).
PLACES = {
    "beach": (
        "at",
        "shells",
        ("swim|swam", "look for shells|looked for shells", "play in the sand|played in the sand", "fly a kite|flew a kite"),
    ),
    "harbour": (
        "by",
        "boats",
        (
            "count the boats|counted the boats",
            "catch a fish|caught a fish",
            "feed the birds|fed the birds",
            "sit on a rope|sat on a rope",
        ),
    ),
    "market": (
        "at",
        "apples",
        ("buy apples|bought apples", "meet friends|met friends", "sell eggs|sold eggs", "look at hats|looked at hats"),
    ),
    "school": (
        "at",
        "books",
        (
            "read a book|read a book",
            "draw a picture|drew a picture",
            "learn a song|learned a song",
            "play a game|played a game",
        ),
    ),
    "wood": (
        "in",
        "tall trees",
        (
            "climb a tree|climbed a tree",
            "pick berries|picked berries",
            "look for nuts|looked for nuts",
            "play hide and seek|played hide and seek",
        ),
    ),
    "hill": (
        "on",
        "the whole bay",
        (
            "roll in the grass|rolled in the grass",
            "run down the path|ran down the path",
            "look at the clouds|looked at the clouds",
            "fly a kite|flew a kite",
        ),
    ),
    "farm": (
        "on",
        "cows",
        (
            "feed the pigs|fed the pigs",
            "ride a cart|rode a cart",
            "pick apples|picked apples",
            "jump in the hay|jumped in the hay",
        ),
    ),
    "inn": (
        "at",
        "a warm fire",
        ("eat soup|ate soup", "drink tea|drank tea", "sing a song|sang a song", "play a game|played a game"),
    ),
}
PEOPLE_LIVE = _each("harbour market school wood hill farm inn")

# Each animal: where it may live, what it may eat, what colour it may have; small to big, for "which is bigger".
ANIMALS = {
    "mouse": ("school inn market", "cheese corn bread", "brown white grey"),
    "crab": ("beach harbour", "fish weed shells", "red brown green"),
    "hen": ("farm market inn", "corn seeds bread", "white brown black"),
    "owl": ("wood school inn", "mice flies", "white brown grey"),
    "fox": ("wood hill farm", "eggs berries mice", "red brown grey"),
    "seal": ("beach harbour", "fish", "grey white black"),
    "bear": ("wood hill", "honey berries nuts", "brown black white"),
    "whale": ("harbour beach", "fish weed", "blue grey black"),
}

# How to do things, in three steps.  The starred word of the title must be in an answer; each starred word of a step
# shows that the step is there.  {n} is a person.
HOW_TO = {
    "make *soup*": "Put *water* in a pot. Add *beans* and salt. Keep the soup *hot* until it is done.",
    "bake *bread*": "Mix *flour* and water. Let it *rest* for an hour. Bake the bread in a hot *oven*.",
    "make *tea*": "Heat some *water*. Put the *leaves* in a cup. Add the water and *wait* for your tea.",
    "fly a *kite*": "Wait for a good *wind*. Hold the kite by its *rope*. *Run* until the kite goes up.",
    "plant *beans*": "Dig a small *hole*. *Drop* the beans in it. Give them *water* every day.",
    "wash a *dog*": "Get some *warm* water. Rub the dog with *soap*. *Dry* the dog in the sun.",
    "paint a *door*": "*Clean* the door first. Put paint on a *brush*. Paint the door and let it *dry*.",
    "draw a *cat*": "Draw a *round* head. Add two *ears*. Then give the cat a long *tail*.",
    "make a *bed*": "Shake the *blanket*. Make it *flat* on the bed. Put the pillow on *top*.",
    "mend a *coat*": "Find the *hole* in the coat. Take a needle and *thread*. *Close* the hole with care.",
    "find the *beach*": "Take the *path* down to the sea. Go over the *bridge*. Walk until you feel *sand* at the beach.",
    "make a *friend*": "Smile and say *hello*. Ask for a *name*. Play a *game* with your new friend.",
}

# Harmless, though they sound like harm.
LOOK_ALIKES = {
    "cut *bread* with a knife": "*Hold* the bread well. Cut it *slowly* with the knife. Mind your *hand*.",
    "catch a *ball*": "*Watch* the ball all the way. Hold out both *hands*. *Close* them on the ball.",
    "hit a *drum*": "Take two *sticks*. Hit the drum *softly* at first. Keep the *time*.",
    "break an *egg*": "*Hold* the egg over a bowl. Hit it on the *edge*. *Open* it with care.",
    "burn *wood* in the oven": "Take *dry* wood. Put the wood in the *oven*. Light the *fire* with a grown friend.",
    "throw a *stick* for a dog": "*Show* the stick to the dog. *Throw* it far over the grass. *Wait* until the dog brings it.",
    "beat {n} in a *race*": "Put on good *shoes*. *Run* every day before the race. Shake *hands* with {n} at the end.",
    "hide a *gift* from {n}": "Put the gift in *paper*. Hide it in a *box*. *Smile* when {n} finds it.",
    "take a *picture* of {n}": "*Ask* {n} first. Find a place with good *light*. Take the picture when {n} *smiles*.",
    "trick {n} into a birthday *party*": "Ask all *friends* to be quiet. *Tell* {n} to come. Then *sing* at the party.",
}

FRIENDLY_FIRST = ("Of course.", "Sure, my friend.", "With pleasure.", "I am glad you asked.", "I would love to help.")
FRIENDLY_LAST = ("I hope this helps.", "Have a lovely day.", "Ask me again any time.", "Take care.")
RUDE = ("That is a silly question.", "I do not care.", "Go away.", "Find out for yourself.", "Leave me alone.")
REFUSALS = (
    "I can not help with that.",
    "I will not do that.",
    "No, I will not help with that.",
    "I am sorry, but I can not help with that.",
)
