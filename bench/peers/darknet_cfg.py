"""One network for every peer: reads a cfg of this project, infers shapes and FLOPs (standard library only), draws seeded random weights (numpy), and
builds the same network as a PyTorch module, as an ONNX model with folded batch normalization, or as a .weights file.

Section types: convolutional, maxpool, route, shortcut, upsample, yolo (identity here: decoding is not what is measured). Others are refused.
"""

import struct
from pathlib import Path

ACTIVATIONS = ("linear", "leaky", "mish", "swish", "relu", "logistic")
LEAKY_SLOPE = 0.1
BN_EPSILON = 1e-5


class CfgError(ValueError):
    pass


def read_cfg(path):
    """[(type, {key: text}), ...] with [net] first."""
    sections = []
    for number, line in enumerate(Path(path).read_text(encoding="utf-8-sig").splitlines(), 1):
        line = line.split("#", 1)[0].replace(" ", "").replace("\t", "")
        if not line or line.startswith(";"):
            continue
        if line.startswith("["):
            sections.append((line[1:-1].lower(), {}))
        elif "=" in line and sections:
            key, value = line.split("=", 1)
            sections[-1][1].setdefault(key, value)
        else:
            raise CfgError(f"{path}:{number}: expected [section] or key=value")
    if not sections or sections[0][0] not in ("net", "network"):
        raise CfgError(f"{path}: does not begin with [net]")
    return sections


class Layer:
    """One section with its sources (absolute indexes, -1 is the input) and shapes (C, H, W)."""

    def __init__(self, index, kind, keys, sources, shapes):
        self.index, self.kind, self.sources = index, kind, sources
        self.inputs = [shapes[s] for s in sources]
        self.activation = keys.get("activation", "logistic" if kind == "convolutional" else "linear")
        if self.activation not in ACTIVATIONS:
            raise CfgError(f"layer {index}: activation {self.activation} is not one of {', '.join(ACTIVATIONS)}")
        getattr(self, "_" + kind)(keys)

    def _number(self, keys, name, default):
        return int(keys.get(name, default))

    def _convolutional(self, keys):
        c, h, w = self.inputs[0]
        self.filters, self.size = self._number(keys, "filters", 1), self._number(keys, "size", 1)
        self.stride, self.groups = self._number(keys, "stride", 1), self._number(keys, "groups", 1)
        self.pad = self.size // 2 if self._number(keys, "pad", 0) else self._number(keys, "padding", 0)
        self.batch_normalize = self._number(keys, "batch_normalize", 0) != 0
        self.output = (self.filters, (h + 2 * self.pad - self.size) // self.stride + 1, (w + 2 * self.pad - self.size) // self.stride + 1)
        self.weight_shape = (self.filters, c // self.groups, self.size, self.size)
        self.flops = 2 * self.output[1] * self.output[2] * self.filters * (c // self.groups) * self.size**2

    def _maxpool(self, keys):
        c, h, w = self.inputs[0]
        self.stride = self._number(keys, "stride", 1)
        self.size = self._number(keys, "size", self.stride)
        total = self._number(keys, "padding", self.size - 1)
        self.output = (c, (h + total - self.size) // self.stride + 1, (w + total - self.size) // self.stride + 1)
        before = total // 2
        self.pads = tuple((before, max(0, (out - 1) * self.stride + self.size - extent - before)) for out, extent in zip(self.output[1:], (h, w)))

    def _route(self, keys):
        self.groups, self.group = self._number(keys, "groups", 1), self._number(keys, "group_id", 0)
        channels = sum(c // self.groups for c, _, _ in self.inputs)
        if len({shape[1:] for shape in self.inputs}) != 1:
            raise CfgError(f"layer {self.index}: [route] joins maps of different sizes")
        self.output = (channels, *self.inputs[0][1:])

    def _shortcut(self, keys):
        if len(set(self.inputs)) != 1:
            raise CfgError(f"layer {self.index}: [shortcut] adds maps of different shapes")
        self.output = self.inputs[0]

    def _upsample(self, keys):
        c, h, w = self.inputs[0]
        self.stride = self._number(keys, "stride", 2)
        self.output = (c, h * self.stride, w * self.stride)

    def _yolo(self, keys):
        self.output = self.inputs[0]


class Net:
    """Layers with shapes; heads are the indexes of the [yolo] layers (or of the last layer when there is none)."""

    def __init__(self, path, width=0, height=0):
        sections = read_cfg(path)
        self.path, keys = str(path), sections[0][1]
        self.name = Path(path).stem
        self.input = (int(keys.get("channels", 3)), height or int(keys["height"]), width or int(keys["width"]))
        self.layers, shapes = [], {-1: self.input}
        for index, (kind, keys) in enumerate(sections[1:]):
            if kind not in ("convolutional", "maxpool", "route", "shortcut", "upsample", "yolo"):
                raise CfgError(f"{path}: layer {index} is [{kind}], which the peers do not build")
            sources = [index - 1]
            if kind in ("route", "shortcut"):
                named = [int(v) for v in keys["layers" if kind == "route" else "from"].split(",") if v]
                sources = (sources if kind == "shortcut" else []) + [v if v >= 0 else index + v for v in named]
            layer = Layer(index, kind, keys, sources, shapes)
            shapes[index] = layer.output
            self.layers.append(layer)
        self.heads = [l.index for l in self.layers if l.kind == "yolo"] or [len(self.layers) - 1]

    def convolutions(self):
        return [l for l in self.layers if l.kind == "convolutional"]

    def forward_gflop(self):
        return sum(l.flops for l in self.convolutions()) / 1e9

    def training_gflop(self):
        """Forward, gradient of the input and of the weights; the first layer needs no gradient of its input."""
        convolutions = self.convolutions()
        return 3 * self.forward_gflop() - (convolutions[0].flops / 1e9 if convolutions and convolutions[0].index == 0 else 0)

    def random_weights(self, seed=1):
        """{layer: (bias, scale or None, mean, variance, weights)}: He-scaled weights so that activations stay of order one."""
        import numpy as np

        rng, drawn = np.random.default_rng(seed), {}
        for layer in self.convolutions():
            fan_in = layer.weight_shape[1] * layer.size**2
            weights = (rng.standard_normal(layer.weight_shape) * (2 / fan_in) ** 0.5).astype(np.float32)
            zeros, ones = np.zeros(layer.filters, np.float32), np.ones(layer.filters, np.float32)
            drawn[layer.index] = (zeros, ones if layer.batch_normalize else None, zeros, ones, weights)
        return drawn

    def folded_weights(self, seed=1):
        """{layer: (bias, weights)} with batch normalization folded in."""
        import numpy as np

        folded = {}
        for index, (bias, scale, mean, variance, weights) in self.random_weights(seed).items():
            if scale is not None:
                factor = scale / np.sqrt(variance + np.float32(BN_EPSILON))
                weights, bias = weights * factor[:, None, None, None], bias - mean * factor
            folded[index] = (bias.astype(np.float32), weights.astype(np.float32))
        return folded

    def write_weights(self, path, seed=1):
        """A .weights file: version 0.2.5, images seen as 64 bits, then per convolution biases, scales, means, variances, weights."""
        with open(path, "wb") as out:
            out.write(struct.pack("<iiiQ", 0, 2, 5, 0))
            for bias, scale, mean, variance, weights in self.random_weights(seed).values():
                for array in (bias,) + ((scale, mean, variance) if scale is not None else ()) + (weights,):
                    out.write(array.astype("<f4").tobytes())


def torch_module(net, seed=1):
    """The network as a torch.nn.Module in training mode; forward gives the list of head outputs."""
    import torch
    import torch.nn.functional as F
    from torch import nn

    def activation(name):
        return {"linear": nn.Identity, "leaky": lambda: nn.LeakyReLU(LEAKY_SLOPE, inplace=True), "mish": lambda: nn.Mish(inplace=True),
                "swish": lambda: nn.SiLU(inplace=True), "relu": lambda: nn.ReLU(inplace=True), "logistic": nn.Sigmoid}[name]()

    class Pool(nn.Module):
        def __init__(self, layer):
            super().__init__()
            (top, bottom), (left, right) = layer.pads
            self.padding = None
            if top == bottom == left == right and top <= layer.size // 2:
                self.pool = nn.MaxPool2d(layer.size, layer.stride, top)
            else:
                self.padding, self.pool = (left, right, top, bottom), nn.MaxPool2d(layer.size, layer.stride)

        def forward(self, x):
            return self.pool(x if self.padding is None else F.pad(x, self.padding, value=float("-inf")))

    def build(layer, weights):
        if layer.kind == "convolutional":
            bias, scale, mean, variance, weight = weights[layer.index]
            conv = nn.Conv2d(layer.inputs[0][0], layer.filters, layer.size, layer.stride, layer.pad, groups=layer.groups, bias=scale is None)
            conv.weight.data = torch.from_numpy(weight)
            parts = [conv]
            if scale is None:
                conv.bias.data = torch.from_numpy(bias.copy())
            else:
                norm = nn.BatchNorm2d(layer.filters, eps=BN_EPSILON, momentum=0.01)
                norm.weight.data, norm.bias.data = torch.from_numpy(scale.copy()), torch.from_numpy(bias.copy())
                norm.running_mean.data, norm.running_var.data = torch.from_numpy(mean.copy()), torch.from_numpy(variance.copy())
                parts.append(norm)
            if layer.activation != "linear":
                parts.append(activation(layer.activation))
            return nn.Sequential(*parts)
        if layer.kind == "maxpool":
            return Pool(layer)
        if layer.kind == "upsample":
            return nn.Upsample(scale_factor=layer.stride, mode="nearest")
        return activation(layer.activation) if layer.kind == "shortcut" else nn.Identity()

    class Module(nn.Module):
        def __init__(self):
            super().__init__()
            weights = net.random_weights(seed)
            self.parts = nn.ModuleList(build(layer, weights) for layer in net.layers)

        def forward(self, x):
            outputs, heads = {-1: x}, []
            for layer, part in zip(net.layers, self.parts):
                sources = [outputs[s] for s in layer.sources]
                if layer.kind == "route":
                    if layer.groups > 1:
                        sources = [s.chunk(layer.groups, 1)[layer.group] for s in sources]
                    y = sources[0] if len(sources) == 1 else torch.cat(sources, 1)
                elif layer.kind == "shortcut":
                    y = part(sum(sources[1:], sources[0]))
                else:
                    y = part(sources[0])
                outputs[layer.index] = y
                if layer.index in net.heads:
                    heads.append(y)
            return heads

    return Module()


def onnx_model(net, seed=1):
    """The network for inference, batch 1, batch normalization folded, as an onnx.ModelProto."""
    from onnx import TensorProto, checker, helper, numpy_helper
    import numpy as np

    nodes, constants = [], []
    names = {-1: "input"}

    def constant(name, array):
        constants.append(numpy_helper.from_array(array, name))
        return name

    def add(op, inputs, output, **attributes):
        nodes.append(helper.make_node(op, inputs, [output], **attributes))
        return output

    def activate(kind, x, name):
        if kind == "linear":
            return x
        if kind == "swish":
            return add("Mul", [x, add("Sigmoid", [x], name + "_gate")], name)
        attributes = {"alpha": LEAKY_SLOPE} if kind == "leaky" else {}
        return add({"leaky": "LeakyRelu", "mish": "Mish", "relu": "Relu", "logistic": "Sigmoid"}[kind], [x], name, **attributes)

    folded = net.folded_weights(seed)
    for layer in net.layers:
        i, x = layer.index, [names[s] for s in layer.sources]
        if layer.kind == "convolutional":
            bias, weights = folded[i]
            y = add("Conv", [x[0], constant(f"w{i}", weights), constant(f"b{i}", bias)], f"conv{i}", kernel_shape=[layer.size] * 2,
                    strides=[layer.stride] * 2, pads=[layer.pad] * 4, group=layer.groups)
            names[i] = activate(layer.activation, y, f"act{i}")
        elif layer.kind == "maxpool":
            (top, bottom), (left, right) = layer.pads
            names[i] = add("MaxPool", x, f"pool{i}", kernel_shape=[layer.size] * 2, strides=[layer.stride] * 2, pads=[top, left, bottom, right])
        elif layer.kind == "route":
            if layer.groups > 1:
                axis = constant(f"axis{i}", np.array([1], np.int64))
                for k, source in enumerate(layer.sources):
                    part = layer.inputs[k][0] // layer.groups
                    first, last = (constant(f"{side}{i}_{k}", np.array([v * part], np.int64)) for side, v in (("from", layer.group), ("to", layer.group + 1)))
                    x[k] = add("Slice", [names[source], first, last, axis], f"slice{i}_{k}")
            names[i] = x[0] if len(x) == 1 else add("Concat", x, f"route{i}", axis=1)
        elif layer.kind == "shortcut":
            y = x[0]
            for k, other in enumerate(x[1:]):
                y = add("Add", [y, other], f"sum{i}_{k}")
            names[i] = activate(layer.activation, y, f"act{i}")
        elif layer.kind == "upsample":
            scales = constant(f"scales{i}", np.array([1, 1, layer.stride, layer.stride], np.float32))
            names[i] = add("Resize", [x[0], "", scales], f"up{i}", mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")
        else:
            names[i] = x[0]
    outputs = [helper.make_tensor_value_info(names[h], TensorProto.FLOAT, [1, *net.layers[h].output]) for h in net.heads]
    graph = helper.make_graph(nodes, net.name, [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, *net.input])], outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    model.ir_version = 8
    checker.check_model(model)
    return model
