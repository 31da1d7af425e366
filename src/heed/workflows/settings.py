"""Settings that several workflows share, in the field's words."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from heed.config import Settings
from heed.errors import UserError

Schedule = Literal["constant", "linear", "cosine"]
Names = Annotated[list[str], BeforeValidator(lambda value: [value] if isinstance(value, str) else value)]  # one needs no [ ]


class Output(Settings):
    """Where a run goes and what it says on the way."""

    output_dir: str  # folder of this run; the same command given again goes on where it stopped
    seed: int = 0  # everything random follows from it
    logging_steps: PositiveInt = 1  # steps between lines of metrics.jsonl
    save_steps: NonNegativeInt = 50  # steps between checkpoints; 0 saves only at the end
    save_total_limit: PositiveInt = 2  # checkpoints kept
    report_to: Names = []  # further trackers: tensorboard, wandb


class Optimisation(Output):
    """How weights are moved."""

    learning_rate: NonNegativeFloat = 1e-5  # peak of AdamW's rate
    lr_scheduler_type: Schedule = "linear"  # how the rate falls after warm-up
    warmup_ratio: NonNegativeFloat = 0.0  # share of the steps over which the rate rises
    adam_beta2: float = 0.999  # AdamW's second decay
    adam_epsilon: float = 1e-8  # AdamW's epsilon
    weight_decay: NonNegativeFloat = 0.0  # AdamW's, on matrices only
    max_grad_norm: PositiveFloat = 1.0  # the gradient is cut to this norm
    micro_batch: PositiveInt = 32  # rows in memory at once; the gradient does not depend on it
    bf16: bool = False  # matrix products in bfloat16, where that is not slower here; weights and log-softmax in float32
    packing: bool = True  # compute on real tokens only; false pads and uses the model's own attention
    lora_r: NonNegativeInt = 0  # rank of LoRA adapters; 0 trains all weights
    lora_alpha: int = 32  # scale of LoRA adapters


class Offline(Optimisation):
    """Learning from a fixed set of rows."""

    batch_size: PositiveInt = 64  # rows in an optimizer step
    num_train_epochs: PositiveFloat = 1.0  # passes over the rows
    max_steps: int = -1  # steps, instead of epochs
    processes: PositiveInt = 1  # processes on this machine that share every batch; the result does not depend on it
    eval_steps: NonNegativeInt = 0  # steps between evaluations on the validation split; 0 evaluates at the end only


def make_learner(model, settings: Optimisation, *, ema: float = 0.0, ranks=None):
    """The Learner that these settings describe."""
    from heed.training.bfloat16 import bf16_here
    from heed.training.learner import Learner

    return Learner(model, lr=settings.learning_rate, betas=(0.9, settings.adam_beta2), eps=settings.adam_epsilon,
                   weight_decay=settings.weight_decay, max_grad_norm=settings.max_grad_norm,
                   micro_batch=settings.micro_batch, bf16=bf16_here(settings.bf16), ema=ema, ranks=ranks)


def loop_arguments(settings: Offline, total: int) -> dict:
    """What training.loop.train takes from the settings."""
    return {"total": total, "peak": settings.learning_rate, "shape": settings.lr_scheduler_type, "seed": settings.seed,
            "warmup": round(settings.warmup_ratio * total), "logging_steps": settings.logging_steps,
            "save_steps": settings.save_steps, "save_total_limit": settings.save_total_limit,
            "eval_steps": settings.eval_steps}


def open_run(verb: str, settings: Offline):
    """The run's folder and this process's place in it; `run.summary` is not None when the stage is done."""
    from heed.config import dump
    from heed.training.distributed import join
    from heed.training.run import Run

    run = Run(settings.output_dir, settings, report_to=settings.report_to)
    if settings.processes > settings.batch_size:
        raise UserError(f"processes = {settings.processes} is more than the batch_size = {settings.batch_size} rows they share")
    if run.summary is None:
        run.ranks = join(verb, dump(settings), settings.output_dir, settings.processes)
    return run
