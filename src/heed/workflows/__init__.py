"""The stories, each read from top to bottom."""

# verb: (module, what it does).  Resolved when used, so that `heed --help` answers at once.
VERBS = {
    "run": ("heed.workflows.run", "run a recipe of several stages, each from where it stopped"),
    "pretrain": ("heed.workflows.pretrain", "train a causal language model (and its tokenizer) on plain text"),
    "sft": ("heed.workflows.sft", "supervised fine-tuning on demonstrations, loss on the responses only"),
    "prompts": ("heed.workflows.prompts", "keep what is worth asking of the prompts that users wrote"),
    "sample": ("heed.workflows.sample", "write K completions for every prompt"),
    "label": ("heed.workflows.label", "have the completions ranked, into the store"),
    "collect": ("heed.workflows.collect", "sample, choose what to ask, and wait for the answers"),
    "serve": ("heed.workflows.serve", "serve the pages where people answer"),
    "online": ("heed.workflows.online", "rounds of asking people and improving the policy"),
    "lineage": ("heed.workflows.lineage", "show which answers and which models made a model"),
    "reward": ("heed.workflows.reward", "train a reward model on K-way rankings"),
    "ppo": ("heed.workflows.ppo", "improve a policy against a reward, near a reference"),
    "offline": ("heed.workflows.offline", "improve a policy from judgements alone: DPO and its kin, KTO, weighted imitation"),
    "rl": ("heed.workflows.rl", "the same with RLOO, GRPO, REINFORCE and others in PPO's place"),
    "compare": ("heed.workflows.compare", "several methods on equal terms, some seeds each, on one page"),
    "control": ("heed.workflows.control", "an agent learns what people prefer of its behaviour"),
    "control watch": ("heed.workflows.control_watch", "see what such an agent does: control watch RUN"),
    "evaluate": ("heed.workflows.evaluate", "compare checkpoints on held-out prompts, with intervals"),
    "report": ("heed.workflows.report", "make report.html of a run"),
    "chat": ("heed.workflows.chat", "talk with a checkpoint in the terminal"),
    "doctor": ("heed.workflows.doctor", "check a dataset, a checkpoint or a run and say what is wrong"),
    "convert": ("heed.workflows.convert", "make a Hugging Face directory of another format"),
}
