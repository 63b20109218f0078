#!/usr/bin/env python3
"""Seconds that the authors' procedures (authors.py) take for the first block of a model.

    authors_speed.py MODEL WINDOWS.json THREADS METHOD

METHOD: gptq, awq (int4 in groups of 128) or daq (nf4 by channel). The block's inputs are the embeddings of the
first window, as for daq-bench's first block. Prints one line of JSON: seconds of the whole block and of each layer.
DAQ's are of DAQ_ITERATIONS iterations, times 1000 / DAQ_ITERATIONS; AWQ's clipping is of CLIP_ROWS rows, times
rows / CLIP_ROWS: iterations and rows all cost the same.
"""
import json
import sys
import time

import authors
import torch
from transformers import AutoModelForCausalLM

DAQ_ITERATIONS = 2
CLIP_ROWS = 256
NF4 = torch.tensor([-1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
                    -0.18477343022823334, -0.09105003625154495, 0, 0.07958029955625534, 0.16093020141124725,
                    0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941,
                    0.7229568362236023, 1])
BITS, GROUP = 4, 128


def main() -> None:
    folder, windows_file, threads, method = sys.argv[1:]
    torch.set_num_threads(int(threads))
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="sdpa").eval()
    with open(windows_file) as file:
        ids = torch.tensor([json.load(file)["windows"][0]])
    block = model.model.layers[0]
    linears = {name: part for name, part in block.named_modules() if isinstance(part, torch.nn.Linear)}
    inputs = {}
    calls = {}
    for name, part in linears.items():
        part.register_forward_pre_hook(
            lambda _, arguments, name=name: inputs.setdefault(name, arguments[0].reshape(-1, arguments[0].shape[-1])))
    attention = block.self_attn.register_forward_pre_hook(
        lambda _, positional, named: calls.setdefault("attention", (positional, named)), with_kwargs=True)
    with torch.inference_mode():
        model.model(ids, use_cache=False)
        attention.remove()
        seconds = SEARCHES[method](block, linears, inputs, calls)
    print(json.dumps({"seconds": sum(seconds.values()), "layers": seconds}))


def timed(work) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def gptq(block, linears, inputs, calls) -> dict[str, float]:
    return {name: timed(lambda: authors.gptq(part.weight, authors.gptq_hessian([inputs[name]]), BITS, GROUP))
            for name, part in linears.items()}


def awq(block, linears, inputs, calls) -> dict[str, float]:
    positional, named = calls["attention"]
    mlp_input = inputs["mlp.gate_proj"]
    groups = {
        "scale q, k, v": (["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
                          lambda: block.self_attn(*positional, **named)[0]),
        "scale o": (["self_attn.o_proj"], lambda: linears["self_attn.o_proj"](inputs["self_attn.o_proj"])),
        "scale gate, up": (["mlp.gate_proj", "mlp.up_proj"], lambda: block.mlp(mlp_input)),
        "scale down": (["mlp.down_proj"], lambda: linears["mlp.down_proj"](inputs["mlp.down_proj"])),
    }
    seconds = {name: timed(lambda: authors.awq_scale([linears[n] for n in names], inputs[names[0]], module, BITS, GROUP))
               for name, (names, module) in groups.items()}
    for name, part in linears.items():
        if not name.endswith(("q_proj", "k_proj")):  # not clipped, as in llm-awq
            some = part.weight[:CLIP_ROWS]
            seconds["clip " + name] = (timed(lambda: authors.awq_clip(some, inputs[name], BITS, GROUP))
                                       * part.weight.shape[0] / some.shape[0])
    return seconds


def daq(block, linears, inputs, calls) -> dict[str, float]:
    return {name: timed(lambda: authors.daq_iterations(part.weight, inputs[name], NF4, DAQ_ITERATIONS))
            * 1000 / DAQ_ITERATIONS for name, part in linears.items()}


SEARCHES = {"gptq": gptq, "awq": awq, "daq": daq}
main()
