#!/usr/bin/env bash
# Installs what is missing, builds daq-bench and runs the demo: round to nearest, GPTQ, AWQ and DAQ against full precision
# on the small model in demo/. A second run prints the same table from the stored results.
#
#   scripts/demo.sh [ARGUMENT...]     the arguments go to daq-bench; paths in them are seen from the repository
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Everything but the table goes to standard error, so that the table can be piped.
{
  scripts/install.sh
  echo "demo: building build/release/daq-bench"
  cmake --preset release
  cmake --build --preset release --target daq-bench
  echo "demo: running build/release/daq-bench configs/demo.yaml $*"
} >&2
exec build/release/daq-bench configs/demo.yaml "$@"
