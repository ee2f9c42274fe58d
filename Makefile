# The tasks of a checkout. `make first-image` and `make test` set up what they need by themselves.
.PHONY: setup setup-full first-image test test-full fuzz check format docs bench

first-image: setup
	@scripts/first-image

test: setup
	@npm run --silent check
	@npm run --silent test

# Everything `make test` runs, and the slow suites: real guests in every way, OpenStack's own clients.
test-full: setup-full
	@npm run --silent check
	@INGOT_TEST_FULL=1 npm run --silent test

# Damages images of every format for as long as you like: make fuzz SECONDS=3600
SECONDS ?= 120
fuzz: setup
	@node_modules/.bin/node test/fuzz/fuzz.ts --seconds $(SECONDS)

setup:
	@scripts/setup

setup-full:
	@scripts/setup --full

check: setup
	@npm run --silent check

format: setup
	@npm run --silent format

# Pages and schemas that are made from the code.
docs: setup
	@node_modules/.bin/node scripts/make-docs.ts

bench: setup
	@bench/run
