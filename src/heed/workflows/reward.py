"""reward: a reward model from rankings (Ouyang et al. 2022, equation 1): the K answers of a prompt are one batch element.

Rankings come from a store (`store`) or a dataset (`dataset`: pairs, K-ranked rows, scored answers); so do ratings, absolute
scores such as stars or labels, with `learn_from: ratings`.  The model starts from the SFT model with a fresh head, is trained
for one epoch, and is shifted so that the SFT model's own answers score 0.
"""

from typing import Any, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from heed.workflows.settings import Offline, loop_arguments, make_learner, open_run


class Reward(Offline):
    model: str  # hub name or directory of the SFT model to start from
    start_from: str | None = None  # a reward model to go on from; by default the SFT model with a fresh head
    store: str | list[str] | None = None  # judgements: path or URL of a store, or of several
    upto: NonNegativeInt | None = None  # store: only answers up to this number, a snapshot's watermark
    dataset: str | None = None  # judgements: a file or folder, a named dataset, a hub name
    test_dataset: str | None = None  # judgements the finished model is measured on too; prompts of `dataset` are left out
    learn_from: Literal["rankings", "ratings"] = "rankings"  # which judgements: of several answers, or of one by itself
    ratings_as: Literal["ordinal", "regression"] = "ordinal"  # ratings: levels of which the order counts, or numbers
    max_length: PositiveInt = 512  # tokens of prompt and answer together; longer answers are cut at the end
    max_rows: PositiveInt | None = None  # how many judgements to read
    ranking: Literal["pairs", "plackett_luce"] = "pairs"  # K answers: all their pairs, or their order, choice after choice
    batch_of: Literal["prompts", "pairs"] = "prompts"  # one batch element: a prompt with its K answers, or (it overfits) a pair
    length_debias: bool = False  # a weight on length is learnt beside the score and then dropped, with what length explained
    ties: Literal["drop", "half"] = "drop"  # tied pairs: drop (InstructGPT) or half (Christiano et al. 2017)
    normalise: Literal["pairs", "k_choose_2"] = "pairs"  # a ranking's loss is divided by its pairs, or by k_choose_2
    label_smoothing: float = Field(0.0, ge=0, lt=0.5)  # the share of answers taken to be flipped
    center_rewards_coefficient: NonNegativeFloat = 0.0  # pulls rewards towards mean 0; 0.01 is usual
    use_margins: bool = False  # how much better the winner was, where that was asked, becomes a margin
    shift_prompts: NonNegativeInt = 256  # prompts whose answers by `model` are given mean reward 0 afterwards
    max_completion_length: PositiveInt = 64  # tokens of those answers
    temperature: PositiveFloat = 1.0  # at which they are sampled: that of the policy to come
    learning_rate: NonNegativeFloat = 1e-5
    batch_size: PositiveInt = 32  # prompts in an optimizer step (InstructGPT: 64)
    micro_batch: PositiveInt = 8  # prompts in memory at once, each with its K answers
    adam_epsilon: float = 1e-5


SETTINGS = Reward


def run(settings: Reward) -> dict[str, Any]:
    """Returns accuracy on held-out judgements, with its interval and what rules that read nothing reach beside it."""
    import torch

    from heed.language.chat import add_chat_template, fit_embeddings, load_tokenizer
    from heed.language.models import context_length, disable_dropout, load_classifier, save
    from heed.language.policy import ScalarModel, base_of
    from heed.language.reward import BesideLength
    from heed.training.learner import Part
    from heed.training.loop import total_steps, train
    from heed.training.schedule import batch_indices, seed_everything
    from heed.workflows.judgements import LEARN_FROM, plain

    run = open_run("reward", settings)
    if run.summary is not None:
        return run.summary
    seed_everything("init", settings.seed)
    tokenizer = load_tokenizer(settings.model)
    add_chat_template(tokenizer)
    begin = settings.start_from or settings.model
    classifier = disable_dropout(load_classifier(begin, fresh_head=begin == settings.model, lora_r=settings.lora_r,
                                                 lora_alpha=settings.lora_alpha))
    base_of(classifier).config.heed_reward_shift = 0.0  # what an earlier one was shifted by is not this one's
    fit_embeddings(base_of(classifier), tokenizer)
    model = ScalarModel(classifier, packing=settings.packing)
    trained = BesideLength(model) if settings.length_debias else model
    learner = make_learner(trained, settings, ranks=run.ranks)
    judgements = LEARN_FROM[settings.learn_from](settings, tokenizer, min(settings.max_length, context_length(classifier)))
    total = total_steps(len(judgements), settings.batch_size, settings.num_train_epochs, settings.max_steps)
    run.say(f"reward: {judgements.said}, {total} steps")

    def part_of(step: int) -> Part:
        index = batch_indices(step, len(judgements), settings.batch_size, settings.seed)
        return Part(judgements.select(torch.tensor(index)), judgements.loss)

    train(run, learner, name="reward", part_of=part_of, evaluate=lambda: plain(judgements.figures(model)),
          **loop_arguments(settings, total))
    if not run.ranks.first:
        return {}
    with run.phase("evaluate"):
        figures = judgements.figures(model)
        shift = mean_reward_of_sft(settings, model, tokenizer, judgements.prompts)
        base_of(classifier).config.heed_reward_shift = shift
    run.log(plain(figures), step=total)
    run.artifact("model", lambda place: save(classifier, tokenizer, place))
    return run.finish({**figures, "reward_shift": shift}, parent=begin, store=settings.store, upto=settings.upto,
                      dataset=settings.dataset, **judgements.lineage)


def mean_reward_of_sft(settings: Reward, model, tokenizer, prompts) -> float:
    """Mean reward of what the SFT model answers; taken off later, so that 0 means `as good as SFT`."""
    import torch

    from heed.language.batches import make_tokens
    from heed.language.models import context_length, load_policy
    from heed.protocols import Sampling
    from heed.training.schedule import seed_of
    from heed.workflows.sample import encode_prompts, make_engine

    unique = list({p.id: p for p in prompts}.values())[: settings.shift_prompts]
    if not unique:
        return 0.0
    lm = load_policy(settings.model).eval()
    budget = min(settings.max_completion_length, context_length(lm) // 2)
    ids = encode_prompts(tokenizer, unique, min(settings.max_length, context_length(lm)) - budget)
    engine = make_engine("static_cache", lm, tokenizer)
    sampling = Sampling(max_tokens=budget, temperature=settings.temperature, seed=seed_of("shift", settings.seed))
    found = engine.generate(ids, sampling)
    rows = make_tokens(ids, [group[0].tokens for group in found])
    model.eval()
    with torch.no_grad():
        return torch.cat([model.score(rows.select(i)) for i in torch.arange(len(rows)).split(32)]).mean().item()
