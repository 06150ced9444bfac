# One command each; everything real is in CMakeLists.txt and CMakePresets.json. Every target works alone on a fresh clone.
#   make         the program, at ./darknet            make test    all tests
#   make demo    train and detect on made-up images   make asan    the tests under AddressSanitizer and UndefinedBehaviorSanitizer
#   make bench   speed against the machine and peers  make clean   removes what was built
#   make install PREFIX=/usr/local DESTDIR=           the program, its manual page, completion for bash
# JOBS=N limits parallelism. DN_SKIP_DEPS=1 leaves Debian packages alone.

JOBS ?= $(shell nproc)
# Waiting OpenMP threads sleep instead of spinning, since several tests share the cores.
CTEST = OMP_WAIT_POLICY=passive ctest --output-on-failure --no-tests=error -j $(JOBS)
# With the kernel's widest address randomization the sanitizers' shadow memory of g++ 12 does not always find its place.
FIXED_ADDRESSES = $(shell setarch -R true 2>/dev/null && echo setarch -R)

PREFIX ?= /usr/local

.PHONY: all deps demo test bench asan install clean

all: deps
	@cmake --preset release
	@cmake --build build -j $(JOBS)
	@ln -sf build/darknet darknet

deps:
	@scripts/install_deps.sh

demo: all
	@./darknet demo

test: deps
	@cmake --preset test
	@cmake --build build -j $(JOBS)
	@ln -sf build/darknet darknet
	@$(CTEST) --test-dir build

bench: deps
	@cmake --preset bench
	@cmake --build build -j $(JOBS)
	@ln -sf build/darknet darknet
	@bench/run

asan: deps
	@cmake --preset asan
	@$(FIXED_ADDRESSES) cmake --build build-asan -j $(JOBS)
	@$(FIXED_ADDRESSES) env $(CTEST) --test-dir build-asan

install: all
	@install -d "$(DESTDIR)$(PREFIX)/bin" "$(DESTDIR)$(PREFIX)/share/man/man1" "$(DESTDIR)$(PREFIX)/share/bash-completion/completions"
	@install -m 755 build/darknet "$(DESTDIR)$(PREFIX)/bin/darknet"
	@build/darknet help -man >"$(DESTDIR)$(PREFIX)/share/man/man1/darknet.1"
	@build/darknet help -bash >"$(DESTDIR)$(PREFIX)/share/bash-completion/completions/darknet"

clean:
	@rm -rf build build-asan darknet
