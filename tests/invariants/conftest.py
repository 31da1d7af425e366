"""A world small enough to check by hand: two letters' worth of tokenizer and random models with something to say."""

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, LlamaForSequenceClassification

from heed.language.batches import make_tokens
from heed.language.chat import train_tokenizer

torch.set_num_threads(1)

LLAMA = dict(vocab_size=40, hidden_size=24, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2,
             num_key_value_heads=2, max_position_embeddings=64, pad_token_id=0, eos_token_id=1, bos_token_id=None)  # fmt: skip


def llama(kind, seed):
    torch.manual_seed(seed)
    return kind(LlamaConfig(**LLAMA, initializer_range=0.2, num_labels=1))


@pytest.fixture
def lm():
    """A random language model."""
    return llama(LlamaForCausalLM, 0)


@pytest.fixture
def other_lm():
    """Another one, to be its reference."""
    return llama(LlamaForCausalLM, 1)


@pytest.fixture
def classifier():
    """A random reward model."""
    return llama(LlamaForSequenceClassification, 2)


@pytest.fixture(scope="session")
def tokenizer():
    """Trained on a line; ids 0 and 1 are PAD and EOS."""
    return train_tokenizer(["the gull sat on the wall and the wall stood by the sea"], 300)


@pytest.fixture
def rows():
    """Two prompts with three completions each, all of uneven length; four of them end with EOS."""
    g = torch.Generator().manual_seed(0)
    prompts = [[5, 9, 7], [8, 4, 6, 30, 22]]
    lengths, ended = [4, 1, 6, 3, 5, 2], [True, True, False, True, True, False]
    completions = [torch.randint(2, 40, (n,), generator=g).tolist() for n in lengths]
    completions = [[*c[:-1], 1] if e else c for c, e in zip(completions, ended, strict=True)]
    return make_tokens([prompts[i // 3] for i in range(6)], completions, groups=[i // 3 for i in range(6)])
