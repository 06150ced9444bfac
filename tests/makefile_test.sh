#!/bin/sh
# The variables of AlexeyAB's Makefile, as ours takes them. makefile_test.sh FOLDER-OF-THE-MAKEFILE
set -eu
cd "$1"
fail() { echo "makefile_test.sh: $*" >&2; exit 1; }
# What make was called with around this test must not reach the makes inside it.
unset MAKEFLAGS MFLAGS MAKEOVERRIDES JOBS GPU CUDA_ARCHS CUDNN CUDNN_HALF OPENMP OPENCV AVX LIBSO ZED_CAMERA ZED_CAMERA_v2_8
plan() { make -n "$@" 2>&1 || true; }

for line in 'CUDNN=0 cuDNN' 'CUDNN_HALF=1 -prec' 'OPENMP=0 -threads' 'OPENCV=1 FFmpeg' 'AVX=0 vector' 'LIBSO=1 library' 'ZED_CAMERA=1 ZED'; do
  said=$(plan "${line%% *}" | grep -c "^${line%% *}: .*${line#* }" || true)
  [ "$said" = 1 ] || fail "make ${line%% *}: expected one line with ${line#* }, got: $(plan "${line%% *}")"
done
for silent in CUDNN=1 OPENMP=1 AVX=1 OPENCV=0 LIBSO=0; do
  [ "$(plan $silent)" = "$(plan)" ] || fail "make $silent says something"
done
for target in all test bench; do
  plan $target GPU=1 | grep -q -e '--preset .* -DDN_CUDA=ON' || fail "make $target GPU=1"
  plan $target GPU=0 | grep -q -e '--preset .* -DDN_CUDA=OFF' || fail "make $target GPU=0"
  if plan $target | grep -q DN_CUDA; then fail "make $target forgets what the build folder remembers"; fi
done
if plan asan GPU=1 | grep -q DN_CUDA=ON; then fail "make asan GPU=1 builds for GPUs"; fi
plan GPU=2 | grep -q 'GPU=2: expected 0 or 1' || fail "make GPU=2"
