#!/usr/bin/env python3
"""PyTorch on a GPU, one training step of the same cfg in bf16 autocast, channels-last, cudnn.benchmark: forward, sum of squares over the heads (its loss costs next
to nothing), backward, fused SGD with momentum on FP32 weights."""

import measure
from darknet_cfg import Net, torch_module

options = measure.arguments(__doc__, batch=64, modes=("eager", "compiled"))

import torch  # noqa: E402

torch.backends.cudnn.benchmark = True
torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
torch.manual_seed(1)
net = Net(options.cfg, options.width, options.height)
model = torch_module(net).train().cuda().to(memory_format=torch.channels_last)
optimizer = torch.optim.SGD(model.parameters(), lr=1e-9, momentum=0.9, weight_decay=5e-4, fused=True)
x = torch.rand(options.batch, *net.input, device="cuda").contiguous(memory_format=torch.channels_last)
run = torch.compile(model) if options.mode == "compiled" else model


def step():
    optimizer.zero_grad(set_to_none=True)
    with torch.autocast("cuda", dtype=torch.bfloat16):
        heads = run(x)
    loss = sum((head.float() * head.float()).sum() for head in heads)
    loss.backward()
    optimizer.step()
    torch.cuda.synchronize()
    return loss


times = measure.timed(step, options.warmup, options.runs)
assert torch.isfinite(step()), "the loss is not finite"
measure.report("PyTorch", net.name, "train", options, times, torch.__version__, mode=options.mode, gflop=net.training_gflop() * options.batch,
               gpu=torch.cuda.get_device_name(), peak_mib=torch.cuda.max_memory_allocated() / 2**20)
