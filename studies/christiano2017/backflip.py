"""The Hopper's backflip from 900 answers, given by a rule that says what a person would (Christiano et al. 2017, section 3.2).

The rule is the true reward of the environment HopperFlip: turning backwards, the more so high up.

    python studies/christiano2017/backflip.py --seeds 5
    python studies/christiano2017/backflip.py --table

A flip is a whole turn backwards between two moments at which the robot stands: torso upright, at least 0.8 m above the floor.
Whether it rolled over the floor or went through the air is told apart: in the air are jumps that turn at least half a turn.
Each seed is one `heed control` below --runs; what is done is not done again, what was killed goes on.
"""

import argparse
import json
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
HIGH = 0.8  # metres of the torso above the floor that count as standing; it begins at 1.25
UPRIGHT = 0.6  # radians off the vertical
Z, ANGLE = 1, 2  # in the state; the angle grows forwards and is not reduced to one turn
CLEAR = 0.005  # metres between the lowest point and the floor, in a jump
EPISODES = 16


def flips(states):
    """Whole turns backwards in an episode [T, ds], from standing to standing."""
    turns = states[:, ANGLE] / (2 * np.pi)
    whole = np.round(turns)
    stands = (np.abs(turns - whole) * 2 * np.pi < UPRIGHT) & (states[:, Z] > HIGH)
    at = whole[stands]
    return int(np.maximum(0, -np.diff(at)).sum()) if len(at) else 0


def in_the_air(states):
    """Jumps in an episode that turn at least half a turn backwards before anything touches the floor again."""
    import mujoco

    from heed.control.scene import model_of, placed

    model = model_of("Hopper")
    low = np.array([min(data.geom_xpos[g, 2] - abs(data.geom_xmat[g, 8]) * model.geom_size[g, 1] - model.geom_size[g, 0]
                        for g in range(1, model.ngeom)) for data in placed(model, states, mujoco.mj_kinematics)])
    edges = np.flatnonzero(np.diff(np.r_[0, low > CLEAR, 0]))
    return sum(int(states[a, ANGLE] - states[b - 1, ANGLE] >= np.pi) for a, b in zip(edges[::2], edges[1::2], strict=True))


def command(seed, place, more):
    """The command line of one run."""
    words = ["--config", str(HERE / "backflip.yaml"), f"seed={seed}", f"output_dir={place}", *more]
    return [sys.executable, "-m", "heed", "control", *words]


def measured(place):
    """Flips in 1,000 steps, by episode, acting without chance; a film of the best one into the run's report."""
    from heed.control.clips import film, fps_of, painter
    from heed.control.environments import make
    from heed.control.policy import Actor
    from heed.control.rollout import act
    from heed.evaluation.report import write_report
    from heed.training.checkpoint import write_bytes
    from heed.workflows.control_agent import load_agent

    policy, normaliser, config = load_agent(place / "model")
    env = make(config["env"], EPISODES, 1_000_003)
    states = act(env, env.begin(), Actor(policy), normaliser, env.horizon, None).states
    counted = [flips(one) for one in states]
    best = states[int(np.argmax(counted))]
    found = film(painter(config["env"])(best[:400]), fps_of(config["env"]))
    write_bytes(place / "clips" / f"watched.{found.ending}", found.data)
    write_report(place)
    turns = [round(float(-one[-1, ANGLE] / 2 / np.pi), 2) for one in states]
    air = [in_the_air(one) for one in states]
    return {"flips": counted, "mean": float(np.mean(counted)), "in_the_air": float(np.mean(air)), "turns": turns}


def main():
    """Run what is wanted, then count."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--runs", type=Path, default=Path("runs/backflips"))
    options.add_argument("--seeds", type=int, default=1)
    options.add_argument("--first-seed", type=int, default=0)
    options.add_argument("--table", action="store_true", help="only what is there")
    options.add_argument("more", nargs="*", help="settings of heed control, key=value")
    given = options.parse_args()
    print("| seed | flips in 1,000 steps: mean | in the air | each episode | CPU-s |\n|---|---|---|---|---|")
    for seed in range(given.first_seed, given.first_seed + given.seeds):
        place = given.runs / str(seed)
        if not given.table and not (place / "summary.json").exists():
            line = command(seed, place, given.more)
            print(shlex.join(line), file=sys.stderr)
            subprocess.run(line, check=True)
        if (place / "summary.json").exists():
            found = measured(place)
            (place / "flips.json").write_text(json.dumps(found) + "\n")
            cpu = json.loads((place / "summary.json").read_text())["cpu_seconds"]
            each = " ".join(map(str, found["flips"]))
            print(f"| {seed} | {found['mean']:.2f} | {found['in_the_air']:.2f} | {each} | {cpu:.0f} |", flush=True)


if __name__ == "__main__":
    main()
