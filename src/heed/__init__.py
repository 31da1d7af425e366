"""heed: train models from what people prefer."""

__version__ = "0.1.0"
