"""Checkpoints of other projects as Hugging Face directories.

`llama2c` reads the legacy export of karpathy/llama2.c (`.bin`) and its tokenizer (`tok512.bin`): a header of seven
numbers, then every weight as float32 in a fixed order, and for the tokenizer a score and the bytes of each token.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from heed.errors import UserError

PAD = "<|pad|>"
UNK, BOS, EOS = "<unk>", "<s>", "</s>"
SPACE = "\u2581"  # how SentencePiece writes a space
NEWER = 0x616B3432  # "ak42", the magic number of llama2.c's later formats


def llama2c(checkpoint: str | Path, tokenizer_bin: str | Path | None, output_dir: str | Path) -> None:
    """Write `checkpoint` as a Llama model with its tokenizer.

    Without `tokenizer_bin` it is looked for beside the checkpoint.  The model ends a text with <s>, as it was trained to,
    so that is its EOS; <|pad|> is added as the last token.  Raises UserError for files that are not what they should be.
    """
    from transformers import LlamaForCausalLM

    shape, weights = read_checkpoint(Path(checkpoint))
    pieces = read_pieces(find_tokenizer(Path(checkpoint), tokenizer_bin, shape.vocab_size), shape.vocab_size)
    output = Path(output_dir)
    if output.exists() and not output.is_dir():
        raise UserError(f"{output} is a file; the model needs a folder")
    tokenizer = fast_tokenizer(pieces, shape.seq_len)
    config = llama_config(shape, tokenizer)
    model = LlamaForCausalLM(config)
    model.load_state_dict(hugging_face_names(shape, weights), strict=True)
    model.generation_config.update(bos_token_id=1, eos_token_id=1, pad_token_id=shape.vocab_size)
    try:
        model.save_pretrained(output)
        tokenizer.save_pretrained(output)
    except OSError as error:
        raise UserError(f"{output}: cannot be written ({error.strerror or error})") from None


@dataclass(frozen=True)
class Shape:
    """The header of a checkpoint.  `shared`: the output layer is the embedding."""

    dim: int
    hidden_dim: int
    n_layers: int
    n_heads: int
    n_kv_heads: int
    vocab_size: int
    seq_len: int
    shared: bool

    @property
    def head_dim(self) -> int:
        return self.dim // self.n_heads

    def blocks(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """(name, shape) of each block of weights, in the order of the file; all layers of a kind stand together."""
        n, dim, hidden, kv = self.n_layers, self.dim, self.hidden_dim, self.head_dim * self.n_kv_heads
        yield "embed", (self.vocab_size, dim)
        yield "attention_norm", (n, dim)
        yield "q", (n, dim, dim)
        yield "k", (n, kv, dim)
        yield "v", (n, kv, dim)
        yield "o", (n, dim, dim)
        yield "mlp_norm", (n, dim)
        yield "gate", (n, hidden, dim)
        yield "down", (n, dim, hidden)
        yield "up", (n, hidden, dim)
        yield "norm", (dim,)
        yield "rotary", (2, self.seq_len, self.head_dim // 2)  # cosines and sines, which Hugging Face computes itself
        if not self.shared:
            yield "output", (self.vocab_size, dim)


def read_checkpoint(path: Path) -> tuple[Shape, dict[str, Any]]:
    """The header, and the blocks as float32 tensors."""
    import torch

    data = read_bytes(path, "a llama2.c checkpoint")
    if len(data) < 28:
        raise UserError(f"{path}: {len(data)} bytes are too few for a llama2.c checkpoint")
    if struct.unpack("<I", data[:4])[0] == NEWER:
        raise UserError(f"{path}: llama2.c's newer format; export it again with `--version 0` (legacy)")
    *numbers, vocab, seq_len = struct.unpack("<7i", data[:28])
    shape = Shape(*numbers, abs(vocab), seq_len, shared=vocab > 0)  # a negative vocabulary means an output layer of its own
    fields = (*numbers, shape.vocab_size, seq_len)
    sound = all(n > 0 for n in fields) and shape.dim % shape.n_heads == 0 == shape.n_heads % shape.n_kv_heads
    if not sound or shape.head_dim % 2:
        raise UserError(f"{path}: not the header of a llama2.c checkpoint (dim, hidden, layers, heads, kv heads, vocabulary, "
                        f"length = {', '.join(map(str, (*numbers, vocab, seq_len)))})")  # fmt: skip
    sizes = {name: count(block) for name, block in shape.blocks()}
    expected = 28 + 4 * sum(sizes.values())
    if len(data) != expected:
        raise UserError(
            f"{path}: its header asks for {expected:,} bytes and the file has {len(data):,}; cut off, or another format"
        )
    flat = torch.frombuffer(bytearray(data[28:]), dtype=torch.float32)
    if not flat.isfinite().all():
        raise UserError(f"{path}: holds weights that are not numbers")
    parts = flat.split(list(sizes.values()))
    return shape, {name: part.view(block) for part, (name, block) in zip(parts, shape.blocks(), strict=True)}


def count(block: tuple[int, ...]) -> int:
    """How many numbers a block of that shape has."""
    total = 1
    for n in block:
        total *= n
    return total


def read_bytes(path: Path, what: str) -> bytes:
    """The whole file."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read as {what} ({error.strerror or error})") from None


def hugging_face_names(shape: Shape, weights: dict[str, Any]) -> dict[str, Any]:
    """The weights under Hugging Face's names, with a row for PAD."""
    import torch

    def with_pad(rows):
        # PAD copies <unk>'s row: no text was ever tokenised to <unk>, so training made it the least likely of all.
        return torch.cat([rows, rows[:1]])

    state = {
        "model.embed_tokens.weight": with_pad(weights["embed"]),
        "model.norm.weight": weights["norm"],
        "lm_head.weight": with_pad(weights["embed" if shape.shared else "output"]),
    }
    names = {
        "attention_norm": "input_layernorm", "q": "self_attn.q_proj", "k": "self_attn.k_proj", "v": "self_attn.v_proj",
        "o": "self_attn.o_proj", "mlp_norm": "post_attention_layernorm", "gate": "mlp.gate_proj", "down": "mlp.down_proj",
        "up": "mlp.up_proj",
    }  # fmt: skip
    for ours, theirs in names.items():
        for layer, weight in enumerate(weights[ours]):
            heads = {"q": shape.n_heads, "k": shape.n_kv_heads}.get(ours)
            state[f"model.layers.{layer}.{theirs}.weight"] = halves(weight, heads) if heads else weight
    return state


def halves(weight: Any, heads: int) -> Any:
    """Rotary dimensions reordered: llama2.c turns neighbours, (0, 1), (2, 3), ...; Hugging Face (0, d/2), (1, d/2 + 1), ..."""
    rows, columns = weight.shape
    return weight.view(heads, rows // heads // 2, 2, columns).transpose(1, 2).reshape(rows, columns)


def llama_config(shape: Shape, tokenizer: Any) -> Any:
    """llama2.c's model in Hugging Face's terms."""
    from transformers import LlamaConfig

    return LlamaConfig(
        hidden_size=shape.dim,
        intermediate_size=shape.hidden_dim,
        num_hidden_layers=shape.n_layers,
        num_attention_heads=shape.n_heads,
        num_key_value_heads=shape.n_kv_heads,
        vocab_size=shape.vocab_size + 1,
        max_position_embeddings=shape.seq_len,
        rms_norm_eps=1e-5,
        rope_theta=10000.0,
        tie_word_embeddings=shape.shared,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def find_tokenizer(checkpoint: Path, given: str | Path | None, vocab_size: int) -> Path:
    """The tokenizer file: the given one, or the usual names beside the checkpoint."""
    if given is not None:
        return Path(given)
    usual = [checkpoint.parent / f"tok{vocab_size}.bin", checkpoint.parent / "tokenizer.bin"]
    for path in usual:
        if path.is_file():
            return path
    raise UserError(f"{checkpoint}: no tokenizer given, and neither {usual[0].name} nor {usual[1].name} beside it")


def read_pieces(path: Path, vocab_size: int) -> list[tuple[str, float]]:
    """(piece, score) of each token: the longest length, then a score, a length and the bytes of each."""
    data = read_bytes(path, "a llama2.c tokenizer")
    pieces: list[tuple[str, float]] = []
    at = 4
    while at < len(data):
        if len(data) < at + 8:
            raise UserError(f"{path}: cut off in token {len(pieces)}")
        score, length = struct.unpack("<fi", data[at : at + 8])
        at += 8
        if not 0 < length <= len(data) - at:
            raise UserError(f"{path}: token {len(pieces)} says it has {length} bytes; cut off, or not a llama2.c tokenizer")
        try:
            pieces.append((data[at : at + length].decode("utf-8").replace(" ", SPACE), score))
        except UnicodeDecodeError:
            raise UserError(f"{path}: token {len(pieces)} is not UTF-8; not a llama2.c tokenizer") from None
        at += length
    if len(pieces) != vocab_size:
        raise UserError(
            f"{path}: {len(pieces)} tokens, but the checkpoint has {vocab_size}; give the tokenizer it was trained with"
        )
    bytes_at_3 = [p for p, _ in pieces[3:259]] == [f"<0x{byte:02X}>" for byte in range(256)]
    if not bytes_at_3 or len({p for p, _ in pieces}) < vocab_size:
        raise UserError(f"{path}: the tokens from 3 to 258 should be the bytes <0x00> to <0xFF>, and no token twice")
    pieces[:3] = [(UNK, 0.0), (BOS, 0.0), (EOS, 0.0)]  # written there as "\n<s>\n", for printing
    return pieces


def fast_tokenizer(pieces: list[tuple[str, float]], seq_len: int) -> Any:
    """The same tokenizer for Hugging Face: merges in the order of their scores, bytes for what is in no piece.

    A text begins with a space, which is added where it is missing, and <s> stands before a prompt.  Decoding keeps the
    space, so that prompt and completion can be put together again.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocab = {piece: i for i, (piece, _) in enumerate(pieces)}
    model = models.BPE(vocab=vocab, merges=merges(pieces, vocab), unk_token=UNK, byte_fallback=True, fuse_unk=True)
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement=SPACE, prepend_scheme="always", split=False)
    tokenizer.decoder = decoders.Sequence([decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{BOS} $A", special_tokens=[(BOS, vocab[BOS])])
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in (UNK, BOS, EOS, PAD)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=BOS, eos_token=BOS, unk_token=UNK, pad_token=PAD,
        model_max_length=seq_len, clean_up_tokenization_spaces=False,
    )  # fmt: skip


def merges(pieces: list[tuple[str, float]], vocab: dict[str, int]) -> list[tuple[str, str]]:
    """Every way to put a piece together from two others, the pieces of the best score first."""
    found = []
    for i, (piece, score) in enumerate(pieces[259:], 259):
        pairs = ((piece[:cut], piece[cut:]) for cut in range(1, len(piece)))
        found += [(-score, i, left, right) for left, right in pairs if left in vocab and right in vocab]
    return [(left, right) for _, _, left, right in sorted(found)]
