#!/usr/bin/env python3
"""Breaks the normalization on purpose, fault by fault, and checks that the tests notice each.

    scripts/check_mutations.py [BUILD]      BUILD: a folder configured with `cmake --preset test` or `bench`; default build

Each fault is a replacement in one source file, undone afterwards; what is uncommitted in src/ stays as it is. Takes some minutes. It is run by hand when
the normalization or its tests change.
"""
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TESTS = "batch_norm*:norm*:oracle/NormVectors*:convolutional.normalizes*:batchnorm*:convolutional.standardizes*"
BATCH = "src/nn/batch_norm.cpp"
FAULTS = [
    ("eps outside the root", "src/nn/norm.cpp", "return spec.eps_outside ?", "return !spec.eps_outside ?"),
    ("detached: n for N", BATCH, "    count = counts_[c];", "    count = own_count_;"),
    ("minibatch, local: N for n", BATCH, "count = own_count_, centre = mean", "count = counts_[c], centre = mean"),
    ("exact: n for N", BATCH, "const double count = stored_[static_cast<size_t>(pass.micro_step)][c].count", "const double count = own_count_"),
    ("no dbeta", BATCH, "deliver(params.beta.grad[c], trained ? sum_dz[c] : 0", "deliver(params.beta.grad[c], trained ? 0 * sum_dz[c] : 0"),
    ("y for xh in dgamma", BATCH, "    deliver(params.gamma.grad[c], trained ? gamma_gradient",
     "    gamma_gradient = gamma_gradient * params.gamma.value[c] + params.beta.value[c] * sum_dz[c];\n    deliver(params.gamma.grad[c], trained ? gamma_gradient"),
    ("the pool is not reset", BATCH, "  if (pass.micro_step == 0)\n    pool_ = own;", "  if (pool_.empty())\n    pool_ = own;"),
    ("ranks weighted equally", BATCH, "merged[i % channels_].merge({all[3 * i],", "merged[i % channels_].merge({all[3 * i] > 0 ? 60. : 0.,"),
    ("running statistics per mini-batch under a pool", BATCH, "  if (spec_.update_per_batch) {", "  if (spec_.update_per_batch && !pooled()) {"),
    ("dgamma over all ranks on every rank", BATCH, "const bool whole = pooled() && spec_.gradient == NormGradient::exact;\n  if (whole && last(pass))",
     "for (size_t c = 0; c < channels_ && pass.group; ++c) deliver(params.gamma.grad[c], sum_dz_x[c] * static_cast<double>(vectors_.at(saved, kInvStd)[c]), pass.param_grads);\n"
     "  const bool whole = pooled() && spec_.gradient == NormGradient::exact;\n  if (whole && last(pass))"),
    ("statistics constant in backward", BATCH, "  for (size_t c = 0; c < channels_; ++c) {\n    const Bracket", "  for (size_t c = 0; c < 0; ++c) {\n    const Bracket"),
    ("another mean in backward", BATCH, "const double mean = vectors_.at(saved, kMean)[c], scale", "const double mean = .1 + vectors_.at(saved, kMean)[c], scale"),
    ("NaN moves running statistics", BATCH, "    if (!finite(m)) continue;\n", ""),
    ("biased running variance", BATCH, "spec_.biased_running ? m.variance()", "!spec_.biased_running ? m.variance()"),
    ("the pool meets the last mini-batch only", BATCH, "    for (size_t c = 0; c < channels_; ++c) pool_[c].merge(own[c]);", "    pool_ = own;"),
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
            tests = subprocess.run([folder / "unit_tests", f"--gtest_filter={TESTS}", "--gtest_brief=1"], capture_output=True, text=True)
        finally:
            path.write_text(text)
        failed = sorted({line.split("]")[1].split()[0].rstrip(",") for line in tests.stdout.splitlines() if line.startswith("[  FAILED  ]") and "ms)" in line})
        print(f"{'killed' if tests.returncode else 'SURVIVED':9}{name:55}{len(failed)} tests, {failed[0] if failed else ''}", flush=True)
        if tests.returncode == 0:
            survived.append(name)
    build(folder)
    print(f"{len(FAULTS)} faults, {len(survived)} survived")
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
