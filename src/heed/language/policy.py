"""A language model as a policy: the log-probability of every token it chose, and what it expects to earn from there."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from heed.language.attention import using_packed_attention
from heed.language.batches import FILLING, Tokens, pack


class Outputs(NamedTuple):
    """All [B, T] over completion tokens; what lies behind a completion's end means nothing."""

    logprobs: Tensor
    entropy: Tensor | None = None
    values: Tensor | None = None  # of the state before each token


def base_of(model: nn.Module) -> nn.Module:
    """The transformers model itself, out of peft's wrapping."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def hidden_states(model: nn.Module, rows: Tokens, packing: bool = True) -> tuple[Tensor, Tensor, Tensor]:
    """Last hidden states of all tokens [N, d], and where in them completion tokens are predicted and stand [B, T].

    With `packing`, real tokens only (heed.language.batches.pack); else one padded row each, through the model's own attention.
    """
    model = base_of(model)
    if packing:
        packed = pack(rows)
        with using_packed_attention(model):
            out = model.base_model(input_ids=packed.input_ids, position_ids=packed.position_ids, use_cache=False, packed=packed)
        return out.last_hidden_state[0], packed.source, packed.index
    n, m = rows.prompt_lengths, rows.completion_lengths
    B, T = rows.completion_ids.shape
    lines = [torch.cat([p[:a], c[:b]]) for p, c, a, b in zip(rows.prompt_ids, rows.completion_ids, n, m, strict=True)]
    ids = nn.utils.rnn.pad_sequence(lines, batch_first=True)
    width = ids.shape[1]
    attend = (torch.arange(width)[None] < (n + m)[:, None]).long()
    steps = torch.arange(T)[None]
    index = torch.where(steps < m[:, None], n[:, None] + steps, 0)
    out = model.base_model(input_ids=ids, attention_mask=attend, use_cache=False)
    offset = torch.arange(B)[:, None] * width
    return out.last_hidden_state.flatten(0, 1), (index - 1).clamp(min=0) + offset, index + offset


class Policy(nn.Module):
    """A causal language model that gives log-probabilities of completions at the temperature it samples with."""

    def __init__(self, lm: nn.Module, *, temperature: float = 1.0, packing: bool = True):
        super().__init__()
        self.lm, self.temperature, self.packing = lm, temperature, packing

    def forward(self, rows: Tokens, entropy: bool = False) -> Outputs:
        """Log-probabilities [B, T] of the completion tokens where `rows.mask` is 1 (0 elsewhere), in float32."""
        hidden, source, _ = hidden_states(self.lm, rows, self.packing)
        return self.read(hidden, source, rows, entropy)

    def read(self, hidden: Tensor, source: Tensor, rows: Tokens, entropy: bool = False) -> Outputs:
        """Outputs from hidden states; the vocabulary is computed at the tokens that count and nowhere else."""
        counted = rows.mask > 0
        logs = self.distributions(hidden, source[counted]).log_softmax(-1)
        picked = logs.gather(1, rows.completion_ids[counted][:, None])[:, 0]
        place = torch.zeros_like(rows.mask)
        spread = place.masked_scatter(counted, picked)
        if not entropy:
            return Outputs(spread)
        return Outputs(spread, place.masked_scatter(counted, -(logs.exp() * logs).sum(-1)))

    def distributions(self, hidden: Tensor, places: Tensor) -> Tensor:
        """Logits [M, vocabulary] at those places of `hidden`, at the policy's temperature, in float32."""
        filled = F.pad(places, (0, -len(places) % FILLING))  # few shapes: see Packed
        return self.logits(hidden[filled])[: len(places)].float() / self.temperature

    def logits(self, hidden: Tensor) -> Tensor:
        """[M, d] -> [M, vocabulary], with the scalings some families apply behind their head."""
        model = base_of(self.lm)
        logits, config = model.get_output_embeddings()(hidden), model.config
        if getattr(config, "logit_scale", None):
            logits = logits * config.logit_scale
        if getattr(config, "logits_scaling", None):
            logits = logits / config.logits_scaling
        if cap := getattr(config, "final_logit_softcapping", None):
            logits = cap * torch.tanh(logits / cap)
        return logits

    @contextmanager
    def reference(self) -> Iterator[None]:
        """With LoRA adapters the reference policy is this one without them."""
        with self.lm.disable_adapter():
            yield


class ScalarModel(nn.Module):
    """A language model with one number on top: a reward read at the end, or a value before every token.

    The transformers form is a sequence classifier with one label and no bias (`score`).
    """

    def __init__(self, classifier: nn.Module, *, packing: bool = True):
        super().__init__()
        self.classifier, self.packing = classifier, packing

    def head(self, hidden: Tensor) -> Tensor:
        """[..., d] -> [...], in float32."""
        return base_of(self.classifier).score(hidden)[..., 0].float()

    @property
    def shift(self) -> float:
        """What is taken off the classifier's number, so that the SFT model's answers have mean 0."""
        return float(getattr(base_of(self.classifier).config, "heed_reward_shift", 0.0))

    def score(self, rows: Tokens) -> Tensor:
        """Reward [B]: read at the last real token, EOS included, minus `shift`."""
        hidden, _, index = hidden_states(self.classifier, rows, self.packing)
        end = (rows.completion_lengths - 1).clamp(min=0)[:, None]
        return self.head(hidden[index.gather(1, end)[:, 0]]) - self.shift

    def forward(self, rows: Tokens) -> Tensor:
        """Values [B, T]: what is still to be earned, seen before each completion token."""
        hidden, source, _ = hidden_states(self.classifier, rows, self.packing)
        return self.head(hidden[source]) - self.shift


class ActorCritic(nn.Module):
    """A policy and its critic: a network of its own (from the reward model), or a head on the policy's trunk."""

    def __init__(self, policy: Policy, critic: ScalarModel | None):
        super().__init__()
        self.policy, self.critic = policy, critic
        if critic is None:
            d = base_of(policy.lm).config.hidden_size
            self.value_head = nn.Linear(d, 1)  # a fresh head starts at 0 (Ziegler et al. 2019)
            nn.init.zeros_(self.value_head.weight)
            nn.init.zeros_(self.value_head.bias)

    def forward(self, rows: Tokens, entropy: bool = False) -> Outputs:
        """Log-probabilities and values [B, T] of completions; `entropy` too where asked for."""
        hidden, source, _ = hidden_states(self.policy.lm, rows, self.policy.packing)
        out = self.policy.read(hidden, source, rows, entropy)
        if self.critic is not None:
            return out._replace(values=self.critic(rows))
        return out._replace(values=self.value_head(hidden[source])[..., 0].float())
