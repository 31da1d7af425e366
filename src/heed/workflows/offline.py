"""offline: a policy from judgements that are there, without a reward model and without sampling.

algorithm names the method and `parameters` its hyperparameters, in the paper's words (docs/papers.md): direct methods
(dpo, ipo, f_dpo, robust_dpo, rso, simpo, orpo, slic, unlikelihood, kto) and supervised ones (raft: the answers liked most;
position_weighted, rating_weighted: all of them, by how much they were liked; conditional_sft: all of them, each behind a word
that says how good it is).  K answers of a prompt are one batch element.  The reference's log-probabilities of what will be
read are computed once and kept in the run; with LoRA the reference is the base.
"""

from typing import Any, Literal

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveInt, model_validator

from heed.errors import UserError
from heed.workflows import methods
from heed.workflows.settings import Offline, loop_arguments, make_learner, open_run


class OfflineSettings(Offline):
    algorithm: str  # the method: dpo, ipo, robust_dpo, rso, simpo, orpo, slic, unlikelihood, kto, raft, position_weighted, ...
    parameters: dict[str, Any] = {}  # its hyperparameters, for example {beta: 0.1}
    model: str  # hub name or directory of the policy to start from (the SFT model)
    reference_model: str | None = None  # what the policy is held to; default `model`
    store: str | list[str] | None = None  # judgements: path or URL of a store, or of several
    upto: NonNegativeInt | None = None  # store: only answers up to this number, a snapshot's watermark
    dataset: str | None = None  # judgements: a file or folder, a named dataset, a hub name
    test_dataset: str | None = None  # judgements the finished policy is measured on too; prompts of `dataset` are left out
    learn_from: Literal["rankings", "ratings"] = "rankings"  # kto: from rankings, or from answers rated alone
    max_length: PositiveInt = 512  # tokens of prompt and answer together; longer answers are cut at the end
    max_rows: PositiveInt | None = None  # how many judgements to read
    max_tokens: NonNegativeInt = 0  # about so many are learnt from, every pass counted, instead of epochs; 0 is off
    sft_coef: NonNegativeFloat = 0.0  # weight of -log p of each prompt's best answer, nats a token, beside a direct method
    learning_rate: NonNegativeFloat = 1e-6
    batch_size: PositiveInt = 32  # prompts in an optimizer step
    micro_batch: PositiveInt = 8  # prompts in memory at once, each with its K answers

    @model_validator(mode="after")
    def _known(self):
        methods.algorithm(methods.OFFLINE, self.algorithm, self.parameters)  # a slip is named before anything runs
        if self.learn_from == "ratings" and self.algorithm not in ("kto", "rating_weighted"):
            raise UserError(f"{self.algorithm} learns from rankings; learn_from = 'ratings' is for kto and rating_weighted")
        return self

    @property
    def rows(self) -> str:
        """Where the kind of rows is that the method reads, as module:class."""
        place = methods.method(methods.OFFLINE, self.algorithm).rows
        return place.replace(":Labels", ":RatedLabels") if self.learn_from == "ratings" else place


SETTINGS = OfflineSettings


def more_help() -> str:
    """The methods, for `heed offline --help`."""
    return methods.listed(methods.OFFLINE)


def run(settings: OfflineSettings) -> dict[str, Any]:
    """Returns the loss on held-out judgements, and how many of their pairs the policy's own log-ratios order rightly."""
    import torch

    from heed.language.chat import add_chat_template, fit_embeddings, load_tokenizer
    from heed.language.models import context_length, disable_dropout, load_policy, save
    from heed.language.policy import Policy, base_of
    from heed.training.loop import total_steps, train
    from heed.training.schedule import batch_indices, seed_everything
    from heed.workflows.judgements import plain

    method = methods.method(methods.OFFLINE, settings.algorithm)
    algorithm = methods.algorithm(methods.OFFLINE, settings.algorithm, settings.parameters)
    run = open_run("offline", settings)
    if run.summary is not None:
        return run.summary
    seed_everything("init", settings.seed)
    tokenizer = load_tokenizer(settings.model)
    add_chat_template(tokenizer)
    lm = disable_dropout(load_policy(settings.model, lora_r=settings.lora_r, lora_alpha=settings.lora_alpha))
    rows = methods.resolve(settings.rows)(settings, tokenizer, min(settings.max_length, context_length(lm)), algorithm)
    fit_embeddings(base_of(lm), tokenizer)
    total = total_steps(len(rows), settings.batch_size, settings.num_train_epochs, settings.max_steps)
    if settings.max_tokens:
        total = max(1, round(settings.max_tokens * len(rows) / (rows.tokens * settings.batch_size)))

    def index_of(step: int) -> list[int]:
        return batch_indices(step, len(rows), settings.batch_size, settings.seed)

    if method.reference:
        first_pass = min(total, -(-len(rows) // settings.batch_size))  # what comes later was read in it
        read = sorted({i for step in range(first_pass) for i in index_of(step)})
        with run.phase("reference"):
            rows.refer(run.dir, settings.reference_model or settings.model, torch.tensor(read))
    if hasattr(rows, "begin"):
        rows.begin(lm, settings.lora_r)
    policy = Policy(lm, packing=settings.packing)
    learner = make_learner(policy, settings, ranks=run.ranks)
    run.say(f"{settings.algorithm}: {rows.said}, {total} steps")

    def part_of(step: int) -> list:
        return rows.parts(policy, torch.tensor(index_of(step)))

    train(run, learner, name="offline", part_of=part_of, evaluate=lambda: plain(rows.figures(policy)),
          **loop_arguments(settings, total))
    if not run.ranks.first:
        return {}
    with run.phase("evaluate"):
        figures = rows.figures(policy)
    run.log(plain(figures), step=total)
    run.artifact("model", lambda place: save(lm, tokenizer, place))
    return run.finish(figures, parent=settings.model, store=settings.store, upto=settings.upto, dataset=settings.dataset,
                      algorithm=repr(algorithm), rows=len(rows), tokens=rows.tokens * total * settings.batch_size / len(rows))
