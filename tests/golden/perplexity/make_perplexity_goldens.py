"""Computes with Hugging Face transformers the perplexities that daq-bench's tests compare with.

    tests/golden/perplexity/install_oracle.sh VENV
    VENV/bin/python tests/golden/perplexity/make_perplexity_goldens.py [--shared DIR] [CASE...]

Each case writes CASE.json beside this script: what was evaluated, the mean loss of every window in nats, the
perplexity, the sha256 of the text and of the ids, and the versions and command that made it.

How the numbers come about, all of it independent of daq-bench:
- ids: Python sentencepiece on the whole text in one call, one BOS before the first id, nothing between windows.
  That is what transformers' slow LlamaTokenizer gives for a text in which the strings <s>, </s> and <unk> do not
  occur (../tokens/make_token_goldens.py checks the claim with transformers 4, the last that has the slow tokenizer);
  a text with one of them is refused here rather than tokenised by another rule.
- forward pass: LlamaForCausalLM in float32 with eager attention, one window at a time, on the CPU.
- loss: log-softmax of the float32 logits in double, mean over the window_tokens - 1 predicted tokens.
- perplexity: exp of the mean of the window means.

`--check-methods` computes instead the full-precision losses of shared/goldens/methods/eval_ids.json and compares
them with that folder's results.json, which other code made: it ties this script's definitions to theirs.
"""
import argparse
import hashlib
import json
import math
import os
import pathlib
import platform
import sys
import time

import numpy as np
import sentencepiece
import torch
import transformers
from transformers import LlamaForCausalLM

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
SPECIAL_STRINGS = ("<s>", "</s>", "<unk>")

# name: model folder, text, window_tokens, max_windows. "shared:" is the folder given by --shared.
CASES = {
    "demo-wikitext2-512": ("demo/model", "shared:data/wikitext2/test.rows.jsonl", 512, None),
    "demo-wikitext2-2048": ("demo/model", "shared:data/wikitext2/test.rows.jsonl", 2048, 8),
    "demo-evaluation-512": ("demo/model", "demo/text/evaluation.jsonl", 512, None),
    "stories260k-512": ("shared:data/models/stories260K", "tests/data/stories.txt", 512, None),
}


def resolve(path: str, shared: pathlib.Path) -> pathlib.Path:
    return shared / path.removeprefix("shared:") if path.startswith("shared:") else ROOT / path


def read_text(path: pathlib.Path) -> str:
    """The rows of a file joined with two newlines, as the gptq-wikitext2 protocol does.

    A raw text's rows are those of Hugging Face's wikitext data set: each line with its line feed, and the empty
    string for a blank line.
    """
    lines = path.read_bytes().decode("utf-8").split("\n")
    if lines[-1] == "":
        lines.pop()
    if path.suffix == ".jsonl":
        rows = [json.loads(line)["text"] for line in lines]
    else:
        rows = [line + "\n" if line.strip() else "" for line in lines]
    content = "\n\n".join(rows)
    found = [mark for mark in SPECIAL_STRINGS if mark in content]
    if found:
        sys.exit(f"{path}: holds {found}, which a slow tokenizer does not treat as text")
    return content


def encode(model_folder: pathlib.Path, text: str) -> np.ndarray:
    processor = sentencepiece.SentencePieceProcessor(model_file=str(model_folder / "tokenizer.model"))
    return np.asarray([processor.bos_id()] + processor.encode(text), dtype="<i4")


def load(model_folder: pathlib.Path) -> LlamaForCausalLM:
    return LlamaForCausalLM.from_pretrained(model_folder, dtype=torch.float32, attn_implementation="eager").eval()


@torch.inference_mode()
def window_losses(model: LlamaForCausalLM, windows: np.ndarray) -> list[float]:
    """Mean loss in nats of each row of ids, [windows, window_tokens]."""
    losses = []
    for row in windows:
        ids = torch.from_numpy(row.astype(np.int64))
        logits = model(ids[None], use_cache=False).logits[0, :-1].double()
        losses.append(torch.nn.functional.cross_entropy(logits, ids[1:]).item())
    return losses


def perplexity(losses: list[float]) -> float:
    return math.exp(math.fsum(losses) / len(losses))


def make_case(name: str, shared: pathlib.Path) -> None:
    model_name, text_name, window_tokens, max_windows = CASES[name]
    text = read_text(resolve(text_name, shared))
    ids = encode(resolve(model_name, shared), text)
    count = len(ids) // window_tokens
    if max_windows is not None:
        count = min(count, max_windows)
    windows = ids[:count * window_tokens].reshape(count, window_tokens)
    start = time.time()
    losses = window_losses(load(resolve(model_name, shared)), windows)
    result = {
        "model": model_name, "text": text_name, "protocol": "gptq-wikitext2", "window_tokens": window_tokens,
        "max_windows": max_windows, "windows": count, "stream_tokens": len(ids),
        "tokens_scored": count * (window_tokens - 1),
        "text_sha256": hashlib.sha256(text.encode("utf-8")).hexdigest(),
        "ids_sha256": hashlib.sha256(windows.tobytes()).hexdigest(),
        "perplexity": perplexity(losses), "window_losses": losses,
        "versions": {"python": platform.python_version(), "torch": torch.__version__,
                     "transformers": transformers.__version__, "sentencepiece": sentencepiece.__version__,
                     "numpy": np.__version__},
        "command": f"python tests/golden/perplexity/{pathlib.Path(__file__).name} {name}",
    }
    (HERE / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"{name}: {count} windows of {window_tokens} ({len(ids)} ids), perplexity {result['perplexity']!r}, "
          f"{time.time() - start:.0f} s", flush=True)


def check_methods(shared: pathlib.Path) -> None:
    folder = shared / "goldens/methods"
    windows = np.asarray(json.loads((folder / "eval_ids.json").read_text())["windows"], dtype="<i4")
    losses = window_losses(load(ROOT / "demo/model"), windows)
    golden = next(run for run in json.loads((folder / "results.json").read_text()) if run["name"] == "fp")
    apart = max(abs(a - b) / b for a, b in zip(losses, golden["window_nll"], strict=True))
    print(f"fp: perplexity here {perplexity(losses)!r}, stored {golden['ppl']!r}; "
          f"largest relative difference of a window's loss {apart:.1e}")
    if abs(perplexity(losses) / golden["ppl"] - 1) > 1e-6:
        sys.exit("the perplexities differ by more than 1e-6")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=pathlib.Path,
                        default=os.environ.get("DAQ_BENCH_SHARED", ROOT.parent / "shared"))
    parser.add_argument("--check-methods", action="store_true")
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)}; default: all")
    args = parser.parse_args()
    shared = pathlib.Path(args.shared)
    if args.check_methods:
        check_methods(shared)
        return
    for name in args.cases or CASES:
        make_case(name, shared)


if __name__ == "__main__":
    main()
