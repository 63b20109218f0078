"""Samples the demo's texts from the demo model itself.

    python demo/training/sample_demo_text.py --model demo/model --out FOLDER

Needs torch, transformers and sentencepiece. On such a text the model's perplexity is the exponential of its entropy,
so a quantised model's excess of log-perplexity estimates its KL divergence from full precision.
"""
import argparse
import json
import pathlib

import sentencepiece
import torch
from transformers import LlamaForCausalLM

BATCH = 24
TEXTS = (("calibration", 144, 1), ("evaluation", 96, 2))  # name, documents (whole batches), seed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--tokens", type=int, default=512, help="tokens of a document, BOS included")
    args = parser.parse_args()

    model = LlamaForCausalLM.from_pretrained(args.model, dtype=torch.float32).eval()
    tokenizer = sentencepiece.SentencePieceProcessor(model_file=str(args.model / "tokenizer.model"))
    args.out.mkdir(parents=True, exist_ok=True)
    for name, documents, seed in TEXTS:
        torch.manual_seed(seed)
        with open(args.out / f"{name}.jsonl", "w", encoding="utf-8") as out, torch.inference_mode():
            for _ in range(documents // BATCH):
                start = torch.full((BATCH, 1), tokenizer.bos_id())
                ids = model.generate(start, max_new_tokens=args.tokens - 1, min_new_tokens=args.tokens - 1,
                                     do_sample=True, temperature=1.0, top_k=0, top_p=1.0, use_cache=True)
                for row in ids.tolist():
                    out.write(json.dumps({"text": tokenizer.decode(row)}, ensure_ascii=False) + "\n")
        print(f"{name}: {documents} documents")


if __name__ == "__main__":
    main()
