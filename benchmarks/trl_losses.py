"""heed's losses against TRL's own trainers, on the same models and texts: equal to 5e-6, gradients included.

Each side goes its whole way: TRL from strings through its tokenisation, masking, collator and compute_loss; heed from
token ids through its packed batches, its models and its algorithms.  Needs an environment of its own with TRL in it
(heed's source is found by path, it need not be installed):

    python -m venv trl116 && trl116/bin/pip install torch==2.13.0 && trl116/bin/pip install "trl==1.16.*"
    PYTHONPATH=src trl116/bin/python benchmarks/trl_losses.py            # exits 1 where a difference is over 5e-6
    PYTHONPATH=src trl116/bin/python benchmarks/trl_losses.py --write    # also writes tests/golden/trl_*.json

The methods that change policies (DPO and its kin, KTO, ORPO, SimPO, RLOO, GRPO) stand in trl_methods.py.

The golden files hold what went into the loss (scores, logits, masks) and what TRL made of it, so that the default
suite repeats the comparison without TRL.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import torch
import trl
from datasets import Dataset, disable_progress_bars
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, LlamaForSequenceClassification, PreTrainedTokenizerFast

from heed.algorithms.reward_model import RewardModel
from heed.algorithms.sft import SFT
from heed.equations.loss import Loss
from heed.experience import Ranked
from heed.language.batches import make_tokens
from heed.language.policy import Policy, ScalarModel

GOLDEN = Path(__file__).parents[1] / "tests" / "golden"
TOLERANCE = 5e-6
SPECIAL = ["<|pad|>", "<|eos|>"]
WORDS = [f"w{i}" for i in range(14)]


def tokenizer():
    """Sixteen words; padding is not the end of a sequence."""
    vocabulary = {word: i for i, word in enumerate([*SPECIAL, *WORDS])}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="w0"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=inner, pad_token=SPECIAL[0], eos_token=SPECIAL[1])


def tiny(kind, seed=0, **extra):
    """A random Llama whose outputs are spread out enough for a loss to depend on them."""
    torch.manual_seed(seed)
    config = LlamaConfig(vocab_size=len(SPECIAL) + len(WORDS), hidden_size=16, intermediate_size=32, num_hidden_layers=2,
                         num_attention_heads=2, num_key_value_heads=2, max_position_embeddings=64, pad_token_id=0,
                         eos_token_id=1, bos_token_id=None, initializer_range=0.3, **extra)
    return kind(config)


def settings(**extra):
    """The same for both trainers: one batch of everything, on the CPU, in float32, without dropout."""
    return dict(output_dir=tempfile.mkdtemp(), per_device_train_batch_size=8, use_cpu=True, bf16=False, report_to=[],
                gradient_checkpointing=False, seed=0, **extra)


def gradients(model, loss):
    model.zero_grad()
    loss.backward()
    found = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
    assert found.norm() > 0.01, "two gradients of nothing are equal, whatever the losses"
    return found


def apart(gradient, other):
    """The distance of two gradients, relative to their length."""
    return ((gradient - other).norm() / other.norm()).item()


def of(loss: Loss):
    """The mean the learner takes."""
    return loss.total / loss.count


def ids(text, *, end):
    """The token ids of a text, made here and not taken from TRL."""
    place = {word: i for i, word in enumerate([*SPECIAL, *WORDS])}
    return [place[word] for word in text.split()] + [place[SPECIAL[1]]] * end


def heed_reward(model, rows, margin, centring):
    """Two candidates a prompt: the first was preferred."""
    prompts = [ids(row["prompt"], end=0) for row in rows for _ in range(2)]
    completions = [ids(row[side], end=1) for row in rows for side in ("chosen", "rejected")]
    candidates = make_tokens(prompts, completions, groups=[i // 2 for i in range(len(prompts))])
    batch = Ranked(candidates, torch.tensor([[1, 2]]).expand(len(rows), 2), margin)
    return of(RewardModel(center_rewards_coefficient=centring).loss(ScalarModel(model), batch))


def heed_sft(model, rows):
    """The end of the sequence is part of the response; the prompt is not."""
    prompts, completions = [ids(r["prompt"], end=0) for r in rows], [ids(r["completion"], end=1) for r in rows]
    return of(SFT().loss(Policy(model), make_tokens(prompts, completions)))


def words(n, g):
    return " ".join(WORDS[i] for i in torch.randint(0, len(WORDS), (n,), generator=g))


def reward_case(with_margin, centring):
    """TRL's RewardTrainer against `RewardModel` with K = 2, on pairs of uneven lengths."""
    g = torch.Generator().manual_seed(1)
    lengths = torch.randint(2, 9, (7, 3), generator=g).tolist()
    rows = [{"prompt": words(a, g), "chosen": " " + words(b, g), "rejected": " " + words(c, g)} for a, b, c in lengths]
    margin = torch.rand(len(rows), generator=g) if with_margin else None
    if with_margin:
        rows = [row | {"margin": float(m)} for row, m in zip(rows, margin, strict=True)]
    model = tiny(LlamaForSequenceClassification, num_labels=1)
    trainer = trl.RewardTrainer(model, trl.RewardConfig(**settings(center_rewards_coefficient=centring or None)),
                                train_dataset=Dataset.from_list(rows), processing_class=tokenizer())
    model = trainer.model.train()
    batch = trainer._prepare_inputs(next(iter(trainer.get_train_dataloader())))
    loss = trainer.compute_loss(model, dict(batch))
    gradient = gradients(model, loss)
    scores = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits[:, 0]
    golden = {"scores": torch.stack(scores.chunk(2), 1).tolist(), "centring": centring, "loss": loss.item(),
              "margin": batch["margin"].tolist() if with_margin else None,
              "accuracy": trainer._metrics["train"]["accuracy"][-1]}
    ours = heed_reward(model, rows, margin, centring)
    return (ours.item(), loss.item(), apart(gradients(model, ours), gradient)), golden


def sft_case():
    """TRL's SFTTrainer, its own prompt masking included, against `SFT`: a sum over the response and a count."""
    g = torch.Generator().manual_seed(2)
    lengths = torch.randint(1, 7, (6, 2), generator=g).tolist()
    rows = [{"prompt": words(a, g), "completion": " " + words(b, g)} for a, b in lengths]
    model = tiny(LlamaForCausalLM)
    trainer = trl.SFTTrainer(model, trl.SFTConfig(**settings()), train_dataset=Dataset.from_list(rows),
                             processing_class=tokenizer())
    model = trainer.model.train()
    batch = trainer._prepare_inputs(next(iter(trainer.get_train_dataloader())))
    loss = trainer.compute_loss(model, dict(batch))
    gradient = gradients(model, loss)
    logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    golden = {"logits": logits.tolist(), "tokens": batch["input_ids"].tolist(), "loss": loss.item(),
              "response": (batch["labels"] != -100).int().tolist()}
    ours = heed_sft(model, rows)
    return (ours.item(), loss.item(), apart(gradients(model, ours), gradient)), golden


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write the golden files")
    write = parser.parse_args().write
    import trl_methods  # beside this file; it takes what it shares from here

    torch.set_num_threads(1)
    disable_progress_bars()
    cases = {f"reward margin={m} centring={c}": reward_case(m, c) for m in (False, True) for c in (0.0, 0.01)}
    cases["sft"] = sft_case()
    methods = trl_methods.cases()
    cases |= methods
    worst = 0.0
    print(f"TRL {trl.__version__}, torch {torch.__version__}\n{'case':<34}{'heed':>12}{'TRL':>12}{'gradient':>12}")
    for name, ((ours, theirs, gradient), _) in cases.items():
        print(f"{name:<34}{ours:>12.7f}{theirs:>12.7f}{gradient:>12.1e}")
        worst = max(worst, abs(ours - theirs), gradient)
    print(f"largest difference {worst:.2e}, allowed {TOLERANCE:.0e}")
    if write:
        made_by = {"trl": trl.__version__, "torch": torch.__version__, "script": "benchmarks/trl_losses.py"}
        reward = [golden for name, (_, golden) in cases.items() if name.startswith("reward")]
        compared = {"cases": [{"name": name, **golden} for name, (_, golden) in methods.items()]}
        for name, body in {"trl_reward": {"cases": reward}, "trl_sft": cases["sft"][1], "trl_methods": compared}.items():
            (GOLDEN / f"{name}.json").write_text(json.dumps({"made_by": made_by, **body}) + "\n")
    sys.exit(worst > TOLERANCE)


if __name__ == "__main__":
    main()
