"""Makes protocols.json: what each evaluation protocol gives on real texts, by Python alone.

Uses the sentencepiece package (0.2.x), the standard library's `random`, `json` and `gzip`; nothing of daq-bench.
The protocols are written here as IST-DASLab/gptq 2d65066 has them in datautils.py, on rows that a reader of the
files gives; transformers' slow LlamaTokenizer is SentencePiece's encoding with one BOS before it, as long as the
text holds none of the special tokens' names, which is checked.

    pip install sentencepiece
    python tests/golden/protocols/make_protocol_goldens.py ../shared > tests/golden/protocols/protocols.json
"""

import gzip
import hashlib
import json
import random
import struct
import sys
from pathlib import Path

import sentencepiece

SHARED = Path(sys.argv[1])
WIKITEXT = "data/wikitext2/wiki.test.raw"
WIKITEXT_ROWS = "data/wikitext2/test.rows.jsonl"
C4 = "data/c4/validation-shard0-first1025.json.gz"
TOKENIZERS = ["data/llama", "demo-model/model"]


def rows_of(path):
    """The rows as datasets.load_dataset gives them for this file."""
    if path.name.endswith(".jsonl"):
        return [json.loads(line)["text"] for line in path.open(encoding="utf-8")]
    if path.name.endswith(".json.gz"):
        return [json.loads(line)["text"] for line in gzip.open(path, "rt", encoding="utf-8")]
    return [line if line.strip() else "" for line in path.open(encoding="utf-8")]


class Tokenizer:
    def __init__(self, folder):
        self.pieces = sentencepiece.SentencePieceProcessor(model_file=str(SHARED / folder / "tokenizer.model"))

    def __call__(self, text):
        for special in ("<s>", "</s>", "<unk>"):
            assert special not in text, special
        return [self.pieces.bos_id()] + self.pieces.encode(text)


def disjoint(ids, window):
    return [ids[begin : begin + window] for begin in range(0, len(ids) - window + 1, window)]


def gptq_wikitext2(rows, tokenizer, window):
    text = "\n\n".join(rows)
    return text, disjoint(tokenizer(text), window)


def gptq_c4(rows, tokenizer, window):
    random.seed(0)
    known = {}
    texts, windows = [], []
    for _ in range(256):
        while True:
            document = random.randint(0, len(rows) - 1)
            if document not in known:
                known[document] = tokenizer(rows[document])
            ids = known[document]
            if len(ids) >= window:
                break
        begin = random.randint(0, len(ids) - window - 1)
        windows.append(ids[begin : begin + window])
        texts.append(rows[document])
    return "".join(texts), windows


def gptq_c4_new(rows, tokenizer, window):
    text = " ".join(rows[:1100])
    return text, disjoint(tokenizer(text)[: 256 * window], window)


def golden(protocol, make, file, folder, window):
    text, windows = make(rows_of(SHARED / file), Tokenizer(folder), window)
    ids = [token for one in windows for token in one]
    return {
        "protocol": protocol,
        "file": file,
        "tokenizer": folder,
        "window_tokens": window,
        "windows": len(windows),
        "text_sha256": hashlib.sha256(text.encode("utf-8")).hexdigest(),
        "ids_sha256": hashlib.sha256(struct.pack(f"<{len(ids)}i", *ids)).hexdigest(),
        "first_ids": ids[:8],
        "last_ids": ids[-8:],
    }


def main():
    cases = []
    for folder in TOKENIZERS:
        for window in (2048, 512):
            for file in (WIKITEXT, WIKITEXT_ROWS):
                cases.append(golden("gptq-wikitext2", gptq_wikitext2, file, folder, window))
            cases.append(golden("gptq-c4", gptq_c4, C4, folder, window))
            cases.append(golden("gptq-c4-new", gptq_c4_new, C4, folder, window))
    print("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]")


main()
