PYTHON ?= $(shell python3.11 -c "" 2>/dev/null && echo python3.11 || echo python3)
BIN := .venv/bin
INSTALLED := .venv/.installed
DOCUMENTING := .venv/.documenting

# How long to look for faults, and where from: make fuzz SECONDS=600
SECONDS ?= 3600
SEED ?= 0
FUZZ := .fuzz

# What users may install beside the package itself: all extras but those of who works on it.
EXTRAS = $(shell $(PYTHON) -c "import tomllib; print(','.join(sorted(tomllib.load(open('pyproject.toml', 'rb'))['project']['optional-dependencies'].keys() - {'dev', 'docs'})))")
RELEASE := build/release

.PHONY: setup demo test check lint notebooks docs browser release-check fuzz soak bench bench-all bench-peers bench-zoo

setup: $(INSTALLED) ; @:

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --constraint constraints.txt --editable '.[dev]' >.venv/setup.log 2>&1 \
		|| { tail -n 40 .venv/setup.log >&2; exit 1; }
	@$(BIN)/python -m pip install --constraint constraints.txt --no-deps --ignore-requires-python lava-nc \
		>>.venv/setup.log 2>&1 || { tail -n 40 .venv/setup.log >&2; exit 1; }
	@rm -rf .venv/lib/python*/site-packages/tests # lava-nc installs its own tests, whose name hides ours
	@touch $@

demo: setup
	@$(BIN)/snnconv demo

# Two processes of one thread each: the tests are many small computations. Each gets neighbours, which share networks.
test: lint
	@COLUMNS=200 OMP_NUM_THREADS=1 $(BIN)/pytest -m "not tutorial" --numprocesses 2 --dist worksteal

# What CI runs.
check: test docs

lint: setup
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-cache >.venv/imports.log || { cat .venv/imports.log >&2; exit 1; }

# Execute the tutorials and save in them what they print and draw.
notebooks: setup
	@$(BIN)/python -m tests.notebooks

# Every tutorial runs; then the site, in docs/_build: a link that leads nowhere or a name without documentation is an error.
docs: $(DOCUMENTING)
	@COLUMNS=200 OMP_NUM_THREADS=1 $(BIN)/pytest --quiet -m tutorial --numprocesses 2 tests/notebooks
	@$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going -c docs . docs/_build

# What the site is built with, once, and again where the versions change.
$(DOCUMENTING): $(INSTALLED)
	@$(BIN)/python -m pip install --constraint constraints.txt --editable '.[docs]' >.venv/docs.log 2>&1 \
		|| { tail -n 40 .venv/docs.log >&2; exit 1; }
	@touch $@

# The wheel as a user gets it, alone and with all extras, in environments of its own. It takes the network, and minutes.
release-check:
	@rm -rf $(RELEASE) && mkdir -p $(RELEASE)
	@$(PYTHON) -m pip wheel --quiet --no-deps --wheel-dir $(RELEASE) .
	@cd $(RELEASE) && for extras in "" "[$(EXTRAS)]"; do \
		form=$${extras:+full}; form=$${form:-minimal}; echo "== $$form =="; \
		$(PYTHON) -m venv $$form && $$form/bin/python -m pip install --quiet "$$(ls $$PWD/*.whl)$$extras" \
			&& $$form/bin/snnconv doctor && $$form/bin/snnconv demo --steps 16 || exit 1; \
	done

# A browser for the tests of HTML reports, from the system's packages where these can be had; without it they are skipped.
browser:
	@{ command -v chromium || command -v chromium-browser || command -v google-chrome; } >/dev/null \
		|| apt-get install --yes --no-install-recommends chromium >/dev/null 2>&1 \
		|| echo "no browser: install Chromium, or the tests of HTML reports in a browser are skipped"

# A third of the time each, whatever the others found.
fuzz: setup
	@found=0; for kind in networks files kills; do \
		OMP_NUM_THREADS=1 $(BIN)/python -m tests.fuzz $$kind --seconds $$(($(SECONDS) / 3)) --seed $(SEED) \
			--results $(FUZZ)/$$kind.json || found=1; \
	done; exit $$found

soak: SECONDS := 7200
soak: setup
	@OMP_NUM_THREADS=1 $(BIN)/python -m tests.fuzz soak --seconds $(SECONDS) --seed $(SEED) --results $(FUZZ)/soak.json

# The speed of simulators beside the libraries of others: two tables and a picture, on a machine that does nothing else.
bench: setup
	@$(BIN)/python -m benchmarks speed

# All tables, which takes hours.
bench-all: setup
	@$(BIN)/python -m benchmarks

# The libraries that the benchmarks compare with; without them benchmarks leave their rows out.
bench-peers: setup
	@$(BIN)/python -m pip install --quiet --no-deps --requirement benchmarks/requirements-peers.txt

# The libraries whose models are converted by the zoo; without them its rows are left out.
bench-zoo: setup
	@$(BIN)/python -m pip install --quiet --no-deps --requirement benchmarks/requirements-zoo.txt
