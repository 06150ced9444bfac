#!/usr/bin/env python3
"""Breaks the normalization on purpose, fault by fault, and checks that the tests notice each.

    scripts/check_mutations.py [BUILD]      BUILD: a folder configured with `cmake --preset test` or `bench`; default build

Each fault is a replacement in one source file, undone afterwards; what is uncommitted in src/ stays as it is. A fault ends with
the first test that sees it. Takes about a minute per fault, longer where a header is read by all. It is run by hand when the normalization or its tests change.
"""
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TESTS = "batch_norm*:norm*:oracle/NormVectors*:convolutional.normalizes*:batchnorm*:convolutional.standardizes*"
BATCH = "src/nn/batch_norm.cpp"
CHANNEL = "src/nn/batch_norm_channel.h"
FAULTS = [
    ("eps outside the root", CHANNEL, "return spec.eps_outside ?", "return !spec.eps_outside ?"),
    ("detached: n for N", CHANNEL, "    count = channel.count;", "    count = channel.own_count;"),
    ("minibatch, local: N for n", CHANNEL, "count = channel.own_count, centre = mean", "count = channel.count, centre = mean"),
    ("exact: n for N", CHANNEL, "  channel.q += s * s * b / stored.count;", "  channel.q += s * s * b / channel.own_count;"),
    ("no dbeta", BATCH, "deliver(params.beta.grad[c], trained ? sum_dz[c] : 0", "deliver(params.beta.grad[c], trained ? 0 * sum_dz[c] : 0"),
    ("no xh in dgamma", CHANNEL, "const double plain = t * static_cast<double>(saved.v[kInvStd]);", "const double plain = t * static_cast<double>(saved.v[kInvStd]) + .1 * s1;"),
    ("the pool is not reset", CHANNEL, "  if (call.micro_step == 0)\n    channel.pool = own;", "  if (channel.pool.count == 0)\n    channel.pool = own;"),
    ("ranks weighted equally", BATCH, "merged[i % channels_].merge({all[3 * i],", "merged[i % channels_].merge({all[3 * i] > 0 ? 60. : 0.,"),
    ("running statistics per mini-batch under a pool", CHANNEL, "  if (spec.update_per_batch) return call.last()", "  if (spec.update_per_batch && !pooled(spec)) return call.last()"),
    ("dgamma over all ranks on every rank", BATCH, "    std::ranges::fill(sum_dz, 0), std::ranges::fill(sum_dz_x, 0);\n",
     "    for (size_t c = 0; c < channels_; ++c) deliver(params.gamma.grad[c], sum_dz_x[c], pass.param_grads);\n"
     "    std::ranges::fill(sum_dz, 0), std::ranges::fill(sum_dz_x, 0);\n"),
    ("statistics constant in backward", BATCH, "    offset[c] = static_cast<float>(b.offset), slope[c] = static_cast<float>(b.slope);", "    (void)b;"),
    ("another mean in backward", CHANNEL, "const double mean = saved.v[kMean], scale", "const double mean = .1 + saved.v[kMean], scale"),
    ("NaN moves running statistics", CHANNEL, "  if (!finite(m)) return;\n", ""),
    ("biased running variance", CHANNEL, "spec.biased_running && !set ? m.variance()", "!spec.biased_running && !set ? m.variance()"),
    ("the pool meets the last mini-batch only", CHANNEL, "    channel.pool.merge(own);", "    channel.pool = own;"),
    ("the present counts once among the window's batches", "src/nn/norm_history.cpp", "(own + past.mean) / batches;", "(own + past.mean) / (batches + 1);"),
    ("no correction for moved weights", "src/nn/norm_history.cpp", "      if (jacobian) {", "      if (jacobian && q == 0) {"),
    ("Chan's term between the parts missing", "src/nn/moments.h", "m2 += other.m2 + difference", "m2 += other.m2 + 0 * difference"),
    ("group norm: mean of the group's gradient missing", "src/nn/group_norm.cpp", "static_cast<float>(-s * a / values)", "0"),
    ("pixel norm: mean over padded channels", "src/nn/pixel_norm.cpp", "if (k + 1 == t.blocks && used < lanes) v =", "if (used > 1000) v ="),
    ("filter response: threshold's gradient lost", "src/nn/filter_response_norm.cpp", "hn::Add(below, hn::IfThenElseZero(under, g))", "hn::Add(below, hn::IfThenElseZero(under, hn::Zero(d)))"),
    ("standardized weights: gradient as it comes", "src/nn/weight_standardization.cpp", "f.inv_std * (gradient[i] - mean -", "f.inv_std * (gradient[i] - 0 * mean -"),
]


def build(folder):
    return subprocess.run(["cmake", "--build", folder, "--target", "unit_tests"], cwd=ROOT, capture_output=True, text=True)


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build").resolve()
    survived = []
    for name, file, old, new in FAULTS:
        path = ROOT / file
        text = path.read_text()
        if text.count(old) != 1:
            sys.exit(f"{file}: the place of '{name}' is there {text.count(old)} times; expected once: the list is out of date")
        try:
            path.write_text(text.replace(old, new))
            built = build(folder)
            if built.returncode != 0:
                sys.exit(f"'{name}' does not compile:\n{built.stdout[-2000:]}")
            tests = subprocess.run([folder / "unit_tests", f"--gtest_filter={TESTS}", "--gtest_brief=1", "--gtest_fail_fast"], capture_output=True, text=True)
        finally:
            path.write_text(text)
        failed = sorted({line.split("]")[1].split()[0].rstrip(",") for line in tests.stdout.splitlines() if line.startswith("[  FAILED  ]") and "ms)" in line})
        print(f"{'killed' if tests.returncode else 'SURVIVED':9}{name:55}{failed[0] if failed else ''}", flush=True)
        if tests.returncode == 0:
            survived.append(name)
    build(folder)
    print(f"{len(FAULTS)} faults, {len(survived)} survived")
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
