#!/usr/bin/env bash
# Builds and runs the benchmarks of tests/bench on an otherwise idle machine.
#
#   scripts/bench.sh [NAME...]     daq, gptq, awq, encode, forward; all of them by default
#
# Results go to results/bench/<processor>/<name>.json, Google Benchmark's format; docs/performance.md says how to read
# them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

names=("$@")
if [[ ${#names[@]} -eq 0 ]]; then
  for source in tests/bench/*_bench.cc; do
    name=$(basename "$source" _bench.cc)
    names+=("$name")
  done
fi
for name in "${names[@]}"; do
  if [[ ! -e tests/bench/${name}_bench.cc ]]; then
    echo "bench: expected names of tests/bench/*_bench.cc, found \"$name\"" >&2
    exit 2
  fi
done

scripts/install.sh --test
cmake --preset release
cmake --build --preset release --target "${names[@]/%/_bench}"
processor=$(scripts/processor-name.sh)
folder=results/bench/$processor
mkdir -p "$folder"
for name in "${names[@]}"; do
  echo "bench: $name"
  "build/release/${name}_bench" --benchmark_min_time=0.5 --benchmark_out="$folder/$name.json" --benchmark_out_format=json
done
echo "bench: results in $folder"
