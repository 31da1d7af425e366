"""llama2.c checkpoints: the same logits and the same tokens as llama2.c's own code, written out here in its terms."""

import os
import struct
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from heed.errors import UserError
from heed.language.convert import llama2c

torch.set_num_threads(1)
DIM, HIDDEN, LAYERS, HEADS, KV_HEADS, LENGTH = 16, 24, 2, 4, 2, 32
WORDS = [" ", "e", "t", "a", "h", "n", "d", "c", "é", " t", "he", " the", "an", "and", " a", " and", "cat", " c", "at", " cat"]
PIECES = ["<unk>", "\n<s>\n", "\n</s>\n", *(f"<0x{b:02X}>" for b in range(256)), *WORDS]
SCORES = [0.0] * 259 + [-float(i) for i in range(len(WORDS))]
SCORES = dict(zip(PIECES, SCORES, strict=True)) | {" ": -1e9, "e": -1e9}  # single characters are never merged into


def tokenizer_bytes(pieces=PIECES):
    body = b"".join(struct.pack("<fi", SCORES.get(p, -99.0), len(p.encode())) + p.encode() for p in pieces)
    return struct.pack("<i", max(len(p.encode()) for p in pieces)) + body


def blocks(rng, vocab, shared):
    """The weights in the order of llama2.c's legacy export."""
    head, kv = DIM // HEADS, DIM // HEADS * KV_HEADS
    shapes = {
        "embed": (vocab, DIM), "att_norm": (LAYERS, DIM), "wq": (LAYERS, DIM, DIM), "wk": (LAYERS, kv, DIM),
        "wv": (LAYERS, kv, DIM), "wo": (LAYERS, DIM, DIM), "ffn_norm": (LAYERS, DIM), "w1": (LAYERS, HIDDEN, DIM),
        "w2": (LAYERS, DIM, HIDDEN), "w3": (LAYERS, HIDDEN, DIM), "norm": (DIM,), "cos": (LENGTH, head // 2),
        "sin": (LENGTH, head // 2),
    }  # fmt: skip
    if not shared:
        shapes["wcls"] = (vocab, DIM)
    return {name: rng.normal(0, 0.3, shape).astype("<f4") for name, shape in shapes.items()}


def checkpoint_bytes(weights, vocab, shared=True):
    header = struct.pack("<7i", DIM, HIDDEN, LAYERS, HEADS, KV_HEADS, vocab if shared else -vocab, LENGTH)
    return header + b"".join(w.tobytes() for w in weights.values())


def norm(x, weight):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-5) * weight


def rotate(x):
    """run.c: neighbours (x[2i], x[2i+1]) turn by position * 10000^(-2i / head size).  x: [time, heads, head size]."""
    time, _, size = x.shape
    angle = np.arange(time)[:, None] * 10000.0 ** (-np.arange(0, size, 2) / size)
    cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
    turned = np.empty_like(x)
    turned[..., 0::2] = x[..., 0::2] * cos - x[..., 1::2] * sin
    turned[..., 1::2] = x[..., 0::2] * sin + x[..., 1::2] * cos
    return turned


def forward(w, tokens):
    """llama2.c's forward pass: logits [time, vocab]."""
    x = w["embed"][tokens].astype(np.float64)
    time, size = len(tokens), DIM // HEADS
    for i in range(LAYERS):
        h = norm(x, w["att_norm"][i])
        q, k, v = ((h @ w[n][i].T).reshape(time, -1, size) for n in ("wq", "wk", "wv"))
        q, k = rotate(q), rotate(k)
        out = np.empty_like(q)
        for head in range(HEADS):
            shared = head // (HEADS // KV_HEADS)
            scores = q[:, head] @ k[:, shared].T / np.sqrt(size) + np.triu(np.full((time, time), -np.inf), 1)
            attention = np.exp(scores - scores.max(-1, keepdims=True))
            out[:, head] = attention / attention.sum(-1, keepdims=True) @ v[:, shared]
        x = x + out.reshape(time, DIM) @ w["wo"][i].T
        h = norm(x, w["ffn_norm"][i])
        gate = h @ w["w1"][i].T
        x = x + (gate / (1 + np.exp(-gate)) * (h @ w["w3"][i].T)) @ w["w2"][i].T
    return norm(x, w["norm"]) @ w.get("wcls", w["embed"]).T


def encode(text, pieces, scores):
    """run.c: <s>, a space, each character or its bytes, then again and again the merge of the best score."""
    ids = {piece: i for i, piece in enumerate(pieces)}
    tokens = [1] + ([ids[" "]] if text else [])
    for character in text:
        tokens += [ids[character]] if character in ids else [byte + 3 for byte in character.encode()]
    while True:
        best = max(
            ((scores[ids[pieces[a] + pieces[b]]], -at) for at, (a, b) in enumerate(pairwise(tokens))
             if pieces[a] + pieces[b] in ids),
            default=None,
        )  # fmt: skip
        if best is None:
            return tokens
        at = -best[1]
        tokens[at : at + 2] = [ids[pieces[tokens[at]] + pieces[tokens[at + 1]]]]


@pytest.fixture(scope="module", params=[True, False], ids=["shared embedding", "own output layer"])
def toy(request, tmp_path_factory):
    """(weights, model, tokenizer) of a random checkpoint, converted."""
    folder = tmp_path_factory.mktemp("toy")
    weights = blocks(np.random.default_rng(0), len(PIECES), request.param)
    (folder / "model.bin").write_bytes(checkpoint_bytes(weights, len(PIECES), request.param))
    (folder / f"tok{len(PIECES)}.bin").write_bytes(tokenizer_bytes())
    llama2c(folder / "model.bin", None, folder / "out")
    return weights, AutoModelForCausalLM.from_pretrained(folder / "out"), AutoTokenizer.from_pretrained(folder / "out")


def test_the_logits_are_llama2cs(toy):
    weights, model, _ = toy
    tokens = np.random.default_rng(1).integers(0, len(PIECES), 20)
    with torch.no_grad():
        logits = model(torch.tensor(tokens)[None]).logits[0, :, : len(PIECES)]
    assert np.abs(forward(weights, tokens)).max() > 1
    np.testing.assert_allclose(logits.numpy(), forward(weights, tokens), atol=1e-4)


@pytest.mark.parametrize("text", ["the cat and the hen", "cat", "thé ☃ zebra", "a  b\n\n c", "héé", "aaa"])
def test_the_tokens_are_llama2cs_and_come_back_as_the_text(toy, text):
    _, _, tokenizer = toy
    ids = tokenizer(text)["input_ids"]
    assert ids == encode(text, PIECES, [SCORES[p] for p in PIECES])
    assert tokenizer.decode(ids, skip_special_tokens=True) == " " + text


def test_a_completion_keeps_its_space_and_pad_is_a_token_of_its_own(toy):
    _, model, tokenizer = toy
    assert tokenizer(" cat", add_special_tokens=False)["input_ids"] == [PIECES.index(" cat")]
    assert tokenizer.decode([PIECES.index(" cat")]) == " cat"
    assert tokenizer.pad_token_id == len(PIECES) == model.config.pad_token_id != tokenizer.eos_token_id == 1
    assert model.get_input_embeddings().weight.shape[0] == len(tokenizer) == len(PIECES) + 1


CHECKPOINT = checkpoint_bytes(blocks(np.random.default_rng(0), len(PIECES), True), len(PIECES))
NEWER = struct.pack("<Ii", 0x616B3432, 1) + bytes(300)
SWAPPED = [*PIECES[:3], *PIECES[4:259], PIECES[3], *PIECES[259:]]


@pytest.mark.parametrize(
    ("checkpoint", "tokenizer", "says"),
    [
        (b"", tokenizer_bytes(), "model.bin: 0 bytes are too few"),
        (b"\x80\x04K\x01." * 20, tokenizer_bytes(), "not the header of a llama2.c checkpoint"),
        (NEWER, tokenizer_bytes(), "newer format; export it again"),
        (CHECKPOINT[:-4], tokenizer_bytes(), "model.bin: its header asks for"),
        (CHECKPOINT[:-4] + struct.pack("<f", np.nan), tokenizer_bytes(), "weights that are not numbers"),
        (
            struct.pack("<7i", 18, *struct.unpack("<7i", CHECKPOINT[:28])[1:]) + CHECKPOINT[28:],
            tokenizer_bytes(),
            "not the header",
        ),
        (CHECKPOINT, tokenizer_bytes(PIECES[:-1]), f"{len(PIECES) - 1} tokens, but the checkpoint has {len(PIECES)}"),
        (CHECKPOINT, tokenizer_bytes()[:-3], "cut off"),
        (CHECKPOINT, tokenizer_bytes()[:7], "cut off in token 0"),
        (CHECKPOINT, b"\0\0\0\0" + struct.pack("<fi", 0, 2) + b"\xff\xfe", "token 0 is not UTF-8"),
        (CHECKPOINT, tokenizer_bytes(SWAPPED), "should be the bytes <0x00> to <0xFF>"),
        (CHECKPOINT, tokenizer_bytes([*PIECES[:-1], PIECES[-2]]), "no token twice"),
    ],
)
def test_wrong_files_are_named(tmp_path, checkpoint, tokenizer, says):
    (tmp_path / "model.bin").write_bytes(checkpoint)
    (tmp_path / "tok.bin").write_bytes(tokenizer)
    with pytest.raises(UserError) as error:
        llama2c(tmp_path / "model.bin", tmp_path / "tok.bin", tmp_path / "out")
    assert says in str(error.value) and not (tmp_path / "out").exists()


def test_absent_files_are_named(tmp_path):
    with pytest.raises(UserError, match=r"model.bin: cannot be read as a llama2.c checkpoint \(No such file"):
        llama2c(tmp_path / "model.bin", None, tmp_path / "out")
    (tmp_path / "model.bin").write_bytes(CHECKPOINT)
    with pytest.raises(UserError, match=rf"neither tok{len(PIECES)}.bin nor tokenizer.bin beside it"):
        llama2c(tmp_path / "model.bin", None, tmp_path / "out")
    (tmp_path / "tokenizer.bin").write_bytes(tokenizer_bytes())
    (tmp_path / "out").write_text("in the way")
    with pytest.raises(UserError, match="is a file; the model needs a folder"):
        llama2c(tmp_path / "model.bin", None, tmp_path / "out")


@pytest.fixture(scope="module")
def stories(tmp_path_factory):
    """(model, tokenizer, llama2.c's tokenizer file) of the real 260,032-parameter model."""
    data = Path(os.environ.get("HEED_DATA", Path(__file__).parents[3] / "shared" / "data")) / "stories260K"
    if not data.is_dir():
        pytest.skip(f"no {data}; set HEED_DATA")
    out = tmp_path_factory.mktemp("stories")
    llama2c(data / "stories260K.bin", data / "tok512.bin", out)
    return AutoModelForCausalLM.from_pretrained(out), AutoTokenizer.from_pretrained(out), data / "tok512.bin"


def test_the_real_model_tells_the_story_that_llama2c_tells(stories):
    """Greedy text as llama2.c prints it."""
    model, tokenizer, _ = stories
    prompt = tokenizer("Once upon a time", return_tensors="pt")
    text = tokenizer.decode(model.generate(**prompt, max_new_tokens=90, do_sample=False)[0], skip_special_tokens=True)
    assert text.startswith(" Once upon a time, there was a little girl named Lily. She loved to play outside in the park.")
    with torch.no_grad():
        odds = model(tokenizer(text, return_tensors="pt")["input_ids"]).logits.softmax(-1)
    assert odds[..., tokenizer.pad_token_id].max() < 1e-6  # PAD is never sampled


def test_the_real_tokenizer_is_llama2cs_on_any_text(stories):
    _, tokenizer, path = stories
    data, at, pieces, scores = path.read_bytes(), 4, [], []
    while at < len(data):
        score, length = struct.unpack("<fi", data[at : at + 8])
        pieces.append(data[at + 8 : at + 8 + length].decode())
        scores.append(score)
        at += 8 + length
    rng = np.random.default_rng(0)
    letters = list("etaoinshrdlu,. \n'\"TIé☃𝄞<>0xE")
    texts = ["".join(rng.choice(letters, rng.integers(1, 40))) for _ in range(300)]
    texts += ["Lily and Ben went to the park.", '\n\nHe said, "No!"\n', "ümlaut 日本語 😀"]
    for text in texts:
        if text.startswith(" "):  # llama2.c adds a second space there; ours is one, so that completions can be joined
            continue
        ids = tokenizer(text)["input_ids"]
        assert ids == encode(text, pieces, scores)
        assert tokenizer.decode(ids, skip_special_tokens=True) == " " + text
