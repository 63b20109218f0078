#!/usr/bin/env bash
# Runs configs/demo-study.yaml in one piece, again killed at random moments and resumed, and again as four tasks on a Slurm of
# two nodes on this machine; compares the tables byte by byte and writes the page of the report. Needs root, for Slurm.
#
#   scripts/study.sh FOLDER [CONFIG [study.py's options]]      FOLDER, new or empty, gets everything
set -euo pipefail

if [[ $# -lt 1 ]]; then
  echo "usage: $0 FOLDER [CONFIG [OPTION...]]" >&2
  exit 2
fi
folder=$(realpath "$1")
config=$(realpath "${2:-"$(dirname "${BASH_SOURCE[0]}")/../configs/demo-study.yaml"}")
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts/install.sh --test
cmake --preset release
cmake --build --preset release --target daq-bench
exec python3 tests/slurm/study.py build/release/daq-bench "$config" "$folder" "${@:3}"
