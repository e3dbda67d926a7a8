#!/usr/bin/env bash
# Formats the code, and mends what the linter can mend.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bash scripts/setup.sh
.venv/bin/ruff check --fix .
.venv/bin/ruff format .
