"""studies/README.md: every study stands in it, and says whether it has been run."""

import re
from pathlib import Path

STUDIES = Path(__file__).parents[2] / "studies"


def test_the_index_tells_what_is_there():
    rows = dict(re.findall(r"^\| \[(\w+)\]\(\1/\) \|.*\| ([^|]+) \|$", (STUDIES / "README.md").read_text(), re.M))
    there = {place.parent.name for place in STUDIES.glob("*/study.py")}
    assert rows.keys() == there
    for name, page in rows.items():
        assert page == (f"[README]({name}/README.md)" if (STUDIES / name / "README.md").exists() else "not run yet"), name
