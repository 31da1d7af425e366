"""The fast engine: preallocated caches, a prompt computed once for its samples, finished rows replaced at once.

It runs the model's own modules; only the cache they write to and the attention over it are heed's.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PreTrainedModel

from heed.errors import UserError
from heed.language.engines.attention import layer_windows
from heed.language.engines.borrowed import Attention, bare, borrowed
from heed.language.engines.decoding import Decoding
from heed.language.engines.llama_step import can_step
from heed.language.engines.request import check_prompts, check_sampling, eos_ids
from heed.protocols import Completion, Sampling


class StaticCacheEngine:
    """Greedy and sampled completions over a cache of `slots` rows.

    `model` is a decoder-only `*ForCausalLM` with full or sliding-window attention, with or without LoRA, held by
    reference: an update of its weights is seen at once.  At the first use two short sequences are decoded and
    compared with a plain forward; a model that this engine would get wrong is refused with a UserError.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        *,
        eos_token_id: int | Sequence[int],
        pad_token_id: int,  # not needed: nothing is ever padded where it could be seen
        slots: int = 64,
        autocast: torch.dtype | None = None,
    ):
        self.model = bare(model)
        self.eos = eos_ids(eos_token_id)
        self.slots = slots
        self.autocast = autocast
        self._advice = f"the static_cache engine cannot decode {type(self.model).__name__}: use the transformers engine"
        if not self.model._supports_attention_backend:
            raise UserError(f"{self._advice} (its attention cannot be replaced by name)")
        self.windows = layer_windows(self.model.config)
        self._checked = False
        self._written_out = True

    def generate(self, prompts: Sequence[Sequence[int]], sampling: Sampling) -> list[list[Completion]]:
        """As `heed.protocols.Engine`; a completion depends on its prompt, the seed, and the two numbers
        (place of the prompt, place of the sample), not on what else is decoded beside it.

        Raises UserError for a request that makes no sense or does not fit the model's context, and for beam search.
        """
        check_sampling(sampling)
        if sampling.beams > 1:
            raise UserError(f"sampling.beams={sampling.beams} needs the transformers engine; static_cache has no beams")
        check_prompts(prompts, sampling.max_tokens, self.model.config)
        samples = 1 if sampling.temperature == 0 else sampling.n  # greedy: all the same, do it once
        with borrowed(self.model, self.autocast) as attention:
            if not self._checked:
                self._check(attention)
            found = self._decoding(attention, prompts, sampling, samples, self.slots).run()
        return [row * (sampling.n // samples) for row in found]

    def _decoding(
        self, attention: Attention, prompts: Sequence[Sequence[int]], sampling: Sampling, samples: int, slots: int
    ) -> Decoding:
        # Under autocast keys come out float32 from some models and in the lower dtype from others.  A CPU attends
        # faster in float32.
        on_cpu = self.model.device.type == "cpu"
        dtype = self.model.dtype if self.autocast is None else torch.float32 if on_cpu else self.autocast
        return Decoding(
            self.model,
            attention,
            self.windows,
            prompts,
            sampling,
            samples=samples,
            slots=slots,
            eos=self.eos,
            cache_dtype=dtype,
            autocast=self.autocast,
            written_out=self._written_out and can_step(self.model),
        )

    def _check(self, attention: Attention) -> None:
        """Decode two short sequences of unlike length and compare with plain forwards; UserError where they differ."""
        vocabulary = self.model.config.vocab_size
        sequences = [[(7 * i + 3 * j + 1) % vocabulary for i in range(length)] for j, length in enumerate((4, 7))]
        ids = [torch.tensor([s], device=self.model.device) for s in sequences]
        plain = torch.stack([self.model(input_ids=x, use_cache=False).logits[0, -2:] for x in ids]).float()
        exact = self.autocast is None and self.model.dtype == torch.float32
        tolerance = (1e-3 if exact else 0.2) * plain.std()
        for self._written_out in (True, False):  # a patched Llama may need its own forward
            try:
                gap = (self._teacher_forced(attention, sequences, steps=2).float() - plain).abs().max()
            except (AttributeError, IndexError, KeyError, NotImplementedError, RuntimeError, TypeError, ValueError) as e:
                found = f"{type(e).__name__}: {e}"
                continue
            if gap <= tolerance:
                self._checked = True
                return
            found = f"its logits differ by {gap.item():.2g} from those of a plain forward"
        raise UserError(f"{self._advice} ({found})")

    def _teacher_forced(self, attention: Attention, sequences: list[list[int]], steps: int) -> Tensor:
        """Logits [sequences, steps, vocab] after the last `steps` tokens of each, fed one at a time to the cache."""
        prompts = [s[: len(s) - steps + 1] for s in sequences]
        decoding = self._decoding(attention, prompts, Sampling(max_tokens=steps), 1, len(prompts))
        decoding.fill()
        order = torch.tensor([row.prompt for row in decoding.rows])
        logits = []
        for step in range(steps):
            fed = torch.tensor([sequences[i][len(prompts[i]) - 1 + step] for i in order])
            decoding.tokens[: len(fed), decoding.cache.column] = fed
            logits.append(decoding.forward())
            decoding.cache.column += 1
        return torch.stack(logits, 1)[order.argsort()]
