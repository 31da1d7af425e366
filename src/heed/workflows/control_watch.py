"""control watch: see what an agent does, as a film beside its run and in its report.

`heed control watch runs/halfcheetah_ppo` lets the agent of a run that is done act without chance and writes
clips/watched.webm.  Films are rendered without a GPU: through EGL, else OSMesa, else drawn in two dimensions.
"""

from pathlib import Path
from typing import Any

from pydantic import PositiveInt

from heed.config import Settings


class Watch(Settings):
    run_dir: str  # folder of a control run that is done
    steps: PositiveInt = 300  # how long to watch; an episode at most
    seed: int = 0  # of the episode's beginning


SETTINGS = Watch
WORD = "run_dir"  # what a bare word on the command line is


def run(settings: Watch) -> dict[str, Any]:
    """The film's path and the true return of what it shows."""
    from heed.evaluation.report import write_report
    from heed.workflows.control_agent import load_agent

    place = Path(settings.run_dir)
    policy, normaliser, config = load_agent(place / "model")
    path, paid = film(place / "clips" / "watched", config, policy, normaliser, settings.steps, settings.seed)
    write_report(place)
    print(f"{path}\n{place / 'report.html'}")
    return {"film": str(path), "true_return": paid}


def film(path: Path, config: dict, policy, normaliser, steps: int = 150, seed: int = 0) -> tuple[Path, float]:
    """Let `policy` act for `steps` steps of one episode and write what it looks like to `path` and the film's ending."""
    import numpy as np

    from heed.control.clips import film as make_film
    from heed.control.clips import fps_of, painter
    from heed.control.environments import make
    from heed.control.policy import Actor
    from heed.control.rollout import act
    from heed.training.checkpoint import write_bytes

    show = painter(config["env"])
    env = make(config["env"], 1, seed + 2_000_003, variable_horizon=config["variable_horizon"])
    seen = act(env, env.begin(), Actor(policy), normaliser, min(steps, env.horizon), None)
    length = int(np.argmax(seen.ends[0])) + 1 if seen.ends[0].any() else seen.ends.shape[1]
    found = make_film(show(seen.states[0, :length]), fps_of(config["env"]))
    path = path.with_name(f"{path.name}.{found.ending}")
    write_bytes(path, found.data)
    return path, float(seen.rewards[0, :length].sum())
