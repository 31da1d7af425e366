"""A journey small enough for a test: forty texts, a model of a few thousand parameters, a reward anyone can check."""

import json
import os
import random
from types import SimpleNamespace

os.environ["HF_HUB_OFFLINE"] = "1"  # read when transformers is imported: no test asks the network for anything

import pytest
import torch
from safetensors.torch import load_file

torch.set_num_threads(1)

NAMES, THINGS = ["Ann", "Ben", "Cat", "Dan"], ["boat", "shell", "rope", "net"]
TINY = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
        "max_position_embeddings": 96}


def write(path, rows):
    """Rows as jsonl."""
    path.write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    return str(path)


class InThisProcess:
    """A stage of `heed run`, done as soon as it is begun: a process each would spend its time on imports."""

    def __init__(self, argv):
        from heed.cli import main

        self.code = 0
        try:
            main(argv[3:])
        except SystemExit as stop:
            self.code = stop.code

    def poll(self):
        return self.code

    def wait(self):
        return self.code

    terminate = wait


@pytest.fixture
def ended_alike():
    """Whether two language runs ended the same: every weight, and every figure but those of the clock."""
    def check(one, two):
        a, b = (load_file(place / "model" / "model.safetensors") for place in (one, two))
        assert a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)
        clock = {"seconds", "units_per_second"}
        rows = [[{k: v for k, v in json.loads(line).items() if k not in clock}
                 for line in (place / "metrics.jsonl").read_text().splitlines()] for place in (one, two)]
        assert rows[0] == rows[1]

    return check


@pytest.fixture(scope="session")
def in_this_process():
    """What stands for `subprocess` where stages are to be done in this process."""
    return SimpleNamespace(Popen=InThisProcess)


@pytest.fixture(scope="session")
def postgres():
    """The address of a PostgreSQL database that tests may fill: the one that HEED_TEST_POSTGRES names, else a server of
    our own; skips where there is neither."""
    from heed.testing.postgres import private_server

    pytest.importorskip("psycopg", reason="the package psycopg is not installed")
    if url := os.environ.get("HEED_TEST_POSTGRES"):
        yield url
        return
    try:
        server = private_server()
        url = server.__enter__()
    except FileNotFoundError as error:
        pytest.skip(f"{error}; `make machine` installs it, or HEED_TEST_POSTGRES names a server")
    yield url
    server.__exit__(None, None, None)


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """texts, demonstrations, prompts and rankings as files."""
    place, rng = tmp_path_factory.mktemp("data"), random.Random(0)
    texts = [f"{rng.choice(NAMES)} has a {rng.choice(THINGS)}. {rng.choice(NAMES)} sees the {rng.choice(THINGS)}."
             for _ in range(200)]
    chats = [{"prompt": [{"role": "user", "content": f"What has {n} today, number {i}?"}],
              "completion": [{"role": "assistant", "content": f"{n} has a {rng.choice(THINGS)}."}]}
             for i in range(12) for n in NAMES]
    ranked = [{"prompt": c["prompt"], "chosen": c["completion"],
               "rejected": [{"role": "assistant", "content": c["completion"][0]["content"] + " And more, and more."}]}
              for c in chats]
    return {"texts": write(place / "texts.jsonl", [{"text": t} for t in texts]),
            "demonstrations": write(place / "demonstrations.jsonl", chats),
            "rankings": write(place / "rankings.jsonl", ranked), "place": place}


@pytest.fixture(scope="session")
def base(data):
    """A pretrained tiny model."""
    from heed.workflows import pretrain

    out = data["place"] / "pretrain"
    pretrain.run(pretrain.Pretrain(output_dir=str(out), dataset=data["texts"], architecture=TINY, vocab_size=320, max_length=24,
                                   batch_size=8, max_steps=6))
    return str(out / "model")


@pytest.fixture(scope="session")
def sft(data, base):
    """The tiny model, fine-tuned on the answers."""
    from heed.workflows import sft

    out = data["place"] / "sft"
    sft.run(sft.SFTSettings(output_dir=str(out), model=base, dataset=data["demonstrations"], max_length=80, batch_size=8,
                            max_steps=6, learning_rate=1e-2))
    return str(out / "model")


@pytest.fixture(scope="session")
def reward(data, sft):
    """A reward model that was told that short answers are better."""
    from heed.workflows import reward

    out = data["place"] / "reward"
    reward.run(reward.Reward(output_dir=str(out), model=sft, dataset=data["rankings"], max_length=80, batch_size=8,
                             max_steps=8, learning_rate=1e-2, shift_prompts=16, max_completion_length=12))
    return str(out / "model")


@pytest.fixture
def interrupted(monkeypatch):
    """interrupted(start): runs `start` until it has written its first checkpoint, and no further."""
    from heed.training.run import Run

    def call(start):
        with monkeypatch.context() as patch:
            real = Run.save

            def save(self, *args, **kwargs):
                real(self, *args, **kwargs)
                raise KeyboardInterrupt
            patch.setattr(Run, "save", save)
            with pytest.raises(KeyboardInterrupt):
                start()

    return call
