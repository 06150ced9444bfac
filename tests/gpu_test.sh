#!/bin/sh
# Part SHARD of SHARDS of the unit tests with kernels on the first GPU instead of the emulated one. Skipped (exit status 77) without a GPU.
#   gpu_test.sh UNIT_TESTS SHARD SHARDS
set -eu
if ! nvidia-smi -L >/dev/null 2>&1; then
  echo "skipped: no NVIDIA GPU on this machine"
  exit 77
fi
# What starts the program or reads large cfg files has nothing to do with kernels.
DN_GPU=0 GTEST_SHARD_INDEX=$2 GTEST_TOTAL_SHARDS=$3 exec "$1" --gtest_brief=1 --gtest_filter='-Zoo*:*Cli*:Help*:Errors*:Verbs*:Video*:Synth*:Convert*:Compatibility*'
