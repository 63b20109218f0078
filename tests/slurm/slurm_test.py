#!/usr/bin/env python3
"""Runs an experiment through `daq-bench slurm` on a real Slurm: every table must be that of a run in one piece.

    slurm_test.py DAQ_BENCH CONFIG [CASE...]

Skips, with exit code 77, where there is no Slurm. The cases: an undisturbed run; a node lost in the middle; a task requeued
by hand and one stopped by its time limit; resubmitting, with nothing left to do or with little.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

import one_machine_slurm

TASKS = 4


class Case:
    def __init__(self, slurm, program: str, config: pathlib.Path, results: pathlib.Path):
        self.slurm = slurm
        self.program = program
        self.config = config
        self.results = results
        self.folder = results / config.stem

    def daq_bench(self, *arguments: str) -> str:
        run = subprocess.run([self.program, *arguments, "--results", str(self.results)], env=self.slurm.environment, capture_output=True,
                             text=True)
        if run.returncode != 0:
            raise RuntimeError(f"daq-bench {' '.join(arguments)}: exit code {run.returncode}\n{run.stdout}{run.stderr}")
        return run.stdout

    def submit(self) -> dict[str, str]:
        """Job ids by the stage's name."""
        text = self.daq_bench("slurm", str(self.config), "--tasks", str(TASKS), "--threads", "1", "--memory-budget", "2GiB", "--submit")
        return dict(re.findall(r"^(\w+): job (\d+)$", text, re.MULTILINE))

    def states(self) -> list[tuple[str, str, str]]:
        """Name (such as 12_3), state and node of every job that is still queued or running."""
        lines = self.slurm.output("squeue", "--noheader", "--array", "--format=%i|%T|%N").splitlines()
        return [tuple(line.split("|")) for line in lines]

    def running(self) -> list[str]:
        return [job for job, state, _ in self.states() if state == "RUNNING"]

    def wait_for_running(self) -> list[str]:
        self.slurm.wait_for(self.running, 60, "running task")
        time.sleep(0.5)  # into its work
        return self.running()

    def wait(self, seconds: float = 240) -> None:
        """Until no job is left. Slurm keeps a requeued one back for two minutes; here, for two seconds.

        Not shorter: what starts in the second in which its former run's credential was revoked is refused ("Job credential
        revoked") and fails.
        """
        kept_back = {}

        def is_empty() -> bool:
            nonlocal kept_back
            lines = self.slurm.output("squeue", "--noheader", "--array", "--format=%i|%r").splitlines()
            jobs = [job for job, reason in (line.split("|") for line in lines) if reason == "BeginTime"]
            now = time.monotonic()
            kept_back = {job: kept_back.get(job, now) for job in jobs}
            for job in [job for job, since in kept_back.items() if now - since > 2]:
                subprocess.run(["scontrol", "update", f"JobId={job}", "StartTime=now"], env=self.slurm.environment, capture_output=True)
                del kept_back[job]
            return not lines

        self.slurm.wait_for(is_empty, seconds, "empty queue")

    def table(self) -> str:
        return self.daq_bench("report", str(self.config))

    def logs(self) -> str:
        files = [*sorted((self.folder / "slurm").glob("*.log")), self.slurm.folder / "slurmctld.log"]
        return "".join(f"== {file.name}\n{file.read_text()}" for file in files)

    def check(self, expected: str) -> None:
        table = self.table()
        if table != expected:
            sys.exit(f"{self.results.name}: another table\n{table}\nexpected\n{expected}\n{self.logs()}")
        work = self.folder / "work"
        if work.exists() and any(work.iterdir()):
            sys.exit(f"{self.results.name}: left behind: {sorted(work.iterdir())}")
        print(f"{self.results.name}: the same table", flush=True)


def undisturbed(case: Case) -> None:
    jobs = case.submit()
    assert set(jobs) == {"quantize", "evaluate", "report"}, jobs
    case.wait()
    page = case.folder / "report.html"
    if not page.exists() or not page.read_text().startswith("<!DOCTYPE html>"):
        sys.exit(f"no page of the report\n{case.logs()}")
    jobs = case.submit()  # again: only the report
    assert set(jobs) == {"report"}, jobs
    case.wait()
    missing_cell(case)


def missing_cell(case: Case) -> None:
    """Resubmitted with one cell lost: the arrays have the tasks with work on it, and no others."""
    cells = [(json.loads(file.read_text()), file) for file in (case.folder / "cells").glob("*.json")]
    [lost] = [file for cell, file in cells if cell["method"] == "daq"]
    lost.unlink()
    jobs = case.submit()
    assert set(jobs) == {"quantize", "evaluate", "report"}, jobs
    arrays = {name: re.search(r"--array=(.*)", (case.folder / "slurm" / f"{name}.sh").read_text())[1] for name in ("quantize", "evaluate")}
    # An arm is one task's to quantise; the windows of the last of five arms are the last task's.
    if not re.fullmatch("[1-4]", arrays["quantize"]) or arrays["evaluate"] != "4":
        sys.exit(f"other tasks than those of the last recipe: {arrays}")
    case.wait()


def lost_node(case: Case) -> None:
    case.submit()
    case.slurm.wait_for(lambda: any(node == "n2" and state == "RUNNING" for _, state, node in case.states()), 60, "task on n2")
    time.sleep(0.5)
    case.slurm.lose_node("n2")
    # Once the controller has missed it, its task is queued again, for n1.
    case.slurm.wait_for(lambda: not any(node == "n2" for _, _, node in case.states()), 90, "notice of the lost node")
    case.wait()
    case.slurm.start_node("n2")


def requeued(case: Case) -> None:
    case.submit()
    case.slurm.output("scontrol", "requeue", case.wait_for_running()[0])
    case.wait()


def stopped_by_limit(case: Case) -> None:
    """Slurm's signal before the limit, sent by hand, because limits are whole minutes.

    With a scontrol that is slow to end: what queues a task again is itself among what Slurm then ends.
    """
    slow = pathlib.Path(case.slurm.folder, "slow")
    slow.mkdir()
    (slow / "scontrol").write_text(f'#!/bin/sh\n{shutil.which("scontrol")} "$@" && sleep 1\n')
    (slow / "scontrol").chmod(0o755)
    with case.slurm.first_in_path(slow):
        case.submit()
    for job in case.wait_for_running():
        subprocess.run(["scancel", "--batch", "--signal=USR1", job], env=case.slurm.environment, check=True)
    case.wait()
    logs = case.logs()
    if "queueing again" not in logs or "Terminated" in logs:
        sys.exit(f"no task was stopped and queued again by itself\n{logs}")


CASES = (undisturbed, requeued, stopped_by_limit, lost_node)


def main() -> None:
    reason = one_machine_slurm.missing()
    if reason:
        print(f"skipped: {reason}")
        sys.exit(77)
    program, config = os.path.abspath(sys.argv[1]), pathlib.Path(sys.argv[2]).resolve()
    cases = [case for case in CASES if case.__name__ in sys.argv[3:] or len(sys.argv) == 3]
    with tempfile.TemporaryDirectory(prefix="daq-slurm-", ignore_cleanup_errors=True) as name:
        scratch = pathlib.Path(name)
        slurm = one_machine_slurm.Slurm(scratch / "slurm")
        try:
            try:
                slurm.start()
            except (subprocess.CalledProcessError, TimeoutError) as error:
                print(f"skipped: Slurm does not start here: {error}")
                sys.exit(77)
            alone = Case(slurm, program, config, scratch / "one piece")
            alone.daq_bench("run", str(config), "--quiet")
            expected = alone.table()
            for run in cases:
                case = Case(slurm, program, config, scratch / f"{run.__name__}, 100%j")
                run(case)
                case.check(expected)
        finally:
            slurm.stop()


if __name__ == "__main__":
    main()
