#!/usr/bin/env python3
"""PyTorch, one training step: forward, sum of squares over the heads, backward, SGD with momentum."""

import measure
from darknet_cfg import Net, torch_module

options = measure.arguments(__doc__, batch=8, modes=("channels_last", "contiguous", "compiled"))

import torch  # noqa: E402

torch.set_num_threads(options.threads)
torch.manual_seed(1)
net = Net(options.cfg, options.width, options.height)
layout = torch.contiguous_format if options.mode == "contiguous" else torch.channels_last
model = torch_module(net).train().to(memory_format=layout)
optimizer = torch.optim.SGD(model.parameters(), lr=1e-9, momentum=0.9, weight_decay=5e-4, fused=True)
x = torch.rand(options.batch, *net.input).contiguous(memory_format=layout)
run = torch.compile(model) if options.mode == "compiled" else model


def step():
    optimizer.zero_grad(set_to_none=True)
    loss = sum((head * head).sum() for head in run(x))
    loss.backward()
    optimizer.step()
    return loss


times = measure.timed(step, options.warmup, options.runs)
assert torch.isfinite(step()), "the loss is not finite"
measure.report("PyTorch", net.name, "train", options, times, torch.__version__, mode=options.mode, gflop=net.training_gflop() * options.batch)
