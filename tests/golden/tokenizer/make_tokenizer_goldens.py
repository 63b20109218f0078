#!/usr/bin/env python3
"""Writes the token ids that transformers' slow LlamaTokenizer gives, beside this script.

    python3 -m venv venv
    venv/bin/pip install 'transformers==4.49.0' sentencepiece==0.2.3 protobuf
    venv/bin/python make_tokenizer_goldens.py SHARED DEMO

SHARED is the folder with data/ (texts, LLaMA's tokenizer.model), DEMO the demo model's folder.

small.json has ids in full for awkward texts under several settings; whole.json has the count and the SHA-256 of the
ids as little-endian int32 for whole texts. The settings' files lie beside tokenizer.model when it is read.
"""
import array
import gzip
import hashlib
import importlib.metadata
import json
import logging
import pathlib
import shutil
import sys
import tempfile

from transformers import LlamaTokenizer

logging.disable(logging.WARNING)
HERE = pathlib.Path(__file__).resolve().parent

AWKWARD = [
    "", " ", "  ", "   ", "\t", "\n", "\n\n", " \n ", "a", " a", "  a", "a ", "a  ", "a\tb", "a\nb", "\r\n", "Hello world 123",
    " Hello  world ", "Hello.\n\n= Title =\n", "ünïcödé", "日本語のテキスト", "🦙", "🦙 😶‍🌫️", "á vs á", "\u00a0x\u3000y",
    "\ufeffBOM", "\u2581", "\u2581\u2581", "a\u2581b", "\u2581a", "\u0000", "a\u0000b", "\ufffd", "\U0010ffff", "\u200b",
    "<s>", "</s>", "<unk>", "<s><s>", "<s> a", "<s>a", "a<s>", "a <s>", "a <s> b", " <s>", "  <s>", " <s> ", "<s> ", "\u2581<s>",
    "Hello <s>.", "a</s>b</s> c", "the <unk> of <unk> , <unk>", "<unk> <unk>", "<unk><s></s>", "<<s>>", "<s", "s>", "< s>", "<S>",
    "<unk", "<un<unk>k>", "<0x0A>", "<pad>", "a <pad> b", "<pad><s>", "<|im_start|>user\nhi<|im_end|>", "<|im_start", "plainword",
    "a plainword b", " plainword", "plainwords", "plain word", "plainplainword", "<extra>", "<extra> x", " <extra>", "<extra><s>",
    "a<extra_1>b<extra_10>c<extra_1", "x<extra_1><extra_10>", "[SEP] [CLS]", " [SEP]", "1 2 3 10 100", "!!!!!!", "    indented\n\tcode()",
    "e\u0301", "\u0130\u0131", "ﬁ", "Ⅷ", "\u1100\u1161",
]

ADDED = {
    "0": {"content": "<unk>", "lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True},
    "1": {"content": "<s>", "lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True},
    "2": {"content": "</s>", "lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True},
    "32000": {"content": "<pad>", "lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True},
    "32001": {"content": "<|im_start|>", "lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True},
    "32002": {"content": "plainword", "lstrip": False, "normalized": True, "rstrip": False, "single_word": False, "special": False},
    "32010": {"content": "<extra_1>", "lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True},
    "32011": {"content": "<extra_1", "lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True},
}
TOKEN = {"__type": "AddedToken", "content": "<s>", "lstrip": False, "normalized": True, "rstrip": False, "single_word": False}

# name -> (model, the files beside tokenizer.model)
SETTINGS = {
    "llama": ("llama", {}),
    "llama-legacy-false": ("llama", {"tokenizer_config.json": {"legacy": False}}),
    "llama-legacy-null": ("llama", {"tokenizer_config.json": {"legacy": None, "bos_token": TOKEN, "pad_token": None, "sp_model_kwargs": {},
                                                              "tokenizer_class": "LlamaTokenizer"}}),
    "llama-no-prefix": ("llama", {"tokenizer_config.json": {"legacy": False, "add_prefix_space": False}}),
    "llama-legacy-no-prefix": ("llama", {"tokenizer_config.json": {"legacy": True, "add_prefix_space": False}}),
    "llama-eos-no-bos": ("llama", {"tokenizer_config.json": {"add_bos_token": False, "add_eos_token": True}}),
    "llama-added": ("llama", {"tokenizer_config.json": {"added_tokens_decoder": ADDED, "pad_token": "<pad>", "legacy": True}}),
    "llama-added-legacy-false": ("llama", {"tokenizer_config.json": {"added_tokens_decoder": ADDED, "pad_token": "<pad>", "sep_token": "[SEP]",
                                                                     "additional_special_tokens": ["<extra>"], "legacy": False},
                                           "added_tokens.json": {"ignored": 32100}}),
    "llama-older-files": ("llama", {"tokenizer_config.json": {"legacy": False, "additional_special_tokens": ["<|im_end|>"]},
                                    "added_tokens.json": {"<pad>": 32000, "plainword": 32001},
                                    "special_tokens_map.json": {"bos_token": {"content": "<s>", "lstrip": False, "normalized": False, "rstrip": False,
                                                                              "single_word": False},
                                                                "pad_token": "<pad>", "cls_token": "[CLS]",
                                                                "additional_special_tokens": ["<extra>", "<|im_start|>"]}}),
    "llama-bos-is-eos": ("llama", {"tokenizer_config.json": {"bos_token": "</s>", "legacy": False}}),
    "demo": ("demo", {"tokenizer_config.json": None}),  # None: the model's own
    "demo-legacy-false": ("demo", {"tokenizer_config.json": {"legacy": False}}),
    "stories260K": ("stories260K", {}),
}


def load(folders, model, files, scratch):
    folder = pathlib.Path(tempfile.mkdtemp(dir=scratch))
    shutil.copy(folders[model] / "tokenizer.model", folder)
    for name, content in files.items():
        (folder / name).write_text((folders[model] / name).read_text() if content is None else json.dumps(content))
    return LlamaTokenizer.from_pretrained(folder)


def jsonl_texts(path):
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line)["text"] for line in lines]


def main():
    shared, demo = map(pathlib.Path, sys.argv[1:])
    data = shared / "data"
    folders = {"llama": data / "llama", "demo": demo, "stories260K": data / "models/stories260K"}
    made_with = {name: importlib.metadata.version(name) for name in ("transformers", "sentencepiece", "protobuf")}
    spm_texts = (data / "tokenizers/llama-spm.inp").read_text(encoding="utf-8").split("\n__ggml_vocab_test__\n")
    with open(data / "wikitext2/wiki.train.tokens", encoding="utf-8", newline="") as file:
        train = file.read(4_000_000)
    texts = {
        "wikitext2-test": ["\n\n".join(jsonl_texts(data / "wikitext2/test.rows.jsonl"))],
        "wikitext2-train-4M-characters": [train],
        "c4-validation": jsonl_texts(data / "c4/validation-shard0-first1025.json.gz"),
    }
    whole_for = ["llama", "llama-legacy-false", "demo"]
    small, whole = [], []
    with tempfile.TemporaryDirectory() as scratch:
        for name, (model, files) in SETTINGS.items():
            tokenizer = load(folders, model, files, scratch)
            cases = [{"text": text, "ids": tokenizer(text).input_ids} for text in AWKWARD + (spm_texts if name == "llama" else [])]
            small.append({"name": name, "model": model, "files": files, "cases": cases})
            for text_name, parts in texts.items() if name in whole_for else ():
                ids = array.array("i", [token for part in parts for token in tokenizer(part).input_ids])
                assert ids.itemsize == 4 and sys.byteorder == "little"
                whole.append({"settings": name, "text": text_name, "count": len(ids), "sha256": hashlib.sha256(ids.tobytes()).hexdigest()})
                print(whole[-1], flush=True)

    def one_per_line(key, items):
        return "{" + f'"made_with": {json.dumps(made_with)}, "{key}": [\n' + ",\n".join(items) + "\n]}\n"

    def setting(item):
        cases = ",\n  ".join(json.dumps(case) for case in item["cases"])
        head = json.dumps({key: item[key] for key in ("name", "model", "files")})
        return head[:-1] + ', "cases": [\n  ' + cases + "]}"

    (HERE / "small.json").write_text(one_per_line("settings", [setting(item) for item in small]))
    (HERE / "whole.json").write_text(one_per_line("texts", [json.dumps(item) for item in whole]))


main()
