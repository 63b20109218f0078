#!/usr/bin/env python3
"""Writes a LLaMA checkpoint of any shape with random weights, for tests of memory and speed.

    tests/tools/make_random_checkpoint.py OUT [--layers N] [--windows N --window-tokens T] [shape options]

OUT/ gets config.json and sharded safetensors with their index, as Hugging Face lays them out; the default shape is
LLaMA-7B's. There is no tokenizer: evaluate with the `ids` protocol on OUT/windows.json, which --windows asks for.
Weights are bell-shaped with standard deviation 0.02, norms are 1. The same options give the same bytes.

Standard library only. One block of random values is drawn, and every tensor is pieced together from it at random
offsets, so that disk speed is the limit and memory stays small. Tensors therefore share values: fit for measuring,
unfit for judging quantisers.
"""
import argparse
import array
import json
import pathlib
import random
import statistics
import struct
import sys
import time
from collections.abc import Iterator

DEVIATION = 0.02
BLOCK_VALUES = 8 << 20
Tensor = tuple[str, list[int]]  # name, shape


def float16_bits(value: float) -> int:
    return struct.unpack("<H", struct.pack("<e", value))[0]


def float32_bits(value: float) -> int:
    return struct.unpack("<I", struct.pack("<f", value))[0]


def bfloat16_bits(value: float) -> int:
    bits = float32_bits(value)
    return (bits + 0x7FFF + (bits >> 16 & 1)) >> 16  # to nearest, ties to even


# name in config.json: safetensors name, array type code, bytes, encoder
DTYPES = {"float16": ("F16", "H", 2, float16_bits), "bfloat16": ("BF16", "H", 2, bfloat16_bits),
          "float32": ("F32", "I", 4, float32_bits)}


class ValueSource:
    """Bytes of any number of bell-shaped values, from one block of them."""

    def __init__(self, dtype: str, seed: int):
        _, code, self.value_bytes, encode = DTYPES[dtype]
        normal = statistics.NormalDist(0, DEVIATION)
        table = [encode(normal.inv_cdf((rank + 0.5) / 65536)) for rank in range(65536)]
        self.generator = random.Random(seed)
        ranks = array.array("H", self.generator.randbytes(2 * BLOCK_VALUES))
        values = array.array(code, map(table.__getitem__, ranks))
        if sys.byteorder == "big":
            values.byteswap()
        self.block = memoryview(values.tobytes())
        self.ones = struct.pack("<H" if code == "H" else "<I", encode(1.0))

    def pieces(self, count: int) -> Iterator[memoryview]:
        while count > 0:
            start = self.generator.randrange(BLOCK_VALUES // 2)
            length = min(count, BLOCK_VALUES - start)
            yield self.block[start * self.value_bytes:(start + length) * self.value_bytes]
            count -= length


def tensors(args: argparse.Namespace) -> list[Tensor]:
    hidden, query, key_value = args.hidden, args.heads * args.head_dim, args.kv_heads * args.head_dim
    result = [("model.embed_tokens.weight", [args.vocab, hidden])]
    for layer in range(args.layers):
        prefix = f"model.layers.{layer}."
        result += [(prefix + name + ".weight", shape) for name, shape in (
            ("input_layernorm", [hidden]), ("post_attention_layernorm", [hidden]),
            ("self_attn.q_proj", [query, hidden]), ("self_attn.k_proj", [key_value, hidden]),
            ("self_attn.v_proj", [key_value, hidden]), ("self_attn.o_proj", [hidden, query]),
            ("mlp.gate_proj", [args.intermediate, hidden]), ("mlp.up_proj", [args.intermediate, hidden]),
            ("mlp.down_proj", [hidden, args.intermediate]))]
    result.append(("model.norm.weight", [hidden]))
    if not args.tied:
        result.append(("lm_head.weight", [args.vocab, hidden]))
    return result


def value_count(shape: list[int]) -> int:
    return shape[0] * (shape[1] if len(shape) == 2 else 1)


def split_into_shards(all_tensors: list[Tensor], value_bytes: int, shard_bytes: int) -> list[list[Tensor]]:
    shards, filled = [[]], 0
    for name, shape in all_tensors:
        size = value_count(shape) * value_bytes
        if shards[-1] and filled + size > shard_bytes:
            shards.append([])
            filled = 0
        shards[-1].append((name, shape))
        filled += size
    return shards


def write_shard(path: pathlib.Path, shard: list[Tensor], dtype: str, source: ValueSource) -> int:
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, shape in shard:
        end = offset + value_count(shape) * source.value_bytes
        header[name] = {"dtype": DTYPES[dtype][0], "shape": shape, "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, shape in shard:
            if len(shape) == 1:
                file.write(source.ones * shape[0])
            else:
                for piece in source.pieces(value_count(shape)):
                    file.write(piece)
    return offset


def write_weights(args: argparse.Namespace) -> int:
    source = ValueSource(args.dtype, args.seed)
    shards = split_into_shards(tensors(args), source.value_bytes, args.shard_megabytes << 20)
    total, weight_map = 0, {}
    for number, shard in enumerate(shards, 1):
        name = f"model-{number:05}-of-{len(shards):05}.safetensors"
        total += write_shard(args.out / name, shard, args.dtype, source)
        weight_map.update((tensor, name) for tensor, _ in shard)
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    (args.out / "model.safetensors.index.json").write_text(json.dumps(index, indent=1) + "\n")
    return total


def write_config(args: argparse.Namespace) -> None:
    (args.out / "config.json").write_text(json.dumps({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
        "hidden_size": args.hidden, "intermediate_size": args.intermediate, "num_hidden_layers": args.layers,
        "num_attention_heads": args.heads, "num_key_value_heads": args.kv_heads, "head_dim": args.head_dim,
        "vocab_size": args.vocab, "max_position_embeddings": args.max_positions, "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0, "rope_scaling": None, "tie_word_embeddings": args.tied, "attention_bias": False,
        "mlp_bias": False, "bos_token_id": 1, "eos_token_id": 2, "torch_dtype": args.dtype}, indent=1) + "\n")


def write_windows(args: argparse.Namespace) -> None:
    """Random ids, one BOS at the start of the stream as in the protocols."""
    generator = random.Random(args.seed + 1)
    windows = [generator.choices(range(3, args.vocab), k=args.window_tokens) for _ in range(args.windows)]
    windows[0][0] = 1
    (args.out / "windows.json").write_text(json.dumps({"windows": windows}) + "\n")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=pathlib.Path, help="a folder that is absent or empty")
    parser.add_argument("--dtype", choices=DTYPES, default="float16")
    parser.add_argument("--tied", action="store_true", help="tie the output head to the embedding")
    for option, default, text in (
            ("layers", 32, "decoder blocks"), ("hidden", 4096, "hidden size"),
            ("intermediate", 11008, "MLP size"), ("heads", 32, "query heads"),
            ("kv-heads", None, "key and value heads (default: as many as query heads)"),
            ("head-dim", None, "size of a head (default: hidden / heads)"), ("vocab", 32000, "vocabulary"),
            ("max-positions", 2048, "max_position_embeddings"), ("shard-megabytes", 1024, "largest shard"),
            ("windows", 0, "windows of random ids in OUT/windows.json"), ("window-tokens", 2048, "ids in a window"),
            ("seed", 0, "seed")):
        text += "" if default is None else f" (default {default})"
        parser.add_argument(f"--{option}", type=int, default=default, help=text)
    args = parser.parse_args()
    args.kv_heads = args.heads if args.kv_heads is None else args.kv_heads
    if args.head_dim is None:
        if args.heads < 1 or args.hidden % args.heads:
            parser.error(f"--heads: expected a divisor of --hidden {args.hidden}, found {args.heads}")
        args.head_dim = args.hidden // args.heads
    if min(args.layers, args.hidden, args.intermediate, args.heads, args.kv_heads, args.head_dim,
           args.shard_megabytes) < 1:
        parser.error("every size must be at least 1")
    if args.vocab < 4 or args.window_tokens < 2:
        parser.error("--vocab must be at least 4 and --window-tokens at least 2")
    if args.heads % args.kv_heads or args.head_dim % 2:
        parser.error("--kv-heads must divide --heads, and the size of a head must be even")
    if args.out.exists() and any(args.out.iterdir()):
        parser.error(f"{args.out}: expected an absent or empty folder")
    return args


def main() -> None:
    args = parse_arguments()
    start = time.time()
    args.out.mkdir(parents=True, exist_ok=True)
    write_config(args)
    total = write_weights(args)
    if args.windows > 0:
        write_windows(args)
    print(f"{args.out}: {args.layers} blocks, {total / 1e9:.2f} GB of {args.dtype} weights, "
          f"{time.time() - start:.1f} s")


if __name__ == "__main__":
    main()
