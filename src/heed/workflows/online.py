"""online: rounds of sample, ask, retrain the reward model, improve the policy, evaluate, and ask about the new one.

Each round is a run of stages as `heed run` makes them, in output_dir/round-1, round-2, ...:

    collect    the newest `served` policies write answers, which people (or synthetic labelers, or a judge) rank
    reward     a reward model from all answers up to the round's snapshot, also those given while the last round trained
    ppo        the policy, improved against it
    evaluate   every policy so far on held-out prompts
    duels      where asked for: the labelers compare the new policy with the one before, on prompts nothing trains on

The store links every completion, answer, snapshot and model (`heed lineage`), and its questions show the new policy's
answers from the next round on; older questions stay open behind them.  Stopped or killed at any moment, the same command
goes on where it was; with more `rounds` it goes on behind the last one.
"""

from pathlib import Path
from typing import Any, Literal

from pydantic import NonNegativeInt, PositiveInt

from heed.config import Settings
from heed.errors import UserError


class Online(Settings):
    output_dir: str  # folder of this run; the same command given again goes on where it stopped
    store: str = ""  # path or postgresql://user@host/name of the store; output_dir/store.db when empty
    model: str  # hub name or directory of the policy to begin with (the SFT model)
    dataset: str  # prompts: a named dataset (seal_bay), a file or folder, a hub name
    rounds: PositiveInt = 3  # how many; raise it to go on
    served: PositiveInt = 2  # policies that write what is judged: the newest so many
    max_completion_length: PositiveInt = 64  # most tokens an answer
    reward_models: PositiveInt = 1  # reward models a round, of different seeds; 2 or more for query=disagreement
    reward_from: Literal["sft", "last"] = "sft"  # a reward model starts from the first policy, or from the last reward model
    policy_from: Literal["last", "sft"] = "last"  # a policy starts from the last one (KL is measured to it), or from the first
    duels: NonNegativeInt = 0  # test prompts a round on which labelers compare the new policy with the last
    seed: int = 0  # everything random follows from it
    jobs: PositiveInt = 2  # stages of a round at a time
    collect: dict[str, Any] = {}  # further settings of heed collect: who answers, how many, which questions
    reward: dict[str, Any] = {}  # further settings of heed reward
    ppo: dict[str, Any] = {}  # further settings of heed ppo
    evaluate: dict[str, Any] = {}  # further settings of heed evaluate


SETTINGS = Online


def run(settings: Online) -> dict[str, Any]:
    """Returns the figures of the last evaluation, with those of every round beside them."""
    from heed.feedback.store import open_store
    from heed.training.run import Run
    from heed.workflows import rounds
    from heed.workflows.answers import refuse_password

    refuse_password(settings.store)
    rounds.check(settings)
    more_rounds(settings)
    run = Run(settings.output_dir, settings)
    if run.summary is not None:
        return run.summary
    run.open()
    place = rounds.store_of(settings)
    with open_store(place) as store:
        line = [rounds.first_policy(settings, store)]
    figures: dict[str, Any] = {}
    for n in range(1, settings.rounds + 1):
        with run.phase(f"round {n}"):
            done = rounds.play(settings, n, line)
        line.append(done.policy)
        run.log(done.curve, step=n)
        figures = {**{k: v for k, v in figures.items() if k.startswith("round_")}, **done.summary(n)}
        print(f"online: round {n} of {settings.rounds}: {done.said}", flush=True)
    with open_store(place) as store:
        figures |= rounds.standings(store, line)
    return run.finish(figures, parent=settings.model, dataset=settings.dataset, store=place, policies=[p.id for p in line])


def more_rounds(settings: Online) -> None:
    """Lets a run that was done go on, where more rounds are wanted than it had."""
    import yaml

    folder = Path(settings.output_dir)
    if not (folder / "summary.json").exists():
        return
    had = (yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8")) or {}).get("rounds", 0)
    if settings.rounds < had:
        raise UserError(f"{folder} holds {had} rounds, and rounds = {settings.rounds}: what is done is not undone")
    if settings.rounds > had:
        (folder / "summary.json").unlink()
