#!/usr/bin/env python3
"""The peers must compute one function: PyTorch, ONNX Runtime and (where installed) Debian's OpenCV on the same input and weights. What enters the
[yolo] sections is compared. Exit status 1 when they differ.    check_same.py CFG
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from darknet_cfg import Net, onnx_model, torch_module

TOLERANCE = 1e-3  # of the largest entry; OpenCV loses three digits in a deep net, the others none
OPENCV = """
import sys, cv2, numpy as np
folder, cfg, *names = sys.argv[1:]
model = cv2.dnn.readNetFromDarknet(cfg, folder + "/random.weights")
model.setInput(np.load(folder + "/input.npy"))
for i, head in enumerate(model.forward(names)):
    np.save(f"{folder}/head{i}.npy", head)
"""


def opencv_heads(net, cfg, x):
    """None where Debian's Python has no OpenCV."""
    before = [net.layers[h].sources[0] if net.layers[h].kind == "yolo" else h for h in net.heads]
    with tempfile.TemporaryDirectory() as folder:
        net.write_weights(Path(folder) / "random.weights")
        np.save(Path(folder) / "input.npy", x)
        done = subprocess.run(["/usr/bin/python3", "-c", OPENCV, folder, cfg, *(f"conv_{i}" for i in before)], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            if "No module named 'cv2'" not in done.stderr:
                raise SystemExit(done.stderr)
            return None
        return [np.load(Path(folder) / f"head{i}.npy") for i in range(len(before))]


def main():
    cfg = sys.argv[1]
    net = Net(cfg)
    x = np.random.default_rng(1).random((1, *net.input), dtype=np.float32)
    with torch.no_grad():
        expected = [head.numpy() for head in torch_module(net).eval()(torch.from_numpy(x))]
    session = onnxruntime.InferenceSession(onnx_model(net).SerializeToString(), providers=["CPUExecutionProvider"])
    results = {"ONNX Runtime": session.run(None, {"input": x}), "OpenCV": opencv_heads(net, cfg, x)}
    worst = 0.0
    for name, heads in results.items():
        if heads is None:
            print(f"{name}: not installed")
            continue
        difference = max(float(np.abs(a - b).max() / np.abs(a).max()) for a, b in zip(expected, heads, strict=True))
        print(f"{name}: largest difference from PyTorch {difference:.1e} of the largest entry")
        worst = max(worst, difference)
    return 0 if worst < TOLERANCE else 1


if __name__ == "__main__":
    sys.exit(main())
