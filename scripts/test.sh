#!/usr/bin/env bash
# Installs what is missing, builds and runs the tests.
#
#   scripts/test.sh [PRESET...]     presets of CMakePresets.json
#
# Without a preset: all of release, and under asan the tests of what reads other people's files (eval/), which is what
# fits into a quarter of an hour on two cores.
#
# release and debug run every test; asan and tsan the ones with the label `unit`, because the slow and golden ones
# take too long under a sanitizer; tidy builds only, since its checks are the build. Tests that need the project's
# shared texts and goldens are skipped, and say so, where those are absent. The fuzzers run under asan by scripts/fuzz.sh.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

presets=("$@")
asan_targets=()
if [[ ${#presets[@]} -eq 0 ]]; then
  presets=(release asan)
  asan_targets=(--target eval_test)
fi
for preset in "${presets[@]}"; do
  case "$preset" in
    release | debug | asan | tsan | tidy) ;;
    *)
      echo "test: expected presets of release, debug, asan, tsan, tidy, found \"$preset\"" >&2
      exit 2
      ;;
  esac
done

scripts/install.sh --test
if [[ " ${presets[*]} " == *" tidy "* ]] && ! command -v clang-tidy >/dev/null; then
  echo "test: preset tidy needs clang-tidy (Debian's package of that name)" >&2
  exit 1
fi
for preset in "${presets[@]}"; do
  echo "test: building preset $preset in build/$preset"
  cmake --preset "$preset"
  build=(cmake --build --preset "$preset")
  [[ $preset != asan ]] || build+=("${asan_targets[@]}")
  "${build[@]}"
  case "$preset" in
    release | debug) selection=() ;;
    asan | tsan) selection=(--label-regex '^unit$') ;;
    tidy) continue ;;
  esac
  echo "test: running preset $preset ${selection[*]}"
  # One more than there are processors: the tests of a cluster mostly wait for it.
  ctest --preset "$preset" --parallel $(($(nproc) + 1)) "${selection[@]}"
done
echo "test: all passed (${presets[*]})"
