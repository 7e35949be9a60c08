# make run     profile the running Asterisk, or the lab's own, for 60 seconds
# make test    install what the tests need and run all of them (root)
# make check   lint, types, spelling and unit tests, in minutes
# make kernels try each feature on the kernels that users have, in qemu; writes docs/kernels.md (root)
# make bench   measure the tables of docs/overhead.md and docs/leaks.md (root, hours)

PYTHON := .venv/bin/python
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
DURATION ?= 60
C_SOURCES = $(shell find bpf bench lab tests -name '*.[ch]' -not -path '*/node_modules/*')

.PHONY: run test check format kernels bench clean

run:
	@$(SUDO) lab/provision.sh run
	@$(SUDO) $(PYTHON) -m lab.story --duration $(DURATION)

test:
	@$(SUDO) lab/provision.sh test
	@$(SUDO) tests/run.sh

check: .venv/provisioned-test
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/codespell
	clang-format --dry-run --Werror $(C_SOURCES)
	$(PYTHON) -m pytest -q -m "not root and not live and not browser" tests/unit tests/golden

format: .venv/provisioned-test
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .
	clang-format -i $(C_SOURCES)

kernels:
	@$(SUDO) lab/provision.sh test
	@$(SUDO) $(PYTHON) -m tests.kernels

bench:
	@$(SUDO) lab/provision.sh test
	@$(SUDO) $(PYTHON) -m bench all --markdown

.venv/provisioned-test:
	@$(SUDO) lab/provision.sh test

clean:
	$(SUDO) rm -rf .venv .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis
