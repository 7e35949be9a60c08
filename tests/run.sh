#!/bin/bash
# Runs everything: lint, types, spelling, then all tests. Fails, never skips, where something cannot run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

.venv/bin/ruff check .
.venv/bin/ruff format --check .
.venv/bin/mypy
.venv/bin/codespell
find bpf bench lab tests -name '*.[ch]' -not -path '*/node_modules/*' -print0 |
    xargs -0 clang-format --dry-run --Werror
# Two providers are named, none of which a machine that tests has.
(unset HOME_DIR; VAGRANT_HOME=$(mktemp -d) vagrant validate --ignore-provider)

# Half of these are work for CPUs, the other half wait for the kernel to place probes and remove them:
# three at a time keep two CPUs busy.
.venv/bin/python -m pytest -q -n 3 --dist worksteal "$@"
