"""sample: K completions for every prompt, written where labelers (and you) can read them.

samples.jsonl has one line a prompt: {"prompt": record, "completions": [{"id", "text", "tokens", "logprob", "finished"}],
"made_by", "sampling"}.  Killed and started again, it goes on behind the last whole line.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt

from heed.errors import UserError
from heed.records import Prompt, content_id, to_json
from heed.workflows.settings import Names, Output


class Sample(Output):
    model: str  # hub name or directory of the policy
    dataset: str  # prompts: a named dataset (seal_bay), a file or folder, a hub name
    split: str = "train"  # which prompts
    max_prompts: PositiveInt | None = None  # how many prompts
    num_generations: PositiveInt = 4  # completions a prompt
    max_prompt_length: PositiveInt = 512  # tokens kept of a prompt
    max_completion_length: PositiveInt = 64  # most tokens a completion
    temperature: NonNegativeFloat = 1.0  # 0 is greedy
    top_k: NonNegativeInt = 0  # 0 is off
    top_p: float = Field(1.0, gt=0, le=1)  # 1 is off
    best_of: PositiveInt = 1  # each completion is the best of so many, by the reward below
    reward_model: Names = []  # directory of a reward model, or several, to choose by
    reward_functions: Names = []  # module:function to choose by, added to the reward model
    reward_weights: list[float] = []  # weights of the reward models and then the functions; default 1 each
    engine: str = "static_cache"  # who samples: static_cache or transformers
    bf16: bool = False  # matrix products in bfloat16, where that is not slower here
    chunk: PositiveInt = 64  # prompts between two writes


SETTINGS = Sample


def run(settings: Sample, prompts: Sequence[Prompt] | None = None) -> dict[str, Any]:
    """Returns how many completions there are, their mean length, and the share that ended.

    `prompts`: instead of the first ones of the dataset.
    """
    from heed.training.progress import Progress
    from heed.training.run import Run

    run = Run(settings.output_dir, settings)
    if run.summary is not None:
        return run.summary
    if prompts is None:
        prompts = load_prompts(settings.dataset, settings.split, settings.max_prompts)
    chunks = [prompts[i : i + settings.chunk] for i in range(0, len(prompts), settings.chunk)]
    done = _whole_chunks(run.dir / "samples.jsonl", chunks)
    writer = Writer(settings)
    run.open(done)
    bar = Progress("sample", len(prompts), settings.chunk * done, unit="prompt")
    for number, chunk in enumerate(chunks[done:], start=done + 1):
        with run.phase("sample"):
            for row in writer.write(chunk, number):
                run.samples.log(row, step=number)
        bar.advance(len(chunk))
    bar.close()
    run.samples.close()
    return run.finish(_figures(run.dir / "samples.jsonl"), parent=settings.model, dataset=settings.dataset)


class Writer:
    """A policy that answers prompts."""

    def __init__(self, settings: Sample):
        from heed.language.chat import load_tokenizer
        from heed.language.models import load_policy

        self.settings = settings
        self.tokenizer = load_tokenizer(settings.model)
        self.lm = load_policy(settings.model).eval()
        self.room = room_for_prompts(self.lm, settings.max_completion_length, settings.model)
        self.engine = make_engine(settings.engine, self.lm, self.tokenizer, bf16=settings.bf16)
        self.reward = None
        if settings.best_of > 1:
            from heed.language.reward import make_reward

            s = settings
            self.reward = make_reward(s.reward_model, s.reward_functions, s.reward_weights, self.tokenizer)

    def write(self, prompts: Sequence[Prompt], number: int) -> Iterator[dict[str, Any]]:
        """One row of samples.jsonl a prompt."""
        from heed.language.chat import decode
        from heed.protocols import Sampling
        from heed.training.schedule import seed_of

        s = self.settings
        sampling = Sampling(s.best_of * s.num_generations, s.max_completion_length, s.temperature, s.top_k, s.top_p,
                            seed=seed_of("sample", s.seed, number))
        ids = encode_prompts(self.tokenizer, prompts, min(s.max_prompt_length, self.room))
        groups = self.engine.generate(ids, sampling)
        if self.reward:
            groups = self._chosen(prompts, ids, groups)
        for prompt, group in zip(prompts, groups, strict=True):
            texts = [decode(self.tokenizer, c.tokens) for c in group]
            completions = [{"id": content_id("completion", prompt.id, str(s.model), str(s.seed), str(k), text), "text": text,
                            "tokens": c.tokens, "logprob": sum(c.logprobs), "finished": c.finished}
                           for k, (c, text) in enumerate(zip(group, texts, strict=True))]
            yield {"prompt": to_json(prompt), "completions": completions, "made_by": str(s.model),
                   "sampling": asdict(sampling)}

    def _chosen(self, prompts: Sequence[Prompt], ids: Sequence[list[int]], groups: Sequence[list]) -> list[list]:
        """Of each `best_of` completions the one that the reward likes most."""
        from heed.language.batches import make_tokens
        from heed.language.chat import best_word, decode

        n = self.settings.best_of
        word = best_word(self.tokenizer)  # which the reward is not told
        ids = [prompt[:-1] if prompt[-1] == word else prompt for prompt in ids]
        rows = [(i, c) for i, group in enumerate(groups) for c in group]
        tokens = make_tokens([ids[i] for i, _ in rows], [c.tokens for _, c in rows], groups=[i for i, _ in rows])
        texts = [decode(self.tokenizer, c.tokens) for _, c in rows]
        best = self.reward(tokens, [prompts[i] for i, _ in rows], texts)[0].view(len(groups), -1, n).argmax(2)
        return [[group[n * j + k] for j, k in enumerate(chosen)] for group, chosen in zip(groups, best.tolist(), strict=True)]


def load_prompts(dataset: str, split: str, limit: int | None) -> list[Prompt]:
    """The prompts of a split, or a UserError when there are none."""
    from heed.language.datasets import load

    prompts = load(dataset, Prompt, split=split, limit=limit)
    if not prompts:
        raise UserError(f"{dataset}: no prompt in split {split!r}")
    return prompts


def room_for_prompts(lm, max_completion_length: int, name: str) -> int:
    """How many tokens of a prompt fit beside a completion; UserError where none do."""
    from heed.language.models import context_length

    room = context_length(lm) - max_completion_length
    if room < 1:
        raise UserError(f"max_completion_length = {max_completion_length} leaves no room for a prompt in the "
                        f"{context_length(lm)} tokens of {name}")
    return room


def encode_prompts(tokenizer, prompts: Sequence[Prompt], limit: int) -> list[list[int]]:
    """Ids of prompts, the end of too long ones kept."""
    from heed.language.chat import encode_prompt, truncate_prompt

    return [truncate_prompt(encode_prompt(tokenizer, p), limit) for p in prompts]


def make_engine(name: str, lm, tokenizer, *, bf16: bool = False):
    """The engine called `name` over a model."""
    import torch

    from heed.language.engines import make_engine as build
    from heed.training.bfloat16 import bf16_here

    return build(name, lm, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
                 autocast=torch.bfloat16 if bf16_here(bf16) else None)


def _whole_chunks(path: Path, chunks: list[list[Prompt]]) -> int:
    """How many chunks a killed run wrote to the end."""
    import json

    lines: dict[int, int] = {}
    for line in path.read_text("utf-8", "replace").split("\n")[:-1] if path.exists() else []:
        try:
            row = json.loads(line)
        except ValueError:
            break
        lines[row["step"]] = lines.get(row["step"], 0) + 1
    return next((i for i, c in enumerate(chunks) if lines.get(i + 1, 0) != len(c)), len(chunks))


def _figures(path: Path) -> dict[str, float]:
    import json

    rows = [c for line in path.read_text(encoding="utf-8").split("\n")[:-1] for c in json.loads(line)["completions"]]
    return {"completions": len(rows), "mean_length": sum(len(c["tokens"]) for c in rows) / len(rows),
            "finished": sum(c["finished"] for c in rows) / len(rows)}
