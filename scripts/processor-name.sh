#!/usr/bin/env bash
# Prints this machine's processor as a file name: "amd-epyc". Benchmarks keep their results under it.
set -euo pipefail
lscpu | sed -n 's/^Model name: *//p' | head -1 | tr '[:upper:] ' '[:lower:]-' | tr -cd 'a-z0-9-'
