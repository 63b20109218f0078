"""What compare.py and compare_authors.py share: running programs, daq-bench's cells, the record."""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Callable

HERE = pathlib.Path(__file__).resolve().parent


def run(command: list) -> str:
    # Where a machine's environment limits the processor's kernels for the sake of other programs, these run without.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENBLAS_")}
    done = subprocess.run([str(part) for part in command], env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"compare: {' '.join(map(str, command))} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def first_cell(daq_bench: str, config: pathlib.Path, threads: int) -> dict:
    """Runs an experiment; the first cell of its report."""
    # An empty folder each time: a finished cell would not be computed again.
    with tempfile.TemporaryDirectory() as results:
        run([daq_bench, config, "--threads", threads, "--results", results])
        return json.loads(run([daq_bench, "report", config, "--results", results, "--format", "json"]))[0]


def make_model(model: pathlib.Path, *options) -> None:
    run([sys.executable, HERE.parents[1] / "tools/make_random_checkpoint.py", model, *options])


def versions(python: str) -> dict:
    return json.loads(run([python, "-c", "import json, importlib.metadata as m; print(json.dumps({n: m.version(n) "
                                         "for n in ('torch', 'transformers', 'llama-cpp-python', 'gguf')}))"]))


def parser() -> argparse.ArgumentParser:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("daq_bench")
    arguments.add_argument("python")
    arguments.add_argument("out", type=pathlib.Path)
    return arguments


def record(arguments: argparse.Namespace, compare: Callable[[argparse.Namespace, pathlib.Path], dict]) -> None:
    """Compares in a temporary folder and writes the results to arguments.out."""
    with tempfile.TemporaryDirectory() as folder:
        results = compare(arguments, pathlib.Path(folder))
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(results, indent=1) + "\n")
