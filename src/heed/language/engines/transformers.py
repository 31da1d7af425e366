"""The reference: `model.generate`.  Slow, understood by every model, and what the others are checked against."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor
from transformers import GenerationConfig, PreTrainedModel

from heed.language.engines.borrowed import bare, borrowed
from heed.language.engines.request import check_prompts, check_sampling, eos_ids
from heed.protocols import Completion, Sampling

ROWS = 64  # sequences at once
SCORED = 2**26  # logits at once when scoring: 256 MiB of float32


class TransformersEngine:
    """Greedy, sampled and beam-search completions through transformers.

    `model` is any `*ForCausalLM`, with or without LoRA, held by reference: an update of its weights is seen at once.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        *,
        eos_token_id: int | Sequence[int],
        pad_token_id: int,
        autocast: torch.dtype | None = None,
    ):
        self.model = bare(model)
        self.eos = eos_ids(eos_token_id)
        self.pad = pad_token_id
        self.autocast = autocast

    def generate(self, prompts: Sequence[Sequence[int]], sampling: Sampling) -> list[list[Completion]]:
        """As `heed.protocols.Engine`.  The seed fixes the whole call: the same prompts in another order differ.

        Raises UserError for a request that makes no sense or does not fit the model's context.
        """
        check_sampling(sampling)
        check_prompts(prompts, sampling.max_tokens, self.model.config)
        if sampling.temperature == 0 and sampling.beams == 1 and sampling.n > 1:  # all the same: do it once
            return [found * sampling.n for found in self.generate(prompts, replace(sampling, n=1))]
        at_once = max(1, ROWS // max(sampling.n, sampling.beams))
        devices = [self.model.device] if self.model.device.type == "cuda" else []
        hub_defaults = self.model.generation_config  # top_k=50, repetition penalties, forced tokens: none is asked for
        completions = []
        with borrowed(self.model, self.autocast), torch.random.fork_rng(devices):
            try:
                self.model.generation_config = GenerationConfig()
                torch.manual_seed(sampling.seed)
                for start in range(0, len(prompts), at_once):
                    completions += self._generate(prompts[start : start + at_once], sampling)
            finally:
                self.model.generation_config = hub_defaults
        return completions

    def _generate(self, prompts: Sequence[Sequence[int]], sampling: Sampling) -> list[list[Completion]]:
        samples = 1 if sampling.beams > 1 else sampling.n
        ids, mask = self._left_padded([p for p in prompts for _ in range(samples)])
        drawn = sampling.temperature > 0 and sampling.beams == 1
        how = {"temperature": sampling.temperature, "top_k": sampling.top_k, "top_p": sampling.top_p} if drawn else {}
        config = GenerationConfig(
            max_new_tokens=sampling.max_tokens,
            do_sample=drawn,
            num_beams=sampling.beams,
            num_return_sequences=sampling.n // samples,
            eos_token_id=self.eos or None,
            pad_token_id=self.pad,
            **how,
        )
        sequences = self.model.generate(ids, attention_mask=mask, generation_config=config)
        found = sequences[:, ids.shape[1] :]
        rows = [self._until_eos(row) for row in found.tolist()]
        each = sequences.shape[0] // len(mask)
        scores = self._score(sequences, mask.repeat_interleave(each, 0), found.shape[1], sampling.temperature or 1.0)
        completions = [
            Completion(tokens, logprobs[: len(tokens)], tokens[-1] in self.eos)
            for tokens, logprobs in zip(rows, scores.tolist(), strict=True)
        ]
        return [completions[i : i + sampling.n] for i in range(0, len(completions), sampling.n)]

    def _left_padded(self, rows: list[Sequence[int]]) -> tuple[Tensor, Tensor]:
        """ids and mask, int64 [rows, longest]."""
        width = max(map(len, rows))
        ids = torch.tensor([[self.pad] * (width - len(r)) + list(r) for r in rows])
        mask = torch.tensor([[0] * (width - len(r)) + [1] * len(r) for r in rows])
        return ids.to(self.model.device), mask.to(self.model.device)

    def _until_eos(self, tokens: list[int]) -> list[int]:
        end = next((i + 1 for i, t in enumerate(tokens) if t in self.eos), len(tokens))
        return tokens[:end]

    def _score(self, sequences: Tensor, mask: Tensor, count: int, temperature: float) -> Tensor:
        """Log-probabilities float32 [rows, count] of the last `count` tokens, by a forward over the whole sequences."""
        # What follows a completion cannot change what came before it, so its padding needs no mask.
        mask = torch.cat([mask, mask.new_ones(len(mask), count)], 1)
        positions = (mask.cumsum(1) - 1).clamp(min=0)
        at_once = max(1, SCORED // ((count + 1) * self.model.config.vocab_size))
        parts = []
        for ids, m, p in zip(sequences.split(at_once), mask.split(at_once), positions.split(at_once), strict=True):
            logits = self.model(
                input_ids=ids, attention_mask=m, position_ids=p, use_cache=False, logits_to_keep=count + 1
            ).logits
            logprobs = (logits[:, :-1].float() / temperature).log_softmax(-1)
            parts.append(logprobs.gather(2, ids[:, -count:, None])[..., 0])
        return torch.cat(parts)
