"""Writes results/published.csv, tidy, from the notes of ../shared/reference/published.csv.

    python3 tests/tools/make_published.py ../shared/reference/published.csv results/published.csv

A row gets a protocol only where its source says, or its full-precision number shows, that it is this project's; all others keep their note and
are never set beside a measured number.
"""

import csv
import re
import sys

COLUMNS = ["model", "method", "format", "granularity", "calibration", "protocol", "metric", "value", "source", "table", "note"]

# Notes of sources that evaluate as gptq-wikitext2 (and, where it is named, gptq-c4) does.
GPTQ_FAMILY = [
    "ctx 2048 non-overlapping windows, GPTQ eval code",
    "ctx 2048 non-overlapping windows; llm-awq awq/entry.py copies GPTQ llama.py eval but upcasts logits to float",
    "ctx 2048, implementation based on the OPTQ (GPTQ) repo; C4 variant not stated, FP16 LLaMA-7B C4 7.08 = GPTQ c4 (old) eval",
    "ctx 2048; equal-model-size comparison; GPTQ/AWQ re-run by the SqueezeLLM authors",
    "llama.py llama_eval, seqlen 2048",
    "FP16 baselines equal the GPTQ-eval family",
    "ctx 2048 family (FP16 5.47)",
    "3-decimal alignment of re-implementations with the original code - the strictest cross-tool reference found",
    "ctx 2048",
]


def protocol(row):
    note = row["protocol_note"]
    if row["metric"] == "word_perplexity":
        # The harness takes the model's whole context for a window unless told otherwise.
        return "lm-eval-wikitext" + {"LLaMA-2-7B": "@4096", "Mistral-7B-v0.1": "@32768"}[row["model"]]
    if row["metric"] != "perplexity":
        return ""
    if row["source(paper/repo)"].startswith("llama.cpp") and note.startswith("n_ctx 512") and "looks wrong" not in note:
        return "llamacpp-512" if "PR" not in row["source(paper/repo)"] else ""
    if note in GPTQ_FAMILY:
        return {"WikiText2": "gptq-wikitext2", "C4": "gptq-c4"}.get(row["dataset"], "")
    return ""


def code_format(row):
    text = row["format"]
    if text == "fp16":
        return "f16"
    match = re.match(r"int(?: \(([^)]*)\))?(?: .*)?$", text)
    if match and row["bits"].isdigit():
        return f"int{row['bits']}" + ("-sym" if match.group(1) == "sym" else "")
    return text.removeprefix("gguf ")


def granularity(row):
    size = row["group_size"]
    if size == "-":
        return "none"
    if size == "per-channel":
        return "channel"
    return f"group-{size}" if size.isdigit() else size


def method(row):
    """As this project names it, where it has it: GPTQ's own rows are of other variants than papers' usual ones."""
    own = {"RTN": "rtn", "GPTQ": "gptq", "AWQ": "awq", "FP16": "fp16"}.get(row["method"], row["method"])
    if row["source(paper/repo)"].startswith("IST-DASLab/gptq"):
        if own == "gptq" and "--act-order" in row["calibration"] and row["model"].startswith("LLaMA"):
            return "gptq-act-order"
        return "rtn-gptq" if own == "rtn" else own
    return own


def table(row):
    """The place in the source: a table, a line, an issue; never where a copy of it was read."""
    named = re.search(r"Tables? (?:[A-Z]\.)?\d+(?:(?:, | and |/|-)\d+)*", row["source(paper/repo)"] + " " + row["where"])
    if named:
        return named.group(0)
    return re.sub(r"\s*\(?stored[^)]*\)?", "", row["where"])


def source(row):
    text = re.sub(r",? Tables? .*$", "", row["source(paper/repo)"]).strip()
    return row["where"] if text in ("GitHub issue", "lm-evaluation-harness issues") else text


def main(notes, output):
    with open(notes, newline="") as file:
        rows = list(csv.DictReader(file))
    with open(output, "w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            note = row["protocol_note"]
            if "gguf" not in row["format"] and row["format"] not in ("fp16", "int"):
                note = "; ".join(filter(None, [note, f"format as printed: {row['bits']} bits, {row['format']}"]))
            writer.writerow({
                "model": row["model"],
                "method": method(row),
                "format": code_format(row),
                "granularity": granularity(row),
                "calibration": row["calibration"] if row["calibration"] not in ("-", "none") else "",
                "protocol": protocol(row),
                "metric": row["metric"],
                "value": row["value"],
                "source": source(row),
                "table": table(row),
                "note": note,
            })


if __name__ == "__main__":
    main(*sys.argv[1:])
