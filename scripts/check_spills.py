#!/usr/bin/env python3
"""Compiles the kernels that read and write whole activations and fails when one of them spills registers to memory: such a kernel would move its spilled values
through the same memory whose bandwidth it is made to use. Run by ctest (gpu_register_spills) and by hand:

  scripts/check_spills.py [--nvcc FILE] [--arch 90] [FILE.cu ...]

Exit status 77 where there is no nvcc.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FUSED = ["src/nn/cuda/normalize.cu", "src/nn/cuda/batch_norm.cu"]
ENTRY = re.compile(r"Compiling entry function '(\S+)' for '(\S+)'")
SPILLS = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
USED = re.compile(r"Used (\d+) registers")


def kernels(report):
    """(name, registers, bytes spilled) of every kernel in what ptxas says."""
    name, spilled = None, 0
    for line in report.splitlines():
        if match := ENTRY.search(line):
            name, spilled = match.group(1), 0
        elif match := SPILLS.search(line):
            spilled = int(match.group(2)) + int(match.group(3))
        elif (match := USED.search(line)) and name:
            yield name, int(match.group(1)), spilled
            name = None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nvcc", default=shutil.which("nvcc") or "/usr/local/cuda/bin/nvcc")
    parser.add_argument("--arch", default="90")
    parser.add_argument("files", nargs="*", default=[str(ROOT / f) for f in FUSED])
    options = parser.parse_args()
    if not Path(options.nvcc).exists():
        print("no nvcc: nothing to check")
        return 77
    bad = count = 0
    for source in options.files:
        with tempfile.TemporaryDirectory() as folder:
            command = [options.nvcc, "-cubin", f"-arch=sm_{options.arch}", "-std=c++20", "-O3", "--expt-relaxed-constexpr", "--extended-lambda", "-Xptxas", "-v",
                       f"-I{ROOT / 'src'}", "-o", f"{folder}/kernels.cubin", source]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            print(done.stderr, file=sys.stderr)
            return 1
        for name, registers, spilled in kernels(done.stderr):
            count += 1
            if spilled:
                bad += 1
                print(f"{source}: {name}: {spilled} bytes spilled, {registers} registers")
    print(f"{count} kernels for sm_{options.arch}, {bad} of them spill")
    return 1 if bad or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
