#!/usr/bin/env python3
"""Time of GPTQ, AWQ and DAQ on one decoder block: daq-bench against the authors' procedures in PyTorch.

    compare_authors.py DAQ_BENCH PYTHON OUT.json [--hidden N --intermediate N --heads N]

By default a block of LLaMA-7B's shape with random weights, one calibration window of 512 tokens. GPTQ and AWQ at
int4 in groups of 128, DAQ at nf4 by channel. PYTHON as in compare.py. daq-bench's seconds include its reports on
every layer, which the authors' procedures do not make; of GPTQ also down_proj alone is compared, without: with
gptq_bench, which lies beside DAQ_BENCH. --methods names those to run; what OUT.json tells of others stays.
"""
import argparse
import json
import pathlib

from common import HERE, first_cell, make_model, parser, record, run, versions

RECIPES = {"gptq": "{method: gptq, format: {codebook: int4, group: 128}, propagate: full_precision}",
           "awq": "{method: awq, format: {codebook: int4, group: 128}}", "daq": "{method: daq, format: nf4}"}


def main() -> None:
    options = parser()
    options.add_argument("--hidden", type=int, default=4096)
    options.add_argument("--intermediate", type=int, default=11008)
    options.add_argument("--heads", type=int, default=32)
    options.add_argument("--methods", nargs="+", choices=RECIPES, default=list(RECIPES))
    record(options.parse_args(), compare)


def compare(arguments: argparse.Namespace, folder: pathlib.Path) -> dict:
    model, windows, config = folder / "model", folder / "model/windows.json", folder / "speed.yaml"
    make_model(model, "--layers", 1, "--vocab", 2000, "--hidden", arguments.hidden, "--intermediate",
               arguments.intermediate, "--heads", arguments.heads, "--windows", 1, "--window-tokens", 512)
    known = json.loads(arguments.out.read_text())["methods"] if arguments.out.exists() else {}
    results = {"hidden": arguments.hidden, "intermediate": arguments.intermediate, "tokens": 512,
               "versions": versions(arguments.python),
               "methods": {name: known[name] for name in RECIPES if name in known and name not in arguments.methods}}
    print("| method | threads | authors' procedure, s | daq-bench, s | ratio |")
    print("|:---|---:|---:|---:|---:|")
    for method in arguments.methods:
        recipe = RECIPES[method]
        for threads in (1, 2):
            config.write_text(f"model: {model}\ncalibration: {{protocol: ids, file: {windows}, windows: 1}}\n"
                              f"evaluate:\n  - {{protocol: ids, file: {windows}}}\nrecipes: [{recipe}]\n")
            ours = first_cell(arguments.daq_bench, config, threads)["seconds"]["quantize"]
            theirs = json.loads(run([arguments.python, HERE / "authors_speed.py", model, windows, threads, method]))
            results["methods"].setdefault(method, {})[threads] = {"daq_bench": ours, "authors": theirs}
            print(f"| {method} | {threads} | {theirs['seconds']:.1f} | {ours:.2f} | {theirs['seconds'] / ours:.1f} |",
                  flush=True)
            if method == "gptq" and (arguments.hidden, arguments.intermediate) == (4096, 11008):
                alone = down_proj_seconds(arguments.daq_bench, threads)
                results["methods"][method][threads]["down_proj"] = alone
                authors = theirs["layers"]["mlp.down_proj"]
                print(f"| gptq, down_proj | {threads} | {authors:.1f} | {alone:.2f} | {authors / alone:.1f} |", flush=True)
    return results


def down_proj_seconds(daq_bench: str, threads: int) -> float:
    output = run([pathlib.Path(daq_bench).parent / "gptq_bench", f"--benchmark_filter=BM_DownProj/{threads}/",
                  "--benchmark_repetitions=3", "--benchmark_format=json"])
    runs = json.loads(output)["benchmarks"]
    return next(run["real_time"] / 1000 for run in runs if run.get("aggregate_name") == "median")


if __name__ == "__main__":
    main()
