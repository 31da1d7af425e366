"""Rated answers as token ids."""

from collections.abc import Sequence
from dataclasses import dataclass

from heed.language.batches import Tokens, make_tokens
from heed.language.chat import encode_completion, encode_prompt
from heed.language.datasets.kinds import overall
from heed.records import Rating


@dataclass(frozen=True)
class EncodedRatings:
    """A row of `tokens` for each answer; what it was given, how long it is in characters, and whose answer it is."""

    tokens: Tokens
    scores: list[float]
    lengths: list[int]
    prompt_ids: list[str]


def encode_ratings(tokenizer, rows: Sequence[Rating], max_length: int) -> EncodedRatings:
    """Ids of prompt and answer; a long prompt loses its beginning, a long answer its end, and its EOS with it.

    A text rated as the answer to nothing is a row from its own first token on: so it looks as a policy's text does that
    goes on from a few words.
    """
    prompts, completions, kept = [], [], []
    for row in rows:
        answer = encode_completion(tokenizer, row.candidate.text)
        prompt = encode_prompt(tokenizer, row.prompt) if row.prompt.content else [answer.pop(0)]
        prompt = prompt[-max(1, max_length - min(len(answer), max_length // 2)):]
        if answer:
            prompts.append(prompt)
            completions.append(answer[: max_length - len(prompt)])
            kept.append(row)
    return EncodedRatings(make_tokens(prompts, completions), [overall(r) for r in kept],
                          [len(r.candidate.text) for r in kept], [r.prompt.id for r in kept])
