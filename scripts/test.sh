#!/usr/bin/env bash
# Installs what is missing, builds and runs the tests.
#
#   scripts/test.sh [PRESET...]     presets of CMakePresets.json; default: release
#
# release and debug run every test; asan and tsan the ones with the label `unit`, because the slow and golden ones
# take too long under a sanitizer; tidy builds only, since its checks are the build. Tests that need the project's
# shared texts and goldens are skipped, and say so, where those are absent.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

presets=("$@")
[[ ${#presets[@]} -gt 0 ]] || presets=(release)
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
for preset in "${presets[@]}"; do
  echo "test: building preset $preset in build/$preset"
  cmake --preset "$preset"
  cmake --build --preset "$preset"
  case "$preset" in
    release | debug) selection=() ;;
    asan | tsan) selection=(--label-regex '^unit$') ;;
    tidy) continue ;;
  esac
  echo "test: running preset $preset ${selection[*]}"
  ctest --preset "$preset" --parallel "$(nproc)" "${selection[@]}"
done
echo "test: all passed (${presets[*]})"
