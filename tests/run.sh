#!/bin/bash
# Runs everything: lint, types, then all tests. Fails, never skips, where something cannot run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

.venv/bin/ruff check .
.venv/bin/ruff format --check .
.venv/bin/mypy
clang-format --dry-run --Werror bpf/*.c bpf/*.h
# Two providers are named, none of which a machine that tests has.
(unset HOME_DIR; VAGRANT_HOME=$(mktemp -d) vagrant validate --ignore-provider)

# The part that needs no lab first: it fails fast. It is work for CPUs, so it is given two.
.venv/bin/python -m pytest -q -n 2 --dist worksteal -m "not live and not timed" "$@"
# These wait more than they work, and what they measure is the machine's: one at a time.
.venv/bin/python -m pytest -q -m "live or timed" "$@"
