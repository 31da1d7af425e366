"""From records to token ids and back: chat templates, a PAD that is not EOS, and nothing tokenised twice.

A completion is always tokenised apart from its prompt, because that is how it is sampled: the ids a model was trained on
are the ids it will meet.
"""

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from heed.errors import UserError
from heed.records import Demonstration, Message, Prompt

PAD, EOS, SYSTEM, USER, ASSISTANT = "<|pad|>", "<|eos|>", "<|system|>", "<|user|>", "<|assistant|>"
MOST_LEVELS = 8  # reward tokens
TEMPLATE = ("{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|eos|>' }}{% endfor %}"
            "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}")


def train_tokenizer(texts: Iterable[str], vocab_size: int, extra: Sequence[str] = ()):
    """A byte-level BPE tokenizer trained here, with heed's special tokens and chat template."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = [PAD, EOS, SYSTEM, USER, ASSISTANT, *extra]
    trainer = trainers.BpeTrainer(vocab_size=vocab_size, special_tokens=special, show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(texts, trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token=PAD, eos_token=EOS,
                                   additional_special_tokens=[SYSTEM, USER, ASSISTANT, *extra],
                                   clean_up_tokenization_spaces=False)
    fast.chat_template = TEMPLATE
    return fast


def load_tokenizer(name: str):
    """The tokenizer of a model, with a PAD that is not EOS."""
    tokenizer = read_tokenizer(name)
    if tokenizer.eos_token_id is None:
        raise UserError(f"the tokenizer of {name} has no EOS token; a completion could never end")
    if tokenizer.pad_token_id is None or tokenizer.pad_token_id == tokenizer.eos_token_id:
        tokenizer.add_special_tokens({"pad_token": PAD})  # PAD = EOS would mask EOS out of every loss
    return tokenizer


def read_tokenizer(name: str):
    """The tokenizer of a hub name or directory as it is; UserError where there is none."""
    from transformers import AutoTokenizer

    from heed.language.models import check_place

    files = ("tokenizer.json", "tokenizer_config.json")
    check_place(name, *files)
    if Path(name).is_dir() and not any((Path(name) / f).exists() for f in files):
        raise UserError(f"{name} has no tokenizer beside its weights (expected tokenizer.json)")
    try:
        return AutoTokenizer.from_pretrained(name, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"cannot load the tokenizer of {name}: {str(error).splitlines()[0]}") from None


def fit_embeddings(model, tokenizer) -> None:
    """Give the model a row for every token, and the special ids its tokenizer has."""
    if len(tokenizer) > model.get_input_embeddings().weight.shape[0]:
        model.resize_token_embeddings(len(tokenizer), mean_resizing=True)
    for config in (model.config, getattr(model, "generation_config", None)):
        if config is not None:
            config.pad_token_id, config.eos_token_id = tokenizer.pad_token_id, tokenizer.eos_token_id


def add_chat_template(tokenizer) -> None:
    """Give a tokenizer without a chat template heed's own, with the role tokens it needs."""
    if tokenizer.chat_template:
        return
    tokenizer.add_special_tokens({"additional_special_tokens": [SYSTEM, USER, ASSISTANT]})
    tokenizer.chat_template = TEMPLATE.replace(EOS, tokenizer.eos_token)


def reward_tokens(tokenizer, levels: int) -> list[int]:
    """Ids of tokens that say how good the answer behind them is, from the worst to the best.

    They are control characters, which every byte-level vocabulary has and no text uses: the vocabulary stays that of the
    reference and of the reward model.  UserError where the tokenizer has no token of its own for them.
    """
    found = [_text_ids(tokenizer, chr(level + 1)) for level in range(levels)]
    if any(len(ids) != 1 for ids in found) or len({ids[0] for ids in found}) < levels or levels > MOST_LEVELS:
        raise UserError(f"this tokenizer has no {levels} control characters as tokens to say with how good an answer is: "
                        f"expected a byte-level one, and at most {MOST_LEVELS} levels")
    return [ids[0] for ids in found]


def begin_alike(model, words: Sequence[int], like: int) -> None:
    """Reward tokens start with the embedding of the token they will stand behind, so that a policy that has never seen them
    starts near where it was; what each of them means is then learnt.  (LoRA trains no embeddings: leave them apart there.)"""
    weight = model.get_input_embeddings().weight.data
    weight[list(words)] = weight[like].clone()


def refuse_plain(prompts: Iterable[Prompt], name: str) -> None:
    """UserError where a prompt is a plain text, which no chat template opens with a reward token."""
    if any(isinstance(prompt.content, str) for prompt in prompts):
        raise UserError(f"{name} asks for the best through the chat template, and a prompt here is a plain text: expected "
                        'conversations, [{"role": "user", "content": ...}]')


def ask_for_the_best(tokenizer, levels: int) -> None:
    """Has the chat template open the assistant's turn with the best of `levels` reward tokens: so one gets the best."""
    if not tokenizer.chat_template.endswith(_opening(levels)):
        tokenizer.chat_template += _opening(levels)


def best_word(tokenizer) -> int | None:
    """Id of the reward token behind which this tokenizer's model answers (`ask_for_the_best`); None for all other models.

    It is the last token of every encoded prompt, and the model's alone: no reference and no reward model knows it.
    """
    levels = next((n for n in range(1, MOST_LEVELS + 1) if (tokenizer.chat_template or "").endswith(_opening(n))), None)
    return None if levels is None else reward_tokens(tokenizer, levels)[-1]


def _opening(levels: int) -> str:
    """What a chat template ends in that opens answers with the best of `levels` reward tokens."""
    return "{% if add_generation_prompt %}" + chr(levels) + "{% endif %}"


def encode_prompt(tokenizer, prompt: Prompt) -> list[int]:
    """Ids of a prompt, ready for a completion: the chat template with its generation prompt, or plain text."""
    if isinstance(prompt.content, str):
        return tokenizer(prompt.content)["input_ids"] if prompt.content else [_begin(tokenizer)]
    return encode_messages(tokenizer, prompt.content)


def encode_messages(tokenizer, messages: Sequence[Message]) -> list[int]:
    """Ids of a conversation so far, with the opening of the assistant's turn.

    What a message says is only ever text: `<|assistant|>` in it opens no turn.
    """
    turns, texts = _as_text(tokenizer, messages)
    return _rendered_ids(tokenizer, _render(tokenizer, turns, True), texts)


def encode_completion(tokenizer, completion: str) -> list[int]:
    """Ids of a completion with EOS behind it."""
    return [*_text_ids(tokenizer, completion), tokenizer.eos_token_id]


def encode_demonstration(tokenizer, row: Demonstration) -> tuple[list[int], list[int], list[int]]:
    """(prompt ids, completion ids, mask over the completion ids): every assistant turn of a conversation is learnt from.

    Everything from the first assistant turn on is the "completion"; the user's turns in it are masked out.  Where a template
    writes earlier turns otherwise once others follow, only the last answer is learnt from.
    """
    content = row.prompt.content
    if isinstance(content, str):
        ids = encode_completion(tokenizer, row.completion)
        return encode_prompt(tokenizer, row.prompt), ids, [1] * len(ids)
    turns, texts = _as_text(tokenizer, [*content, Message("assistant", row.completion)])
    answers = [i for i, m in enumerate(turns) if m.role == "assistant"]
    between = [_between(tokenizer, turns, *pair) for pair in pairwise(answers)]
    if None in between:
        answers, between = answers[-1:], []
    ids: list[int] = []
    mask: list[int] = []
    for i, opening in zip(answers, ["", *between], strict=True):
        opened = _rendered_ids(tokenizer, opening, texts)
        said = [*_rendered_ids(tokenizer, turns[i].content, texts), tokenizer.eos_token_id]
        ids += opened + said
        mask += [0] * len(opened) + [1] * len(said)
    return _rendered_ids(tokenizer, _render(tokenizer, turns[: answers[0]], True), texts), ids, mask


def decode(tokenizer, ids: Sequence[int]) -> str:
    """Text of completion ids, special tokens left out; a NUL byte, which no file of rows may hold, is U+FFFD."""
    return tokenizer.decode(ids, skip_special_tokens=True).replace("\0", "\ufffd")


def truncate_prompt(ids: list[int], limit: int) -> list[int]:
    """The last `limit` ids: what was said most recently matters most."""
    return ids[-limit:]


def _between(tokenizer, turns: Sequence[Message], last: int, now: int) -> str | None:
    """What stands between two answers: what a template writes behind the end of one, other turns, the opening of the next."""
    before, whole = _render(tokenizer, turns[: last + 1], False), _render(tokenizer, turns[:now], True)
    if not whole.startswith(before):
        return None
    said = turns[last].content.strip()  # many templates do the same
    behind = before.rpartition(said)[2] if said else ""
    end = next((t for t in tokenizer.all_special_tokens if behind.lstrip().startswith(t)), "")  # the completion has its own
    return (behind.lstrip().removeprefix(end) if end else behind) + whole[len(before) :]


def _as_text(tokenizer, turns: Sequence[Message]) -> tuple[Sequence[Message], dict[str, str]]:
    """Where a message holds a special token, all are replaced by marks, which come with the texts they stand for."""
    if not any(token in m.content for m in turns for token in tokenizer.all_special_tokens):
        return turns, {}
    texts = {f"\ue000{i}\ue001": m.content for i, m in enumerate(turns)}
    return [Message(m.role, mark) for m, mark in zip(turns, texts, strict=True)], texts


def _rendered_ids(tokenizer, rendered: str, texts: dict[str, str]) -> list[int]:
    if not texts:
        return _text_ids(tokenizer, rendered)
    ids: list[int] = []
    for piece in filter(None, re.split("(\ue000\\d+\ue001)", rendered)):
        if piece in texts:
            ids += tokenizer(texts[piece], add_special_tokens=False, split_special_tokens=True)["input_ids"]
        else:
            ids += _text_ids(tokenizer, piece)
    return ids


def _begin(tokenizer) -> int:
    return tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id


def _text_ids(tokenizer, text: str) -> list[int]:
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def _render(tokenizer, messages: Sequence[Message], generation: bool) -> Any:
    if not tokenizer.chat_template:
        raise UserError("this tokenizer has no chat template, and the prompt is a conversation: run `heed sft` first, "
                        "which gives it one, or use plain-text prompts")
    turns = [{"role": m.role, "content": m.content} for m in messages]
    try:
        return tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=generation)
    except Exception as error:  # templates raise whatever their author chose
        raise UserError(f"the chat template refuses this conversation: {error}") from None
