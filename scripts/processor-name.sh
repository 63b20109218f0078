#!/usr/bin/env bash
# Prints this machine's processor as a file name: "amd-epyc-avx512". Benchmarks keep their results under it. The widest vectors are part of
# it, because clouds give processors of several generations one name.
set -euo pipefail
name=$(lscpu | sed -n 's/^Model name: *//p' | head -1 | tr '[:upper:] ' '[:lower:]-' | tr -cd 'a-z0-9-')
for vectors in avx512f avx2; do
  if grep -qw "$vectors" /proc/cpuinfo; then
    echo "$name-${vectors%f}"
    exit
  fi
done
echo "$name"
