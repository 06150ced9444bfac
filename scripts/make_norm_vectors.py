#!/usr/bin/env python3
"""Writes tests/data/norm_vectors.json: what every scope of normalization gives for small fixed inputs, computed in float64.

    scripts/make_norm_vectors.py PATH/bn_oracle.py

The oracle is a module of numpy functions (batch normalization per mini-batch, pooled, over whole batches, over a window of past batches) whose own
checks are finite differences. Its numbers are kept here, so that the tests need neither it nor numpy. Inputs are rounded to what a float holds.
"""
import importlib.util
import json
import pathlib
import sys

import numpy as np


def load(path):
    spec = importlib.util.spec_from_file_location("bn_oracle", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def as_float(array):
    return np.asarray(array).astype(np.float32).astype(np.float64)


def numbers(array):
    return [float(f"{v:.9g}") for v in np.asarray(array, dtype=np.float64).ravel()]


def network_cases(oracle):
    """Three layers of 3x3 convolution, normalization, leaky; four mini-batches of two images."""
    net = oracle.Net(L=3, Ci=3, Cw=5, hw=5, seed=3)
    for key in ("W", "g", "b"):
        setattr(net, key, [as_float(p) for p in getattr(net, key)])
    xs, ts = oracle.data(7, S=4, b=2, C=3, hw=5, Cw=5)
    xs, ts = [as_float(x) for x in xs], [as_float(t) for t in ts]
    capture = [None] * net.L
    net.run(xs, ts, "bn", grad=False, capture=capture)
    runs = {
        "minibatch": net.run(xs, ts, "bn"),
        "twopass renorm": net.run(xs, ts, "fixed", mode="renorm", fixed=capture),
        "batch": net.run(xs, ts, "full"),
    }
    for mode in ("renorm", "local", "detached", "exact"):
        runs[f"cmbn {mode}"] = net.run(xs, ts, "cmbn", mode=mode)
    return {
        "x": [numbers(x) for x in xs], "images": 2, "target": [numbers(t) for t in ts], "side": 5,
        "weights": [numbers(w) for w in net.W], "gamma": [numbers(g) for g in net.g], "beta": [numbers(b) for b in net.b],
        "runs": {name: {"loss": loss, "gradients": [numbers(g) for g in grads]} for name, (loss, grads) in runs.items()},
    }


def window_case(oracle):
    """One convolution over four batches whose weights differ; the last is normalized with all of them."""
    r = oracle.rng(11)
    ci, co, k = 3, 4, 4
    weights = [as_float(r.standard_normal((co, ci * 9)) * .3)]
    for j in range(1, k):
        weights.append(as_float(weights[0] + .02 * j * r.standard_normal((co, ci * 9))))
    xs = [as_float(r.standard_normal((3, ci, 5, 5)) + .4 * r.standard_normal((3, ci, 1, 1))) for _ in range(k)]
    gamma, beta, dz = as_float(r.uniform(.5, 1.5, co)), as_float(r.standard_normal(co)), as_float(r.standard_normal((3, co, 25)))
    history = []
    for w, x in zip(weights[:-1], xs[:-1]):
        _, mean, square, mean_slope, square_slope = oracle.cbn_stats(w, oracle.im2col(x))
        history.append((mean, square, mean_slope, square_slope, w))
    y, mean, square, _, _ = oracle.cbn_stats(weights[-1], oracle.im2col(xs[-1]))
    pool_mean, pool_variance, (share_mean, share_square, share_guard) = oracle.cbn_pool(weights[-1], mean, square, history)
    s = 1 / np.sqrt(pool_variance + 1e-5)
    column = lambda v: np.asarray(v)[None, :, None]
    xh = (y - column(pool_mean)) * column(s)
    s1, s2, m = dz.sum((0, 2)), (dz * xh).sum((0, 2)), y.shape[0] * y.shape[2]
    inner = column(share_square) * y + column(share_guard * mean - share_mean * pool_mean)
    dx = column(gamma * s) * (dz - column(share_mean * s1) / m - column(s2 * s) / m * inner)
    return {"x": [numbers(x) for x in xs], "images": 3, "side": 5, "weights": [numbers(w) for w in weights], "gamma": numbers(gamma), "beta": numbers(beta),
            "dz": numbers(dz), "y": numbers(column(gamma) * xh + column(beta)), "dgamma": numbers(s2), "dbeta": numbers(s1), "dz_of_convolution": numbers(dx)}


def preset_case(oracle):
    """norm_compat = alexeyab-cudnn: four mini-batches through that program's pooled normalization, as its source has it."""
    r = oracle.rng(21)
    channels = 3
    gamma, beta = as_float(r.uniform(.5, 1.5, channels)), as_float(r.standard_normal(channels))
    xs = [as_float(r.standard_normal((2, channels, 3, 3)) * 1.3 + 1 + .5 * r.standard_normal((2, channels, 1, 1))) for _ in range(4)]
    dys = [as_float(r.standard_normal(x.shape)) for x in xs]
    state, out = oracle.AB(channels), []
    for k, (x, dy) in enumerate(zip(xs, dys)):
        y, saved = state.fwd(x, k + 1, gamma, beta)
        dx, dgamma, dbeta = state.bwd_cudnn(dy, saved, gamma)
        out.append({"x": numbers(x), "dy": numbers(dy), "y": numbers(y), "dx": numbers(dx), "dgamma": numbers(dgamma), "dbeta": numbers(dbeta),
                    "running_mean": numbers(state.rm), "running_variance": numbers(state.rv)})
    return {"shape": list(xs[0].shape), "gamma": numbers(gamma), "beta": numbers(beta), "mini_batches": out}


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    oracle = load(sys.argv[1])
    cases = {"network": network_cases(oracle), "window": window_case(oracle), "alexeyab_cudnn": preset_case(oracle)}
    path = pathlib.Path(__file__).resolve().parent.parent / "tests" / "data" / "norm_vectors.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(cases, indent=None, separators=(",", ":")).replace("],", "],\n") + "\n")
    print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
