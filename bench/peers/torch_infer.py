#!/usr/bin/env python3
"""PyTorch, inference: eager in two layouts, or frozen and optimized by TorchScript (which folds batch normalization)."""

import warnings

import measure
from darknet_cfg import Net, torch_module

options = measure.arguments(__doc__, batch=1, modes=("optimized", "channels_last", "contiguous", "compiled"))

import torch  # noqa: E402

warnings.filterwarnings("ignore", category=DeprecationWarning)
torch.set_num_threads(options.threads)
torch.manual_seed(1)
net = Net(options.cfg, options.width, options.height)
layout = torch.contiguous_format if options.mode in ("contiguous", "optimized") else torch.channels_last
model = torch_module(net).eval().to(memory_format=layout)
x = torch.rand(options.batch, *net.input).contiguous(memory_format=layout)
with torch.inference_mode(options.mode != "optimized"), torch.no_grad():
    if options.mode == "optimized":
        model = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(model, x, strict=False)))
    elif options.mode == "compiled":
        model = torch.compile(model)
    times = measure.timed(lambda: model(x), options.warmup + 2, options.runs)
    assert all(torch.isfinite(head).all() for head in model(x)), "an output is not finite"
measure.report("PyTorch", net.name, "infer", options, times, torch.__version__, mode=options.mode, gflop=net.forward_gflop() * options.batch)
