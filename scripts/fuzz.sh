#!/usr/bin/env bash
# Feeds every reader of outside files wrong ones, under the sanitizers of preset asan.
#
#   scripts/fuzz.sh [TARGET...]     all of `fuzz --list` without one
#
# FUZZ_EXECUTIONS (a million) and FUZZ_SEED (1) say how many inputs and which: the same seed gives the same ones. Prints a
# line for each target; at the first input that is not read or refused in order it stops, with that input in a file below
# build/asan. BUILD_JOBS (all processors) is for the build.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

cmake --preset asan >/dev/null
cmake --build --preset asan --target fuzz --parallel "${BUILD_JOBS:-$(nproc)}"
targets=("$@")
[[ ${#targets[@]} -gt 0 ]] || mapfile -t targets < <(build/asan/fuzz --list)
for target in "${targets[@]}"; do
  build/asan/fuzz "$target" --executions "${FUZZ_EXECUTIONS:-1000000}" --seed "${FUZZ_SEED:-1}" --failures build/asan
done
