"""Act, be judged, learn: what every method does that learns from its own samples.

Each step samples completions, scores them with the reward model or reward functions, prices how far they are from the
reference, and has the method take its steps.  `gold` names a judge that training never sees; it is drawn beside the reward,
so that a reward being gamed shows.  A step whose KL passes kl_stop ends the run and says why.
"""

from typing import Any, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from heed.errors import UserError
from heed.workflows.ptx import batches_beside, pretraining_rows
from heed.workflows.settings import Names, Optimisation, make_learner


class Acting(Optimisation):
    """What every method that samples is told."""

    model: str  # hub name or directory of the policy to improve (the SFT model), also the reference
    reward_model: str | list[str] | None = None  # directory of a reward model, or several
    reward_functions: Names = []  # module:function with TRL's signature, added to the reward model
    reward_weights: list[float] = []  # weights of the reward models and then the functions; default 1 each
    reward_combine: Literal["sum", "mean", "min", "lower_bound"] = "sum"  # of several reward models
    gold: str | None = None  # module:function only looked at, never trained on
    dataset: str  # prompts: a named dataset (seal_bay), a file or folder, a hub name
    split: str = "train"  # which prompts
    max_prompts: PositiveInt | None = None  # how many prompts to read
    total_episodes: PositiveInt = 10_000  # completions in the whole run
    max_tokens: NonNegativeInt = 0  # end once so many were sampled and learnt from, every pass counted; 0 is off
    rollout_batch_size: PositiveInt = 256  # completions a step
    num_generations: PositiveInt = 1  # completions of one prompt in a step
    max_prompt_length: PositiveInt = 512  # tokens kept of a prompt
    max_completion_length: PositiveInt = 64  # most tokens a completion
    temperature: PositiveFloat = 1.0  # the policy trained is the one that samples at this temperature
    kl_coef: NonNegativeFloat = 0.05  # beta: price of a nat of KL to the reference (N+ 0.05, InstructGPT 0.02)
    kl_target: PositiveFloat | None = None  # with it the price adapts to hold this KL (Ziegler et al. 2019: 6.0)
    kl_horizon: PositiveInt = 10_000  # episodes over which the price adapts
    kl_stop: float = 200.0  # the run stops where the mean KL of a batch passes this
    missing_eos_penalty: float | None = None  # taken off the score of a completion without EOS (1.0 is usual)
    critic: Literal["separate", "shared"] = "separate"  # separate: its own network (value_model); shared: a head on the policy
    value_model: str | None = None  # where the critic starts from; default the reward model
    pretraining_dataset: str | None = None  # texts for PPO's ptx_coef
    ema: float = Field(0.0, ge=0, lt=1)  # decay of an average of the weights, which is then saved (InstructGPT: 0.992)
    engine: str = "static_cache"  # who samples: static_cache or transformers
    learning_rate: NonNegativeFloat = 3e-6
    adam_epsilon: float = 1e-5


class Trainer:
    """What such a run holds: the policy (and critic) with its learner, the reference, the reward, the prompts.

    `name` is that of the method and of its seeds; `critic` whether it has one; `price` where a nat of KL is paid for: in the
    reward, in the loss (`divergence` of heed.language.penalty), or by the method itself.
    """

    def __init__(self, settings: Acting, run, name: str, algorithm, *, critic: bool = True, price: str = "reward",
                 divergence: str = "k2"):
        from heed.equations.divergence import AdaptiveKL, FixedKL
        from heed.language.actor import Actor, Conditioned
        from heed.language.chat import begin_alike, load_tokenizer, refuse_plain, reward_tokens
        from heed.language.models import disable_dropout, load_policy
        from heed.language.policy import Policy
        from heed.language.reward import make_reward
        from heed.training.schedule import seed_everything
        from heed.workflows.sample import encode_prompts, load_prompts, make_engine, room_for_prompts

        s = self.settings = settings
        self.run, self.name, self.algorithm, self.price = run, name, algorithm, price
        seed_everything("init", s.seed)
        self.tokenizer = load_tokenizer(s.model)
        lm = disable_dropout(load_policy(s.model, lora_r=s.lora_r, lora_alpha=s.lora_alpha))
        room = room_for_prompts(lm, s.max_completion_length, s.model)
        if s.rollout_batch_size % s.num_generations:
            raise UserError(f"rollout_batch_size = {s.rollout_batch_size} is no multiple of num_generations = "
                            f"{s.num_generations}")
        epochs, parts = self._passes()
        if not 1 <= parts <= s.rollout_batch_size or epochs < 1:
            raise UserError(f"{name}: {epochs} epochs of {parts} mini-batches cannot be made of "
                            f"rollout_batch_size = {s.rollout_batch_size}: both at least 1, no mini-batch empty")
        self.policy = Policy(lm, temperature=s.temperature, packing=s.packing)
        self.reference = None
        if not s.lora_r:
            frozen = disable_dropout(load_policy(s.model)).eval().requires_grad_(False)
            self.reference = Policy(frozen, temperature=s.temperature, packing=s.packing)
        models = [s.reward_model] if isinstance(s.reward_model, str) else s.reward_model or []
        self.reward = make_reward(models, s.reward_functions, s.reward_weights, self.tokenizer, packing=s.packing,
                                  combine=s.reward_combine, beside=lm if s.lora_r else None)
        self.words = reward_tokens(self.tokenizer, algorithm.levels) if hasattr(algorithm, "levels") else []
        if self.words:
            self.model, room = Conditioned(self.policy, self.reference), room - 1
        else:
            self.model = self._actor_critic(models) if critic else Actor(self.policy)
        self.learner = make_learner(self.model, s, ema=s.ema)
        self.priced = divergence if price == "loss" else None
        self.kl = FixedKL(s.kl_coef) if s.kl_target is None else AdaptiveKL(s.kl_coef, s.kl_target, s.kl_horizon)
        self.engine = make_engine(s.engine, lm, self.tokenizer, bf16=s.bf16)
        self.prompts = load_prompts(s.dataset, s.split, s.max_prompts)
        self.ids = encode_prompts(self.tokenizer, self.prompts, min(s.max_prompt_length, room))
        if self.words:
            refuse_plain(self.prompts, name)
            if not s.lora_r:
                begin_alike(lm, self.words, self.ids[0][-1])
        self.texts = pretraining_rows(s, self.tokenizer, getattr(algorithm, "ptx_coef", 0.0), name)
        self.gold = self._gold()

    def train(self) -> dict[str, Any]:
        """All steps, from the newest checkpoint on; then the policy as a Hugging Face directory."""
        from heed.training.schedule import seed_everything

        s, run = self.settings, self.run
        total = max(1, s.total_episodes // s.rollout_batch_size)
        state = run.resume({"model": self.learner}, total=total, name=self.name)
        if "kl" in state:
            self.kl.load_state_dict(state["kl"])
        last: dict[str, float] = state.get("last", {})
        self.tokens = state.get("tokens", 0.0)
        for step in range(run.step, total):
            if s.max_tokens and self.tokens >= s.max_tokens:
                break
            seed_everything(self.name, s.seed, step)
            last = self.step(step, self._rate(step, total))
            done = step + 1
            if s.save_steps and done % s.save_steps == 0 and done < total:
                self._save(done, last)
            run.bar.advance(score=last["objective/scores"], kl=last["objective/kl"])
        self._save(total, last)
        return self._finish(last)

    def _rate(self, step: int, total: int) -> float:
        """The learning rate falls with the steps, or where tokens are counted with these."""
        from heed.training.schedule import learning_rate

        s = self.settings
        at, of = (int(self.tokens), s.max_tokens) if s.max_tokens else (step, total)
        return learning_rate(at, of, s.learning_rate, s.lr_scheduler_type, round(s.warmup_ratio * of))

    def _save(self, step: int, last: dict[str, float]) -> None:
        state = {"kl": self.kl.state_dict(), "last": last, "tokens": self.tokens}
        self.run.save({"model": self.learner}, step, state, keep=self.settings.save_total_limit)

    def step(self, step: int, lr: float) -> dict[str, float]:
        """Act, be judged, learn; the figures of the step."""
        from heed.training.run import guard

        s, run = self.settings, self.run
        with run.phase("rollout"):
            acted = self._act(step)
        with run.phase("score"):
            judged = self._judge(acted)
        gold = self.gold(None, acted.prompts, acted.texts)
        said = [g for g in gold if g is not None]
        figures = {**judged.figures, **({"objective/gold": sum(said) / len(said)} if said else {})}
        if step % s.logging_steps == 0:
            self._log_samples(acted, judged, gold, step + 1)
        guard("the mean KL to the reference", figures["objective/kl"], s.kl_stop,
              "the policy has run away from where it began (raise kl_coef, lower learning_rate); checkpoints are kept")
        with run.phase("train"):
            trained = self._learn(judged.experience, step, lr)
        self.tokens += float(acted.tokens.count) * (1 + self._passes()[0])
        figures |= {**trained, "kl_coef": self.kl.coef, "lr": lr, "episode": (step + 1) * s.rollout_batch_size}
        self.kl.update(figures["objective/kl"], s.rollout_batch_size)
        if (step + 1) % s.logging_steps == 0:
            run.log(figures, step=step + 1)
        return figures

    def _learn(self, experience, step: int, lr: float) -> dict[str, float]:
        from contextlib import nullcontext

        from heed.language.attention import twice_differentiable
        from heed.language.penalty import Penalised

        s, learner, more = self.settings, self.learner, {}
        if self.priced:
            learner = Penalised(learner, self.priced, self.kl.coef, self.reference)
        if self.texts is not None:
            more = {"pretraining": batches_beside(self.texts, step, *self._passes(), s.rollout_batch_size, s.seed)}
        with twice_differentiable() if self.name == "trpo" else nullcontext():
            return self.algorithm.update(learner, self.algorithm.credit(experience), lr=lr, **more)

    def _passes(self) -> tuple[int, int]:
        """How often a rollout is read, and in how many mini-batches each time."""
        epochs = getattr(self.algorithm, "num_ppo_epochs", getattr(self.algorithm, "num_iterations", 1))
        return epochs, getattr(self.algorithm, "num_mini_batches", 1)

    def _act(self, step: int):
        from heed.language.rollout import act
        from heed.protocols import Sampling
        from heed.training.schedule import batch_indices, seed_of

        s = self.settings
        index = batch_indices(step, len(self.prompts), s.rollout_batch_size // s.num_generations, s.seed)
        sampling = Sampling(s.num_generations, s.max_completion_length, s.temperature, seed=seed_of(self.name, s.seed, step))
        ids = [[*self.ids[i], *self.words[-1:]] for i in index]
        acted = act(self.engine, self.tokenizer, [self.prompts[i] for i in index], ids, sampling)
        return acted.told(self.words) if self.words else acted

    def _judge(self, acted):
        from heed.language.rollout import judge

        s = self.settings
        coef = self.kl.coef if self.price == "reward" else 0.0
        return judge(acted, self.model, self.reference, self.reward, kl_coef=coef, micro_batch=s.micro_batch,
                     missing_eos_penalty=s.missing_eos_penalty, autocast=self.learner.autocast)

    def _gold(self):
        from heed.config import resolve_function
        from heed.language.reward import FunctionReward

        name = self.settings.gold
        return FunctionReward(resolve_function(name, "gold"), name) if name else lambda *_: []

    def _log_samples(self, acted, judged, gold: list[float | None], step: int, n: int = 4) -> None:
        for i in range(min(n, len(acted.texts))):
            row = {"prompt": acted.prompts[i].trl(), "completion": acted.texts[i], "score": judged.scores[i].item(),
                   "kl": judged.kl[i].item(), **({"gold": gold[i]} if gold else {})}
            self.run.samples.log(row, step=step)

    def _actor_critic(self, reward_models: list[str]):
        from heed.language.models import disable_dropout, load_classifier
        from heed.language.policy import ActorCritic, ScalarModel

        s = self.settings
        if s.critic == "shared" and s.value_model:
            raise UserError("critic = 'shared' is a head on the policy itself and takes no value_model: drop one of the two")
        if s.critic == "shared":
            return ActorCritic(self.policy, None)
        start = s.value_model or (reward_models[0] if reward_models else None)
        critic = load_classifier(start or s.model, fresh_head=start is None, lora_r=s.lora_r, lora_alpha=s.lora_alpha,
                                 beside=self.policy.lm if s.lora_r else None)
        return ActorCritic(self.policy, ScalarModel(disable_dropout(critic), packing=s.packing))

    def _finish(self, last: dict[str, float]) -> dict[str, Any]:
        from heed.language.chat import ask_for_the_best
        from heed.language.models import save

        s = self.settings
        if s.ema:
            for name, p in self.learner.trained.items():
                p.data.copy_(self.learner.average[name])
        if self.words:
            ask_for_the_best(self.tokenizer, len(self.words))
        self.run.artifact("model", lambda place: save(self.policy.lm, self.tokenizer, place))
        kept = {k: v for k, v in last.items() if k.startswith(("objective/", "completions/", "val/num_eos"))}
        return self.run.finish(kept, parent=s.model, reward_model=s.reward_model, reward_functions=s.reward_functions,
                               dataset=s.dataset, episodes=s.total_episodes, tokens=round(self.tokens))
