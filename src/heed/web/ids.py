"""Ids that sort by time (UUIDv7, RFC 9562 section 5.7), for forms of browsers that cannot make their own."""

import secrets
import time


def uuid7() -> str:
    """48 bits of milliseconds, then chance."""
    value = (time.time_ns() // 1_000_000 & (1 << 48) - 1) << 80 | 0x7 << 76 | secrets.randbits(12) << 64
    value |= 0b10 << 62 | secrets.randbits(62)
    digits = f"{value:032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
