"""What a clip costs: CPU-seconds to draw a segment of 60 frames at 320 x 240 and film it, by renderer.

    python benchmarks/clips.py
    python benchmarks/clips.py --env Ant --repeats 20

Renderers that this machine lacks are named and left out.  Appends a JSON line to benchmarks/results/clips.jsonl.
"""

import argparse
import statistics
import time

import numpy as np
from record import record

from heed.control.clips import film, fps_of, painter
from heed.control.environments import make
from heed.control.scene import NoRenderer, Rendered


def segment(env, steps=60):
    """[steps, state]: how the body moves when actions are drawn by chance."""
    batch, random = make(env, 1, 0, variable_horizon=True), np.random.default_rng(0)
    batch.begin()
    states = []
    for _ in range(steps):
        states.append(batch.states()[0])
        batch.step(random.uniform(-1, 1, (1, batch.action_size)))
    return np.stack(states)


def main():
    """Print a line a renderer."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--env", default="Hopper")
    p.add_argument("--repeats", type=int, default=10)
    a = p.parse_args()
    states, found = segment(a.env), {}
    for way in ("egl", "osmesa", "drawing"):
        try:
            if way != "drawing":
                Rendered(a.env, way, (32, 24))
        except NoRenderer as error:
            print(f"{way}: not here ({error})")
            continue
        show, costs = painter(a.env, how=way), []
        for _ in range(a.repeats):
            begun = time.process_time()
            film(show(states), fps_of(a.env))
            costs.append(time.process_time() - begun)
        found[way] = {"median": statistics.median(costs), "least": min(costs), "most": max(costs)}
        print(f"{way}: {found[way]['median']:.2f} CPU-seconds a clip ({min(costs):.2f} to {max(costs):.2f})")
    record("clips", {"env": a.env, "cpu_seconds": found})


if __name__ == "__main__":
    main()
