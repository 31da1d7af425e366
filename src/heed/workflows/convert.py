"""convert: make a Hugging Face directory of another format.

    heed convert format=llama2c checkpoint=stories260K.bin tokenizer=tok512.bin output_dir=models/stories260K
"""

from typing import Any

from heed.config import Settings
from heed.errors import UserError, nearest


class Convert(Settings):
    format: str = "llama2c"  # what the checkpoint is: llama2c (a .bin of karpathy/llama2.c)
    checkpoint: str  # the file with the weights
    tokenizer: str | None = None  # the file with its tokenizer
    output_dir: str  # directory to write


SETTINGS = Convert


def run(settings: Convert) -> dict[str, Any]:
    """Writes the directory and prints its path."""
    from heed.language import convert

    formats = {"llama2c": convert.llama2c}
    if settings.format not in formats:
        raise UserError(f"format = {settings.format!r} is not known{nearest(settings.format, formats)}")
    formats[settings.format](settings.checkpoint, settings.tokenizer, settings.output_dir)
    print(f"convert: {settings.output_dir}")
    return {}
