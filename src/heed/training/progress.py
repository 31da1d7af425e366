"""A progress bar on a terminal, a line now and then in a log file."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


class Progress:
    """How far a stage is, how fast, and how long it will still take."""

    def __init__(self, name: str, total: int, start: int = 0, unit: str = "step", every: float = 15.0):
        from tqdm import tqdm

        self.live = sys.stderr.isatty()
        self.name, self.total, self.every, self.done = name, total, every, start
        self.began = self.spoke = time.monotonic()
        self.first = start
        self.bar = tqdm(total=total, initial=start, desc=name, unit=unit, dynamic_ncols=True, disable=not self.live)

    def advance(self, n: int = 1, **figures: float) -> None:
        """`n` more done; `figures` are shown behind the bar."""
        self.done += n
        self.bar.set_postfix({k: f"{v:.4g}" for k, v in figures.items()}, refresh=False)
        self.bar.update(n)
        now = time.monotonic()
        if not self.live and (now - self.spoke >= self.every or self.done == self.total):
            self.spoke = now
            left = (now - self.began) / max(1, self.done - self.first) * (self.total - self.done)
            shown = "  ".join(f"{k} {v:.4g}" for k, v in figures.items())
            print(f"{self.name}: {self.done}/{self.total}, {left:.0f} s left  {shown}", file=sys.stderr, flush=True)

    def close(self) -> None:
        self.bar.close()


def progress(items: Iterable[T], name: str, total: int, unit: str = "batch") -> Iterator[T]:
    """`items`, with a Progress beside them."""
    bar = Progress(name, total, unit=unit)
    for item in items:
        yield item
        bar.advance()
    bar.close()
