#!/usr/bin/env bash
# Makes a Python environment with the programs that the golden values come from. Test-only: neither daq-bench nor
# its tests need it, only whoever makes the goldens anew.
#
#   tests/golden/perplexity/install_oracle.sh VENV
#
# On Linux PyPI's torch brings several GB of CUDA libraries, which stay unused: everything runs on the CPU.
set -euo pipefail

if [[ $# -ne 1 ]]; then
  echo "usage: $0 VENV" >&2
  exit 2
fi
venv=$1

[[ -x $venv/bin/python ]] || python3 -m venv "$venv"
"$venv/bin/pip" install --quiet torch==2.15.0 transformers==5.23.0 sentencepiece==0.2.3 safetensors==0.8.0 numpy==2.4.6
"$venv/bin/python" -c 'import torch, transformers; print("torch", torch.__version__, "transformers", transformers.__version__)'
