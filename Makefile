# Every target makes the environment it needs and is quick when nothing changed.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
LIGHT ?= .venv-light
# A plain `torch` pulls gigabytes of CUDA where there is no GPU; give TORCH=torch to have them.
TORCH ?= torch==2.13.0
SEED ?= 0
SEEDS ?= 3
JOBS ?= auto

.PHONY: demo test check light bench chaos fuzz matrix course study-contrast study-agch study-zi2zi study-nca study-demo \
  study-fix docs screenshot corpus clean

demo: $(VENV)/.cases  ## train the sick case watched, diagnose it, try the cures, write demo/report.html
	@if [ -e demo/report.html ]; then rm -r demo; fi
	$(BIN)/unstuck case prove contrast --preset notes --seed $(SEED) --seeds $(SEEDS) --out demo

test: $(VENV)/.dev  ## all tests, in parallel
	$(BIN)/pytest -n $(JOBS) --dist worksteal

check: $(VENV)/.dev  ## lint, format, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

light: $(LIGHT)/.done  ## logs are read and diagnosed where torch is not installed
	$(LIGHT)/bin/python scripts/check_without_torch.py

bench: $(VENV)/.bench $(LIGHT)/.done  ## start, reading, watching, probing: what they cost; error rates
	$(LIGHT)/bin/python bench/start.py
	$(BIN)/python bench/many_runs.py
	$(BIN)/python bench/read_tensorboard.py
	$(BIN)/python bench/watch_overhead.py
	$(BIN)/python bench/live_cost.py
	$(BIN)/python bench/warm_start.py
	$(BIN)/python bench/preflight.py
	$(BIN)/python bench/memory_plan.py
	$(BIN)/python bench/noise_scale.py
	$(BIN)/python bench/font_training.py
	$(BIN)/python bench/automaton.py
	$(BIN)/python bench/long_run.py
	$(BIN)/python bench/ray_scaling.py
	$(BIN)/python scripts/simulate_trials.py

study-contrast: $(VENV)/.dev  ## the 2 x 2 x 2 of the contrast case (about 20 minutes)
	$(BIN)/python -m unstuck.cases.contrast.study

study-agch: $(VENV)/.dev  ## forms, repairs, corrections and faults of the agch case (about an hour)
	$(BIN)/python -m unstuck.cases.agch.study

study-zi2zi: $(VENV)/.dev  ## what the claims about the font GAN are worth (about an hour and a half)
	$(BIN)/python -m unstuck.cases.zi2zi.study

study-nca: $(VENV)/.dev  ## what carries automata to wide canvases (about an hour)
	$(BIN)/python -m unstuck.cases.nca.study

study-demo: $(VENV)/.dev  ## presets, faults and the demo over five base seeds
	$(BIN)/python scripts/study_demo.py

study-fix: $(VENV)/.dev  ## remedies for the project's own faults, proven or not; write docs/study-fix.md
	$(BIN)/python scripts/study_fix.py
	$(BIN)/python scripts/study_fix.py --contrast

chaos: $(VENV)/.dev  ## half an hour of accidents: training must not notice, records stay readable
	$(BIN)/python scripts/chaos.py --minutes 30

fuzz: $(VENV)/.dev  ## 10,000 damaged logs of every format
	$(BIN)/python scripts/fuzz_sources.py

matrix: $(VENV)/.dev  ## write tests/quality/matrix.tsv anew: what is found in every recorded run
	cd tests/quality && ../../$(BIN)/python test_corpus.py

course: $(VENV)/.dev  ## train the whole course, healthy and sick, 5 seeds each; write docs/course.md
	$(BIN)/python scripts/course.py --page

corpus: $(VENV)/.dev  ## record tests/runs anew (the course's part from `make course`), and probe the healthy
	$(BIN)/python scripts/record_runs.py
	$(BIN)/python scripts/course.py --corpus
	$(BIN)/python scripts/probe_runs.py

docs: $(VENV)/.docs  ## the site, into site/
	$(BIN)/python scripts/build_docs.py
	$(BIN)/mkdocs build --strict --quiet

screenshot: $(VENV)/.dev  ## the README's pictures, from demo/report.html, a preflight and a fix
	$(BIN)/python scripts/screenshot_report.py demo/report.html docs/report.png --height 1700 --scale 1
	-$(BIN)/unstuck preflight bench/preflight.py:text_without_mask --html demo/preflight.html
	$(BIN)/python scripts/screenshot_report.py demo/preflight.html docs/preflight.png --height 1130 --width 1100 --scale 1
	$(BIN)/unstuck fix scripts/digits_too_fast.py --html demo/fix.html
	$(BIN)/python scripts/screenshot_report.py demo/fix.html docs/fix.png --height 1500 --scale 1

$(VENV)/.torch:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet $(TORCH)
	@touch $@

$(VENV)/.%: pyproject.toml $(VENV)/.torch
	$(BIN)/pip install --quiet --editable ".[$*]"
	@touch $@

$(LIGHT)/.done: pyproject.toml
	$(PYTHON) -m venv $(LIGHT)
	$(LIGHT)/bin/pip install --quiet --upgrade pip
	$(LIGHT)/bin/pip install --quiet --editable .
	@touch $@

clean:
	rm -rf $(VENV) $(LIGHT) demo runs site build
