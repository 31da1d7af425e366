"""Who answers: people, labelers made from a reward function, or a language model as judge.

The settings are shared by all verbs that have something judged; `heed.workflows.answers` does the asking.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from pydantic import Field, PositiveInt

from heed.config import Settings, resolve_function
from heed.errors import UserError
from heed.feedback.labelers.wording import WANTED


class Judge(Settings):
    """A language model that answers: on a server, or a local checkpoint."""

    model: str = ""  # judge: hub name or directory of a checkpoint; with judge.url the name by which the server knows it
    url: str = ""  # judge: OpenAI-compatible server, up to the part before /chat/completions
    key_env: str = ""  # judge: environment variable with the server's key
    name: str = "judge"  # judge: what its answers are signed with
    mode: Literal["score", "pair", "rank"] = "pair"  # judge: each answer by itself, every two in both orders, or all at once
    wanted: str = WANTED  # judge: what is judged, to be read after "You judge"
    low: int = 0  # judge: worst score of mode=score
    high: int = 5  # judge: best score of mode=score
    temperature: float = Field(0.0, ge=0)  # judge: of its replies; 0 is greedy
    max_tokens: PositiveInt = 512  # judge: most tokens of a reply
    at_once: PositiveInt = 8  # judge: requests in flight, or questions in a batch
    timeout: float = Field(60.0, gt=0)  # judge: seconds to wait for a reply of the server
    price_in: float | None = None  # judge: dollars a million tokens that it reads
    price_out: float | None = None  # judge: dollars a million tokens that it writes


class Answering(Settings):
    """What is judged by whom, and how well they do it."""

    output_dir: str  # folder of this run; the same command given again goes on where it stopped
    store: str = ""  # path or postgresql://user@host/name of the store; output_dir/store.db when empty
    by: Literal["synthetic", "human", "judge"] = "synthetic"  # who answers
    overlap: int = Field(1, ge=1)  # labelers who answer each comparison
    reward_function: str = ""  # synthetic: what they prefer, module:function with TRL's signature
    labelers: int = Field(1, ge=1)  # synthetic: how many there are
    noise: float = Field(0.0, ge=0)  # synthetic: Gumbel scale, in units of the reward; 0 is exact
    mistakes: float = Field(0.0, ge=0, le=1)  # synthetic: probability that two candidates of an answer change places
    tie_threshold: float = Field(0.0, ge=0)  # synthetic: rewards at most this far apart look equal
    skip: float = Field(0.0, ge=0, le=1)  # synthetic: probability of skipping a comparison
    biases: dict[str, float] = {}  # synthetic: reward per words, characters, or position (each place further down)
    judge: Judge = Judge()
    seed: int = 0  # everything random follows from it
    poll_seconds: float = Field(5.0, gt=0)  # human: how often to look for answers


def make_labelers(settings: Answering, reward_models: bool = False) -> list:
    """Those who answer in this process; none where people do.  Raises UserError for settings that no labeler can have.

    `reward_models`: the crowd is told what candidates are worth by these, instead of by its reward function.
    """
    if settings.by == "human":
        return []
    crowd = [make_judge(settings)] if settings.by == "judge" else make_crowd(settings, reward_models)
    if settings.overlap > len(crowd):
        raise UserError(f"overlap = {settings.overlap} wants more labelers than " +
                        ("the one judge" if settings.by == "judge" else f"labelers = {settings.labelers}"))
    return crowd


def make_crowd(settings: Answering, reward_models: bool = False) -> list:
    """The synthetic labelers, called synthetic-1, synthetic-2, ..., or reward-model-1, ... where they follow such models."""
    from heed.feedback.labelers import labeler_class

    if bool(settings.reward_function) == reward_models:
        raise UserError("by=synthetic needs reward_function=module:function" + (" or reward_model, not both" if reward_models
                                                                               else ""))
    score = None if reward_models else resolve_function(settings.reward_function, "reward_function")
    name = "reward-model" if reward_models else "synthetic"
    manners = settings.model_dump(include={"noise", "mistakes", "tie_threshold", "skip", "biases", "seed"})
    return [labeler_class("synthetic")(score, name=f"{name}-{i + 1}", **manners) for i in range(settings.labelers)]


def make_judge(settings: Answering):
    """A language model as labeler; every call is in output_dir/judge.jsonl and is not made twice."""
    from heed.feedback.labelers import labeler_class

    j = settings.judge
    if not j.model:
        raise UserError("by=judge needs judge.model: a checkpoint, or with judge.url a model of that server")
    model = _endpoint(j) if j.url else _local(j, settings.seed)
    return labeler_class("judge")(model, name=j.name, mode=j.mode, wanted=j.wanted, low=j.low, high=j.high,
                                  log=judge_log(settings), seed=settings.seed)


def judge_log(settings: Answering) -> Path:
    """Where every call of the judge stands."""
    return Path(settings.output_dir) / "judge.jsonl"


def _endpoint(j: Judge):
    from heed.feedback.labelers.endpoint import Endpoint

    return Endpoint(j.url, j.model, key_env=j.key_env, temperature=j.temperature, max_tokens=j.max_tokens, timeout=j.timeout,
                    at_once=j.at_once, price_in=j.price_in, price_out=j.price_out)


def _local(j: Judge, seed: int):
    from heed.feedback.labelers.calls import Local
    from heed.workflows.checkpoints import weights_sha256

    name = f"{j.model} {weights_sha256(j.model)}".strip()
    sampled = f" {j.temperature:g} {seed}" if j.temperature else ""
    return Local(local_generate(j, seed), id=f"{name} {j.max_tokens}{sampled}", batch=j.at_once)


def local_generate(j: Judge, seed: int) -> Callable[[list[str]], list[str]]:
    """Replies of a local checkpoint, which is loaded when it is first asked.

    A question that does not fit beside a reply gets an empty one: half a question would be answered about something else.
    """
    loaded: list = []

    def load() -> tuple:
        from heed.language.chat import load_tokenizer
        from heed.language.models import load_policy
        from heed.workflows.sample import make_engine, room_for_prompts

        tokenizer, lm = load_tokenizer(j.model), load_policy(j.model).eval()
        return tokenizer, make_engine("static_cache", lm, tokenizer), room_for_prompts(lm, j.max_tokens, j.model)

    def generate(questions: list[str]) -> list[str]:
        from heed.language.chat import decode, encode_prompt
        from heed.protocols import Sampling
        from heed.records import Message, Prompt
        from heed.training.schedule import seed_of

        if not loaded:
            loaded.extend(load())
        tokenizer, engine, room = loaded
        prompts = [Prompt((Message("user", q),) if tokenizer.chat_template else q) for q in questions]
        ids = [encode_prompt(tokenizer, p) for p in prompts]
        fits = [i for i, x in enumerate(ids) if len(x) <= room]
        sampling = Sampling(1, j.max_tokens, j.temperature, seed=seed_of("judge", seed, questions))
        found = dict(zip(fits, engine.generate([ids[i] for i in fits], sampling), strict=True)) if fits else {}
        return [decode(tokenizer, found[i][0].tokens) if i in found else "" for i in range(len(questions))]

    return generate
