"""Two ways to stop: the input is wrong (exit 2), or the run went wrong (exit 3).

Both carry one clear message for a person: what, where, what was expected, and the nearest valid choice.
The command line prints the message without a traceback; everything else is a bug and keeps its traceback.
"""

from collections.abc import Iterable
from difflib import get_close_matches

MANY = 40  # names are listed; more would hide what was said


class UserError(Exception):
    """Something handed in is wrong: a setting, a file, a row, a checkpoint."""

    exit_code = 2


class RunError(Exception):
    """Something went wrong on the way: a loss that is not a number, a full disk, a KL that exploded."""

    exit_code = 3


def nearest(name: str, choices: Iterable[str]) -> str:
    """`; did you mean 'x'?` for the closest of `choices`, or the list of them when nothing is close."""
    choices = sorted(map(str, choices))
    close = get_close_matches(name, choices, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {close[0]!r}?"
    more = f", ... ({len(choices) - MANY} more)" if len(choices) > MANY else ""
    return f"; valid choices: {', '.join(choices[:MANY])}{more}" if choices else ""
