#!/bin/sh
# What scripts/gpu_check.sh needs on a machine with a GPU but without this project's packages, without nvcc or a network: the programs, built here for its GPUs, and the
# shared libraries that they are linked with, in gpu_bundle.tar.xz (some 30 MB). Put it into the root of a checkout there; gpu_check.sh then builds nothing.
# The other machine needs the same kind of processor, a glibc as new as here, the driver, and cuDNN 9 with cuBLASLt (PyTorch brings both).
#
#   scripts/gpu_bundle.sh [ARCH...]        compute capabilities, 90 unless others are named
set -eu
cd "$(dirname "$0")/.."
build=build-gpu
archs=${*:-90}
# DT_RPATH instead of DT_RUNPATH: it holds for the libraries of the libraries too.
cmake --preset test -B "$build" -DDN_CUDA=ON -DDN_BENCH=ON -DDN_CUDA_ARCHITECTURES="$archs" "-DCMAKE_BUILD_RPATH=\$ORIGIN/bundle" \
  -DCMAKE_EXE_LINKER_FLAGS=-Wl,--disable-new-dtags
cmake --build "$build" -j "${JOBS:-$(nproc)}" --target unit_tests darknet bench_step

packed=$(mktemp -d)
trap 'rm -rf "$packed"' EXIT
mkdir -p "$packed/$build/bundle"
for program in unit_tests darknet bench_step; do
  strip -o "$packed/$build/$program" "$build/$program"
  ldd "$build/$program" | awk '$3 ~ /^\// {print $3}'
done | sort -u | grep -Ev '/(libc|libm|libdl|librt|libpthread|libstdc\+\+|libgcc_s)\.so' | xargs cp -L -t "$packed/$build/bundle"
cp -r "$build/fake_libraries" "$packed/$build/"
pwd >"$packed/$build/bundle/source_folder"   # the tests look for their data there
tar -C "$packed" -cJf gpu_bundle.tar.xz "$build"
ls -l gpu_bundle.tar.xz
