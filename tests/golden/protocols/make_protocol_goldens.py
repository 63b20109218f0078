"""Makes protocols.json and calibrations.json: what each evaluation and calibration protocol gives, by Python alone.

Uses the sentencepiece package (0.2.x), numpy (2.4), the standard library's `random`, `json` and `gzip`; nothing of daq-bench.
The protocols are written here as IST-DASLab/gptq 2d65066 has them in datautils.py, mit-han-lab/llm-awq d6e797a and
LuoYingSong/DAQ 3d3eea9 in awq/utils/calib_data.py, on rows that a reader of the files gives; transformers' slow LlamaTokenizer is SentencePiece's encoding with one BOS before it, as long as the
text holds none of the special tokens' names, which is checked.

    pip install sentencepiece numpy
    python tests/golden/protocols/make_protocol_goldens.py ../shared evaluation > tests/golden/protocols/protocols.json
    python tests/golden/protocols/make_protocol_goldens.py ../shared calibration > tests/golden/protocols/calibrations.json

Calibration texts are real ones of shared/, and `made`: documents that both this script and the test make by the same few
rules (made_rows below), for the demo's tokenizer in the repository, so that the test needs nothing else.
"""

import gzip
import hashlib
import json
import random
import struct
import sys
from pathlib import Path

import numpy
import sentencepiece

REPOSITORY = Path(__file__).resolve().parents[3]
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
        root = REPOSITORY if folder.startswith("demo/") else SHARED
        self.pieces = sentencepiece.SentencePieceProcessor(model_file=str(root / folder / "tokenizer.model"))

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


def made_rows():
    """900 documents of 0 to 699 words with and without white space around them, some of it not ASCII."""
    words = "the boat went far away from her and a little fox slept near river stones 12 years ago caf\u00e9".split()
    around = ["", "", " ", "\n\n", "\u00a0", "\u3000\t", "\x1f\r\n", "\u200b"]  # the last is no space
    state = 1
    rows = []

    def draw(below):
        nonlocal state
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (state >> 33) % below

    for row in range(900):
        count = draw(700) if row % 50 else 0
        before = around[draw(len(around))]
        text = " ".join(words[draw(len(words))] for _ in range(count))
        rows.append(before + text + around[draw(len(around))])
    return rows


def crops_of_text(rows, tokenizer, case):
    text = "\n\n".join(rows)
    ids = tokenizer(text)
    random.seed(case["seed"])
    windows = []
    for _ in range(case["windows"]):
        begin = random.randint(0, len(ids) - case["window_tokens"] - 1)
        windows.append(ids[begin : begin + case["window_tokens"]])
    return text, windows


def crops_of_documents(rows, tokenizer, case):
    random.seed(case["seed"])
    known = {}
    texts, windows = [], []
    window = case["window_tokens"]
    for _ in range(case["windows"]):
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


def short_documents(rows, tokenizer, case):
    """Both uses of calib_data.py: n_samples (documents) and token_size (windows)."""
    texts, ids = [], []
    for row in numpy.random.default_rng(case["seed"]).permutation(len(rows)):
        line = rows[row].strip()
        encoded = tokenizer(line)
        if len(encoded) > 512 or len(encoded) == 0:
            continue
        texts.append(line)
        ids += encoded
        if case.get("documents") == len(texts):
            break
        if "windows" in case and len(ids) >= case["windows"] * case["window_tokens"]:
            break
    return "".join(texts), disjoint(ids, case["window_tokens"])[: case.get("windows")]


def cut_text(rows, tokenizer, case):
    text = "\n\n".join(rows)
    return text, disjoint(tokenizer(text), case["window_tokens"])[: case["windows"]]


CALIBRATIONS = {
    "awq-pile-val": short_documents,
    "daq": short_documents,
    "gptq-c4": crops_of_documents,
    "gptq-wikitext2": crops_of_text,
    "text": cut_text,
}


def calibration_golden(protocol, file, folder, **case):
    rows = made_rows() if file == "made" else rows_of(SHARED / file)
    text, windows = CALIBRATIONS[protocol](rows, Tokenizer(folder), case)
    ids = [token for one in windows for token in one]
    return {
        "protocol": protocol,
        "file": file,
        "tokenizer": folder,
        **case,
        "count": len(windows),
        "text_sha256": hashlib.sha256(text.encode("utf-8")).hexdigest(),
        "ids_sha256": hashlib.sha256(struct.pack(f"<{len(ids)}i", *ids)).hexdigest(),
        "first_ids": ids[:8],
        "last_ids": ids[-8:],
    }


def calibrations():
    made = ("made", "demo/model")
    for documents, seed in ((128, 42), (128, 0), (300, 42), (9, 42)):
        yield calibration_golden("awq-pile-val", *made, documents=documents, window_tokens=512, seed=seed)
    yield calibration_golden("awq-pile-val", *made, documents=40, window_tokens=96, seed=42)
    for windows, seed in ((1, 42), (2, 42), (2, 7), (40, 42)):
        yield calibration_golden("daq", *made, windows=windows, window_tokens=512, seed=seed)
    yield calibration_golden("daq", *made, windows=33, window_tokens=64, seed=42)
    yield calibration_golden("gptq-c4", *made, windows=20, window_tokens=100, seed=0)
    yield calibration_golden("gptq-c4", *made, windows=20, window_tokens=100, seed=2**40 + 1)
    yield calibration_golden("gptq-wikitext2", *made, windows=20, window_tokens=2048, seed=0)
    yield calibration_golden("text", *made, windows=5, window_tokens=512)
    c4 = "data/c4/train-1000docs.json.gz"
    for folder in TOKENIZERS:
        yield calibration_golden("awq-pile-val", c4, folder, documents=128, window_tokens=512, seed=42)
        yield calibration_golden("daq", c4, folder, windows=2, window_tokens=512, seed=42)
        yield calibration_golden("gptq-c4", c4, folder, windows=128, window_tokens=2048, seed=0)
        yield calibration_golden("gptq-c4", c4, folder, windows=16, window_tokens=512, seed=1)
        yield calibration_golden(
            "gptq-wikitext2", "data/wikitext2/wiki.valid.raw", folder, windows=128, window_tokens=2048, seed=0
        )


def evaluations():
    for folder in TOKENIZERS:
        for window in (2048, 512):
            for file in (WIKITEXT, WIKITEXT_ROWS):
                yield golden("gptq-wikitext2", gptq_wikitext2, file, folder, window)
            yield golden("gptq-c4", gptq_c4, C4, folder, window)
            yield golden("gptq-c4-new", gptq_c4_new, C4, folder, window)


def main():
    cases = {"evaluation": evaluations, "calibration": calibrations}[sys.argv[2]]()
    print("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]")


main()
