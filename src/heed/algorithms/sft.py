"""SFT: imitate demonstrations (Ouyang et al. 2022, step 1); over whole texts the same loss is pretraining (Radford 2018)."""

from dataclasses import dataclass

from heed.equations.loss import Loss, summed


@dataclass(frozen=True)
class SFT:
    """-log p of every token that counts, nats a token."""

    def loss(self, policy, batch) -> Loss:
        """`policy(batch).logprobs` and `batch.mask` are [rows, tokens]."""
        return summed(-policy(batch).logprobs, batch.mask)
