"""Conditional SFT: learn every answer behind a word that says how good it is, then ask for the best (Korbak et al. 2023).

Also known as binary reward conditioning (Dubois et al. 2023, AlpacaFarm) and, over returns, as the decision transformer
(Chen et al. 2021).  Quark (quark.py) goes on from here with its own samples.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from heed.algorithms.sft import SFT
from heed.equations.loss import Loss
from heed.experience import Ranked


@dataclass(frozen=True)
class ConditionalSFT:
    """Two words, good and bad, as in Korbak et al."""

    levels: int = 2  # how many words; the last one says best

    def level(self, ranked: Ranked) -> Tensor:
        """[N] the word of each candidate: by its place among those of its prompt, ties alike."""
        present = ranked.ranks > 0
        last = ranked.ranks.amax(1, keepdim=True)
        place = (last - ranked.ranks) / (last - 1).clamp(min=1)  # 1 for the first, 0 for the last
        return torch.floor(place[present] * self.levels).clamp(max=self.levels - 1).long()

    def loss(self, policy, batch) -> Loss:
        """-log p of every token that counts; `batch` has each candidate behind its word."""
        return SFT().loss(policy, batch)
