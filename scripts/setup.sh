#!/usr/bin/env bash
# Makes .venv and installs the project in it, editable, with the pinned requirements.
# Does nothing where that was done and neither the requirements nor the settings changed since.
# PYTHON names the interpreter to take; without it, the first of 3.11 or newer on the path.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

is_new_enough() {
  "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

find_python() {
  local name
  for name in ${PYTHON:+"$PYTHON"} python3.11 python3 python; do
    if is_new_enough "$name"; then
      echo "$name"
      return
    fi
    if [ "$name" = "${PYTHON:-}" ]; then
      echo "setup: PYTHON=$PYTHON is not Python 3.11 or newer" >&2
      return 1
    fi
  done
  echo "setup: no Python 3.11 or newer found; install it, or set PYTHON to its path" >&2
  return 1
}

runs() {
  .venv/bin/python -c '' >/dev/null 2>&1
}

# A virtual environment holds its own path, so one that was moved is made anew.
stamp=.venv/compositional-stamp
place=$PWD
contents=$(cat requirements.txt setup.cfg pyproject.toml | cksum)
if runs && [ "$(cat "$stamp" 2>/dev/null)" = "$place"$'\n'"$contents" ]; then
  exit 0
fi

if ! runs || { [ -f "$stamp" ] && [ "$(head -n 1 "$stamp")" != "$place" ]; }; then
  python=$(find_python)
  if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
    echo "setup: $python has no venv module; install it (on Debian: python3-venv)" >&2
    exit 1
  fi
  if [ -L .venv ]; then
    echo "setup: .venv is a link to an environment of another folder: remove the link first" >&2
    exit 1
  fi
  echo "setup: making .venv with $("$python" --version)"
  rm -rf .venv
  "$python" -m venv .venv
elif ! is_new_enough .venv/bin/python; then
  echo "setup: .venv holds a Python older than 3.11; remove it, and run this again" >&2
  exit 1
fi
echo "setup: installing requirements.txt into .venv (once; some minutes)"
quiet=--quiet
if [ -t 1 ]; then quiet=; fi
printf '%s\nnot finished\n' "$place" >"$stamp"
.venv/bin/python -m pip install --disable-pip-version-check $quiet -r requirements.txt --editable .
printf '%s\n%s\n' "$place" "$contents" >"$stamp"
