#!/usr/bin/env python3
"""The figures of one processor's folder as one JSON object, and the tables of docs/performance.md.

    summary.py FOLDER OUT.json COMMIT [PERFORMANCE.md]

FOLDER (results/bench/<processor>) has forward.json, daq.json and gptq.json of Google Benchmark, program.json
(program/measure.py), peers.json and authors.json (peers/); what is not there is left out. `how` says for each figure
what was measured and in which file its parts are. Tables go between the two marks in PERFORMANCE.md.
"""
import datetime
import json
import pathlib
import statistics
import sys

# The dense search's products are counted at the rate of the machine that the search's aims are stated for.
DENSE_RATE = 90e9
SHAPES = {"forward_share_7b": 0, "forward_share_smollm2": 1, "forward_share_demo": 2}
SEARCHES = {"576": "576/0", "1536": "1536/0", "4096": "4096/0", "group128": "4096/128"}


def benchmarks(file: pathlib.Path, counter: str) -> dict[str, float]:
    """Name without options -> the median of this counter over repetitions."""
    values: dict[str, list[float]] = {}
    for run in json.loads(file.read_text())["benchmarks"]:
        if run.get("run_type") == "iteration" and counter in run:
            values.setdefault(run["run_name"].removesuffix("/real_time"), []).append(run[counter])
    return {name: statistics.median(each) for name, each in values.items()}


def summary(folder: pathlib.Path) -> tuple[dict, dict]:
    figures, how = {}, {}

    def add(name: str, value: float, text: str) -> None:
        figures[name] = round(value, 3)
        how[name] = text

    if (file := folder / "forward.json").exists():
        rate = benchmarks(file, "rate")
        for name, shape in SHAPES.items():
            for threads in (1, 2):
                add(f"{name}{'' if threads == 1 else '_2_threads'}",
                    rate[f"BM_Block/{shape}/{threads}"] / rate[f"BM_Products/{shape}/{threads}"],
                    f"forward.json: operations a second of a decoder block over those of OpenBLAS's sgemm, "
                    f"{threads} thread{'s' * (threads > 1)}")
        add("sgemm_gflops", rate["BM_Products/0/1"] / 1e9, "forward.json: OpenBLAS's sgemm at a 7B block's shapes, 1 thread")
    if (file := folder / "daq.json").exists():
        group, dense = benchmarks(file, "seconds_per_group"), benchmarks(file, "dense_seconds_per_group")
        for name, shape in SEARCHES.items():
            length = int(shape.split("/")[1]) or int(shape.split("/")[0])
            seconds = group[f"BM_Search/{shape}"]
            add(f"daq_speedup_{name}", 6000 * 2 * 512 * length / DENSE_RATE / seconds,
                "daq.json: 6000 dense evaluations at 90 GFLOP/s, the rate for which the aim is stated, over one search")
            add(f"daq_speedup_{name}_here", dense[f"BM_DenseEvaluation/{shape}"] / seconds,
                "daq.json: 6000 dense evaluations at this machine's own rate of products over one search")
    if (file := folder / "peers.json").exists():
        peers = json.loads(file.read_text())
        for peer, name in (("transformers", "vs_transformers"), ("llama.cpp", "vs_llamacpp")):
            for threads in ("1", "2"):
                median = peers["threads"][threads]["median"]
                add(f"{name}{'' if threads == '1' else '_2_threads'}", median["daq-bench"] / median[peer],
                    f"peers.json: tokens a second, ours over theirs, {peers['shape']}'s shape, float32, {threads} threads")
    if (file := folder / "authors.json").exists():
        for method, runs in json.loads(file.read_text())["methods"].items():
            for threads in ("1", "2"):
                name = f"_vs_authors{'' if threads == '1' else '_2_threads'}"
                seconds = runs[threads]["authors"]["seconds"]
                of = f"seconds of the authors' procedure in PyTorch over ours, {threads} thread{'s' * (threads > '1')}"
                alone = runs[threads].get("down_proj")
                if alone:
                    add(f"{method}{name}", runs[threads]["authors"]["layers"]["mlp.down_proj"] / alone,
                        f"authors.json: {of}, a 4096 x 11008 layer")
                add(f"{method}{'_block' if alone else ''}{name}", seconds / runs[threads]["daq_bench"],
                    f"authors.json: {of}, a 7B-shaped block, ours with reports on its layers")
    if (file := folder / "program.json").exists():
        program = json.loads(file.read_text())
        add("twelve_recipes_ratio", program["twelve_recipes"]["ratio"],
            "program.json: quantising with 12 recipes in one run over 12 runs")
        add("calibration_sizes_ratio", program["calibration_sizes"]["ratio"],
            "program.json: shared work of 8 calibration sizes in one run over that of the largest")
        add("thread_speedup_2", program["growth"]["thread_speedup_2"], "program.json: an evaluation's seconds at 1 over 2 threads")
        add("plan_70b_seconds", program["large_plan"]["seconds"],
            f"program.json: plan of {program['large_plan']['cells']} cells of a 70B model, its hash known")
    return figures, how


def table(titles: list[str], rows: list[list]) -> str:
    lines = [titles, [":---"] + ["---:"] * (len(titles) - 1), *rows]
    return "".join("| " + " | ".join(map(str, line)) + " |\n" for line in lines)


def tables(folder: pathlib.Path, figures: dict) -> str:
    text = ""
    if (file := folder / "forward.json").exists():
        rate = benchmarks(file, "rate")
        rows = [[name, threads, *(f"{rate[f'BM_{part}/{shape}/{threads}'] / 1e9:.0f}" for part in
                                  ("Products", "Block", "HeadProduct", "Head")),
                 *(f"{rate[f'BM_{part}/{shape}/{threads}'] / rate[f'BM_{base}/{shape}/{threads}']:.2f}" for part, base in
                   (("Block", "Products"), ("Head", "HeadProduct")))]
                for shape, name in enumerate(("LLaMA-7B, 1 x 2048 tokens", "SmolLM2-135M, 2 x 2048", "demo, 16 x 512"))
                for threads in (1, 2)]
        text += "### Forward pass, GFLOP/s\n\n" + table(
            ["shape", "threads", "sgemm", "block", "sgemm of logits", "logits", "block's share", "logits' share"], rows) + "\n"
    if (file := folder / "peers.json").exists():
        peers = json.loads(file.read_text())
        rows = [[name, threads, f"{median:.0f}", "" if name == "daq-bench" else
                 f"{peers['threads'][threads]['median']['daq-bench'] / median:.2f}"]
                for threads in ("1", "2") for name, median in peers["threads"][threads]["median"].items()]
        versions = ", ".join(f"{name} {version}" for name, version in peers["versions"].items())
        text += (f"### Against transformers and llama.cpp\n\nSmolLM2-135M's shape, float32, {peers['tokens']} tokens in windows "
                 f"of 2048, median of rounds in turn; {versions}.\n\n"
                 + table(["program", "threads", "tokens a second", "daq-bench over it"], rows) + "\n")
    if (file := folder / "authors.json").exists():
        authors = json.loads(file.read_text())["methods"]
        row = lambda name, threads, theirs, ours: [name, threads, f"{theirs:.0f}", f"{ours:.1f}", f"{theirs / ours:.1f}"]
        rows = [row(method, threads, run["authors"]["seconds"], run["daq_bench"])
                for method, runs in authors.items() for threads, run in runs.items()]
        rows += [row("gptq, down_proj alone", threads, run["authors"]["layers"]["mlp.down_proj"], run["down_proj"])
                 for threads, run in authors["gptq"].items() if "down_proj" in run]
        text += "### A 7B-shaped block, 512 tokens: against the authors' procedures\n\n" + table(
            ["method", "threads", "authors' procedure, s", "daq-bench, s", "ratio"], rows) + "\n"
        layers = authors["daq"]["1"]["authors"]["layers"]
        text += "DAQ's procedure, seconds of each layer, one thread: " + ", ".join(
            f"{name.split('.')[1]} {seconds:.0f}" for name, seconds in layers.items()) + ".\n\n"
    if (file := folder / "daq.json").exists():
        group, dense = benchmarks(file, "seconds_per_group"), benchmarks(file, "dense_seconds_per_group")
        rows = [[name, f"{1e3 * dense[f'BM_DenseEvaluation/{shape}']:.1f}", f"{1e3 * group[f'BM_Search/{shape}']:.2f}",
                 f"{figures[f'daq_speedup_{name}_here']:.0f}", f"{figures[f'daq_speedup_{name}']:.0f}",
                 f"{1e3 * group[f'BM_Plus/{shape}']:.1f}"] for name, shape in SEARCHES.items()]
        text += "### DAQ's search, ms a channel or group, one thread\n\n" + table(
            ["inputs", "dense, here", "search", "ratio", "ratio to 90 GFLOP/s", "`daq_plus`"], rows) + "\n"
    if (file := folder / "program.json").exists():
        program = json.loads(file.read_text())
        rows = [[name, point["size"], f"{point['seconds']:.2f}", f"{point['peak_bytes'] / 2**20:.0f}"]
                for name, points in program["growth"].items() if isinstance(points, list) for point in points]
        text += "### Growth\n\n" + table(["what grows", "size", "seconds", "peak MiB"], rows) + "\n"
        rows = [[run["name"].replace("|", "/"), f"{run['planned_seconds']:.0f}", f"{run['seconds']:.1f}",
                 f"{run['planned_bytes'] / 2**20:.0f}", f"{run['peak_bytes'] / 2**20:.0f}"] for run in program["forecasts"]]
        text += "### What `plan` says and what a run takes\n\n" + table(
            ["run", "planned s", "took s", "planned MiB", "peak MiB"], rows) + "\n"
    return text


BEGIN, END = "<!-- Written by scripts/bench.sh: -->\n", "<!-- Written by hand: -->\n"


def main() -> None:
    folder, out, commit = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
    figures, how = summary(folder)
    processor = next(line.split(": ")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name"))
    out.write_text(json.dumps({"cpu": processor, "date": datetime.date.today().isoformat(), "commit": commit,
                               **figures, "how": how}, indent=1) + "\n")
    for name, value in figures.items():
        print(f"{name:32} {value}")
    if len(sys.argv) > 4:
        page = pathlib.Path(sys.argv[4])
        before, rest = page.read_text().split(BEGIN)
        after = rest.split(END)[1]
        page.write_text(before + BEGIN + "\n" + tables(folder, figures) + END + after)


main()
