"""report: report.html of a run, from whatever stages are there."""

from typing import Any

from heed.config import Settings


class Report(Settings):
    run_dir: str  # a run of several stages, or the folder of one


SETTINGS = Report


def run(settings: Report) -> dict[str, Any]:
    """Writes run_dir/report.html and prints where it is."""
    from pathlib import Path

    from heed.evaluation.report import write_report

    print(write_report(Path(settings.run_dir)))
    return {}
