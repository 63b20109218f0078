#!/usr/bin/env python3
"""Runs daq-bench, transformers and llama.cpp in turn on the same model and windows; a table and a JSON file.

    compare.py DAQ_BENCH PYTHON OUT.json [--shape smollm2|demo] [--rounds N] [--windows N]

PYTHON has torch, transformers, llama-cpp-python and gguf (scripts/bench-peers.sh makes such an environment). The
model has the named shape and random float32 weights. All three must give the same mean loss, else nothing is
timed. daq-bench's seconds are of its whole evaluation, reading the weights included; the others have loaded theirs.
"""
import argparse
import json
import pathlib
import sys

from common import HERE, first_cell, make_model, parser, record, run, versions

SHAPES = {
    "smollm2": ["--layers", "30", "--hidden", "576", "--intermediate", "1536", "--heads", "9", "--kv-heads", "3",
                "--vocab", "49152", "--max-positions", "2048", "--tied"],
    "demo": ["--layers", "4", "--hidden", "256", "--intermediate", "768", "--heads", "8", "--kv-heads", "4",
             "--vocab", "2048", "--max-positions", "2048", "--tied"],
}
TOLERANCE = 2e-4  # nats; float32 in three orders of summation


def main() -> None:
    options = parser()
    options.add_argument("--shape", choices=SHAPES, default="smollm2")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--windows", type=int, default=2)
    record(options.parse_args(), compare)


def compare(arguments: argparse.Namespace, folder: pathlib.Path) -> dict:
    model, windows, config = folder / "model", folder / "model/windows.json", folder / "speed.yaml"
    make_model(model, "--dtype", "float32", *SHAPES[arguments.shape], "--windows", arguments.windows,
               "--window-tokens", 2048)
    run([arguments.python, HERE / "write_gguf.py", model, folder / "model.gguf"])
    config.write_text(f"model: {model}\nevaluate:\n  - {{protocol: ids, file: {windows}}}\nrecipes: [fp16]\n")
    tokens = arguments.windows * 2048

    def ours(threads: int) -> dict:
        cell = first_cell(arguments.daq_bench, config, threads)
        losses = next(iter(cell["metrics"].values()))["window_losses"]
        return {"seconds": cell["seconds"]["evaluate"], "loss": sum(losses) / len(losses)}

    def script(name: str, path: pathlib.Path):
        return lambda threads: json.loads(run([arguments.python, HERE / name, path, windows, threads]))

    programs = {"daq-bench": ours, "transformers": script("transformers_speed.py", model),
                "llama.cpp": script("llamacpp_speed.py", folder / "model.gguf")}
    results = {"shape": arguments.shape, "tokens": tokens, "versions": versions(arguments.python), "threads": {}}
    print(f"| threads | program | tokens a second, each round | median | daq-bench over it |")
    print("|---:|:---|:---|---:|---:|")
    for threads in (1, 2):
        rates = {name: [] for name in programs}
        for _ in range(arguments.rounds):
            losses = {}
            for name, program in programs.items():
                measured = program(threads)
                losses[name] = measured["loss"]
                rates[name].append(tokens / measured["seconds"])
            if max(losses.values()) - min(losses.values()) > TOLERANCE:
                sys.exit(f"compare: the mean losses differ by more than {TOLERANCE}: {losses}")
        median = {name: sorted(values)[len(values) // 2] for name, values in rates.items()}
        results["threads"][threads] = {"rates": rates, "median": median, "loss": losses}
        for name, values in rates.items():
            each = ", ".join(f"{value:.0f}" for value in values)
            ratio = "" if name == "daq-bench" else f"{median['daq-bench'] / median[name]:.2f}"
            print(f"| {threads} | {name} | {each} | {median[name]:.0f} | {ratio} |", flush=True)
    return results


if __name__ == "__main__":
    main()
