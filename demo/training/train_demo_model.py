"""Trains the demo model: a small LLaMA on English text, saved as a Hugging Face checkpoint.

    python demo/training/train_demo_model.py --train train.txt --valid valid.txt --out MODEL --minutes 95

Needs numpy, sentencepiece, torch and transformers. prepare_text.py makes the two texts. The length of training is a
time, so another machine takes another number of steps and gives another model: the stored one is the reference, and
this script is its record. The checkpoint is an ordinary `LlamaForCausalLM` (config.json, model.safetensors in float16,
tokenizer.model), small enough to live in a repository and big enough that 3- and 2-bit quantisation moves its
perplexity.
"""
import argparse
import copy
import io
import json
import math
import pathlib
import time

import numpy as np
import sentencepiece
import torch
from transformers import LlamaConfig, LlamaForCausalLM


def train_tokenizer(text_file: pathlib.Path, vocab_size: int, out: pathlib.Path) -> None:
    """A SentencePiece BPE model with LLaMA's own settings: byte fallback, split digits, no normalisation."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        input=str(text_file), model_writer=model, vocab_size=vocab_size, model_type="bpe",
        byte_fallback=True, split_digits=True, normalization_rule_name="identity",
        remove_extra_whitespaces=False, add_dummy_prefix=True, allow_whitespace_only_pieces=True,
        character_coverage=0.9999, unk_id=0, bos_id=1, eos_id=2, pad_id=-1, num_threads=2,
        max_sentence_length=16384, input_sentence_size=60000, shuffle_input_sentence=True)
    out.write_bytes(model.getvalue())
    out.with_name("tokenizer_config.json").write_text(json.dumps(
        {"tokenizer_class": "LlamaTokenizer", "add_bos_token": True, "add_eos_token": False, "bos_token": "<s>",
         "eos_token": "</s>", "unk_token": "<unk>", "legacy": True}) + "\n")


def encode(processor: sentencepiece.SentencePieceProcessor, text_file: pathlib.Path) -> np.ndarray:
    ids = []
    for line in text_file.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True):
        ids.extend(processor.encode(line))
    return np.asarray(ids, dtype=np.int32)


@torch.inference_mode()
def perplexity(model: LlamaForCausalLM, ids: np.ndarray, window: int, limit: int) -> float:
    model.eval()
    losses = []
    for start in range(0, min(len(ids) - window, limit * window), window):
        x = torch.from_numpy(ids[start:start + window].astype(np.int64))[None]
        losses.append(model(x, labels=x).loss.item())
    model.train()
    return math.exp(sum(losses) / len(losses))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train", type=pathlib.Path, required=True)
    parser.add_argument("--valid", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--vocab", type=int, default=2048)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--heads", type=int, default=8)
    parser.add_argument("--kv-heads", type=int, default=4)
    parser.add_argument("--intermediate", type=int, default=768)
    parser.add_argument("--window", type=int, default=512)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def make_model(args: argparse.Namespace, vocab_size: int) -> LlamaForCausalLM:
    model = LlamaForCausalLM(LlamaConfig(
        vocab_size=vocab_size, hidden_size=args.hidden, intermediate_size=args.intermediate,
        num_hidden_layers=args.layers, num_attention_heads=args.heads, num_key_value_heads=args.kv_heads,
        max_position_embeddings=2048, rms_norm_eps=1e-5, tie_word_embeddings=True,
        bos_token_id=1, eos_token_id=2, rope_theta=10000.0))
    print(f"parameters: {sum(p.numel() for p in model.parameters())}", flush=True)
    return model


def make_optimizer(model: LlamaForCausalLM, learning_rate: float) -> torch.optim.Optimizer:
    decay = [p for p in model.parameters() if p.dim() == 2]
    rest = [p for p in model.parameters() if p.dim() != 2]
    return torch.optim.AdamW([{"params": decay, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}],
                             lr=learning_rate, betas=(0.9, 0.95))


def train(model: LlamaForCausalLM, train_ids: np.ndarray, valid_ids: np.ndarray,
          args: argparse.Namespace) -> tuple[int, int]:
    """Trains until the time is up; returns the steps taken and the tokens seen."""
    rng = np.random.default_rng(args.seed)
    optimizer = make_optimizer(model, args.lr)
    start, step, seen = time.time(), 0, 0
    budget = args.minutes * 60
    while (elapsed := time.time() - start) < budget:
        progress = elapsed / budget  # the schedule follows the clock: warm-up, then cosine to a tenth
        learning_rate = args.lr * min(1.0, (step + 1) / 100) * (0.1 + 0.45 * (1 + math.cos(math.pi * progress)))
        for group in optimizer.param_groups:
            group["lr"] = learning_rate
        offsets = rng.integers(0, len(train_ids) - args.window - 1, args.batch)
        x = torch.from_numpy(np.stack([train_ids[o:o + args.window] for o in offsets]).astype(np.int64))
        loss = model(x, labels=x).loss
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        step, seen = step + 1, seen + x.numel()
        if step % 250 == 0:
            print(f"{elapsed:7.0f}s step {step} tokens {seen} loss {loss.item():.3f} "
                  f"valid ppl {perplexity(model, valid_ids, 512, 8):.2f}", flush=True)
        if step % 500 == 0:
            copy.deepcopy(model).half().save_pretrained(args.out)
    return step, seen


def main() -> None:
    args = parse_arguments()
    torch.manual_seed(args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    tokenizer_file = args.out / "tokenizer.model"
    if not tokenizer_file.exists():
        train_tokenizer(args.train, args.vocab, tokenizer_file)
    processor = sentencepiece.SentencePieceProcessor(model_file=str(tokenizer_file))
    train_ids, valid_ids = encode(processor, args.train), encode(processor, args.valid)
    print(f"tokens: train {len(train_ids)}, valid {len(valid_ids)}", flush=True)

    model = make_model(args, processor.get_piece_size())
    steps, seen = train(model, train_ids, valid_ids, args)

    final = perplexity(model, valid_ids, 512, 10**9)
    model.half().save_pretrained(args.out)
    half = perplexity(LlamaForCausalLM.from_pretrained(args.out, dtype=torch.float32), valid_ids, 512, 10**9)
    (args.out / "training.json").write_text(json.dumps(
        {"steps": steps, "tokens": seen, "minutes": args.minutes, "valid_ppl_fp32": final, "valid_ppl_fp16": half,
         "window": 512, "args": {key: str(value) for key, value in vars(args).items()}}, indent=1))
    print(f"valid ppl {final:.3f}, after rounding to float16 {half:.3f}")


if __name__ == "__main__":
    main()
