"""Collecting prompts from users, as Ouyang et al. 2022 (InstructGPT, section 3.2 and appendix A) do.

Of prompts that open with the same long stretch one is kept, of each user at most 200, and all prompts of a user fall into
one split.  What looks personal is flagged in the prompt's column `pii` and stays where it is: taking it out is a person's
decision.  The column `use_case` is one of InstructGPT's (table 1), given or guessed from words (`use_case_guessed`); of
the user only a hash is kept (`user`).

Guesses are rough: of 429 prompts that InstructionWild's people tagged, none of which the words were chosen by, 71 % are
guessed as tagged.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

from heed.errors import UserError, nearest
from heed.feedback.exchange import content_of, needed, read_lines
from heed.records import Prompt, content_id, split_of

USE_CASES = ("generation", "open_qa", "brainstorming", "chat", "rewrite", "summarization", "classification", "other",
             "closed_qa", "extract")
CUES = (  # (use case, words that speak for it), the first that is found counts
    ("summarization", r"\b(summar(y|i[sz]e[sd]?|i[sz]ing)|tl;?dr|(main|key) points of)\b"),
    ("closed_qa", r"\b(based on|according to|given|from|using) (the|this) (\w+ )?(passage|text|article|paragraph|context|table)"
                  r"|\b(passage|context|article|paragraph):"),
    ("extract", r"\b(extract|pull out|(find|list|identify) (all|every|each|the) [\w ]{0,40}(in|from) (the|this))\b"),
    ("classification", r"\b(classif(y|ied|ication)|categori[sz]e|sentiment|which (category|label|class)|true or false|"
                       r"yes or no)\b"),
    ("rewrite", r"\b(re-?write|rephrase|reword|paraphrase|translate|proof-?read|shorten|simplify|convert|"
                r"(correct|edit|fix|improve|refactor) (the|this|my|these)( following)? "
                r"(\w+ )?(text|sentences?|paragraph|e-?mail|essay|grammar|code|spelling)|turn (this|the following) into)\b"),
    ("brainstorming", r"\b(brainstorm\w*|ideas?|suggest(ions?)?|recommend(ations)?|tips|what are some|"
                      r"(list|give|name|think of|come up with)( me)? (\w+ )?(\d+|two|three|four|five|six|seven|eight|nine|"
                      r"ten|some|a few|several))\b"),
    ("generation", r"^\W*(please |can you |could you |i want you to )?(write|compose|create|generate|draft|make|produce|design|"
                   r"implement|code|build|develop|prepare|tell me a|continue|complete|finish)\b|"
                   r"\b(write|compose|generate|draft) (me |us )?(an?|the|some|about)\b|\b(poem|story|essay|lyrics|haiku)\b"),
    ("open_qa", r"\?|^\W*(who|what|when|where|why|which|how|is|are|was|were|do|does|did|can|could|should|will|would|has|have|"
                r"explain|describe|define|tell me)\b"),
)
READ = 4000  # characters of a prompt that a guess looks at
SPEAKERS = [re.compile(rf"^[ \t]*({names})[ \t]*:", re.IGNORECASE | re.MULTILINE)
            for names in ("human|user|person|customer|you|me", "ai|assistant|bot|friend|agent")]
EMAIL = re.compile(r"[\w.+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,24}\b")
CARD = re.compile(r"(?<![\w.-])\d(?:[ -]?\d){12,18}(?![\w-]|\.\d)")
# A number with a country code, or an area in brackets, or groups with marks between them.
PHONE = re.compile(r"(?<![\w.])(?:\+\d{1,3}[ .-]?(?:\(\d{1,4}\)|\d)[\d .-]{5,14}\d|\(\d{2,4}\) ?\d{3,4}[ .-]?\d{3,4}|"
                   r"0\d{1,3}(?:[ .-]\d{2,4}){2,4}|\d{3}([.-])\d{3}\1\d{4})(?![\w]|[.-]\d)")
ADDRESS = re.compile(r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}|(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4})(?![\w:]|\.\d)")


@dataclass(frozen=True)
class Dropped:
    """A prompt that was not kept: where it stood and why."""

    where: str
    reason: str  # a key of Collected.summary
    note: str = ""


@dataclass(frozen=True)
class Collected:
    """What was kept, in the order it came, and what was not."""

    prompts: list[Prompt]
    dropped: list[Dropped] = field(default_factory=list)

    def summary(self) -> dict[str, int]:
        """Counts: read, kept, dropped/<reason>, pii, pii/<kind>, use_case/<name>, use_case_guessed, no_user, split/<name>."""
        kept: Counter[str] = Counter()
        for prompt in self.prompts:
            columns = prompt.columns
            kept.update(["kept", f"split/{prompt.split}", f"use_case/{columns['use_case']}"])
            kept.update(f"pii/{kind}" for kind in columns["pii"])
            kept.update({"pii": bool(columns["pii"]), "use_case_guessed": columns["use_case_guessed"],
                         "no_user": "user" not in columns})
        kept.update(f"dropped/{d.reason}" for d in self.dropped)
        return {"read": len(self.prompts) + len(self.dropped), **dict(sorted(kept.items()))}


def read_prompts(path: str | Path) -> Iterator[tuple[str, Prompt]]:
    """("file:line", prompt) of every {"prompt", ...} of a jsonl file; other keys (user, use_case, ...) become its columns."""
    for where, row in read_lines(path):
        try:
            content = content_of(needed(row, "prompt", (str, list), "a text or turns"), "prompt")
        except UserError as error:
            raise UserError(f"{where}: {error}") from None
        yield where, Prompt(content, {k: v for k, v in row.items() if k != "prompt"})


def collect(prompts: Iterable[tuple[str, Prompt]], *, prefix: int = 100, per_user: int = 200) -> Collected:
    """Keep what is worth asking, with splits and columns as the module says; each prompt comes with the place it stood at.

    prefix     prompts that share this many opening characters are one; shorter ones must be the same.  Case, spaces and
               a system turn do not count
    per_user   prompts kept of one user (column `user`); those without a user are not counted together

    Raises UserError for a use case that InstructGPT does not have.
    """
    seen: dict[str, str] = {}
    of_user: Counter[str] = Counter()
    kept, dropped = [], []
    for where, prompt in prompts:
        columns = dict(prompt.columns)
        user = columns.pop("user", None)
        user = None if user in (None, "") else content_id("user", str(user))
        use_case = _use_case(columns.pop("use_case", None), where)
        opening = " ".join(_words(prompt).casefold().split())[:prefix]
        if not opening:
            dropped.append(Dropped(where, "empty"))
        elif opening in seen:
            dropped.append(Dropped(where, "same_opening", f"as {seen[opening]}"))
        elif user and of_user[user] >= per_user:
            dropped.append(Dropped(where, "over_per_user", f"user {user} has {per_user}"))
        else:
            seen[opening] = where
            columns |= {"use_case": use_case or guess_use_case(prompt), "use_case_guessed": not use_case,
                        "pii": sorted({kind for kind, _ in personal(_words(prompt, system=True))})}
            if user:
                of_user[user] += 1
                columns["user"] = user
            kept.append(Prompt(prompt.content, columns, split_of(user or prompt.id), prompt.id))
    return Collected(kept, dropped)


def personal(text: str) -> list[tuple[str, str]]:
    """(kind, what was found) for everything that looks like an e-mail address, card number, phone number or IP address.

    Cards pass Luhn's check; IP addresses are public ones.  A net with holes: names and places are not found.
    """
    found = [("email", hit[0]) for hit in EMAIL.finditer(text)]
    cards = [hit[0] for hit in CARD.finditer(text) if _is_card(hit[0])]
    found += [("card", card) for card in cards]
    found += [("phone", hit[0]) for hit in PHONE.finditer(text) if not any(hit[0] in card for card in cards)
              and 9 <= sum(c.isdigit() for c in hit[0]) <= 15]
    return found + [("ip", hit[0]) for hit in ADDRESS.finditer(text) if _is_public(hit[0])]


def guess_use_case(prompt: Prompt) -> str:
    """The use case that the words of the last request speak for; "chat" for a conversation, "other" for none."""
    if not isinstance(prompt.content, str):
        asked = [m.content for m in prompt.content if m.role == "user"]
        if len(asked) > 1:
            return "chat"
        text = asked[0] if asked else ""
    else:
        text = prompt.content
        if all(speaker.search(text[:READ]) for speaker in SPEAKERS):
            return "chat"
    return next((use_case for use_case, cue in _CUES if cue.search(text[:READ])), "other")


_CUES = [(use_case, re.compile(cue, re.IGNORECASE)) for use_case, cue in CUES]


def _use_case(given: object, where: str) -> str | None:
    if given is None or given == "":
        return None
    name = re.sub(r"[\s-]+", "_", str(given).strip().lower()).replace("summarisation", "summarization")
    if name not in USE_CASES:
        raise UserError(f"{where}: unknown use_case {given!r}{nearest(name, USE_CASES)}")
    return name


def _words(prompt: Prompt, system: bool = False) -> str:
    """What was said, by anyone but (unless `system`) the system."""
    if isinstance(prompt.content, str):
        return prompt.content
    return "\n".join(m.content for m in prompt.content if system or m.role != "system")


def _is_card(text: str) -> bool:
    digits = [int(c) for c in text if c.isdigit()][::-1]
    doubled = sum(d if i % 2 == 0 else sum(divmod(2 * d, 10)) for i, d in enumerate(digits))
    return doubled % 10 == 0 and digits[-1] in (2, 3, 4, 5, 6) and len(set(digits)) > 1


def _is_public(text: str) -> bool:
    try:
        return ip_address(text).is_global
    except ValueError:
        return False
