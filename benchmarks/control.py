"""Agents beside their peers, in one run: steps per CPU-second and true return.

    python benchmarks/control.py --sb3 /path/to/venv/bin/python                      PPO on HalfCheetah, true reward
    python benchmarks/control.py --imitation /path/to/venv/bin/python --seeds 5      213,000 steps, 700 answers

Peers live in environments of their own: stable-baselines3 2.9 with gymnasium, mujoco, imageio and packaging; imitation 1.0.1
with mujoco<4 and imageio.  All run one after the other on one torch thread, on the task of the paper: HalfCheetah paid for
its speed alone.
CPU-seconds are of the whole process from the first step on, imports left out.  Steps are those that were really taken:
imitation 1.0.1 takes more than it is asked for.  How fast the machine was in that hour is told by the first row, the physics
of the same task alone; compare ratios.  Appends a JSON line to benchmarks/results/control.jsonl.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

from record import record

STEPS = {"sb3": 100_000, "imitation": 213_000}


def cheetah(version):
    """HalfCheetah paid for its speed alone, as a gymnasium environment."""
    import gymnasium

    class Speed(gymnasium.Wrapper):
        def step(self, action):
            obs, _, terminated, truncated, info = self.env.step(action)
            return obs, float(info["x_velocity"]), terminated, truncated, info

    return Speed(gymnasium.make(f"HalfCheetah-{version}"))


def sb3(steps, seed, tuned):
    """stable-baselines3's PPO: its defaults on 8 copies, or large batches on 16."""
    import torch
    from stable_baselines3 import PPO
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.evaluation import evaluate_policy

    torch.set_num_threads(1)
    env = make_vec_env(lambda: cheetah("v5"), n_envs=16 if tuned else 8, seed=seed)
    how = {"n_steps": 256, "batch_size": 512, "n_epochs": 10} if tuned else {}
    model = PPO("MlpPolicy", env, seed=seed, device="cpu", **how)
    begun = time.process_time()
    model.learn(steps)
    cpu = time.process_time() - begun
    mean, _ = evaluate_policy(model, make_vec_env(lambda: cheetah("v5"), n_envs=8, seed=seed + 1000), n_eval_episodes=8)
    return {"steps": model.num_timesteps, "cpu": cpu, "return": mean}


def imitation(steps, seed):
    """imitation's preference comparisons with a generous PPO, an ensemble of 3 and ten times oversampling."""
    import numpy as np
    import torch
    from imitation.algorithms import preference_comparisons as pc
    from imitation.data.wrappers import RolloutInfoWrapper
    from imitation.rewards.reward_nets import BasicRewardNet, NormalizedRewardNet, RewardEnsemble
    from imitation.util.networks import RunningNorm
    from stable_baselines3 import PPO
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.evaluation import evaluate_policy

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    env = make_vec_env(lambda: RolloutInfoWrapper(cheetah("v4")), n_envs=16, seed=seed)
    spaces = env.observation_space, env.action_space
    nets = [NormalizedRewardNet(BasicRewardNet(*spaces, hid_sizes=(64, 64)), RunningNorm) for _ in range(3)]
    net = RewardEnsemble(*spaces, nets)
    fragments = pc.ActiveSelectionFragmenter(pc.PreferenceModel(net), pc.RandomFragmenter(rng=rng), 10.0)
    trainer = pc.EnsembleTrainer(pc.PreferenceModel(net, noise_prob=0.1), pc.CrossEntropyRewardLoss(), epochs=3, rng=rng)
    agent = PPO("MlpPolicy", env, seed=seed, device="cpu", n_steps=256, batch_size=512, n_epochs=10)
    begun = time.process_time()
    generator = pc.AgentTrainer(algorithm=agent, reward_fn=net, venv=env, exploration_frac=0.05, rng=rng)
    comparisons = pc.PreferenceComparisons(generator, net, num_iterations=10, fragmenter=fragments, reward_trainer=trainer,
                                           preference_gatherer=pc.SyntheticGatherer(rng=rng), fragment_length=30,
                                           initial_comparison_frac=0.25, query_schedule="hyperbolic",
                                           initial_epoch_multiplier=4,  # its guide's; with the default, 200, fitting the
                                           # first answers alone takes longer than all of heed's run, many times over
                                           transition_oversampling=1)
    comparisons.train(total_timesteps=steps * 10 // 12, total_comparisons=700)  # it takes more than it is asked for
    cpu = time.process_time() - begun
    mean, _ = evaluate_policy(agent, make_vec_env(lambda: cheetah("v4"), n_envs=8, seed=seed + 1000), n_eval_episodes=8)
    return {"steps": agent.num_timesteps, "cpu": cpu, "return": mean}


def heed(steps, seed, *settings):
    """`heed control` on the same task, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        words = ["env=HalfCheetah", f"total_steps={steps}", f"seed={seed}", f"output_dir={folder}/run", *settings]
        subprocess.run([sys.executable, "-m", "heed", "control", *words], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        with open(f"{folder}/run/summary.json", encoding="utf-8") as f:
            found = json.load(f)
    return {"steps": found["steps"], "cpu": found["cpu_seconds"], "return": found["true_return"]}


def physics(steps, seed):
    """`mujoco.rollout` moving 16 copies by chance: what nobody who calls it can pass."""
    import numpy as np

    from heed.control.environments import make

    env, random = make("HalfCheetah", 16, seed), np.random.default_rng(seed)
    env.begin()
    begun = time.process_time()
    for _ in range(steps // 16):
        env.step(random.uniform(-1, 1, (16, 6)).astype(np.float32))
    return {"steps": steps // 16 * 16, "cpu": time.process_time() - begun, "return": None}


def elsewhere(python, name, steps, seed):
    """The figures of a peer, from its own interpreter."""
    out = subprocess.run([python, __file__, "--inside", name, "--steps", str(steps), "--first-seed", str(seed)], check=True,
                         capture_output=True, text=True).stdout
    return json.loads(out.splitlines()[-1])


def main():
    """Print a line a run, then the table."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--sb3", help="python of an environment with stable-baselines3")
    p.add_argument("--imitation", help="python of an environment with imitation")
    p.add_argument("--steps", type=int)
    p.add_argument("--seeds", type=int, default=1)
    p.add_argument("--first-seed", type=int, default=0)
    p.add_argument("--inside", choices=["sb3", "sb3_tuned", "imitation"], help=argparse.SUPPRESS)
    a = p.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    if a.inside:
        found = imitation(a.steps, a.first_seed) if a.inside == "imitation" else sb3(a.steps, a.first_seed, "tuned" in a.inside)
        print(json.dumps(found))
        return
    runs = {}
    for seed in range(a.first_seed, a.first_seed + a.seeds):
        runs.setdefault("physics alone", []).append(physics(50_000, seed))
        if a.sb3:
            steps = a.steps or STEPS["sb3"]
            runs.setdefault("heed PPO", []).append(heed(steps, seed, "reward=true"))
            runs.setdefault("SB3 PPO, defaults, 8 copies", []).append(elsewhere(a.sb3, "sb3", steps, seed))
            runs.setdefault("SB3 PPO, 16 copies, batches of 512", []).append(elsewhere(a.sb3, "sb3_tuned", steps, seed))
        if a.imitation:
            steps = a.steps or STEPS["imitation"]
            runs.setdefault("heed, 700 answers", []).append(heed(steps, seed, "labels=700"))
            runs.setdefault("imitation, 700 answers", []).append(elsewhere(a.imitation, "imitation", steps, seed))
        for name, found in runs.items():
            print(f"seed {seed}: {name}: {found[-1]}", flush=True)
    print(table(runs))
    record("control", {"runs": runs})


def table(runs):
    """Medians of cost, beside heed's; mean return, and heed's less the peer's with a 95 % interval (Welch)."""
    from scipy import stats

    ours = next((name for name in runs if name.startswith("heed")), None)
    speed = {name: statistics.median(f["steps"] / f["cpu"] for f in found) for name, found in runs.items()}
    cpu = {name: statistics.median(f["cpu"] for f in found) for name, found in runs.items()}
    rows = ["| | steps | CPU-s | steps / CPU-s | heed's speed / this | true return (each) | heed's less this |",
            "|---|---|---|---|---|---|---|"]
    for name, found in runs.items():
        returns, own = [f["return"] for f in found], [f["return"] for f in runs.get(ours, [])]
        less = "-"
        if name != ours and len(own) > 1 and returns[0] is not None:
            low, high = stats.ttest_ind(own, returns, equal_var=False).confidence_interval(0.95)
            less = f"{statistics.mean(own) - statistics.mean(returns):.0f} [{low:.0f}, {high:.0f}]"
        said = "-" if returns[0] is None else f"{statistics.mean(returns):.0f} ({', '.join(f'{r:.0f}' for r in returns)})"
        rows.append(f"| {name} | {found[0]['steps']} | {cpu[name]:.1f} | {speed[name]:.0f} | "
                    + (f"{speed[ours] / speed[name]:.2f}" if ours else "-") + f" | {said} | {less} |")
    return "\n".join(rows)


if __name__ == "__main__":
    main()
