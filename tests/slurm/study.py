#!/usr/bin/env python3
"""Runs a study three ways: in one piece; killed at random moments and resumed; as four tasks on a real Slurm. All must print the same.

    study.py DAQ_BENCH CONFIG FOLDER [--kills N] [--seed S]

FOLDER keeps the results of each way, one-piece's table (table.md) and page (report.html), and how.md: what was done and how long it
took. Ends with exit code 1 where tables differ, 2 where Slurm cannot run here.
"""

import argparse
import pathlib
import random
import subprocess
import sys
import tempfile
import time

import one_machine_slurm
import slurm_test


def run_with_kills(case: slurm_test.Case, kills: int, seconds: float, seed: int) -> None:
    """Kills runs at random moments before the work, which takes about so many `seconds`, is done, then lets one end."""
    moments = random.Random(seed)
    for _ in range(kills):
        command = [case.program, "run", str(case.config), "--quiet", "--save-seconds", "5", "--results", str(case.results)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            process.wait(moments.uniform(0, seconds / kills))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        else:
            sys.exit("the run ended before it was killed often enough: use a larger study, or fewer --kills")
    case.daq_bench("run", str(case.config), "--quiet")


def timed(what: str, work) -> float:
    print(f"study: {what}", flush=True)
    started = time.monotonic()
    work()
    return time.monotonic() - started


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("config", type=pathlib.Path)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--kills", type=int, default=6)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if reason := one_machine_slurm.missing():
        print(f"study: no Slurm here: {reason}", file=sys.stderr)
        sys.exit(2)
    folder = options.folder.resolve()
    if folder.exists() and any(folder.iterdir()):
        print(f"study: {folder} is not empty", file=sys.stderr)
        sys.exit(2)
    with tempfile.TemporaryDirectory(prefix="daq-slurm-", ignore_cleanup_errors=True) as scratch:
        slurm = one_machine_slurm.Slurm(pathlib.Path(scratch))

        def case(name: str) -> slurm_test.Case:
            return slurm_test.Case(slurm, str(options.program.resolve()), options.config.resolve(), folder / name)

        alone, killed, tasks = case("one-piece"), case("killed"), case("slurm")

        def run_tasks() -> None:
            tasks.submit()
            tasks.wait(seconds=7200)

        try:
            slurm.start()
            seconds = [timed("in one piece", lambda: alone.daq_bench("run", str(alone.config), "--quiet"))]
            table = alone.table()
            seconds.append(timed("killed and resumed",
                                 lambda: run_with_kills(killed, options.kills, seconds[0], options.seed)))
            killed.check(table)
            seconds.append(timed(f"as {slurm_test.TASKS} Slurm tasks on two nodes", run_tasks))
            tasks.check(table)
        finally:
            slurm.stop()
    (folder / "table.md").write_text(table)
    (folder / "report.html").write_text(alone.daq_bench("report", str(alone.config), "--format", "html"))
    (folder / "how.md").write_text(
        f"`{options.config.name}` by `scripts/study.sh`: in one piece ({seconds[0]:.0f} s), killed by `kill -9` {options.kills} times at "
        f"random moments and resumed ({seconds[1]:.0f} s), and as {slurm_test.TASKS} tasks on a Slurm of two nodes ({seconds[2]:.0f} s): the "
        f"same table, byte for byte.\n")
    print(f"study: three times the same table; {folder} has it, and the page")


if __name__ == "__main__":
    main()
