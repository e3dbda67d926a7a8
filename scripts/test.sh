#!/usr/bin/env bash
# Sets up, then checks format, lint and types and runs the tests: all of them, whichever fails.
# Arguments go to pytest, for example: bash scripts/test.sh tests/models -k chat
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bash scripts/setup.sh
# Kernels for GPUs are checked in Triton's interpreter.
.venv/bin/python -m pip install --disable-pip-version-check --quiet -r requirements-gpu.txt

status=0
check() {
  echo "== $*"
  "$@" || status=1
}
check .venv/bin/ruff format --check .
check .venv/bin/ruff check .
check .venv/bin/mypy
# The tests' models are tiny: one thread a process, two processes, is the fastest on two cores.
export OMP_NUM_THREADS=1
check .venv/bin/python -m pytest -n 2 "$@"
exit "$status"
