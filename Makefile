# Two commands do all set-up: `make demo` runs the main job, `make test` the tests.
PYTHON ?= python3
BIN := .venv/bin
export HF_HUB_OFFLINE := 1
export HF_HUB_DISABLE_TELEMETRY := 1

.PHONY: env demo label test faults pythons check pictures matrix browser database ssh clock audit lock clean

env: .venv/.done

.venv/.done: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed; set PYTHON")'
	$(PYTHON) -m venv .venv || { sh scripts/install.sh python3-venv && $(PYTHON) -m venv .venv; }
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

demo: env
	$(BIN)/testimonia demo

label: env
	$(BIN)/testimonia label

browser:
	@command -v chromium >/dev/null || sh scripts/install.sh chromium fonts-noto-core

database:
	@ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || sh scripts/install.sh postgresql

ssh:
	@test -x /usr/sbin/sshd && command -v ssh >/dev/null && command -v openssl >/dev/null \
	  || sh scripts/install.sh openssh-server openssh-client openssl

clock:
	@command -v faketime >/dev/null || sh scripts/install.sh faketime

test: env browser database ssh
	$(BIN)/pytest -m "not faults"

# Commands and servers killed, answers lost, disks full: mounts small disks, so it wants root.
faults: env clock
	$(BIN)/pytest -m faults

# The pictures of the docs, from the screenshots that the tests in the browser make.
pictures: env browser
	$(BIN)/pytest -q -k "test_the_annotated_page or test_the_page_in_a_browser or test_a_curator_decides"
	cp build/screenshots/annotated.png docs/annotation-page.png
	cp build/screenshots/browse.png docs/browse.png
	cp build/screenshots/adjudication-ar-1-candidate.png docs/adjudication-page.png

# The tests that need neither server nor browser, on each later Python that this machine has (on the path or of pyenv).
pythons:
	@for version in 3.12 3.13; do \
	  python=$$(ls $$HOME/.pyenv/versions/$$version.*/bin/python$$version 2>/dev/null | tail -1); \
	  python=$${python:-python$$version}; home=build/python$$version; \
	  $$python -c '' 2>/dev/null || { echo "python$$version: not on this machine"; continue; }; \
	  test -f $$home/.done || { rm -rf $$home && $$python -m venv $$home \
	    && $$home/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock \
	    && $$home/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e . \
	    && touch $$home/.done; } || exit 1; \
	  echo "python$$version" && $$home/bin/pytest -q -m "not server and not browser and not faults" || exit 1; \
	done

# The dataset in releases of `datasets` from 2.14 on, each in an environment of its own, and in other readers.
matrix:
	@for pins in tests/matrix/*.txt; do \
	  name=$$(basename $$pins .txt); home=build/matrix/$$name; \
	  cmp -s $$pins $$home/.done || { rm -rf $$home && $(PYTHON) -m venv $$home \
	    && $$home/bin/pip install --quiet --disable-pip-version-check --require-hashes -r $$pins \
	    && cp $$pins $$home/.done; } || exit 1; \
	  case $$name in readers) script=readers;; *) script=loads;; esac; \
	  $$home/bin/python -m tests.matrix.$$script dataset 2>$$home/said || { cat $$home/said; exit 1; }; \
	done

check: env
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache >/dev/null || $(BIN)/lint-imports --no-cache

# Asks the public advisory service (needs the network) for every pin of the lock; what it cannot tell fails too.
audit:
	@pins=bench/tools/pip-audit.txt; home=build/tools/pip-audit; \
	  cmp -s $$pins $$home/.done || { rm -rf $$home && $(PYTHON) -m venv $$home \
	    && $$home/bin/pip install --quiet --disable-pip-version-check --require-hashes -r $$pins \
	    && cp $$pins $$home/.done; } || exit 1; \
	  $$home/bin/pip-audit --requirement requirements.lock --require-hashes --disable-pip --strict --progress-spinner off

# Needs uv: pins every dependency with its hashes.
lock:
	uv pip compile pyproject.toml --all-extras --universal --generate-hashes --python-version 3.11 --no-header -o requirements.lock
	for pins in bench/models/*.in bench/tools/*.in tests/matrix/*.in; do uv pip compile "$$pins" --universal --generate-hashes --python-version 3.11 --no-header -o "$${pins%.in}.txt" || exit 1; done

clean:
	rm -rf .venv build
