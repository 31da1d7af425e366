"""Where half precision ends (Micikevicius et al. 2018, section 3.3: reductions and losses in float32)."""

from torch import Tensor, float64


def wide(x: Tensor) -> Tensor:
    """`x` in float32, or in float64 if it already was; the gradient returns in the type that `x` came in.

    bfloat16 has eight bits of mantissa: a log-softmax over a vocabulary, or a difference of two log-probabilities,
    taken in it is wrong in the second digit.  Every equation widens what it is given before the first operation.
    """
    return x if x.dtype == float64 else x.float()
