#!/usr/bin/env bash
# Measures daq-bench against what users would pick instead on this machine: its forward pass against Hugging Face
# transformers and llama.cpp on the same model and windows, GPTQ, AWQ and DAQ against their authors' procedures in
# PyTorch. Run it on an otherwise idle machine.
#
#   scripts/bench-peers.sh [VENV] [compare.py's options]
#
# VENV keeps the Python environment (several GB) for the next time; without it, it is made in a temporary folder and
# removed. Results go to results/bench/<processor>/peers.json and authors.json, and into results/bench/<processor>.json.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [[ ${1--} == -* ]]; then
  venv=$(mktemp -d)
  trap 'rm -rf "$venv"' EXIT
else
  venv=$1
  shift
fi

scripts/install.sh --bench
cmake --preset release
cmake --build --preset release --target daq-bench gptq_bench
[[ -x $venv/bin/python ]] || python3 -m venv "$venv"
echo "bench-peers: installing the peers into $venv"
"$venv/bin/pip" install --quiet torch==2.15.0 transformers==5.24.0 safetensors numpy gguf==0.19.0 llama-cpp-python==0.3.36
processor=$(scripts/processor-name.sh)
folder=results/bench/$processor
python3 tests/bench/peers/compare.py build/release/daq-bench "$venv/bin/python" "$folder/peers.json" "$@"
python3 tests/bench/peers/compare_authors.py build/release/daq-bench "$venv/bin/python" "$folder/authors.json"
python3 tests/bench/summary.py "$folder" "$folder.json" "$(git rev-parse --short HEAD)" docs/performance.md
