"""Computes with transformers' slow LlamaTokenizer the token windows that the evaluation protocols define.

    python3 -m venv VENV && VENV/bin/pip install 'transformers<5' sentencepiece protobuf
    VENV/bin/python tests/golden/tokens/make_token_goldens.py [--shared DIR] > tests/golden/tokens/windows.json

transformers 4 is the last with the slow tokenizer, which the papers' protocols call for (AutoTokenizer with
use_fast=False). Every text is also encoded by sentencepiece alone with one BOS before it, and the two must agree: that
is what the perplexity goldens beside this folder rely on.

Each row: tokenizer, text, protocol, window_tokens, the number of windows, the ids in the whole stream (gptq-c4 has
none), and the sha256 of all windows' ids as little-endian int32.
"""
import argparse
import gzip
import hashlib
import json
import os
import pathlib
import random
import sys

import sentencepiece
import transformers
from transformers import LlamaTokenizer

ROOT = pathlib.Path(__file__).resolve().parents[3]
WIKITEXT2 = "shared:data/wikitext2/test.rows.jsonl"
C4 = "shared:data/c4/validation-shard0-first1025.json.gz"
LLAMA, DEMO, STORIES = "shared:data/llama", "demo/model", "shared:data/models/stories260K"

# tokenizer folder, text, protocol, window_tokens
ROWS = (
    (LLAMA, WIKITEXT2, "gptq-wikitext2", 2048),
    (LLAMA, C4, "gptq-c4", 2048),
    (LLAMA, C4, "gptq-c4-new", 2048),
    (DEMO, WIKITEXT2, "gptq-wikitext2", 512),
    (DEMO, "demo/text/evaluation.jsonl", "gptq-wikitext2", 512),
    (DEMO, C4, "gptq-c4", 512),
    (DEMO, C4, "gptq-c4-new", 512),
    (STORIES, "tests/data/stories.txt", "gptq-wikitext2", 512),
)


class Encoder:
    """text -> ids, by the slow tokenizer and by sentencepiece, which must agree."""

    def __init__(self, folder: pathlib.Path):
        vocabulary = str(folder / "tokenizer.model")
        self.slow = LlamaTokenizer(vocab_file=vocabulary, legacy=True)
        self.pieces = sentencepiece.SentencePieceProcessor(model_file=vocabulary)

    def __call__(self, text: str) -> list[int]:
        ids = self.slow(text).input_ids
        if ids != [self.pieces.bos_id()] + self.pieces.encode(text):
            sys.exit(f"the slow tokenizer and sentencepiece differ on the text that begins {text[:60]!r}")
        return ids


def documents(path: pathlib.Path) -> list[str]:
    with gzip.open(path, "rt", encoding="utf-8", newline="\n") as file:
        return [json.loads(line)["text"] for line in file]


def disjoint(ids: list[int], window_tokens: int) -> list[list[int]]:
    return [ids[start:start + window_tokens] for start in range(0, len(ids) - window_tokens + 1, window_tokens)]


def gptq_wikitext2(path: pathlib.Path, encode: Encoder, window_tokens: int) -> tuple[list[list[int]], int]:
    lines = path.read_bytes().decode("utf-8").removesuffix("\n").split("\n")
    if path.suffix == ".jsonl":
        rows = [json.loads(line)["text"] for line in lines]
    else:  # a raw text's rows are its lines with their line feeds, and the empty string for a blank line
        rows = [line + "\n" if line.strip() else "" for line in lines]
    text = "\n\n".join(rows)
    ids = encode(text)
    return disjoint(ids, window_tokens), len(ids)


def gptq_c4(path: pathlib.Path, encode: Encoder, window_tokens: int) -> tuple[list[list[int]], None]:
    """256 random crops; Python's own generator, seeded with 0."""
    texts = documents(path)
    encoded: dict[int, list[int]] = {}
    generator, windows = random.Random(0), []
    for _ in range(256):
        while True:
            index = generator.randint(0, len(texts) - 1)
            if index not in encoded:
                encoded[index] = encode(texts[index])
            if len(encoded[index]) >= window_tokens:
                break
        # A document of exactly window_tokens would make randint(0, -1) raise here, as it does in GPTQ's code.
        start = generator.randint(0, len(encoded[index]) - window_tokens - 1)
        windows.append(encoded[index][start:start + window_tokens])
    return windows, None


def gptq_c4_new(path: pathlib.Path, encode: Encoder, window_tokens: int) -> tuple[list[list[int]], int]:
    ids = encode(" ".join(documents(path)[:1100]))
    return disjoint(ids[:256 * window_tokens], window_tokens), len(ids)


PROTOCOLS = {"gptq-wikitext2": gptq_wikitext2, "gptq-c4": gptq_c4, "gptq-c4-new": gptq_c4_new}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=pathlib.Path,
                        default=os.environ.get("DAQ_BENCH_SHARED", ROOT.parent / "shared"))
    shared = pathlib.Path(parser.parse_args().shared)

    def resolve(path: str) -> pathlib.Path:
        return shared / path.removeprefix("shared:") if path.startswith("shared:") else ROOT / path

    rows = []
    for folder, text, protocol, window_tokens in ROWS:
        windows, stream_tokens = PROTOCOLS[protocol](resolve(text), Encoder(resolve(folder)), window_tokens)
        ids = b"".join(i.to_bytes(4, "little") for window in windows for i in window)
        rows.append({"tokenizer": folder, "text": text, "protocol": protocol, "window_tokens": window_tokens,
                     "windows": len(windows), "stream_tokens": stream_tokens,
                     "ids_sha256": hashlib.sha256(ids).hexdigest()})
        print(rows[-1], file=sys.stderr, flush=True)
    print(json.dumps({"versions": {"transformers": transformers.__version__,
                                   "sentencepiece": sentencepiece.__version__}, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
