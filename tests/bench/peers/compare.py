#!/usr/bin/env python3
"""Runs daq-bench, transformers and llama.cpp in turn on the same model and windows; a table and a JSON file.

    compare.py DAQ_BENCH PYTHON OUT.json [--shape smollm2|demo] [--rounds N] [--windows N]

PYTHON has torch, transformers, llama-cpp-python and gguf (scripts/bench-peers.sh makes such an environment). The
model has the named shape and random float32 weights. All three must give the same mean loss, else nothing is
timed. daq-bench's seconds are of its whole evaluation, reading the weights included; the others have loaded theirs.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
SHAPES = {
    "smollm2": ["--layers", "30", "--hidden", "576", "--intermediate", "1536", "--heads", "9", "--kv-heads", "3",
                "--vocab", "49152", "--max-positions", "2048", "--tied"],
    "demo": ["--layers", "4", "--hidden", "256", "--intermediate", "768", "--heads", "8", "--kv-heads", "4",
             "--vocab", "2048", "--max-positions", "2048", "--tied"],
}
TOLERANCE = 2e-4  # nats; float32 in three orders of summation


def run(command: list) -> str:
    # Where a machine's environment limits the processor's kernels for the sake of other programs, these run without.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENBLAS_")}
    done = subprocess.run([str(part) for part in command], env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"compare: {' '.join(map(str, command))} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("daq_bench")
    parser.add_argument("python")
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--shape", choices=SHAPES, default="smollm2")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--windows", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        results = compare(arguments, pathlib.Path(folder))
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(results, indent=1) + "\n")


def compare(arguments: argparse.Namespace, folder: pathlib.Path) -> dict:
    model, windows, config = folder / "model", folder / "model/windows.json", folder / "speed.yaml"
    run([sys.executable, HERE.parents[1] / "tools/make_random_checkpoint.py", model, "--dtype", "float32",
         *SHAPES[arguments.shape], "--windows", arguments.windows, "--window-tokens", "2048"])
    run([arguments.python, HERE / "write_gguf.py", model, folder / "model.gguf"])
    config.write_text(f"model: {model}\nevaluate:\n  - {{protocol: ids, file: {windows}}}\nrecipes: [fp16]\n")
    tokens = arguments.windows * 2048

    def ours(threads: int) -> dict:
        # An empty folder each time: a finished cell would not be computed again.
        with tempfile.TemporaryDirectory() as results:
            run([arguments.daq_bench, config, "--threads", threads, "--results", results])
            cell = json.loads(run([arguments.daq_bench, "report", config, "--results", results, "--format", "json"]))[0]
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


def versions(python: str) -> dict:
    return json.loads(run([python, "-c", "import json, importlib.metadata as m; print(json.dumps({n: m.version(n) "
                                         "for n in ('torch', 'transformers', 'llama-cpp-python', 'gguf')}))"]))


if __name__ == "__main__":
    main()
