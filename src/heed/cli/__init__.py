"""`heed <verb> --config recipe.yaml key=value`: parse, call, print.

Nothing heavy is imported before a verb is known.
"""

import os
import sys
from pathlib import Path

from heed.errors import RunError, UserError, nearest
from heed.workflows import VERBS

USAGE = """heed: train models from what people prefer

usage: heed <verb> [--config recipe.yaml] [key=value ...]
       heed <verb> --help        every setting of a verb, with its default

verbs:
{verbs}

examples:
  heed run --config recipes/seal_bay_ppo_1m.yaml          the whole journey on the embedded world
  heed sft model=gpt2 dataset=my_answers.jsonl output_dir=runs/mine/sft
  heed ppo --config recipes/seal_bay_ppo_1m.yaml kl_coef=0.1
  heed chat model=runs/mine/sft/model

A recipe is a YAML file of settings; key=value on the command line wins over it, the last one over all.
Killed at any moment, the same command continues where it stopped.
"""


def main(argv: list[str] | None = None) -> None:
    """Entry point: exit 0 when done, 2 for a mistake in the input, 3 for a fault in the run, 130 when interrupted."""
    # Small operations on a few cores wait for each other longer than they work; more cores are used by more processes.
    os.environ.setdefault("OMP_NUM_THREADS", "1" if (os.cpu_count() or 1) <= 4 else str((os.cpu_count() or 1) // 2))
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    argv = sys.argv[1:] if argv is None else argv
    try:
        _dispatch(argv)
    except (UserError, RunError) as error:
        print(f"heed: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("heed: interrupted; the same command continues from the last checkpoint", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        os._exit(141)
    except OSError as error:
        import errno

        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES):
            raise
        where = f"{error.filename}: " if error.filename else ""
        print(f"heed: {where}{error.strerror}; the last checkpoint is untouched", file=sys.stderr)
        sys.exit(RunError.exit_code)


def _dispatch(argv: list[str]) -> None:
    if not argv or argv[0] in ("-h", "--help", "help"):
        verbs = "\n".join(f"  {name:<10}{text}" for name, (_, text) in VERBS.items())
        print(USAGE.format(verbs=verbs).rstrip())
        return
    if argv[0] in ("-V", "--version"):
        from heed import __version__

        print(f"heed {__version__}")
        return
    words = 2 if " ".join(argv[:2]) in VERBS else 1
    verb, rest = " ".join(argv[:words]), argv[words:]
    if verb not in VERBS:
        raise UserError(f"unknown verb {verb!r}{nearest(verb, VERBS)}")
    if "-h" in rest or "--help" in rest:
        _print_help(verb)
        return
    module = _workflow(verb)
    config, assignments = _arguments(rest, getattr(module, "WORD", None))
    module.run(_settings(verb, module, config, assignments))


def _workflow(verb: str):
    import importlib

    try:
        return importlib.import_module(VERBS[verb][0])
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("heed"):
            raise
        raise UserError(f"`heed {verb}` needs the package {error.name!r}: pip install 'heed[all]'") from None


def _arguments(rest: list[str], word_is: str | None = None) -> tuple[Path | None, list[str]]:
    """--config FILE (or a bare FILE.yaml) and key=value words, in any order; `--key value` is accepted as key=value.

    `word_is` names the setting that any other bare word gives.
    """
    config, assignments, words = None, [], list(rest)
    while words:
        word = words.pop(0)
        if word in ("--config", "-c"):
            if not words:
                raise UserError("--config wants a file")
            config = Path(words.pop(0))
        elif word.startswith("--config="):
            config = Path(word.partition("=")[2])
        elif word.startswith("--") and "=" not in word and words:
            assignments.append(f"{word[2:]}={words.pop(0)}")
        elif "=" in word:
            assignments.append(word.removeprefix("--"))
        elif word.endswith((".yaml", ".yml")) and config is None:
            config = Path(word)
        elif word_is:
            assignments.append(f"{word_is}={word}")
        else:
            raise UserError(f"cannot read {word!r}: expected key=value or --config FILE")
    return config, assignments


def _settings(verb: str, module, config: Path | None, assignments: list[str]):
    from heed.config import make, override, read_recipe

    values = read_recipe(config) if config else {}
    if verb != "run" and "stages" in values:
        from heed.workflows.run import stage_settings

        values = stage_settings(values, verb, str(config))
    return make(module.SETTINGS, override(values, assignments), str(config) if config else verb)


def _print_help(verb: str) -> None:
    from heed.config import describe

    module = _workflow(verb)
    print((module.__doc__ or VERBS[verb][1]).strip())
    if hasattr(module, "more_help"):
        print("\n" + module.more_help())
    print(f"\nusage: heed {verb} [--config recipe.yaml] [key=value ...]\n\nsettings:")
    for key, kind, default, text in describe(module.SETTINGS):
        shown = "required" if default is ... else f"default {default!r}" if default is not None else "optional"
        print(f"  {key:<28}{text}\n  {'':<28}{kind}, {shown}" if text else f"  {key:<28}{kind}, {shown}")
