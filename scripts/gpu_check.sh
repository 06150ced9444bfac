#!/bin/sh
# Everything that only a machine with an NVIDIA GPU can show, in one go and within ten minutes on sixteen cores: builds for that GPU, runs the tests on it, the
# benchmark, and the kernels once more under compute-sanitizer. One report: gpu_report.md in the folder given, else results/gpu_check. A step that fails or
# runs out of time is said there, and the next one starts. Exit status: 0 when all steps passed, 77 without a GPU.
# Where gpu_bundle.tar.xz of scripts/gpu_bundle.sh lies in the checkout, its programs are run and nothing is built: for machines that have a GPU and little else.
#
#   scripts/gpu_check.sh [FOLDER]
set -u
cd "$(dirname "$0")/.."
self=$PWD/scripts/gpu_check.sh
build=build-gpu
shards=8

unpack() {
  tar -xJf gpu_bundle.tar.xz || return 1
  made_in=$(cat "$build/bundle/source_folder")
  if [ ! -e "$made_in" ]; then
    mkdir -p "$(dirname "$made_in")" && ln -s "$PWD" "$made_in" || echo "no $made_in: tests that read files of the checkout will fail"
  fi
  "$build/darknet" version
}
configure() {
  if [ -e gpu_bundle.tar.xz ]; then
    unpack
    return
  fi
  timeout 60 scripts/install_deps.sh || echo "not all packages could be installed: the build says what it misses; scripts/gpu_bundle.sh makes what runs without them"
  cmake --preset test -B "$build" -DDN_CUDA=ON -DDN_BENCH=ON -DDN_CUDA_ARCHITECTURES="$capability" &&
    cmake --build "$build" -j "$(nproc)" --target unit_tests darknet bench_step
}
# All parts at once, on one GPU; where that is for one process at a time, one after the other.
run_tests() {
  failed=0
  alone=$(nvidia-smi --query-gpu=compute_mode --format=csv,noheader -i 0 | grep -ci exclusive)
  for shard in $(seq 0 $((shards - 1))); do
    tests/gpu_test.sh "$build/unit_tests" "$shard" "$shards" >"$out/tests_$shard.log" 2>&1 &
    parts="${parts:-} $!"
    [ "$alone" = 0 ] || wait $!
  done
  shard=0
  for part in $parts; do
    wait "$part" || { code=$? failed=1; echo "part $shard failed (exit status $code):"; grep -E '(Failure|FAILED|^error|what\(\))' -A 4 "$out/tests_$shard.log" | head -n 40; tail -n 3 "$out/tests_$shard.log"; }
    shard=$((shard + 1))
  done
  grep -hE '^\[ *(PASSED|SKIPPED|FAILED) *\] [0-9]+ test' "$out"/tests_*.log
  return $failed
}
sanitize() {
  tool=$(command -v compute-sanitizer || echo /usr/local/cuda/bin/compute-sanitizer)
  [ -x "$tool" ] || { echo "no compute-sanitizer on this machine: not run"; return 0; }
  # Calls that libraries of NVIDIA try and do without are no errors of ours.
  for kind in memcheck racecheck; do
    DN_GPU=0 "$tool" --tool "$kind" --report-api-errors no --error-exitcode 1 "$build/unit_tests" --gtest_brief=1 \
      --gtest_filter='upsample*:maxpool*:route*:shortcut*:convolutional.*:CudaTraining.recordings*:yolo_cuda.gradients*:OptimizerOnGpu.sgd*' || return 1
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
start=$(date +%s)
export out OMP_WAIT_POLICY=passive   # threads that wait sleep: parts of the tests share the cores
failed=0

say() { printf '%s\n' "$@" | tee -a "$report"; }

# step NAME SECONDS COMMAND...: its output goes to a log, its end and its verdict into the report.
step() {
  name=$1 limit=$2
  shift 2
  say "" "## $name" "" '```'
  began=$(date +%s)
  if timeout -k 5 "$limit" "$@" >"$out/$name.log" 2>&1; then verdict=passed; else verdict="FAILED (exit status $?)"; failed=1; fi
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
# What a step leaves of its time is the next ones'.
all=590 sanitizer=100
left() { echo $((all - $(date +%s) + start)); }
step build 200 sh "$self" --step configure
lines=60 step tests 150 sh "$self" --step run_tests
lines=40 step benchmark $(($(left) - sanitizer)) bench/gpu_train --build "$build" --rounds 1 --json "$out/gpu_train.json"
step sanitizer "$(left)" sh "$self" --step sanitize

say "" "$([ $failed = 0 ] && echo "All steps passed." || echo "At least one step failed.")"
exit $failed
