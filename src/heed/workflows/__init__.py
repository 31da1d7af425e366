"""The stories, each read from top to bottom."""

# verb: (module, what it does).  Resolved when used, so that `heed --help` answers at once.
VERBS = {
    "run": ("heed.workflows.run", "run a recipe of several stages, each from where it stopped"),
    "pretrain": ("heed.workflows.pretrain", "train a causal language model (and its tokenizer) on plain text"),
    "sft": ("heed.workflows.sft", "supervised fine-tuning on demonstrations, loss on the responses only"),
    "sample": ("heed.workflows.sample", "write K completions for every prompt"),
    "label": ("heed.workflows.label", "have the completions ranked, into the store"),
    "reward": ("heed.workflows.reward", "train a reward model on K-way rankings"),
    "ppo": ("heed.workflows.ppo", "improve a policy against a reward, near a reference"),
    "evaluate": ("heed.workflows.evaluate", "compare checkpoints on held-out prompts, with intervals"),
    "report": ("heed.workflows.report", "make report.html of a run"),
    "chat": ("heed.workflows.chat", "talk with a checkpoint in the terminal"),
    "doctor": ("heed.workflows.doctor", "check a dataset, a checkpoint or a run and say what is wrong"),
    "convert": ("heed.workflows.convert", "make a Hugging Face directory of another format"),
}
