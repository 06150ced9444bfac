#!/bin/sh
# Creates ./.peers, a Python environment with the programs that bench/run compares against, in pinned versions. A large download (about 3 GB
# with what PyTorch brings along); `make bench` works without it. OpenCV comes from Debian: apt-get install python3-opencv.
set -eu
cd "$(dirname "$0")/../.."
python3 -m venv .peers
.peers/bin/pip install --quiet -r bench/peers/requirements.txt
.peers/bin/python -c 'import torch, onnx, onnxruntime; print("PyTorch", torch.__version__, "- ONNX Runtime", onnxruntime.__version__)'
