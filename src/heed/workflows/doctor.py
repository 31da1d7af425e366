"""doctor: check a dataset, a checkpoint or a run, and say what is wrong and what to do about it.

    heed doctor dataset=my_rankings.jsonl
    heed doctor model=runs/mine/sft/model
    heed doctor run=runs/mine/ppo
"""

import json
import math
from pathlib import Path
from typing import Any

from heed.config import Settings
from heed.errors import UserError


class Doctor(Settings):
    dataset: str | None = None  # a dataset to check: a file or folder, a named dataset, a hub name
    model: str | None = None  # a checkpoint to check: a Hugging Face directory or hub name
    run: str | None = None  # the folder of a run to check


SETTINGS = Doctor
MARKS = {"ok": "ok     ", "warning": "WARNING", "error": "ERROR  "}


def run(settings: Doctor) -> dict[str, Any]:
    """Prints the findings; a UserError at the end where one of them is an error."""
    if not (settings.dataset or settings.model or settings.run):
        raise UserError("doctor: say what to check: dataset=..., model=... or run=...")
    findings = []
    if settings.dataset:
        from heed.language.doctor_data import check

        findings += check(settings.dataset)
    if settings.model:
        findings += check_model(settings.model)
    if settings.run:
        findings += check_run(Path(settings.run))
    for f in findings:
        print(f"{MARKS[f.level]}  {f.what}{f' ({f.where})' if f.where else ''}{f': {f.advice}' if f.advice else ''}")
    errors = sum(f.level == "error" for f in findings)
    if errors:
        raise UserError(f"doctor: {errors} error{'s' if errors > 1 else ''} found")
    return {"findings": len(findings), "warnings": sum(f.level == "warning" for f in findings)}


def check_model(name: str) -> list:
    """A checkpoint: does it load, is PAD apart from EOS, has it a template, are its weights numbers, does it write?"""
    import torch

    from heed.language.chat import read_tokenizer
    from heed.language.doctor_data import Finding
    from heed.language.models import load_classifier, load_config, load_policy

    config = load_config(name)
    reward = any("SequenceClassification" in a for a in config.architectures or [])
    model = load_classifier(name, fresh_head=False) if reward else load_policy(name)
    tokenizer = read_tokenizer(name)
    size = sum(p.numel() for p in model.parameters())
    found = [Finding("ok", f"{type(model).__name__}, {size:,} parameters", name, "")]
    if tokenizer.pad_token_id is None or tokenizer.pad_token_id == tokenizer.eos_token_id:
        found.append(Finding("warning", "PAD is EOS or missing", "tokenizer",
                             "EOS would be masked out of losses and never learnt; heed adds a PAD of its own when it trains"))
    if not tokenizer.chat_template and not reward:
        found.append(Finding("warning", "no chat template", "tokenizer", "conversations need one; `heed sft` adds heed's"))
    rows = model.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > rows:
        found.append(Finding("error", f"{len(tokenizer)} tokens but {rows} embeddings", "tokenizer", "ids have no row"))
    odd = [n for n, p in model.named_parameters() if not torch.isfinite(p).all()]
    if odd:
        found.append(Finding("error", f"weights that are not numbers, first in {odd[0]}", name, "training diverged: go back"))
    if reward and not hasattr(config, "heed_reward_shift"):
        found.append(Finding("warning", "no heed_reward_shift in config.json", name, "its scores have no known zero"))
    return found


def check_run(folder: Path) -> list:
    """A run: is it whole, did its losses stay numbers, does its curve look as it should?"""
    from heed.language.doctor_data import Finding

    if not folder.is_dir():
        raise UserError(f"no run at {folder}")
    stages = [p.parent for p in sorted(folder.glob("**/config.yaml"), key=lambda p: p.stat().st_mtime)]
    if not stages:
        raise UserError(f"{folder} holds no run (no config.yaml in it or below it)")
    found = []
    for stage in stages:
        name = stage.name
        if (stage / "summary.json").exists():
            found.append(Finding("ok", f"{name} is done", str(stage), ""))
        else:
            found.append(Finding("warning", f"{name} is not done", str(stage), "the command that began it goes on from there"))
        found += _check_curve(name, _metrics(stage / "metrics.jsonl"))
    return found


def _metrics(path: Path) -> list[dict[str, float]]:
    rows = []
    for line in path.read_text("utf-8", "replace").split("\n")[:-1] if path.exists() else []:
        try:
            rows.append(json.loads(line))
        except ValueError:
            break
    return rows


def _check_curve(name: str, rows: list[dict[str, float]]) -> list:
    """What the figures of a stage say about faults that have names."""
    from heed.language.doctor_data import Finding

    found = []
    bad = next(((r["step"], k) for r in rows for k, v in r.items() if isinstance(v, float) and not math.isfinite(v)), None)
    if bad:
        found.append(Finding("error", f"{name}: {bad[1]} is not a number at step {bad[0]}", "", "lower learning_rate"))
    ppo = [r for r in rows if "objective/kl" in r]
    if not ppo:
        return found
    first, last = ppo[0], ppo[-1]
    if ppo[0]["step"] == 1 and abs(first["objective/kl"]) > 0.5:
        found.append(Finding("error", f"{name}: KL is {first['objective/kl']:.2f} before anything was learnt", "",
                             "policy and reference differ: temperature, dropout or another model"))
    if last["objective/kl"] < -0.1:
        found.append(Finding("warning", f"{name}: KL is negative ({last['objective/kl']:.2f})", "",
                             "sampling is not from the policy itself: no top-k, top-p or minimum length"))
    if last.get("val/num_eos_tokens", 1) < 0.5:
        found.append(Finding("warning", f"{name}: only {last['val/num_eos_tokens']:.0%} of completions end", "",
                             "EOS was not learnt, or max_completion_length is too small; missing_eos_penalty helps"))
    if last["completions/mean_length"] > 1.5 * first["completions/mean_length"]:
        found.append(Finding("warning", f"{name}: completions grew from {first['completions/mean_length']:.0f} to "
                             f"{last['completions/mean_length']:.0f} tokens", "", "is the reward just longer answers?"))
    if "objective/gold" in last and last["objective/scores"] > first["objective/scores"] + 0.1:
        best = max(r.get("objective/gold", -math.inf) for r in ppo)
        if last["objective/gold"] < best - 0.25 * abs(best - first["objective/gold"]) - 0.05:
            found.append(Finding("warning", f"{name}: the gold judge fell from {best:.2f} to {last['objective/gold']:.2f} "
                                 "while the reward rose", "", "the reward is being gamed: raise kl_coef or stop earlier"))
    if last.get("val/first_ratio_error", 0) > 1e-3:
        found.append(Finding("warning", f"{name}: the first ratio is off by {last['val/first_ratio_error']:.1e}", "",
                             "what is trained is not what acted (bf16 moves it a little; float32 does not)"))
    return found
