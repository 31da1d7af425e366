"""prompts: keep what is worth asking of the prompts that users wrote (Ouyang et al. 2022, appendix A).

Of prompts with the same opening one is kept, of each user at most `per_user`; all prompts of a user fall into one split.
What looks personal is flagged in the column `pii`, and each prompt has a `use_case`, given or guessed.

    heed prompts dataset=raw.jsonl output_dir=runs/mine/prompts
"""

import json
from pathlib import Path
from typing import Any

from pydantic import PositiveInt

from heed.config import Settings


class Prompts(Settings):
    dataset: str  # a .jsonl file: "prompt", and where they are known "user" and "use_case"; other columns are kept
    output_dir: str  # directory to write prompts.jsonl, dropped.jsonl and summary.json to
    prefix: PositiveInt = 100  # opening characters that make two prompts the same
    per_user: PositiveInt = 200  # most prompts of a user


SETTINGS = Prompts


def run(settings: Prompts) -> dict[str, Any]:
    """Writes prompts.jsonl, to be given to `dataset` of every other verb; returns and prints how many and why."""
    from heed.feedback.exchange import write_lines
    from heed.feedback.prompts import collect, read_prompts

    collected = collect(read_prompts(settings.dataset), prefix=settings.prefix, per_user=settings.per_user)
    out = Path(settings.output_dir)
    out.mkdir(parents=True, exist_ok=True)
    write_lines(({"prompt": p.trl(), "split": p.split, **p.columns} for p in collected.prompts), out / "prompts.jsonl")
    write_lines(({"where": d.where, "reason": d.reason, "note": d.note} for d in collected.dropped), out / "dropped.jsonl")
    summary = collected.summary()
    (out / "summary.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    for name, value in summary.items():
        print(f"prompts: {name} {value}")
    return summary
