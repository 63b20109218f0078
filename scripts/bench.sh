#!/usr/bin/env bash
# Builds and runs the benchmarks of tests/bench on an otherwise idle machine.
#
#   scripts/bench.sh [NAME...]     names of tests/bench/NAME_bench.cc, or program (whole runs); all of them by default
#
# Results go to results/bench/<processor>/<name>.json; results/bench/<processor>.json sums them up, together with those
# of scripts/bench-peers.sh. docs/performance.md says how to read them. Settings of OpenBLAS in the environment are
# left out: it then uses the kernels that it has for this processor.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

names=("$@")
if [[ ${#names[@]} -eq 0 ]]; then
  for source in tests/bench/*_bench.cc; do
    names+=("$(basename "$source" _bench.cc)")
  done
  names+=(program)
fi
targets=(daq-bench)
for name in "${names[@]}"; do
  [[ $name == program ]] && continue
  if [[ ! -e tests/bench/${name}_bench.cc ]]; then
    echo "bench: expected names of tests/bench/*_bench.cc or program, found \"$name\"" >&2
    exit 2
  fi
  targets+=("${name}_bench")
done

scripts/install.sh --bench
cmake --preset release
cmake --build --preset release --target "${targets[@]}"
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE
processor=$(scripts/processor-name.sh)
folder=results/bench/$processor
mkdir -p "$folder"
for name in "${names[@]}"; do
  echo "bench: $name"
  if [[ $name == program ]]; then
    python3 tests/bench/program/measure.py build/release/daq-bench "$folder/program.json"
    python3 tests/bench/program/plot_growth.py "$folder/program.json" "$folder/growth.svg"
  else
    "build/release/${name}_bench" --benchmark_min_time=0.5 --benchmark_repetitions=3 \
      --benchmark_enable_random_interleaving=true --benchmark_out="$folder/$name.json" \
      --benchmark_out_format=json
  fi
done
python3 tests/bench/summary.py "$folder" "$folder.json" "$(git rev-parse --short HEAD)" docs/performance.md
echo "bench: results in $folder and $folder.json"
