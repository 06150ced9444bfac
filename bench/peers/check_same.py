#!/usr/bin/env python3
"""The peers must compute one function: PyTorch, ONNX Runtime and (where importable) OpenCV on the same input. Exit status 1 when they differ.

check_same.py CFG; heads go through OpenCV's own decoding, so there the layers before the [yolo] sections are compared.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from darknet_cfg import Net, onnx_model, torch_module

TOLERANCE = 1e-4  # of the largest entry

net = Net(sys.argv[1])
x = np.random.default_rng(1).random((1, *net.input), dtype=np.float32)
with torch.no_grad():
    expected = [head.numpy() for head in torch_module(net).eval()(torch.from_numpy(x))]
results = {"ONNX Runtime": onnxruntime.InferenceSession(onnx_model(net).SerializeToString(), providers=["CPUExecutionProvider"]).run(None, {"input": x})}
try:
    import cv2

    with tempfile.TemporaryDirectory() as folder:
        net.write_weights(Path(folder) / "random.weights")
        model = cv2.dnn.readNetFromDarknet(sys.argv[1], str(Path(folder) / "random.weights"))
    model.setInput(x)
    before = [net.layers[h].sources[0] if net.layers[h].kind == "yolo" else h for h in net.heads]
    results["OpenCV"] = model.forward([f"conv_{i}" for i in before])
except ImportError:
    print("OpenCV: not installed for this Python, skipped")
worst = 0
for name, heads in results.items():
    difference = max(float(np.abs(a - b).max() / np.abs(a).max()) for a, b in zip(expected, heads, strict=True))
    print(f"{name}: largest difference from PyTorch {difference:.1e} of the largest entry")
    worst = max(worst, difference)
sys.exit(0 if worst < TOLERANCE else 1)
