#!/usr/bin/env python3
"""Time and memory of whole runs of daq-bench: what many recipes share, how costs grow, how good the plan is.

    measure.py DAQ_BENCH OUT.json [--quick]

Random checkpoints (tests/tools/make_random_checkpoint.py), real runs, each in an empty results folder. Prints
Markdown tables; OUT.json has every number. --quick: the least sizes, to see that it works.
"""
import argparse
import json
import os
import pathlib
import re
import statistics
import struct
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
SHAPES = {  # options of make_random_checkpoint.py; vocabularies are small so that blocks are what is measured
    "llama-7b": ["--hidden", 4096, "--intermediate", 11008, "--heads", 32, "--vocab", 2048],
    "smollm2": ["--hidden", 576, "--intermediate", 1536, "--heads", 9, "--kv-heads", 3, "--vocab", 2048],
    **{f"hidden-{size}": ["--hidden", size, "--intermediate", 3 * size, "--heads", size // 64, "--vocab", 2048]
       for size in (256, 512, 1024, 2048)},
}
TWELVE = [f"{{method: gptq, format: {{codebook: {book}, group: {group}}}, propagate: full_precision}}"
          for book in ("int2", "int3", "int4", "nf3") for group in ("channel", 64, 192)]


class Bench:
    def __init__(self, program: str, folder: pathlib.Path):
        self.program, self.folder = pathlib.Path(program).resolve(), folder
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENBLAS_")}
        self.environment["XDG_CACHE_HOME"] = str(folder)
        self.models: dict[tuple, pathlib.Path] = {}

    def model(self, shape: str, layers: int, windows: int, window_tokens: int) -> pathlib.Path:
        key = (shape, layers, windows, window_tokens)
        if key not in self.models:
            path = self.folder / "-".join(map(str, key))
            command = [ROOT / "tests/tools/make_random_checkpoint.py", path, "--layers", layers, "--windows", windows,
                       "--window-tokens", window_tokens, *SHAPES[shape]]
            subprocess.run([sys.executable, *map(str, command)], check=True, capture_output=True)
            self.models[key] = path
        return self.models[key]

    def config(self, model: pathlib.Path, recipes: list[str], calibration: int = 0, windows: int = 1, sizes=()) -> str:
        ids = f"protocol: ids, file: {model}/windows.json"
        text = f"model: {model}\nevaluate:\n  - {{{ids}, max_windows: {windows}}}\n"
        if calibration:
            text += f"calibration: {{{ids}, windows: {calibration}}}\n"
        text += "recipes:\n" + "".join(f"  - {recipe}\n" for recipe in recipes)
        if sizes:
            text += f"sweep:\n  calibration.windows: [{', '.join(map(str, sizes))}]\n"
        return text

    def run(self, config: str, threads: int = 2) -> dict:
        """What a run took: seconds of wall time, peak bytes, and its plan's forecast of both."""
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            file = pathlib.Path(folder) / "run.yaml"
            file.write_text(config)
            common = [str(self.program), "--threads", str(threads), "--results", folder, str(file)]
            # The first plan also measures the machine and hashes the model; neither is part of a run's time.
            plan = subprocess.run([common[0], "plan", *common[1:]], env=self.environment, check=True,
                                  capture_output=True, text=True).stdout
            started = time.perf_counter()
            process = subprocess.Popen(common, env=self.environment, stdout=subprocess.DEVNULL,
                                       stderr=subprocess.PIPE, text=True)
            errors = process.stderr.read()
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - started
            if status != 0:
                sys.exit(f"measure: {' '.join(common)} failed:\n{errors}")
            report = subprocess.run([common[0], "report", *common[3:], "--format", "json"], env=self.environment,
                                    check=True, capture_output=True, text=True).stdout
        cells = json.loads(report)
        return {"seconds": seconds, "peak_bytes": usage.ru_maxrss * 1024,
                "planned_seconds": in_seconds(re.search(r"time +about (.*?) with", plan)[1]),
                "planned_bytes": in_bytes(re.search(r"memory +(.*?) at most", plan)[1]),
                "quantize_seconds": sum(cell["seconds"]["quantize"] for cell in cells),
                "evaluate_seconds": sum(cell["seconds"]["evaluate"] for cell in cells)}


def in_seconds(text: str) -> float:
    return sum(float(number) * {"s": 1, "min": 60, "h": 3600}[unit]
               for number, unit in re.findall(r"([\d.]+) (s|min|h)", text))


def in_bytes(text: str) -> float:
    number, unit = text.split()
    return float(number) * 1024 ** ["B", "KiB", "MiB", "GiB"].index(unit)


def twelve_recipes(bench: Bench, quick: bool) -> dict:
    model = bench.model("smollm2", 2, 4 if quick else 32, 512)
    together = bench.run(bench.config(model, TWELVE, 4 if quick else 32))
    apart = [bench.run(bench.config(model, [recipe], 4 if quick else 32)) for recipe in TWELVE]
    quantising = lambda run: run["seconds"] - run["evaluate_seconds"]
    ratio = quantising(together) / sum(map(quantising, apart))
    print(f"12 recipes of one calibration: {quantising(together):.1f} s together, "
          f"{sum(map(quantising, apart)):.1f} s apart, ratio {ratio:.3f}\n", flush=True)
    return {"together": together, "apart": apart, "ratio": ratio}


def calibration_sizes(bench: Bench, quick: bool) -> dict:
    sizes = [1, 2, 4, 8] if quick else [1, 2, 4, 8, 16, 32, 64, 128]
    model = bench.model("smollm2", 2, sizes[-1], 512)
    recipe = ["{method: gptq, format: int4, propagate: full_precision}"]
    shared = lambda run: run["seconds"] - run["evaluate_seconds"] - run["quantize_seconds"]
    every = bench.run(bench.config(model, recipe, sizes[-1], sizes=sizes))
    largest = bench.run(bench.config(model, recipe, sizes[-1]))
    ratio = shared(every) / shared(largest)
    print(f"{len(sizes)} calibration sizes: {shared(every):.1f} s of shared work, {shared(largest):.1f} s for the "
          f"largest alone, ratio {ratio:.2f}\n", flush=True)
    return {"every": every, "largest": largest, "ratio": ratio}


def growth(bench: Bench, quick: bool) -> dict:
    rtn, gptq = "{method: rtn, format: int4}", "{method: gptq, format: int4, propagate: full_precision}"
    most = 4 if quick else 8
    base = bench.model("smollm2", 4, 4 * most, 512)
    counts = [n for n in (1, 2, 4, 8, 16, 32) if n <= 4 * most]
    series = {
        "windows": [(n, bench.config(base, ["fp16"], windows=n), 2) for n in counts],
        "blocks": [(n, bench.config(bench.model("smollm2", n, 8, 512), ["fp16", rtn], windows=8), 2)
                   for n in counts if n <= most],
        "hidden size": [(n, bench.config(bench.model(f"hidden-{n}", 2, 8, 512), [gptq], 4, 8), 2)
                        for n in ((256, 512) if quick else (256, 512, 1024, 2048))],
        "recipes": [(n, bench.config(base, TWELVE[:n], 4, 4), 2) for n in (1, 2, 4, 8, 12)],
        "threads": [(n, bench.config(base, ["fp16"], windows=4 * most), n) for n in (1, 2)],
    }
    results = {}
    print("| what grows | " + " | ".join(["size", "seconds", "peak MiB"]) + " |\n|:---|---:|---:|---:|")
    for name, points in series.items():
        results[name] = []
        for size, config, threads in points:
            run = bench.run(config, threads)
            results[name].append({"size": size, **run})
            print(f"| {name} | {size} | {run['seconds']:.2f} | {run['peak_bytes'] / 2**20:.0f} |", flush=True)
    rounds = [results["threads"]] + [[bench.run(config, threads) for _, config, threads in series["threads"]]
                                     for _ in range(2)]
    speedups = [one["evaluate_seconds"] / two["evaluate_seconds"] for one, two in rounds]
    results["thread_speedup_2"] = statistics.median(speedups)
    print(f"\n2 threads: {', '.join(f'{speedup:.2f}' for speedup in speedups)} times as fast as one\n", flush=True)
    return results


def forecasts(bench: Bench, quick: bool) -> list:
    small, calibration = bench.model("smollm2", 4, 32, 512), 4
    seven = bench.model("llama-7b", 1, 4, 512)
    recipes = ["fp16", "{method: rtn, format: int4}", "{method: gptq, format: {codebook: int4, group: 64}}",
               "{method: awq, format: int4}", "{method: daq, format: nf4}"]
    runs = [("smollm2, 32 windows, " + recipe, bench.config(small, [recipe], calibration, 32)) for recipe in recipes]
    if not quick:
        runs += [("llama-7b block, " + recipe, bench.config(seven, [recipe], 1, 4)) for recipe in recipes]
    results = []
    print("| run | planned s | took s | ratio | planned MiB | peak MiB | ratio |\n|:---|" + "---:|" * 6)
    for name, config in runs:
        run = bench.run(config)
        results.append({"name": name, **run})
        print(f"| {name} | {run['planned_seconds']:.1f} | {run['seconds']:.1f} | "
              f"{run['seconds'] / run['planned_seconds']:.2f} | {run['planned_bytes'] / 2**20:.0f} | "
              f"{run['peak_bytes'] / 2**20:.0f} | {run['peak_bytes'] / run['planned_bytes']:.2f} |", flush=True)
    return results


def sparse_llama_70b(folder: pathlib.Path) -> pathlib.Path:
    """LLaMA-2-70B's shape with weights that are holes in a file: nothing is read but their header."""
    folder.mkdir()
    hidden, kv, inner, layers, vocabulary = 8192, 1024, 28672, 80, 32000
    (folder / "config.json").write_text(json.dumps({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": hidden, "intermediate_size": inner,
        "num_hidden_layers": layers, "num_attention_heads": 64, "num_key_value_heads": 8, "vocab_size": vocabulary,
        "rms_norm_eps": 1e-5, "max_position_embeddings": 4096, "tie_word_embeddings": False, "torch_dtype": "float16",
        "hidden_act": "silu"}))
    shapes = {"model.embed_tokens.weight": [vocabulary, hidden], "model.norm.weight": [hidden],
              "lm_head.weight": [vocabulary, hidden]}
    for layer in range(layers):
        shapes |= {f"model.layers.{layer}.{name}.weight": shape for name, shape in {
            "input_layernorm": [hidden], "post_attention_layernorm": [hidden], "self_attn.q_proj": [hidden, hidden],
            "self_attn.k_proj": [kv, hidden], "self_attn.v_proj": [kv, hidden], "self_attn.o_proj": [hidden, hidden],
            "mlp.gate_proj": [inner, hidden], "mlp.up_proj": [inner, hidden], "mlp.down_proj": [hidden, inner]}.items()}
    header, end = {}, 0
    for name, shape in shapes.items():
        begin, end = end, end + 2 * shape[0] * (shape[1] if len(shape) > 1 else 1)
        header[name] = {"dtype": "F16", "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    with open(folder / "model.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + end)
    (folder / "windows.json").write_text(json.dumps({"windows": [list(range(1, 513))] * 64}))
    return folder


def large_plan(bench: Bench) -> dict:
    model = sparse_llama_70b(bench.folder / "llama-70b")
    methods = [f"{{method: {method}, format: {{codebook: {book}, group: {group}}}}}"
               for method in ("gptq", "awq", "daq", "awq+daq", "gptq+daq")
               for book in ("int2", "int3", "int4", "nf3", "nf4") for group in ("channel", 64, 128, 256, 512)]
    file = bench.folder / "large.yaml"
    file.write_text(bench.config(model, methods, 1, sizes=[1, 2, 4, 8, 16, 32, 48, 64]))
    seconds = []
    for _ in range(3):  # the first reads the whole model for its hash, which is kept
        started = time.perf_counter()
        plan = subprocess.run([bench.program, "plan", file, "--results", bench.folder / "large"], env=bench.environment,
                              check=True, capture_output=True, text=True).stdout
        seconds.append(time.perf_counter() - started)
    cells = int(re.search(r"left to do +\d+ of (\d+) cells", plan)[1])
    print(f"plan of {cells} cells of a 70B model: {seconds[-1]:.2f} s ({seconds[0]:.0f} s the first time, with the hash)\n")
    return {"cells": cells, "first_seconds": seconds[0], "seconds": seconds[-1]}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("daq_bench")
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", choices=["twelve_recipes", "calibration_sizes", "growth", "forecasts", "large_plan"])
    arguments = parser.parse_args()
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(arguments.daq_bench, pathlib.Path(folder))
        for work in (twelve_recipes, calibration_sizes, growth, forecasts):
            if arguments.only in (None, work.__name__):
                results[work.__name__] = work(bench, arguments.quick)
        if arguments.only == "large_plan" or (arguments.only is None and not arguments.quick):
            results["large_plan"] = large_plan(bench)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
