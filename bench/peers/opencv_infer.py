#!/usr/bin/env python3
"""OpenCV DNN (Debian python3-opencv), inference from the cfg itself and a random .weights file."""

import tempfile
from pathlib import Path

import cv2
import measure
import numpy as np
from darknet_cfg import Net

options = measure.arguments(__doc__, batch=1)
net = Net(options.cfg, options.width, options.height)
cv2.setNumThreads(options.threads)
with tempfile.TemporaryDirectory() as folder:
    weights = Path(folder) / "random.weights"
    net.write_weights(weights)
    model = cv2.dnn.readNetFromDarknet(options.cfg, str(weights))
model.setPreferableBackend(cv2.dnn.DNN_BACKEND_OPENCV)
x = np.random.default_rng(1).random((options.batch, *net.input), dtype=np.float32)
names = model.getUnconnectedOutLayersNames()


def step():
    model.setInput(x)
    return model.forward(names)


times = measure.timed(step, options.warmup + 2, options.runs)
measure.report("OpenCV", net.name, "infer", options, times, cv2.__version__, gflop=net.forward_gflop() * options.batch)
