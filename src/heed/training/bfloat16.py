"""Whether bfloat16 is the faster one here."""

import platform
from functools import lru_cache


def bf16_here(wanted: bool) -> bool:
    """`wanted`, unless this machine's products in bfloat16 are far slower than in float32: then False, and once a line.

    On x86 the library for bfloat16 products (oneDNN) needs AVX-512; without it they are taken one number after another,
    30 to 50 times as slow as in float32.  Other processors and GPUs are taken at the settings' word.
    """
    return wanted and not _slow()


@lru_cache(maxsize=1)
def _slow() -> bool:
    import torch

    x86 = platform.machine().lower() in ("x86_64", "amd64")
    if torch.cuda.is_available() or not x86 or torch.backends.cpu.get_cpu_capability().startswith("AVX512"):
        return False
    print("bf16: this processor has no AVX-512, and products in bfloat16 would take 30 times as long; float32 is used",
          flush=True)
    return True
