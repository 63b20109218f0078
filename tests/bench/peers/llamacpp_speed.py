#!/usr/bin/env python3
"""Perplexity windows through llama.cpp on the CPU, float32 weights.

    llamacpp_speed.py MODEL.gguf WINDOWS.json THREADS

Prints one line of JSON: seconds for all windows (the model is loaded and one window was run before), mean loss.
Calls the C interface as llama.cpp's own perplexity program does: a window is one batch of tokens whose logits are
all asked for. Losses are summed outside the time, so only the forward pass is counted.
"""
import ctypes
import json
import sys
import time

import llama_cpp as c
import numpy as np


def main() -> None:
    path, windows_file, threads = sys.argv[1:]
    with open(windows_file) as file:
        windows = json.load(file)["windows"]
    length = len(windows[0])
    keep = c.llama_log_callback(lambda level, text, data: None)
    c.llama_log_set(keep, None)
    c.llama_backend_init()
    model = c.llama_model_load_from_file(path.encode(), c.llama_model_default_params())
    params = c.llama_context_default_params()
    params.n_ctx = params.n_batch = length
    params.n_threads = params.n_threads_batch = int(threads)
    context = c.llama_init_from_model(model, params)
    vocabulary = c.llama_vocab_n_tokens(c.llama_model_get_vocab(model))
    batch = c.llama_batch_init(length, 0, 1)

    def run(ids: list[int]) -> np.ndarray:
        c.llama_memory_clear(c.llama_get_memory(context), True)
        batch.n_tokens = length
        for i, token in enumerate(ids):
            batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.seq_id[i][0], batch.logits[i] = token, i, 1, 0, 1
        if c.llama_decode(context, batch) != 0:
            raise RuntimeError("llama_decode failed")
        logits = c.llama_get_logits(context)
        return np.ctypeslib.as_array(ctypes.cast(logits, ctypes.POINTER(ctypes.c_float)), (length, vocabulary))

    run(windows[0])
    seconds = 0.0
    losses = []
    for ids in windows:
        started = time.perf_counter()
        logits = run(ids)
        seconds += time.perf_counter() - started
        logits = logits[:-1].astype(np.float64)
        highest = logits.max(axis=1)
        total = np.log(np.exp(logits - highest[:, None]).sum(axis=1)) + highest
        losses.append((total - logits[np.arange(length - 1), ids[1:]]).mean())
    print(json.dumps({"seconds": seconds, "loss": float(np.mean(losses))}))


main()
