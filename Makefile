# The tasks of a checkout. `make first-image` and `make test` set up what they need by themselves.
.PHONY: setup first-image test test-full check format docs bench

first-image: setup
	@scripts/first-image

test: setup
	@npm run --silent check
	@npm run --silent test

# Everything `make test` runs, and the slow suites that boot real guests in every way.
test-full: setup
	@npm run --silent check
	@INGOT_TEST_FULL=1 npm run --silent test

setup:
	@scripts/setup

check: setup
	@npm run --silent check

format: setup
	@npm run --silent format

# Pages and schemas that are made from the code.
docs: setup
	@node_modules/.bin/node scripts/make-docs.ts

bench: setup
	@bench/run
