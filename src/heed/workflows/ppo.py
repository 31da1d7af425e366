"""ppo: improve a policy against a reward, near a reference (Ziegler et al. 2019; Stiennon et al. 2020; Ouyang et al. 2022).

Each step samples completions, scores them with the reward model or reward functions, takes a KL penalty off at every
token, and makes PPO epochs over them.  `gold` names a judge that training never sees; it is drawn beside the reward, so
that a reward being gamed shows.  A step whose KL passes kl_stop ends the run and says why.
"""

from typing import Any, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from heed.algorithms.ppo import PPO
from heed.errors import UserError
from heed.workflows.settings import Names, Optimisation, make_learner


class PPOSettings(Optimisation):
    model: str  # hub name or directory of the policy to improve (the SFT model), also the reference
    reward_model: str | list[str] | None = None  # directory of a reward model, or several
    reward_functions: Names = []  # module:function with TRL's signature, added to the reward model
    reward_weights: list[float] = []  # weights of the reward models and then the functions; default 1 each
    gold: str | None = None  # module:function only looked at, never trained on
    dataset: str  # prompts: a named dataset (seal_bay), a file or folder, a hub name
    split: str = "train"  # which prompts
    max_prompts: PositiveInt | None = None  # how many prompts to read
    total_episodes: PositiveInt = 10_000  # completions in the whole run
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
    ppo: PPO = PPO()
    pretraining_dataset: str | None = None  # texts for ppo.ptx_coef
    ema: float = Field(0.0, ge=0, lt=1)  # decay of an average of the weights, which is then saved (InstructGPT: 0.992)
    engine: str = "static_cache"  # who samples: static_cache or transformers
    learning_rate: NonNegativeFloat = 3e-6
    adam_epsilon: float = 1e-5


SETTINGS = PPOSettings


def run(settings: PPOSettings) -> dict[str, Any]:
    """Returns the last figures of the curve: scores, KL, gold."""
    from heed.training.run import Run

    run = Run(settings.output_dir, settings, report_to=settings.report_to)
    return run.summary if run.summary is not None else Trainer(settings, run).train()


class Trainer:
    """What a PPO run holds: the actor-critic and its learner, the reference, the reward, the prompts."""

    def __init__(self, settings: PPOSettings, run):
        from heed.equations.divergence import AdaptiveKL, FixedKL
        from heed.language.chat import load_tokenizer
        from heed.language.models import disable_dropout, load_policy
        from heed.language.policy import Policy
        from heed.language.reward import make_reward
        from heed.training.schedule import seed_everything
        from heed.workflows.sample import encode_prompts, load_prompts, make_engine, room_for_prompts

        s = self.settings = settings
        self.run = run
        seed_everything("init", s.seed)
        self.tokenizer = load_tokenizer(s.model)
        lm = disable_dropout(load_policy(s.model, lora_r=s.lora_r, lora_alpha=s.lora_alpha))
        room = room_for_prompts(lm, s.max_completion_length, s.model)
        if s.rollout_batch_size % s.num_generations:
            raise UserError(f"rollout_batch_size = {s.rollout_batch_size} is no multiple of num_generations = "
                            f"{s.num_generations}")
        if not 1 <= s.ppo.num_mini_batches <= s.rollout_batch_size or s.ppo.num_ppo_epochs < 1:
            raise UserError(f"ppo: {s.ppo.num_ppo_epochs} epochs of {s.ppo.num_mini_batches} mini-batches cannot be made of "
                            f"rollout_batch_size = {s.rollout_batch_size}: both at least 1, no mini-batch empty")
        self.policy = Policy(lm, temperature=s.temperature, packing=s.packing)
        self.reference = None
        if not s.lora_r:
            frozen = disable_dropout(load_policy(s.model)).eval().requires_grad_(False)
            self.reference = Policy(frozen, temperature=s.temperature, packing=s.packing)
        models = [s.reward_model] if isinstance(s.reward_model, str) else s.reward_model or []
        self.reward = make_reward(models, s.reward_functions, s.reward_weights, self.tokenizer, packing=s.packing)
        self.model = self._actor_critic(models)
        self.learner = make_learner(self.model, s, ema=s.ema)
        self.kl = FixedKL(s.kl_coef) if s.kl_target is None else AdaptiveKL(s.kl_coef, s.kl_target, s.kl_horizon)
        self.engine = make_engine(s.engine, lm, self.tokenizer, bf16=s.bf16)
        self.prompts = load_prompts(s.dataset, s.split, s.max_prompts)
        self.ids = encode_prompts(self.tokenizer, self.prompts, min(s.max_prompt_length, room))
        self.texts = self._pretraining_rows()
        self.gold = self._gold()

    def train(self) -> dict[str, Any]:
        """All steps, from the newest checkpoint on; then the policy as a Hugging Face directory."""
        from heed.training.schedule import learning_rate, seed_everything

        s, run = self.settings, self.run
        total = max(1, s.total_episodes // s.rollout_batch_size)
        state = run.resume({"model": self.learner}, total=total, name="ppo")
        if "kl" in state:
            self.kl.load_state_dict(state["kl"])
        last: dict[str, float] = state.get("last", {})
        for step in range(run.step, total):
            seed_everything("ppo", s.seed, step)
            lr = learning_rate(step, total, s.learning_rate, s.lr_scheduler_type, round(s.warmup_ratio * total))
            last = self.step(step, lr)
            done = step + 1
            if s.save_steps and done % s.save_steps == 0 and done < total:
                run.save({"model": self.learner}, done, {"kl": self.kl.state_dict(), "last": last}, keep=s.save_total_limit)
            run.bar.advance(score=last["objective/scores"], kl=last["objective/kl"])
        run.save({"model": self.learner}, total, {"kl": self.kl.state_dict(), "last": last}, keep=s.save_total_limit)
        return self._finish(last)

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
            trained = s.ppo.update(self.learner, s.ppo.credit(judged.experience), lr=lr, pretraining=self._pretraining(step))
        figures |= {**trained, "kl_coef": self.kl.coef, "lr": lr, "episode": (step + 1) * s.rollout_batch_size}
        self.kl.update(figures["objective/kl"], s.rollout_batch_size)
        if (step + 1) % s.logging_steps == 0:
            run.log(figures, step=step + 1)
        return figures

    def _act(self, step: int):
        from heed.language.rollout import act
        from heed.protocols import Sampling
        from heed.training.schedule import batch_indices, seed_of

        s = self.settings
        index = batch_indices(step, len(self.prompts), s.rollout_batch_size // s.num_generations, s.seed)
        sampling = Sampling(s.num_generations, s.max_completion_length, s.temperature, seed=seed_of("ppo", s.seed, step))
        return act(self.engine, self.tokenizer, [self.prompts[i] for i in index], [self.ids[i] for i in index], sampling)

    def _judge(self, acted):
        from heed.language.rollout import judge

        s = self.settings
        return judge(acted, self.model, self.reference, self.reward, kl_coef=self.kl.coef, micro_batch=s.micro_batch,
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
        critic = load_classifier(start or s.model, fresh_head=start is None, lora_r=s.lora_r, lora_alpha=s.lora_alpha)
        return ActorCritic(self.policy, ScalarModel(disable_dropout(critic), packing=s.packing))

    def _pretraining_rows(self):
        from heed.workflows.pretrain import load_texts, text_rows

        s = self.settings
        if not s.ppo.ptx_coef:
            return None
        if not s.pretraining_dataset:
            raise UserError(f"ppo.ptx_coef = {s.ppo.ptx_coef} needs pretraining_dataset")
        length = min(128, s.max_prompt_length + s.max_completion_length)
        return text_rows(self.tokenizer, load_texts(s.pretraining_dataset, "train", None), length)

    def _pretraining(self, step: int):
        """Batches of text for one PPO step: a quarter as many rows as there are completions."""
        import torch

        from heed.training.schedule import batch_indices

        if self.texts is None:
            return
        s = self.settings
        per_step = s.ppo.num_ppo_epochs * s.ppo.num_mini_batches
        rows = max(1, s.rollout_batch_size // s.ppo.num_mini_batches // 4)
        for i in range(per_step):
            yield self.texts.select(torch.tensor(batch_indices(step * per_step + i, len(self.texts), rows, s.seed)))

    def _finish(self, last: dict[str, float]) -> dict[str, Any]:
        from heed.language.models import save

        s = self.settings
        if s.ema:
            for name, p in self.learner.trained.items():
                p.data.copy_(self.learner.average[name])
        self.run.artifact("model", lambda place: save(self.policy.lm, self.tokenizer, place))
        kept = {k: v for k, v in last.items() if k.startswith(("objective/", "completions/", "val/num_eos"))}
        return self.run.finish(kept, parent=s.model, reward_model=s.reward_model, reward_functions=s.reward_functions,
                               dataset=s.dataset, episodes=s.total_episodes)
