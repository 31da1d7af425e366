"""chat: talk with a checkpoint in the terminal, over several turns.

/new begins again, /undo takes the last turn back, /quit (or end of file) leaves.  A model without a chat template continues
what you write.
"""

from pydantic import Field, NonNegativeFloat, PositiveInt

from heed.config import Settings
from heed.records import Message


class Chat(Settings):
    model: str  # hub name or directory
    system: str = ""  # a system message before the first turn
    max_completion_length: PositiveInt = 128  # most tokens a reply
    temperature: NonNegativeFloat = 0.7  # 0 is greedy
    top_p: float = Field(1.0, gt=0, le=1)  # 1 is off
    seed: int = 0  # of the first reply


SETTINGS = Chat


def run(settings: Chat) -> None:
    """Reads lines until there are no more."""
    import sys

    from heed.language.chat import load_tokenizer
    from heed.language.models import context_length, load_policy
    from heed.workflows.sample import make_engine

    lm = load_policy(settings.model).eval()
    tokenizer = load_tokenizer(settings.model)
    engine = make_engine("static_cache", lm, tokenizer)
    start = [Message("system", settings.system)] if settings.system else []
    messages, turn = list(start), 0
    if sys.stdin.isatty():
        print(f"{settings.model}: /new, /undo, /quit")
    while True:
        try:
            line = input("you: " if sys.stdin.isatty() else "").strip()
        except EOFError:
            return
        if line == "/quit":
            return
        if line == "/new":
            messages = list(start)
        elif line == "/undo":
            messages = messages[: max(len(start), len(messages) - 2)]
        elif line:
            messages.append(Message("user", line))
            text = reply(engine, tokenizer, messages, settings, turn, context_length(lm))
            messages.append(Message("assistant", text))
            turn += 1
            print(f"{'heed: ' if sys.stdin.isatty() else ''}{text}", flush=True)


def reply(engine, tokenizer, messages: list[Message], settings: Chat, turn: int, context: int) -> str:
    """The model's next turn; of a conversation that has grown too long, the end is read."""
    from heed.language.chat import decode, encode_messages, truncate_prompt
    from heed.protocols import Sampling

    room = max(1, context - settings.max_completion_length)
    if tokenizer.chat_template:
        ids = encode_messages(tokenizer, messages)
    else:
        ids = tokenizer(messages[-1].content, add_special_tokens=False)["input_ids"]
    budget = min(settings.max_completion_length, context - 1)
    sampling = Sampling(1, budget, settings.temperature, top_p=settings.top_p, seed=settings.seed + turn)
    return printable(decode(tokenizer, engine.generate([truncate_prompt(ids, room)], sampling)[0][0].tokens))


def printable(text: str) -> str:
    """Model text without control characters: a terminal obeys escape sequences."""
    return "".join(c for c in text if c in "\n\t" or c.isprintable())
