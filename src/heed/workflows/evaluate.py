"""evaluate: is it better, by how much, how sure are we, and is the reward being gamed?

Every checkpoint in `models` answers the same held-out prompts; a gold judge and a reward model score the answers; win
rates, rewards and KL come with 95 % intervals clustered by prompt.  The reward model is measured on answers of the
reference, ranked by the gold judge without noise.
"""

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Literal

from pydantic import Field, NonNegativeFloat, PositiveInt

from heed.errors import UserError
from heed.workflows.settings import Names, Output


class Evaluate(Output):
    models: dict[str, str] = Field(min_length=1)  # name: hub name or directory, from first to last, for example base, sft, ppo
    reference: str | None = None  # name of the model that KL is measured to; default the second of several
    dataset: str  # prompts: a named dataset (seal_bay), a file or folder, a hub name
    split: str = "test"  # which prompts
    max_prompts: PositiveInt | None = 400  # how many prompts
    num_generations: PositiveInt = 4  # answers of each model to a prompt
    max_prompt_length: PositiveInt = 512  # tokens kept of a prompt
    max_completion_length: PositiveInt = 64  # most tokens an answer
    temperature: NonNegativeFloat = 1.0  # of sampling
    gold: str | None = None  # module:function, the judge training never saw
    reward_model: str | None = None  # the proxy that was trained on
    reward_functions: Names = []  # module:function that were trained on, added to the reward model
    reward_weights: list[float] = []  # weights of the reward model and then the functions; default 1 each
    best_of: dict[str, int] = {}  # of these models each answer is the best of so many, by the proxy
    compare: Literal["all", "reference"] = "all"  # which policies are compared: every two, or each with the reference
    texts: str | None = None  # dataset of texts on whose validation split perplexity is measured
    engine: str = "static_cache"  # who samples
    micro_batch: PositiveInt = 32  # answers scored at once


SETTINGS = Evaluate


def run(settings: Evaluate) -> dict[str, Any]:
    """Returns the summary: win rates, gold, proxy, KL, reward-model accuracy, perplexity."""
    from heed.evaluation.summary import summarise
    from heed.evaluation.table import table
    from heed.training.run import Run

    run = Run(settings.output_dir, settings)
    if run.summary is None:
        if settings.gold is None and settings.reward_model is None and not settings.reward_functions:
            raise UserError("evaluate needs a judge: gold or reward_functions (module:function), or reward_model (a directory)")
        answers = Answers(settings, run)
        rows = answers.rows()
        run.open()
        for row in rows:
            run.samples.log(row, step=0)
        against = answers.reference if settings.compare == "reference" else None
        figures = summarise(rows, against=against) | reward_model_figures(settings, rows, answers.reference)
        figures |= text_figures(settings)
        run.finish(figures, models=settings.models, reward_model=settings.reward_model, dataset=settings.dataset)
    print(table(run.summary))
    return run.summary


class Answers:
    """What each model answers to the held-out prompts, and what the judges say of it."""

    def __init__(self, settings: Evaluate, run):
        from heed.workflows.sample import load_prompts

        self.settings, self.run = settings, run
        self.prompts = load_prompts(settings.dataset, settings.split, settings.max_prompts)
        names = list(settings.models)
        self.reference = settings.reference or names[min(1, len(names) - 1)]
        odd = [name for name in settings.best_of if name not in names]
        if odd:
            raise UserError(f"best_of names {odd[0]!r}, which is none of the models ({', '.join(names)})")
        if min(settings.best_of.values(), default=1) < 1:
            raise UserError(f"best_of = {settings.best_of}: expected whole numbers from 1 on")
        if self.reference not in names:
            raise UserError(f"reference = {self.reference!r} is none of the models ({', '.join(names)})")

    def rows(self) -> list[dict[str, Any]]:
        """One row of samples.jsonl a prompt."""
        from heed.training.progress import progress

        n, models = self.settings.num_generations, self.settings.models
        found = {name: self._answer(name) for name in progress(models, "evaluate", len(models), "model")}
        rows = []
        for i, prompt in enumerate(self.prompts):
            row: dict[str, Any] = {"prompt_id": prompt.id, "prompt": prompt.trl(), "columns": dict(prompt.columns)}
            for name, columns in found.items():
                for key, values in columns.items():
                    row.setdefault(key, {})[name] = values[i * n : (i + 1) * n]
            rows.append(row)
        return rows

    def _answer(self, name: str) -> dict[str, list]:
        from heed.config import resolve_function
        from heed.language.chat import TEMPLATE, best_word, load_tokenizer
        from heed.language.models import load_policy
        from heed.language.reward import FunctionReward, make_reward
        from heed.language.rollout import act, best_of
        from heed.protocols import Sampling
        from heed.training.schedule import seed_of
        from heed.workflows.sample import encode_prompts, make_engine, room_for_prompts

        s = self.settings
        lm = load_policy(s.models[name]).eval()
        tokenizer = load_tokenizer(s.models[name])
        if not tokenizer.chat_template:  # a model that never saw a conversation is asked in the words of the ones that did
            tokenizer.chat_template = load_tokenizer(s.models[self.reference]).chat_template or TEMPLATE
        room = room_for_prompts(lm, s.max_completion_length, s.models[name])
        ids = encode_prompts(tokenizer, self.prompts, min(s.max_prompt_length, room))
        several = s.best_of.get(name, 1)
        n, seed = several * s.num_generations, seed_of("evaluate", s.seed)
        sampling = Sampling(n, s.max_completion_length, s.temperature, seed=seed)
        with self.run.phase(f"sample {name}"):
            acted = act(make_engine(s.engine, lm, tokenizer), tokenizer, self.prompts, ids, sampling)
        word = best_word(tokenizer)
        if word is not None and all(prompt[-1] == word for prompt in ids):  # the reference and the reward model are not told it
            acted = acted.told([word])
        with self.run.phase("judge"):
            proxy = None
            if s.reward_model or s.reward_functions:
                models = [s.reward_model] if s.reward_model else []
                proxy = make_reward(models, s.reward_functions, s.reward_weights, tokenizer)
            if several > 1:
                acted = best_of(acted, self._scored(proxy, acted), several)
            columns: dict[str, list] = {"completions": acted.texts, "tokens": acted.tokens.completion_lengths.tolist(),
                                        "finished": acted.finished.tolist()}
            if s.gold:
                columns["gold"] = FunctionReward(resolve_function(s.gold, "gold"), s.gold)(None, acted.prompts, acted.texts)
            if proxy:
                columns["proxy"] = proxy(acted.tokens, acted.prompts, acted.texts)[0].tolist()
            if name != self.reference or several > 1:
                columns["kl"] = self._kl(lm, acted.tokens)
                if several > 1:  # what choosing adds to the distance of who wrote them: a bound (Stiennon et al. 2020)
                    bound = math.log(several) - (several - 1) / several
                    columns["kl"] = [kl + bound for kl in columns["kl"]]
        return columns

    @cached_property
    def _reference_lm(self):
        """Read once, for however many models."""
        from heed.language.models import load_policy

        return load_policy(self.settings.models[self.reference]).eval()

    def _scored(self, proxy, acted):
        if proxy is None:
            raise UserError("best_of chooses by the reward: give reward_model or reward_functions")
        return proxy(acted.tokens, acted.prompts, acted.texts)[0]

    def _kl(self, lm, tokens) -> list[float]:
        """log pi - log pi_ref of each answer, summed over its tokens."""
        import torch

        from heed.language.actor import Conditioned
        from heed.language.batches import Told
        from heed.language.policy import Policy

        s = self.settings
        policies = [Policy(m, temperature=s.temperature) for m in (lm, self._reference_lm)]
        if isinstance(tokens, Told):
            policies[0] = Conditioned(policies[0], None)
        with torch.no_grad():
            parts = [[p(tokens.select(i)).logprobs.sum(1) for p in policies]
                     for i in torch.arange(len(tokens)).split(s.micro_batch)]
        return torch.cat([a - b for a, b in parts]).tolist()


def reward_model_figures(settings: Evaluate, rows: Sequence[dict[str, Any]], reference: str) -> dict[str, Any]:
    """Does the reward model order the reference's answers as the gold judge does, without any labeler's noise?"""
    from heed.evaluation.rankings import from_evaluation, summarise_rankings

    if not (settings.gold and settings.reward_model and settings.num_generations > 1):
        return {}
    figures = summarise_rankings(from_evaluation(rows, reference))
    return {f"reward_model/{name}": value for name, value in figures.items()}


def text_figures(settings: Evaluate) -> dict[str, Any]:
    """Perplexity of every model on held-out text, with an interval over texts: the alignment tax."""
    from heed.evaluation.metrics.text import perplexity
    from heed.language.chat import load_tokenizer
    from heed.language.models import load_policy
    from heed.language.policy import Policy
    from heed.workflows.pretrain import load_texts, text_losses

    if not settings.texts:
        return {}
    texts = load_texts(settings.texts, "valid", 200)
    read = {name: text_losses(Policy(load_policy(path)), load_tokenizer(path), texts, 128, 32)
            for name, path in settings.models.items()}
    return {f"perplexity/{name}": perplexity(*values).per_token.summary() for name, values in read.items()}
