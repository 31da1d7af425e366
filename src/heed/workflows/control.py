"""control: an agent learns what people prefer of its behaviour (Christiano et al. 2017).

It acts; pairs of short segments are shown to a teacher (a person, or a rule that sees the true reward); a reward predictor
learns the answers; the agent is trained on what the predictor says.  `reward=true` trains the same agent on the true
reward: the yardstick.  Killed at any moment, the same command goes on and hears the same answers.
"""

import time
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from heed.algorithms.a2c import A2C
from heed.algorithms.ppo import PPO
from heed.algorithms.reinforce import REINFORCE
from heed.algorithms.trpo import TRPO
from heed.errors import UserError
from heed.workflows.clip_pairs import Asking
from heed.workflows.settings import Schedule


@dataclass(frozen=True)
class ControlPPO(PPO):
    """The same PPO with the values usual in control (Schulman et al. 2017, table 3), values being scaled to size 1."""

    cliprange_value: float = 10.0  # how far a value may move from the one at acting time before it stops counting
    vf_coef: float = 0.5  # weight of the value loss
    gamma: float = 0.99  # discount
    num_ppo_epochs: int = 10  # passes over each rollout
    num_mini_batches: int = 8  # optimizer steps a pass


@dataclass(frozen=True)
class ControlREINFORCE(REINFORCE):
    """The same REINFORCE, discounted."""

    gamma: float = 0.99  # discount


Reward = Annotated[Literal["learned", "true"], BeforeValidator(lambda v: "true" if v is True else v)]


class ControlSettings(Asking):
    env: str  # HalfCheetah, Hopper, Walker2d, Ant, Swimmer, Reacher, InvertedPendulum, Pendulum-v1, ... or a Gymnasium id
    variable_horizon: bool = False  # allow episodes that end early, though their length gives the goal away
    total_steps: PositiveInt = 1_000_000  # of all copies together, those of the random policy included
    copies: PositiveInt = 16  # of the environment, moving together
    steps: PositiveInt = 256  # of each copy between two updates
    episode_steps: PositiveInt | None = None  # shorter episodes to learn in; the last ones, without chance, are whole
    reward: Reward = "learned"  # learned: from answers; true: the yardstick
    agent: str = "ppo"  # ppo, trpo, a2c, reinforce, or sb3:NAME for an algorithm of stable-baselines3 (sb3:SAC)
    ppo: ControlPPO = ControlPPO()
    trpo: TRPO = TRPO()
    a2c: A2C = A2C()
    reinforce: ControlREINFORCE = ControlREINFORCE()
    learning_rate: PositiveFloat = 3e-4  # peak of the agent's
    lr_scheduler_type: Schedule = "linear"  # how it falls
    hidden: list[int] = [64, 64]  # layers of policy and critic
    log_std: float = -0.7  # logarithm of the policy's first spread, actions being in -1..1
    max_grad_norm: PositiveFloat = 0.5  # the agent's gradient is cut to this norm
    teacher: Literal["oracle", "boltzmann", "myopic", "mistake", "skip", "equal", "people"] = "oracle"  # who answers
    judge: str | None = None  # module:function, a number for a Segment that synthetic teachers go by instead of true reward
    answers: Literal["comparisons", "scores"] = "comparisons"  # scores: what each clip is worth, in numbers (an ablation)
    labels: NonNegativeInt = 700  # questions in all
    first_labels: float = Field(0.25, gt=0, le=1)  # share of them asked about the random policy
    query: Literal["random", "disagreement", "entropy", "k_centre"] = "random"  # which pairs are asked about
    oversampling: PositiveInt = 10  # candidates a question, for queries that choose
    clip_steps: PositiveInt | None = None  # steps of a segment; default 1.5 seconds of the environment's video
    pool: PositiveInt = 1000  # recent segments that may be asked about
    max_unanswered: NonNegativeInt | None = 20  # training waits while more are unanswered; 0 waits for all, none for nobody
    members: PositiveInt = 3  # networks of the predictor, each learning from its own sample of the answers
    noise: float = Field(0.1, ge=0, lt=1)  # share of answers taken to be given at random
    l2: NonNegativeFloat = 1e-4  # the predictor's penalty at the beginning
    adapt_l2: bool = True  # keep validation loss at 1.1 to 1.5 times training loss
    reward_lr: PositiveFloat = 1e-3  # the predictor's learning rate
    reward_ema: float = Field(0.98, ge=0, lt=1)  # the agent is paid by a running average of the predictor's weights; 0: none
    reward_batch: PositiveInt = 64  # answers a member reads in one step
    first_reward_steps: PositiveInt = 300  # the predictor's steps on the first answers
    reward_steps: PositiveInt = 8  # its steps in every later round
    online: bool = True  # false asks everything about the random policy (an ablation)
    yardstick: str | None = None  # output_dir of the run on the true reward, drawn beside this one
    clips: bool = False  # videos of the start, the middle and the end, for the report
    logging_steps: PositiveInt = 1
    save_steps: NonNegativeInt = 20


SETTINGS = ControlSettings


def run(settings: ControlSettings) -> dict[str, Any]:
    """Returns the final figures: true return of the last policy over whole episodes, correlations, labels, CPU-seconds."""
    import torch

    from heed.training.run import Run

    torch.set_num_threads(1)
    run = Run(settings.output_dir, settings, report_to=settings.report_to)
    return run.summary if run.summary is not None else Trainer(settings, run).train()


class Trainer:
    """What a run holds: the agent, and, unless it learns from the true reward, the predictor and those who answer."""

    def __init__(self, settings: ControlSettings, run):
        from heed.control.environments import make
        from heed.control.segments import Recent
        from heed.training.schedule import seed_everything
        from heed.workflows.control_agent import make_agent
        from heed.workflows.control_labels import Labels, make_teacher

        s = self.settings = settings
        self.run = run
        seed_everything("init", s.seed)
        self.env = make(s.env, s.copies, s.seed, variable_horizon=s.variable_horizon)
        if s.episode_steps and s.episode_steps > self.env.horizon:
            raise UserError(f"episode_steps = {s.episode_steps} is longer than an episode of {s.env}, {self.env.horizon} steps")
        self.env.horizon = s.episode_steps or self.env.horizon
        self.clip = s.clip_steps or min(self.env.clip, self.env.horizon)
        if self.clip > min(s.steps, self.env.horizon):
            which = "steps" if s.steps < self.env.horizon else "the horizon"
            raise UserError(f"clip_steps = {self.clip} is longer than {which} = {min(s.steps, self.env.horizon)}: a segment "
                            "lies within one episode and one round; choose fewer clip_steps, or more steps")
        if s.labels < 2 and s.reward == "learned":
            raise UserError(f"labels = {s.labels}: a reward is learnt from at least 2 answers (reward=true needs none)")
        self.agent = make_agent(s, self.env)
        self.recent, self.predictor, self.labels = Recent(s.pool), None, None
        if s.reward == "learned":
            from heed.control.reward import Predictor

            self.predictor = Predictor(self.env.obs_size, self.env.action_size, members=s.members, lr=s.reward_lr,
                                       batch=s.reward_batch, noise=s.noise, l2=s.l2, adapt_l2=s.adapt_l2,
                                       scores=s.answers == "scores", ema=s.reward_ema, seed=s.seed)
            self.labels = Labels(run.dir, make_teacher(s), s.max_unanswered)
        self.batch = s.copies * s.steps
        self.first = self._first_rounds()
        self.rounds = max(self.first + 1, s.total_steps // self.batch)
        self.returns, self.sums = None, None

    def _first_rounds(self) -> int:
        """Rounds of the random policy: enough that its segments need not be asked about twice, a tenth of all at most."""
        s = self.settings
        wanted = 2 * s.labels * (s.first_labels if s.online else 1.0) * self.clip if s.reward == "learned" else 0
        return int(min(max(1, -(-wanted // self.batch)), max(1, s.total_steps // self.batch // 10)))

    def kept(self) -> dict[str, Any]:
        """What a checkpoint holds, each with state() and restore()."""
        parts = {"agent": self.agent, "returns": self.returns}
        if getattr(self.agent, "learner", None):
            parts["policy"] = self.agent.learner
        if self.predictor:
            parts |= {"predictor": self.predictor, "reward": self.predictor.learner, "recent": self.recent}
        return parts

    def train(self) -> dict[str, Any]:
        """All rounds, from the newest checkpoint on; then whole episodes without chance."""
        from heed.training.schedule import seed_everything
        from heed.workflows.control_figures import Returns, watch_over

        s, run = self.settings, self.run
        self.returns = Returns(self.env)
        state = run.resume(self.kept(), total=self.rounds, name="control")
        if run.step and not getattr(self.agent, "resumable", True):
            raise UserError(f"a run of agent = {s.agent!r} cannot go on: stable-baselines3 keeps its state in pickles, which "
                            f"heed does not read; remove {run.dir} to start again")
        if self.labels:
            self.labels.restore(run.step - 1)
        last = state.get("last", {})
        self.cpu = state.get("cpu", 0.0) - time.process_time()
        for step in range(run.step, self.rounds):
            seed_everything("control", s.seed, step)
            last = self.round(step)
            done = step + 1
            if done % s.logging_steps == 0:
                run.log(last, step=done)
            if s.save_steps and done % s.save_steps == 0 and done < self.rounds and getattr(self.agent, "resumable", True):
                self.save(done, last)
            if s.clips:
                watch_over(self, done)
            shown = {"return": "true/return", "correlation": "reward/correlation_segment"}
            run.bar.advance(**{k: last[v] for k, v in shown.items() if v in last})
        self.save(self.rounds, last)
        return self._finish(last)

    def round(self, step: int) -> dict[str, float]:
        """Act, ask, learn what is preferred, learn to do it; the figures of the round."""
        import numpy as np

        from heed.training.schedule import learning_rate, seed_of
        from heed.workflows.control_figures import agreement

        s, run, random = self.settings, self.run, np.random.default_rng(seed_of("control", self.settings.seed, step))
        with run.phase("act"):
            rollout = self.agent.act(random)
            if step < self.first:
                self.agent.see(rollout)
        figures = {"steps": float((step + 1) * self.batch), **self.returns.take(rollout)}
        rewards = rollout.rewards
        if self.predictor:
            figures |= self._teach(step, rollout, random)
            with run.phase("predict"):
                rewards = self.predictor(rollout.obs, rollout.actions, self.agent.normaliser)
                if self.predictor.steps and hasattr(self.agent, "judge"):
                    self.agent.judge = lambda obs, actions: self.predictor.rate(obs, actions, self.agent.normaliser)
            said, self.sums = agreement(rewards, rollout, self.clip)
            figures |= said
        if step >= self.first:
            with run.phase("train"):
                lr = learning_rate(step - self.first, self.rounds - self.first, s.learning_rate, s.lr_scheduler_type)
                figures |= self.agent.learn(rollout, rewards, lr)
        return figures | {"cpu_seconds": self.cpu + time.process_time()}

    def _teach(self, step: int, rollout, random) -> dict[str, float]:
        """Ask what is due, take in what was answered, fit the predictor to all of it."""
        from heed.control.queries import choose, labels_due
        from heed.control.rollout import cut

        s, labels, past = self.settings, self.labels, self.agent.normaliser
        with self.run.phase("ask"):
            self.recent.add(cut(rollout, self.env, self.clip, f"{step:06d}"))
            if step < self.first - 1:
                return {}
            since, whole = (step + 1 - self.first) * self.batch, (self.rounds - self.first) * self.batch
            due = labels_due(since, whole, s.labels, first=s.first_labels) if s.online else s.labels
            pairs = choose(self.recent.segments, due - labels.asked, random, strategy=s.query, oversampling=s.oversampling,
                           scores=lambda found: self.predictor.members(found.obs, found.actions, past).sum(2))
            labels.ask(step, self.recent.segments, pairs)
        with self.run.phase("wait"):
            labels.collect(step, self.run.say)
        figures = labels.figures(step, self.batch)
        if not len(labels.answers):
            return figures
        with self.run.phase("fit"):
            fits = s.reward_steps if self.predictor.steps else s.first_reward_steps
            return figures | self.predictor.fit(labels.answers, past, fits, random)

    def save(self, done: int, last: dict[str, float]) -> None:
        """A checkpoint after `done` rounds."""
        state = {"last": last, "cpu": self.cpu + time.process_time()}
        self.run.save(self.kept(), done, state, keep=self.settings.save_total_limit)

    def _finish(self, last: dict[str, float]) -> dict[str, Any]:
        from heed.workflows.control_figures import conclude

        return conclude(self, last)
