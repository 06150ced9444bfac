# One command each; everything real is in CMakeLists.txt and CMakePresets.json. Every target works alone on a fresh clone.
#   make         the program, at ./darknet            make test    all tests
#   make demo    train and detect on made-up images   make asan    the tests under AddressSanitizer and UndefinedBehaviorSanitizer
#   make bench   speed against the machine and peers  make clean   removes what was built
#   make install PREFIX=/usr/local DESTDIR=           the program, its manual page, completion for bash
# JOBS=N limits parallelism. DN_SKIP_DEPS=1 leaves Debian packages alone. GPU=1 builds kernels for NVIDIA GPUs, GPU=0 none; build/ remembers it, and
# at first they are built where nvcc is found. CUDA_ARCHS="80 90": for these compute capabilities only. The other variables of AlexeyAB's Makefile are
# taken with a word on what stands in for them.

JOBS ?= $(shell nproc)
# Waiting OpenMP threads sleep instead of spinning, since several tests share the cores.
CTEST = OMP_WAIT_POLICY=passive ctest --output-on-failure --no-tests=error -j $(JOBS)
# With the kernel's widest address randomization the sanitizers' shadow memory of g++ 12 does not always find its place.
FIXED_ADDRESSES = $(shell setarch -R true 2>/dev/null && echo setarch -R)

PREFIX ?= /usr/local

CUDA = $(if $(filter-out 0 1,$(GPU)),$(error GPU=$(GPU): expected 0 or 1))$(if $(filter 1,$(GPU)),-DDN_CUDA=ON)$(if $(filter 0,$(GPU)),-DDN_CUDA=OFF) \
  $(if $(CUDA_ARCHS),-DDN_CUDA_ARCHITECTURES="$(CUDA_ARCHS)")
# $(call note,VARIABLE,value,what about it; no commas)
note = $(if $(filter $(2),$($(1))),$(info $(1)=$(2): $(3)))
notes = $(call note,CUDNN,0,cuDNN is opened when a GPU is used; where it is missing our own kernels compute, slowly. Nothing to build)\
  $(call note,CUDNN_HALF,1,the precision is chosen when the program runs: -prec bf16 (the default where a GPU has it) or fp16)\
  $(call note,OPENMP,0,the number of threads is chosen when the program runs: -threads 1)\
  $(call note,OPENCV,1,nothing here uses OpenCV; videos and cameras go through FFmpeg)\
  $(call note,AVX,0,vector instructions are chosen when the program runs)\
  $(call note,LIBSO,1,there is no shared library; the program is all that is built)\
  $(call note,ZED_CAMERA,1,there is no support for ZED cameras)\
  $(call note,ZED_CAMERA_v2_8,1,there is no support for ZED cameras)

.PHONY: all deps demo test bench asan install clean

all: deps
	@cmake --preset release $(CUDA)
	@cmake --build build -j $(JOBS)
	@ln -sf build/darknet darknet

deps:
	$(notes)
	@scripts/install_deps.sh

demo: all
	@./darknet demo

test: deps
	@cmake --preset test $(CUDA)
	@cmake --build build -j $(JOBS)
	@ln -sf build/darknet darknet
	@$(CTEST) --test-dir build

bench: deps
	@cmake --preset bench $(CUDA)
	@cmake --build build -j $(JOBS)
	@ln -sf build/darknet darknet
	@bench/run

# On the CPU alone, whatever GPU says: the sanitizers and the driver do not share an address space.
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
