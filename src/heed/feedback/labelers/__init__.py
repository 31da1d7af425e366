"""Who answers: all fit `heed.protocols.Labeler`, so that whoever asks need not know."""

from importlib import import_module

from heed.errors import UserError, nearest

LABELERS = {
    "synthetic": "heed.feedback.labelers.synthetic:SyntheticLabeler",
    "human": "heed.feedback.labelers.human:HumanLabeler",
    "judge": "heed.feedback.labelers.judge:JudgeLabeler",
}


def labeler_class(name: str) -> type:
    """The class of that name, imported now."""
    if name not in LABELERS:
        raise UserError(f"unknown labeler {name!r}{nearest(name, LABELERS)}")
    module, _, kind = LABELERS[name].partition(":")
    return getattr(import_module(module), kind)
