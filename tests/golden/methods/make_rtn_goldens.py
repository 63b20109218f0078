#!/usr/bin/env python3
"""Writes rtn.json beside this file: small matrices quantised by literal numpy versions of the authors' functions.

Independent of the C++ code: float32 arrays throughout, numpy's round (half to even), as PyTorch on CPU computes them.
Run: python3 make_rtn_goldens.py   (numpy 2.x; made with numpy 2.4). The same seeds give the same file.
"""
import json
import pathlib

import numpy as np

F = np.float32

NF4 = [-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
       -0.18477343022823334, -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725,
       0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0]
FP4 = [-6, -4, -3, -2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2, 3, 4, 6]
FP4_RELEASE = [-6, -4, -3, -2, -1.5, -1, -0.0625, 0, 0.0625, 1, 1.5, 2, 3, 4, 6]
FP4_BNB = [-12, -8, -6, -4, -3, -2, -0.0625, 0, 0.0625, 2, 3, 4, 6, 8, 12]


def llm_awq(w, bits, zero_point):
    """pseudo_quantize_tensor of mit-han-lab/llm-awq: codes, scales, zeros."""
    if zero_point:
        high, low = w.max(1, keepdims=True), w.min(1, keepdims=True)
        top = 2**bits - 1
        scales = np.maximum(high - low, F(1e-5)) / F(top)
        zeros = np.clip(-np.round(low / scales), F(0), F(top))
        return np.clip(np.round(w / scales) + zeros, F(0), F(top)), scales, zeros
    largest = np.maximum(np.abs(w).max(1, keepdims=True), F(1e-5))
    scales = largest / F(2**(bits - 1) - 1)
    codes = np.clip(np.round(w / scales), F(-2**(bits - 1)), F(2**(bits - 1) - 1))
    return codes + F(2**(bits - 1)), scales, np.zeros_like(scales)


def gptq(w, bits, mse=False):
    """Quantizer.find_params and quantize of IST-DASLab/gptq, asymmetric, per channel."""
    top = F(2**bits - 1)
    low = np.minimum(w.min(1), F(0))
    high = np.maximum(w.max(1), F(0))
    both = (low == 0) & (high == 0)
    low[both], high[both] = F(-1), F(1)
    scale = (high - low) / top
    zero = np.round(-low / scale)

    def codes_of(s, z):
        return np.clip(np.round(w / s[:, None]) + z[:, None], F(0), top)

    if mse:
        best = np.full(len(w), np.inf)
        for i in range(int(0.8 * 100)):
            p = F(1 - i / 100)
            scale1 = (p * high - p * low) / top
            zero1 = np.round(-(p * low) / scale1)
            q = scale1[:, None] * (codes_of(scale1, zero1) - zero1[:, None])
            error = (np.abs((q - w).astype(np.float64))**2.4).sum(1)
            better = error < best
            best[better], scale[better], zero[better] = error[better], scale1[better], zero1[better]
    return codes_of(scale, zero), scale[:, None], zero[:, None]


def daq_release(w, book, zero_point):
    """pseudo_quantize_tensor of LuoYingSong/DAQ for a float code book: u = w / s + z, nearest by midpoints, <= is lower."""
    code = np.array(book, F)
    if zero_point:
        high, low = w.max(1, keepdims=True), w.min(1, keepdims=True)
        scales = (high - low) / (code[-1] - code[0])
        zeros = code[-1] - high / scales
    else:
        scales = np.abs(w).max(1, keepdims=True) / code[-1]
        zeros = np.zeros_like(scales)
    middle = (code[1:] + code[:-1]) / F(2)
    return np.searchsorted(middle, w / scales + zeros, side="left").astype(F), scales, zeros


def daq_release_int(w, bits):
    """The same release's grid of integers, whose zero-point is not rounded, and the nearest codes. The release itself
    clamps round(w / scales) + zeros and keeps it: up to 2^bits + 1 values, which no code holds (docs/methods.md)."""
    high, low = w.max(1, keepdims=True), w.min(1, keepdims=True)
    top = 2**bits - 1
    scales = np.maximum(high - low, F(1e-5)) / F(top)
    zeros = -low / scales
    return np.clip(np.round(w / scales + zeros), F(0), F(top)), scales, zeros


def matrices():
    rng = np.random.default_rng(20241016)
    normal = rng.normal(0, 0.02, (3, 64)).astype(F)
    heavy = (rng.standard_t(2.5, (3, 64)) * 0.01).astype(F)
    shifted = rng.normal(0.05, 0.02, (2, 64)).astype(F)  # rows whose range barely reaches 0
    return {"normal": normal, "heavy": heavy, "shifted": shifted}


CASES = [
    # preset, code book, symmetric, group size, function of groups
    ("rtn", "int2", False, 32, lambda w: llm_awq(w, 2, True)),
    ("rtn", "int3", False, 0, lambda w: llm_awq(w, 3, True)),
    ("rtn", "int4", False, 64, lambda w: llm_awq(w, 4, True)),
    ("rtn", "int8", False, 16, lambda w: llm_awq(w, 8, True)),
    ("rtn", "int4", True, 0, lambda w: llm_awq(w, 4, False)),
    ("rtn-gptq", "int3", False, 16, lambda w: gptq(w, 3)),
    ("rtn-gptq", "int4", False, 0, lambda w: gptq(w, 4)),
    ("rtn-daq", "int4", False, 32, lambda w: daq_release_int(w, 4)),
    ("rtn", "nf4", True, 0, lambda w: daq_release(w, NF4, False)),
    ("rtn", "nf4", False, 32, lambda w: daq_release(w, NF4, True)),
    ("rtn", "fp4_e2m1", True, 32, lambda w: daq_release(w, FP4, False)),
    ("rtn", "fp4_e2m1_release", True, 0, lambda w: daq_release(w, FP4_RELEASE, False)),
    ("rtn", "fp4_bnb", False, 16, lambda w: daq_release(w, FP4_BNB, True)),
    ("mse-gptq", "int3", False, 32, lambda w: gptq(w, 3, mse=True)),
    ("mse-gptq", "int4", False, 0, lambda w: gptq(w, 4, mse=True)),
]


def numbers(array):
    # repr of a float32 reads back to the same float32.
    return [float(str(x)) for x in np.asarray(array, F).ravel()]


def main():
    inputs = matrices()
    cases = []
    for preset, codebook, symmetric, group, function in CASES:
        for name, weight in inputs.items():
            rows = weight.reshape(-1, group or weight.shape[1])
            codes, scales, zeros = function(rows.copy())
            cases.append({"preset": preset, "codebook": codebook, "symmetric": symmetric, "group": group,
                          "matrix": name, "scale": numbers(scales), "zero_point": numbers(zeros),
                          "codes": [int(c) for c in codes.ravel()]})
    out = {"made_by": "make_rtn_goldens.py", "numpy": np.__version__,
           "matrices": {n: {"rows": w.shape[0], "values": numbers(w)} for n, w in inputs.items()}, "cases": cases}
    text = json.dumps(out, separators=(",", ":")).replace('{"preset"', '\n{"preset"').replace('{"rows"', '\n{"rows"')
    pathlib.Path(__file__).with_name("rtn.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
