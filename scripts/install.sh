#!/usr/bin/env bash
# Installs the Debian packages that daq-bench needs and this machine lacks. Called by demo.sh and test.sh.
#
#   scripts/install.sh            what building and running need
#   scripts/install.sh --test     also what the tests need
#   scripts/install.sh --bench    also what the benchmarks need
#
# Does nothing, and needs no network, where nothing is missing. Uses sudo where it is not run by root. Never removes
# or replaces a package: apt-get stops instead.
set -euo pipefail

packages=(
  g++ cmake ninja-build pkg-config
  libeigen3-dev libopenblas-dev libsentencepiece-dev libyaml-cpp-dev libcli11-dev libfmt-dev nlohmann-json3-dev
  libcurl4-openssl-dev libssl-dev libzip-dev zlib1g-dev libzstd-dev libgtest-dev
)
# gnuplot draws the plots of report pages; Slurm and Chromium are for the tests of clusters and pages.
packages+=(gnuplot-nox)
test_packages=(libbenchmark-dev python3 slurm-wlm munge chromium poppler-utils)
bench_packages=(python3-venv)

case "${1-}" in
  "") ;;
  --test) packages+=("${test_packages[@]}") ;;
  --bench) packages+=("${test_packages[@]}" "${bench_packages[@]}") ;;
  *)
    echo "usage: $0 [--test | --bench]" >&2
    exit 2
    ;;
esac

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  echo "install: no apt-get here; not installing anything. Needed, by their Debian names: ${packages[*]}" >&2
  exit 0
fi

missing=()
for package in "${packages[@]}"; do
  status=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true)
  [[ $status == installed ]] || missing+=("$package")
done
if [[ ${#missing[@]} -eq 0 ]]; then
  echo "install: all ${#packages[@]} Debian packages are there"
  exit 0
fi

echo "install: missing Debian packages: ${missing[*]}"
as_root=()
if [[ $(id -u) -ne 0 ]]; then
  if ! command -v sudo >/dev/null; then
    echo "install: neither root nor sudo; as root, run: apt-get update && apt-get install ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi
"${as_root[@]}" apt-get update
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
  apt-get install --yes --no-install-recommends --no-remove "${missing[@]}"
echo "install: done"
