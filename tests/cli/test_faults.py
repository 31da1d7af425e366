"""What goes wrong with data, models, disks and numbers: one message, the right exit code, and nothing spoilt."""

import errno
import json
import os
import pickle
import resource
import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from heed.training.run import Run

PAIR = {"prompt": "p", "chosen": "a", "rejected": "b"}


def write(path, rows):
    """Rows as jsonl; a text as it is."""
    Path(path).write_text(rows if isinstance(rows, str) else "".join(json.dumps(r) + "\n" for r in rows))
    return path


@contextmanager
def files_of_at_most(size):
    """As on a full disk, what is written behind `size` bytes of a file is refused."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def sft_words(base, data):
    return ["sft", f"model={base}", f"dataset={data['demonstrations']}", "output_dir=out", "max_length=80", "batch_size=8",
            "max_steps=6", "save_steps=2"]


@pytest.fixture
def ppo_words(sft, data):
    Path("faulty.py").write_text(
        "def short(prompts, completions, **columns): return [-0.1 * len(c) for c in completions]\n"
        "def nan(prompts, completions, **columns): return [float('nan') for c in completions]\n"
        "def few(prompts, completions, **columns): return [1.0]\n"
        "def one(prompts, completions, **columns): return 1.0\n"
        "def words(prompts, completions, **columns): return ['good'] * len(completions)\n"
        "def crash(prompts, completions, **columns):\n    return [1 / len(columns['nothing'])]\n")
    return ["ppo", f"model={sft}", f"dataset={data['demonstrations']}", "output_dir=out", "max_completion_length=8",
            "total_episodes=16", "rollout_batch_size=8", "micro_batch=8", "critic=shared"]


def mistake(said, *parts):
    """Exit 2, with all of `parts` in one message and no traceback; nothing is left behind that would be in the way."""
    assert said.code == 2, said.err
    assert all(part in said.err for part in parts), said.err
    assert "Traceback" not in said.err and not list(Path().glob("out/checkpoints/*")) and not Path("out/model").exists()


def fault(said, *parts):
    assert said.code == 3, said.err
    assert all(part in said.err for part in parts), said.err
    assert "Traceback" not in said.err and not Path("out/summary.json").exists()


@pytest.mark.parametrize(("rows", "parts"), [
    ("", ("rows.jsonl: the file is empty",)),
    ('{"prompt": "p", "completion": "c"}\n{"prompt": "p", "compl', ("rows.jsonl, line 2: not a JSON value",)),
    ([{"prompt": "p", "completion": "c"}, {"prompt": "p", "completion": 7}], ("rows.jsonl, line 2", "'completion'", "int 7")),
    ([{"text": "only a text"}], ("holds texts, which cannot be read as demonstrations",)),
])
def test_demonstrations_that_cannot_be_learnt_from(heed, sft_words, rows, parts):
    write("rows.jsonl", rows)
    mistake(heed(*sft_words, "dataset=rows.jsonl"), *parts)


@pytest.mark.parametrize(("rows", "parts"), [
    ([{**PAIR, "rejected": "a"}] * 3, ("the same text in every row",)),
    ([{"prompt": "p", "completions": ["a", "b"], "ranks": [1, 1]}] * 3, ("every comparison is a tie",)),
    ([{"prompt": "p", "completion": c, "label": True} for c in "abc"], ("every comparison is a tie",)),
    ([{"prompt": "p", "completions": ["a", "b", "c"], "ranks": [1, 2]}], ("line 1", "'ranks'", "(3)", "[1, 2]")),
    ([{"prompt": "p", "completions": ["a", "b"], "ranks": [1, 2], "completion_ids": ["x"]}], ("'completion_ids'", "(2)")),
    ([{"prompt": "p"}], ("holds prompts, which cannot be read as rankings",)),
])
def test_rankings_that_prefer_nothing_or_rank_what_is_not_there(heed, sft, rows, parts):
    write("rows.jsonl", rows)
    mistake(heed("reward", f"model={sft}", "dataset=rows.jsonl", "output_dir=out"), *parts)


def test_a_judgement_on_candidates_that_were_not_shown(heed, sft, tmp_path):
    shown = {"kind": "Comparison", "id": "c", "asked_at": 0, "prompt": {"content": "p"},
             "candidates": [{"text": "a", "id": "1"}, {"text": "b", "id": "2"}]}
    answer = {"kind": "Judgement", "comparison_id": "c", "labeler": "ann", "ranks": {"1": 1, "3": 2}, "id": "j"}
    write("rows.jsonl", [shown, answer])
    mistake(heed("reward", f"model={sft}", "dataset=rows.jsonl", "output_dir=out"), "judgement 'j' ranks other candidates")


def cut(model):
    (model / "model.safetensors").write_bytes((model / "model.safetensors").read_bytes()[:500])


def pickled(model):
    (model / "model.safetensors").unlink()
    torch.save({"w": torch.zeros(1)}, model / "pytorch_model.bin")


def with_code(model):
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "model_type": "evil", "auto_map": {"AutoConfig": "evil.Evil"}}))
    (model / "evil.py").write_text("import os\nos._exit(66)\n")


@pytest.mark.parametrize(("spoil", "parts"), [
    (cut, ("cannot load spoilt",)),
    (pickled, ("spoilt holds pytorch_model.bin and no .safetensors; heed reads no pickles",)),
    (with_code, ("cannot load", "custom code")),
    (lambda m: (m / "config.json").write_text("{"), ("cannot load", "spoilt")),
    (lambda m: (m / "tokenizer.json").write_text("{"), ("cannot load the tokenizer of spoilt",)),
    (lambda m: [(m / f).unlink() for f in ("tokenizer.json", "tokenizer_config.json")], ("spoilt has no tokenizer",)),
], ids=["cut", "pickled", "with code", "config", "tokenizer", "without tokenizer"])
def test_a_model_that_cannot_be_trusted_or_read(heed, sft_words, base, spoil, parts):
    shutil.copytree(base, "spoilt")
    spoil(Path("spoilt"))
    mistake(heed(*sft_words, "model=spoilt"), *parts)


@pytest.mark.parametrize(("name", "parts"), [
    ("runs/mine/sft/model", ("no model at runs/mine/sft/model: expected a Hugging Face directory",)),
    ("./nothing", ("no model at ./nothing",)),
    ("here/modle", ("no model at here/modle", "did you mean 'model'?")),
    ("here", ("here is the folder of a run; its model is here/model",)),
    ("weights.pt", ("weights.pt is a pickle, which can run code",)),
    ("no-such-model-anywhere", ("cannot load the tokenizer of no-such-model-anywhere",)),
])
def test_a_model_that_is_not_there(heed, sft_words, base, name, parts):
    shutil.copytree(base, "here/model")
    Path("weights.pt").write_bytes(pickle.dumps({"w": 1}))
    mistake(heed(*sft_words, f"model={name}"), *parts)


def test_each_kind_of_model_in_its_place(heed, sft_words, ppo_words, sft, reward):
    mistake(heed(*ppo_words, f"reward_model={sft}"), "is not a reward model", "train one with `heed reward`")
    mistake(heed(*sft_words, f"model={reward}"), "is a reward model and writes nothing")


@pytest.mark.parametrize(("word", "code", "parts"), [
    ("reward_functions=faulty:nan", 3, ("faulty:nan: gave nan",)),
    ("reward_functions=faulty:few", 2, ("faulty:few: gave 1 scores for 8 completions",)),
    ("reward_functions=faulty:one", 2, ("faulty:one: expected a list of numbers or None, got 1.0",)),
    ("reward_functions=faulty:words", 2, ("expected numbers or None, got 'good'",)),
    ("reward_functions=faulty:crash", 2, ("failed: KeyError: 'nothing'", "line 7 of", "1 / len(columns['nothing'])")),
    ("gold=faulty:few", 2, ("faulty:few: gave 1 scores for 8 completions",)),
    ("gold=faulty:nan", 3, ("faulty:nan: gave nan",)),
    ("ppo.num_mini_batches=9", 2, ("4 epochs of 9 mini-batches cannot be made of rollout_batch_size = 8",)),
    ("ppo.num_ppo_epochs=0", 2, ("0 epochs of 1 mini-batches",)),
    ("value_model=x", 2, ("takes no value_model",)),
])
def test_rewards_and_settings_that_cannot_work(heed, ppo_words, word, code, parts):
    words = ppo_words if word.startswith("reward") else [*ppo_words, "reward_functions=faulty:short"]
    (mistake if code == 2 else fault)(heed(*words, word), *parts)


def test_a_mended_command_is_not_held_up_by_the_one_that_failed(heed, ppo_words):
    assert heed(*ppo_words, "reward_functions=faulty:few").code == 2
    assert heed(*ppo_words, "reward_functions=faulty:short").code == 0


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_last_checkpoint(heed, sft_words, monkeypatch):
    real = Run.save

    def save(self, learners, step, *args, **kwargs):
        real(self, learners, step, *args, **kwargs)
        if step == 4:
            next(iter(learners["model"].trained.values())).data.fill_(float("nan"))

    monkeypatch.setattr(Run, "save", save)
    fault(heed(*sft_words), "the loss is nan", "training has diverged", "a lower learning rate is the usual cure")
    assert all(torch.isfinite(t).all() for t in load_file("out/checkpoints/step-000004/tensors.safetensors").values())


def test_interrupted_it_says_how_to_go_on_and_does(heed, sft_words, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("heed.training.loop.learning_rate", lambda step, *a: 1e-4 if step < 3 else interrupt())
        said = heed(*sft_words)
    assert said.code == 130 and "the same command continues from the last checkpoint" in said.err
    said = heed(*sft_words)
    assert said.code == 0 and "sft: going on from step 2 of 6 (out)" in said.out
    assert heed(*sft_words).out == "", "what is done is not done again"


def interrupt():
    raise KeyboardInterrupt


def test_a_full_disk_keeps_the_last_checkpoint_and_the_same_command_ends_the_same(heed, sft_words, monkeypatch):
    """The third checkpoint finds no room: exit 3, the second is there whole, and nothing half-written lies about."""
    assert heed(*sft_words, "output_dir=whole").code == 0
    real = Run.save

    def save(self, learners, step, *args, **kwargs):
        with files_of_at_most(20_000 if step == 6 else resource.RLIM_INFINITY):
            real(self, learners, step, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(Run, "save", save)
        fault(heed(*sft_words), "could not write out/checkpoints/step-000006", "what was there before is kept")
    assert sorted(p.name for p in Path("out/checkpoints").iterdir()) == ["step-000002", "step-000004"]
    assert heed(*sft_words).code == 0
    one, two = (load_file(f"{name}/model/model.safetensors") for name in ("whole", "out"))
    assert all(torch.equal(one[k], two[k]) for k in one)


@pytest.mark.parametrize("place", ["model", "metrics"])
def test_a_disk_that_fills_while_other_files_are_written(heed, sft_words, monkeypatch, place):
    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "somewhere")

    target = "heed.language.models.save" if place == "model" else "heed.training.tracking.JsonLines.log"
    with monkeypatch.context() as patch:
        patch.setattr(target, full)
        fault(heed(*sft_words), "No space left on device")
    assert not Path("out/model").exists()
    assert heed(*sft_words).code == 0 and Path("out/model").is_dir()


def test_a_folder_in_which_nothing_may_be_written(heed, sft_words):
    Path("out").mkdir()
    Path("out/config.yaml").mkdir()  # as unwritable as it gets, for the superuser too
    said = heed(*sft_words)
    assert said.code == 3 and "could not write out/config.yaml" in said.err and "Traceback" not in said.err


LONG = "one two three four five six seven eight nine ten " * 12  # far more than the 96 tokens of the tiny model


def test_prompts_longer_than_the_context_lose_their_beginning(heed, sft, reward, ppo_words):
    write("long.jsonl", [{"prompt": LONG + f"and then {i}?", "completion": "a boat."} for i in range(8)])
    words = ["dataset=long.jsonl", "max_completion_length=8"]
    assert heed("sample", f"model={sft}", "output_dir=sample", "num_generations=2", *words).code == 0
    assert heed(*ppo_words, "reward_functions=faulty:short", f"reward_model={reward}", *words).code == 0
    assert heed("evaluate", f"models={{a: {sft}}}", "output_dir=ev", f"reward_model={reward}", "split=train", *words).code == 0
    from heed.language.chat import load_tokenizer
    from heed.records import Prompt
    from heed.workflows.sample import encode_prompts

    tokenizer = load_tokenizer(sft)
    (kept,) = encode_prompts(tokenizer, [Prompt(LONG + "and then 3?")], 96 - 8)
    assert len(kept) == 88 and tokenizer.decode(kept).endswith("ten and then 3?")


def test_answers_longer_than_there_is_room_are_left_out_whole_and_counted(heed, sft_words):
    write("rows.jsonl", [{"prompt": "p", "completion": "a boat."}] * 3 + [{"prompt": "p", "completion": LONG}])
    mistake(heed(*sft_words, "dataset=rows.jsonl", "max_length=2"), "no demonstration fits in max_length = 2 tokens")
    said = heed(*sft_words, "dataset=rows.jsonl", "max_steps=1")
    assert said.code == 0 and "3 demonstrations (1 too long and left out)" in said.out


def test_rankings_longer_than_the_context_are_cut_to_it(heed, sft):
    write("rows.jsonl", [{"prompt": LONG, "chosen": f"a {i}", "rejected": f"b {i}"} for i in range(4)])
    said = heed("reward", f"model={sft}", "dataset=rows.jsonl?split=hash", "output_dir=out", "max_steps=1", "shift_prompts=2",
                "max_completion_length=4")
    assert said.code == 0, said.err


@pytest.mark.parametrize(("verb", "words", "parts"), [
    ("sample", ["max_completion_length=96"], ("max_completion_length = 96 leaves no room for a prompt in the 96 tokens",)),
    ("sample", ["split=tst"], ("unknown split 'tst'; did you mean 'test'?",)),
    ("sample", ["engine=statc_cache"], ("there is no engine 'statc_cache'; did you mean 'static_cache'?",)),
    ("sample", ["dataset=no_such_file.jsonl"], ("no dataset, file or folder 'no_such_file.jsonl'",)),
])
def test_sampling_mistakes(heed, sft, data, verb, words, parts):
    mistake(heed(verb, f"model={sft}", f"dataset={data['demonstrations']}", "output_dir=out", *words), *parts)


@pytest.mark.parametrize(("words", "parts"), [
    (["architecture={model_type: lama}"], ("transformers has no model_type 'lama'; did you mean 'llama'?",)),
    (["architecture={hiden_size: 8}"], ("llama has no 'hiden_size'; did you mean 'hidden_size'?",)),
    (["architecture={hidden_size: 15}"], ("architecture", "15")),
    (["architecture={max_position_embeddings: 16}", "max_length=32"], ("max_length = 32 is more than the 16 tokens",)),
])
def test_new_models_that_cannot_be_made(heed, data, words, parts):
    mistake(heed("pretrain", f"dataset={data['texts']}", "output_dir=out", "vocab_size=300", "max_steps=1", *words), *parts)


@pytest.mark.parametrize(("verb", "words", "parts"), [
    ("doctor", [], ("say what to check",)),
    ("doctor", ["run=nothing"], ("no run at nothing",)),
    ("doctor", ["dataset=half.jsonl"], ("1 error found",)),
    ("report", ["run_dir=nothing"], ("no run folder at nothing",)),
    ("label", ["samples=nothing.jsonl", "output_dir=out"], ("no file at nothing.jsonl",)),
    ("convert", ["checkpoint=half.jsonl", "output_dir=out"], ("half.jsonl",)),
    ("reward", ["model=m", "store=nothing.db", "output_dir=out"], ("no model", "m")),
    ("evaluate", ["models={a: m}", "dataset=half.jsonl", "output_dir=out"], ("evaluate needs a judge",)),
])
def test_other_verbs(heed, verb, words, parts):
    write("half.jsonl", '{"prompt": "p", "completion": "c"}\n{"prompt"')
    said = heed(verb, *words)
    assert said.code == 2 and "Traceback" not in said.err
    if verb != "reward":
        assert all(part in said.err for part in parts), said.err
