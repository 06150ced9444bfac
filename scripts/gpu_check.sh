#!/bin/sh
# Everything that only a machine with an NVIDIA GPU can show, in one go and within ten minutes on sixteen cores: builds for that GPU, runs the tests on it, the kernels
# once more under compute-sanitizer, and the benchmark. One report: gpu_report.md in the folder given, else results/gpu_check. A step that fails or
# runs out of time is said there, and the next one starts. Exit status: 0 when all steps passed, 77 without a GPU.
#
#   scripts/gpu_check.sh [FOLDER]
set -u
cd "$(dirname "$0")/.."
self=$PWD/scripts/gpu_check.sh
build=build-gpu
configure() {
  scripts/install_deps.sh || echo "not all packages could be installed: the build says what it misses"
  cmake --preset test -B "$build" -DDN_CUDA=ON -DDN_BENCH=ON -DDN_CUDA_ARCHITECTURES="$capability" && cmake --build "$build" -j "$(nproc)"
}
sanitize() {
  tool=$(command -v compute-sanitizer || echo /usr/local/cuda/bin/compute-sanitizer)
  [ -x "$tool" ] || { echo "no compute-sanitizer on this machine: not run"; return 0; }
  for kind in memcheck racecheck; do
    DN_GPU=0 "$tool" --tool "$kind" --error-exitcode 1 "$build/unit_tests" --gtest_brief=1 \
      --gtest_filter='upsample*:maxpool*:route*:shortcut*:convolutional.*:CudaTraining.recordings*:yolo_cuda*:OptimizerOnGpu*' || return 1
  done
}

# A step of this script's own, which `timeout` calls.
if [ "${1:-}" = --step ]; then
  "$2"
  exit $?
fi
if ! nvidia-smi -L >/dev/null 2>&1; then
  echo "gpu_check.sh: no NVIDIA GPU (nvidia-smi -L fails): nothing to check"
  exit 77
fi

out=${1:-results/gpu_check}
mkdir -p "$out"
report=$out/gpu_report.md
failed=0

say() { printf '%s\n' "$@" | tee -a "$report"; }

# step NAME SECONDS COMMAND...: its output goes to a log, its end and its verdict into the report.
step() {
  name=$1 limit=$2
  shift 2
  say "" "## $name" "" '```'
  began=$(date +%s)
  if timeout "$limit" "$@" >"$out/$name.log" 2>&1; then verdict=passed; else verdict="FAILED (exit status $?)"; failed=1; fi
  tail -n "${lines:-12}" "$out/$name.log" | tee -a "$report"
  say '```' "" "$name: $verdict, $(($(date +%s) - began)) s"
}

: >"$report"
say "# darknet on a GPU" "" "commit $(git describe --always --dirty 2>/dev/null || echo unknown), $(date -u +%Y-%m-%dT%H:%MZ)" ""
say '```'
nvidia-smi --query-gpu=name,driver_version,memory.total,compute_cap,clocks.max.sm,power.limit --format=csv | tee -a "$report"
say '```'

capability=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader -i 0 | tr -d '. ')
export capability
step build 200 sh "$self" --step configure
lines=25 step tests 150 ctest --test-dir "$build" -L gpu --output-on-failure --no-tests=error -j 8
step sanitizer 100 sh "$self" --step sanitize
lines=40 step benchmark 140 bench/gpu_train --build "$build" --json "$out/gpu_train.json"

say "" "$([ $failed = 0 ] && echo "All steps passed." || echo "At least one step failed.")"
exit $failed
