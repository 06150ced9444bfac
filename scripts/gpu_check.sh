#!/bin/sh
# Everything that only a machine with an NVIDIA GPU can show, in one go and within ten minutes on sixteen cores: builds for that GPU, runs the tests on it, the kernels
# once more under compute-sanitizer, and the benchmark. One report: gpu_report.md in the folder given, else results/gpu_check. A step that fails or
# runs out of time is said there, and the next one starts. Exit status: 0 when all steps passed, 77 without a GPU.
#
#   scripts/gpu_check.sh [FOLDER]
set -u
cd "$(dirname "$0")/.."
out=${1:-results/gpu_check}
mkdir -p "$out"
report=$out/gpu_report.md
failed=0

if ! nvidia-smi -L >/dev/null 2>&1; then
  echo "gpu_check.sh: no NVIDIA GPU (nvidia-smi -L fails): nothing to check"
  exit 77
fi

say() { printf '%s\n' "$*" | tee -a "$report"; }

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
build=build-gpu
configure() {
  cmake --preset test -B "$build" -DDN_CUDA=ON -DDN_BENCH=ON -DDN_CUDA_ARCHITECTURES="$capability" && cmake --build "$build" -j "$(nproc)"
}
sanitize() {
  tool=$(command -v compute-sanitizer || echo /usr/local/cuda/bin/compute-sanitizer)
  [ -x "$tool" ] || { echo "no compute-sanitizer on this machine: not run"; return 0; }
  for kind in memcheck racecheck; do
    DN_GPU=0 "$tool" --tool "$kind" --error-exitcode 1 "$build/unit_tests" --gtest_brief=1 \
      --gtest_filter='upsample*:maxpool*:route*:shortcut*:CudaTraining.every_norm_scope*:ConvolutionalBasics*' || return 1
  done
}

step build 240 configure
lines=25 step tests 240 ctest --test-dir "$build" -L gpu --output-on-failure --no-tests=error -j 8
step sanitizer 150 sanitize
lines=40 step benchmark 200 bench/gpu_train --build "$build" --json "$out/gpu_train.json"

say "" "$([ $failed = 0 ] && echo "All steps passed." || echo "At least one step failed.")"
exit $failed
