#!/usr/bin/env bash
# The main job, end to end: sets up, fetches the default model and data, runs every method of
# experiments/quickstart.yaml and leaves results/quickstart/report.html. Finished runs are kept:
# a second call shows them, and a call after an interruption goes on where it stopped.
# Arguments go to `compositional run`, for example: bash scripts/quickstart.sh --experiment again
# Variables: WORKERS (2), runs side by side; each takes up to 4 GiB.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bash scripts/setup.sh
exec .venv/bin/python -m compositional run experiments/quickstart.yaml --resume \
  --workers "${WORKERS:-2}" "$@"
