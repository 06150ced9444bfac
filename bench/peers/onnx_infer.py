#!/usr/bin/env python3
"""ONNX Runtime, inference on the CPU with all graph optimizations; batch normalization folded."""

import measure
import numpy as np
import onnxruntime
from darknet_cfg import Net, onnx_model

options = measure.arguments(__doc__, batch=1)
if options.batch != 1:
    raise SystemExit("onnx_infer.py: the model is built for batch 1")
net = Net(options.cfg, options.width, options.height)
settings = onnxruntime.SessionOptions()
settings.intra_op_num_threads, settings.inter_op_num_threads = options.threads, 1
settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
session = onnxruntime.InferenceSession(onnx_model(net).SerializeToString(), settings, providers=["CPUExecutionProvider"])
x = np.random.default_rng(1).random((1, *net.input), dtype=np.float32)
times = measure.timed(lambda: session.run(None, {"input": x}), options.warmup + 2, options.runs)
assert all(np.isfinite(head).all() for head in session.run(None, {"input": x})), "an output is not finite"
measure.report("ONNX Runtime", net.name, "infer", options, times, onnxruntime.__version__, gflop=net.forward_gflop())
