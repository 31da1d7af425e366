"""What a benchmark found, kept: a JSON line in benchmarks/results/."""

import json
import os
import platform
import time
from pathlib import Path

LOAD = round(os.getloadavg()[0], 1)  # of the machine before anything was measured

def record(name, figures):
    """Appends `figures`, with the day and the machine, to results/NAME.jsonl; returns the line as it was kept."""
    line = {"date": time.strftime("%Y-%m-%d"), "machine": f"{platform.machine()}, {os.cpu_count()} cores", "load_before": LOAD,
            "python": platform.python_version(), **figures}
    with (Path(__file__).parent / "results" / f"{name}.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
    return line
