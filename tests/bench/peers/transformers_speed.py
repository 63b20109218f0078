#!/usr/bin/env python3
"""Perplexity windows through Hugging Face transformers on the CPU: float32, SDPA attention.

    transformers_speed.py MODEL WINDOWS.json THREADS

Prints one line of JSON: seconds for all windows (the model is loaded and one window was run before), mean loss.
As evaluation scripts do it: one window a call, all logits, the mean cross entropy of the next tokens.
"""
import json
import sys
import time

import torch
from transformers import AutoModelForCausalLM


def main() -> None:
    folder, windows_file, threads = sys.argv[1:]
    torch.set_num_threads(int(threads))
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="sdpa").eval()
    with open(windows_file) as file:
        windows = [torch.tensor([ids]) for ids in json.load(file)["windows"]]

    def loss_of(ids: torch.Tensor) -> float:
        logits = model(ids, use_cache=False).logits[0, :-1]
        return torch.nn.functional.cross_entropy(logits, ids[0, 1:]).item()

    with torch.inference_mode():
        loss_of(windows[0])
        started = time.perf_counter()
        losses = [loss_of(ids) for ids in windows]
        seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "loss": sum(losses) / len(losses)}))


main()
