"""The cases of trl_losses.py that compare policies: DPO and its kin, KTO, ORPO, SimPO, RLOO and GRPO, each against TRL's own.

A case is ((heed's loss, TRL's loss, distance of the gradients), golden).  The golden part holds the token log-probabilities
that went in and the loss that TRL made of them.
"""

import torch
import trl
from datasets import Dataset
from transformers import LlamaForCausalLM
from trl.experimental.cpo import CPOConfig, CPOTrainer
from trl.experimental.orpo import ORPOConfig, ORPOTrainer
from trl_losses import WORDS, apart, gradients, ids, of, settings, tiny, tokenizer, words

from heed.algorithms.dpo import DPO
from heed.algorithms.f_dpo import FDPO
from heed.algorithms.grpo import GRPO
from heed.algorithms.ipo import IPO
from heed.algorithms.kto import KTO
from heed.algorithms.orpo import ORPO
from heed.algorithms.rloo import RLOO
from heed.algorithms.robust_dpo import RobustDPO
from heed.algorithms.rso import RSO
from heed.algorithms.sft import SFT
from heed.algorithms.simpo import SimPO
from heed.equations.loss import Loss
from heed.experience import Experience, Labelled, Ranked
from heed.language.batches import make_tokens
from heed.language.policy import Policy

DIRECT = {  # name: heed's algorithm, TRL's settings
    "dpo": (DPO(0.3), {"beta": 0.3}),
    "dpo robust": (RobustDPO(0.3, 0.2), {"beta": 0.3, "label_smoothing": 0.2, "loss_type": ["robust"]}),
    "f-dpo forward kl": (FDPO(0.3), {"beta": 0.3, "f_divergence_type": "forward_kl"}),
    "f-dpo js": (FDPO(0.3, "js"), {"beta": 0.3, "f_divergence_type": "js_divergence"}),
    "ipo": (IPO(0.3), {"beta": 0.3, "loss_type": ["ipo"]}),
    "rso": (RSO(0.3), {"beta": 0.3, "loss_type": ["hinge"]}),
    "dpo + sft": (DPO(0.3), {"beta": 0.3, "loss_type": ["sigmoid", "sft"], "loss_weights": [1.0, 0.5]}),
}
GROUP = {  # name: heed's algorithm, TRL's settings, the factor between the two
    "grpo": (GRPO(3, beta=0.1), {"loss_type": "grpo", "beta": 0.1, "use_bias_correction_kl": False}, 1),
    "grpo corrected": (GRPO(3, beta=0.1, use_bias_correction_kl=True), {"loss_type": "grpo", "beta": 0.1}, 1),
    "dapo": (GRPO(3, epsilon_high=0.28, loss_over="token"), {"loss_type": "dapo", "beta": 0.0, "epsilon_high": 0.28}, 1),
    "dr. grpo": (GRPO(3, scale_rewards=False, loss_over="sum"), {"loss_type": "dr_grpo", "beta": 0.0,
                                                                "scale_rewards": "none"}, 1 / 8),
}


def other(sharper=1.0):
    """A model to be the reference; a sharper one finds random words less likely, so that the KL on them is not below 0."""
    model = tiny(LlamaForCausalLM, seed=1)
    model.lm_head.weight.data *= sharper
    return model


def policy_logprobs(model, rows):
    return Policy(model)(rows).logprobs


def pairs(n=6, even=False):
    g = torch.Generator().manual_seed(3)
    lengths = torch.randint(2, 8, (n, 3), generator=g)
    if even:  # what TRL's ORPO makes the same: answers of one length, and prompts that end where they begin
        lengths[:] = torch.tensor([1, 5, 5])
    return [{"prompt": words(a, g), "chosen": " " + words(b, g), "rejected": " " + words(c, g)} for a, b, c in lengths.tolist()]


def ranked(rows, reference=None):
    """The first of two candidates was preferred."""
    prompts = [ids(row["prompt"], end=0) for row in rows for _ in range(2)]
    completions = [ids(row[side], end=1) for row in rows for side in ("chosen", "rejected")]
    candidates = make_tokens(prompts, completions, groups=[i // 2 for i in range(len(prompts))])
    with torch.no_grad():
        ref = policy_logprobs(reference, candidates).sum(1) if reference else None
    return Ranked(candidates, torch.tensor([[1, 2]]).expand(len(rows), 2), ref_logprobs=ref)


def golden_of(model, batch, loss, **more):
    """Token log-probabilities, mask and reference: all that a loss reads."""
    with torch.no_grad():
        found = policy_logprobs(model, batch.candidates)
    ref = None if batch.ref_logprobs is None else batch.ref_logprobs.tolist()
    return {"logprobs": found.tolist(), "mask": batch.candidates.mask.tolist(), "ref": ref, "loss": loss, **more}


def first_batch(trainer):
    return trainer._prepare_inputs(next(iter(trainer.get_train_dataloader())))


def direct_case(algorithm, options):
    rows = pairs()
    model, reference = tiny(LlamaForCausalLM), other()
    trainer = trl.DPOTrainer(model, reference, args=trl.DPOConfig(**settings(**options)), train_dataset=Dataset.from_list(rows),
                             processing_class=tokenizer())
    model = trainer.model.train()
    loss = trainer.compute_loss(model, dict(first_batch(trainer)))
    gradient = gradients(model, loss)
    batch = ranked(rows, reference)
    ours = of(algorithm.loss(Policy(model), batch))
    if "loss_weights" in options:  # heed's second part of a step
        best = batch.candidates.select(torch.arange(0, 2 * len(rows), 2))
        ours = ours + options["loss_weights"][1] * of(SFT().loss(Policy(model), best))
    golden = golden_of(model, batch, loss.item(), algorithm=repr(algorithm))
    return (ours.item(), loss.item(), apart(gradients(model, ours), gradient)), golden


def unreferenced_case(trainer_kind, config, algorithm, even, **options):
    rows = pairs(even=even)
    model = tiny(LlamaForCausalLM)
    trainer = trainer_kind(model, config(**settings(**options)), train_dataset=Dataset.from_list(rows),
                           processing_class=tokenizer())
    model = trainer.model.train()
    loss = trainer.compute_loss(model, dict(first_batch(trainer)))
    gradient = gradients(model, loss)
    batch = ranked(rows)
    ours = of(algorithm.loss(Policy(model), batch))
    golden = golden_of(model, batch, loss.item(), algorithm=repr(algorithm))
    return (ours.item(), loss.item(), apart(gradients(model, ours), gradient)), golden


def tokens_of(batch, prefix=""):
    """heed's rows from TRL's padded ones: what its mask calls completion, and what stands before it."""
    rows = zip(batch[f"{prefix}input_ids"].tolist(), batch[f"{prefix}attention_mask"].tolist(),
               batch[f"{prefix}completion_mask"].tolist(), strict=True)
    split = [([t for t, a, c in zip(*row, strict=True) if a and not c], [t for t, _, c in zip(*row, strict=True) if c])
             for row in rows]
    return make_tokens(*map(list, zip(*split, strict=True)))


def kto_case():
    """The mismatched answers are TRL's own pairing; the estimate of the KL from them is part of the comparison."""
    g = torch.Generator().manual_seed(4)
    rows = [{"prompt": words(3, g), "completion": " " + words(n, g), "label": n % 2 == 0} for n in (2, 3, 4, 5, 6, 7, 2, 4)]
    model, reference = tiny(LlamaForCausalLM), other(sharper=2.0)
    trainer = trl.KTOTrainer(model, reference, args=trl.KTOConfig(**settings(beta=0.3, desirable_weight=1.5)),
                             train_dataset=Dataset.from_list(rows), processing_class=tokenizer())
    model = trainer.model.train()
    batch = first_batch(trainer)
    loss = trainer.compute_loss(model, dict(batch))
    gradient = gradients(model, loss)
    here, there = tokens_of(batch), tokens_of(batch, "KL_")
    with torch.no_grad():
        ref, ref_there = (policy_logprobs(reference, x).sum(1) for x in (here, there))
    algorithm = KTO(0.3, desirable_weight=1.5)
    mine = algorithm.prepare(Policy(model), Labelled(here, torch.as_tensor(batch["label"]).bool(), ref, there, ref_there))
    assert mine.kl[0] > 0, "a reference point of 0 would hide how it was found"
    ours = of(algorithm.loss(Policy(model), mine))
    golden = golden_of(model, mine, loss.item(), algorithm=repr(algorithm), kl=mine.kl[0].item(),
                       desirable=mine.desirable.tolist())
    return (ours.item(), loss.item(), apart(gradients(model, ours), gradient)), golden


def acted(group):
    """Two prompts, three completions each, of uneven lengths; old and reference log-probabilities near the model's."""
    g = torch.Generator().manual_seed(5)
    prompts = [ids(words(n, g), end=0) for n in (3, 5)]
    completions = [ids(words(n, g), end=1) for n in (3, 1, 6, 2, 5, 4)]
    rows = make_tokens([prompts[i // group] for i in range(6)], completions, groups=[i // group for i in range(6)])
    with torch.no_grad():
        now = policy_logprobs(tiny(LlamaForCausalLM), rows)
    old = (now + 0.3 * torch.randn(now.shape, generator=g)) * rows.mask
    ref = (now + 0.3 * torch.randn(now.shape, generator=g)) * rows.mask
    ends = torch.zeros_like(rows.mask).scatter(1, (rows.completion_lengths - 1)[:, None], 1.0)
    scores = torch.tensor([1.0, -2.0, 0.5, 3.0, 0.0, -1.0])
    e = Experience(rows, old, torch.zeros_like(old), ends * scores[:, None], ends, rows.mask, torch.zeros(6), ref_logprobs=ref,
                   finished=torch.ones(6))
    return e, scores.view(-1, group)


def padded(e):
    """TRL's inputs: prompts filled from the left, completions from the right."""
    rows = e.inputs
    P = rows.prompt_ids.shape[1]
    prompt, mask = torch.zeros(len(rows), P, dtype=torch.long), torch.zeros(len(rows), P, dtype=torch.long)
    for i, n in enumerate(rows.prompt_lengths.tolist()):
        prompt[i, P - n :], mask[i, P - n :] = rows.prompt_ids[i, :n], 1
    return {"prompt_ids": prompt, "prompt_mask": mask, "completion_ids": rows.completion_ids,
            "completion_mask": rows.mask.long(), "num_items_in_batch": rows.mask.sum()}


def online(kind, config, beta=0.0, **options):
    """A trainer to ask for its loss; it samples nothing, and is told beta late, or it would look for its reference's files."""
    rows = Dataset.from_list([{"prompt": WORDS[0]}] * 6)
    trainer = kind(model=tiny(LlamaForCausalLM), reward_funcs=lambda completions, **_: [0.0] * len(completions),
                   args=config(**{**settings(beta=0.0, **options), "per_device_train_batch_size": 6}, num_generations=3,
                               max_completion_length=8),
                   train_dataset=rows, processing_class=tokenizer())
    trainer.current_gradient_accumulation_steps, trainer.beta = 1, beta
    return trainer, trainer.model.train()


def golden_acted(model, e, loss, **more):
    with torch.no_grad():
        now = policy_logprobs(model, e.inputs)
    return {"logprobs": now.tolist(), "old": e.logprobs.tolist(), "ref": e.ref_logprobs.tolist(), "mask": e.mask.tolist(),
            "rewards": e.rewards.tolist(), "loss": loss, **more}


def group_case(algorithm, options, factor):
    e, scores = acted(3)
    trainer, model = online(trl.GRPOTrainer, trl.GRPOConfig, **options)
    centred = scores - scores.mean(1, keepdim=True)
    advantages = (centred / (scores.std(1, keepdim=True) + 1e-4) if algorithm.scale_rewards else centred).flatten()
    loss = trainer._compute_loss(model, padded(e) | {"advantages": advantages, "old_per_token_logps": e.logprobs,
                                                     "ref_per_token_logps": e.ref_logprobs})
    gradient = gradients(model, loss)
    mine = algorithm.credit(e)
    found = algorithm.loss(Policy(model), mine)
    assert found.count == mine.count
    ours = of(Loss(found.total * factor, found.count, {}))
    golden = golden_acted(model, e, loss.item(), algorithm=repr(algorithm), factor=factor)
    return (ours.item(), loss.item(), apart(gradients(model, ours), gradient)), golden


def rloo_case():
    e, scores = acted(3)
    trainer, model = online(trl.RLOOTrainer, trl.RLOOConfig)
    advantages = (scores - (scores.sum(1, keepdim=True) - scores) / 2).flatten()
    loss = trainer._compute_loss(model, padded(e) | {"advantages": advantages, "old_logps": (e.logprobs * e.mask).sum(1)})
    gradient = gradients(model, loss)
    algorithm = RLOO(3)
    ours = of(algorithm.loss(Policy(model), algorithm.credit(e)))
    golden = golden_acted(model, e, loss.item(), algorithm=repr(algorithm), factor=1)
    return (ours.item(), loss.item(), apart(gradients(model, ours), gradient)), golden


def cases():
    """name: case, of every method that both have."""
    found = {name: direct_case(*case) for name, case in DIRECT.items()}
    found["orpo"] = unreferenced_case(ORPOTrainer, ORPOConfig, ORPO(0.3), True, beta=0.3)
    found["simpo"] = unreferenced_case(CPOTrainer, CPOConfig, SimPO(2.0, 0.7), False, loss_type="simpo", beta=2.0,
                                       simpo_gamma=0.7, cpo_alpha=0.0)
    found["kto"] = kto_case()
    found |= {name: group_case(*case) for name, case in GROUP.items()}
    found["rloo"] = rloo_case()
    return found
