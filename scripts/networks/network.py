"""A network under construction, and what many of them share: recipes, anchors, blocks."""


class Network:
    """Collects sections; knows the shape (channels, height, width) of every layer's output."""

    def __init__(self, **net):
        self.text = []
        self.shapes = []
        self.input = (net["channels"], net["height"], net["width"])
        self.convolutions = self.parameters = self.statistics = self.multiplications = 0
        self._write("net", net)

    def _write(self, name, keys):
        lines = [f"[{name}]"]
        lines += [f"{key} = {self._value(value)}" for key, value in keys.items()]
        self.text.append("\n".join(lines))

    @staticmethod
    def _value(value):
        if isinstance(value, (list, tuple, range)):
            return ", ".join(Network._value(v) for v in value)
        return f"{value:g}" if isinstance(value, float) else str(value)

    def comment(self, text):
        self.text.append(f"# {text}")

    def shape(self, layer=-1):
        if not self.shapes:
            return self.input
        return self.shapes[layer]

    def conv(self, filters, size=1, stride=1, activation="leaky", norm="bn", groups=1, share=None):
        """norm: bn, gn (groups of channels), lnc (per pixel, over the channels) or None. Odd kernels are padded; even ones are laid side by side.
        share: the layer whose parameters this one uses."""
        channels, height, width = self.shape()
        keys = {"bn": {"batch_normalize": 1}, None: {}}.get(norm, {"norm": norm})
        keys = {**keys, "filters": filters, "size": size, "stride": stride}
        if groups > 1:
            keys["groups"] = groups
        if size % 2:
            keys["pad"] = 1
        if share is not None:
            keys["share_index"] = share
        self._write("convolutional", {**keys, "activation": activation})
        padding = size // 2 if size % 2 else 0
        height, width = ((side + 2 * padding - size) // stride + 1 for side in (height, width))
        weights = channels // groups * filters * size * size
        self.convolutions += 1
        if share is None:
            # biases; with a norm also scales; with bn also means and variances
            self.parameters += weights + {"bn": 4, None: 1}.get(norm, 2) * filters
            self.statistics += 2 * filters if norm == "bn" else 0
        self.multiplications += weights * height * width
        self.shapes.append((filters, height, width))

    def maxpool(self, size, stride):
        channels, height, width = self.shape()
        self._write("maxpool", {"size": size, "stride": stride})
        self.shapes.append((channels, (height - 1) // stride + 1, (width - 1) // stride + 1))

    def upsample(self):
        channels, height, width = self.shape()
        self._write("upsample", {"stride": 2})
        self.shapes.append((channels, 2 * height, 2 * width))

    def route(self, *layers, half=None):
        """Concatenates layers; half=1 takes the second half of the channels."""
        keys = {"layers": layers}
        if half is not None:
            keys.update(groups=2, group_id=half)
        sources = [self.shape(layer) for layer in layers]
        assert len({shape[1:] for shape in sources}) == 1, f"route {layers}: {sources}"
        channels = sum(shape[0] for shape in sources) // (1 if half is None else 2)
        self._write("route", keys)
        self.shapes.append((channels, *sources[0][1:]))

    def shortcut(self, layer=-3, activation="linear"):
        """Adds a layer to the last one. Where the channels differ, the leading ones take part; of a map k times as large, every k-th pixel."""
        (height, width), (other_height, other_width) = self.shape()[1:], self.shape(layer)[1:]
        assert other_height % height == 0 and other_height // height == other_width / width, f"shortcut {layer}: {self.shape(layer)} + {self.shape()}"
        self._write("shortcut", {"from": layer, "activation": activation})
        self.shapes.append(self.shape())

    def average(self):
        """The mean of every channel over the whole map."""
        self._write("avgpool", {})
        self.shapes.append((self.shape()[0], 1, 1))

    def softmax(self):
        self._write("softmax", {"groups": 1})
        self.shapes.append(self.shape())

    def scale_channels(self, layer):
        """Multiplies every channel of the layer with a value of the last one (squeeze and excitation)."""
        assert self.shape() == (self.shape(layer)[0], 1, 1)
        self._write("scale_channels", {"from": layer})
        self.shapes.append(self.shape(layer))

    def reorg(self, stride=2):
        """Squares of pixels become channels, in the order that YOLOv2 was trained with."""
        channels, height, width = self.shape()
        self._write("reorg", {"stride": stride})
        self.shapes.append((channels * stride * stride, height // stride, width // stride))

    def dropout(self, probability):
        self._write("dropout", {"probability": probability})
        self.shapes.append(self.shape())

    def connected(self, outputs, activation="leaky"):
        channels, height, width = self.shape()
        self._write("connected", {"output": outputs, "activation": activation})
        self._dense(outputs, channels * height * width * outputs)
        self.shapes.append((outputs, 1, 1))

    def local(self, filters, size, activation="leaky"):
        """A convolution whose kernel differs from pixel to pixel."""
        channels, height, width = self.shape()
        self._write("local", {"filters": filters, "size": size, "stride": 1, "pad": 1, "activation": activation})
        self._dense(filters * height * width, channels * size * size * filters * height * width)
        self.shapes.append((filters, height, width))

    def _dense(self, biases, weights):
        self.parameters += biases + weights
        self.multiplications += weights

    def section(self, name, **keys):
        """One whose output has the shape of its input."""
        self._write(name, keys)
        self.shapes.append(self.shape())

    def last(self):
        """Index of the last layer so far."""
        return len(self.shapes) - 1

    def head(self, mask, anchors, classes, activation="linear", section="yolo", size=1, share=None, **keys):
        """The convolution that feeds a [yolo] or [Gaussian_yolo] section, and the section. new_coords asks for a logistic convolution."""
        entries = {"yolo": 5, "Gaussian_yolo": 9}[section] + classes
        self.conv(len(mask) * entries, size, activation=activation, norm=None, share=share)
        pairs = [f"{w},{h}" for w, h in anchors]
        self.section(section, mask=mask, anchors=",  ".join(pairs), classes=classes, num=len(anchors), **keys)

    def residuals(self, count, inner, outer, activation="leaky"):
        for _ in range(count):
            self.conv(inner, activation=activation)
            self.conv(outer, 3, activation=activation)
            self.shortcut()

    def file(self, *about):
        """The text of the cfg, with a comment on top."""
        _, height, width = self.input
        counted = (
            f"{self.convolutions} convolutions, {self.parameters / 1e6:.2f} M parameters, "
            f"{2 * self.multiplications / 1e9:.{2 if self.multiplications < 1e9 else 1}f} GFLOP forward at {width} x {height}."
        )
        top = [f"# {line}" for line in (*about, counted, "Written by scripts/make_cfgs.py.")]
        return "\n".join(top) + "\n\n" + "\n\n".join(self.text) + "\n"


def recipe(width, batch, subdivisions, rate, max_batches, steps, momentum=0.9, burn_in=1000, **more):
    """[net] of a long training: two drops of the rate by ten near the end, color and exposure distortion."""
    return {
        "batch": batch, "subdivisions": subdivisions, "width": width, "height": width, "channels": 3,
        "momentum": momentum, "decay": 0.0005, "saturation": 1.5, "exposure": 1.5, "hue": 0.1,
        "learning_rate": rate, "burn_in": burn_in, "max_batches": max_batches,
        "policy": "steps", "steps": steps, "scales": (0.1, 0.1), **more,
    }  # fmt: skip


def short_recipe(width, batch, rate, max_batches, burn_in):
    """[net] of a short training from scratch: a rise, then one cosine down to nearly nothing."""
    return {
        "batch": batch, "subdivisions": 1, "width": width, "height": width, "channels": 3,
        "momentum": 0.9, "decay": 0.0005, "saturation": 1.3, "exposure": 1.4, "hue": 0.04,
        "learning_rate": rate, "burn_in": burn_in, "max_batches": max_batches,
        "policy": "sgdr", "sgdr_cycle": max_batches, "learning_rate_min": rate / 100,
    }  # fmt: skip


COCO_ANCHORS = ((10, 13), (16, 30), (33, 23), (30, 61), (62, 45), (59, 119), (116, 90), (156, 198), (373, 326))
COCO_ANCHORS_V4 = ((12, 16), (19, 36), (40, 28), (36, 75), (76, 55), (72, 146), (142, 110), (192, 243), (459, 401))
COCO_ANCHORS_P5 = ((13, 17), (31, 25), (24, 51), (61, 45), (48, 102), (119, 96), (97, 189), (217, 184), (171, 384), (324, 451), (616, 618),
                   (800, 800))  # fmt: skip
COCO_ANCHORS_P6 = ((13, 17), (31, 25), (24, 51), (61, 45), (61, 45), (48, 102), (119, 96), (97, 189), (97, 189), (217, 184), (171, 384), (324, 451),
                   (324, 451), (545, 357), (616, 618), (1024, 1024))  # fmt: skip
COCO_ANCHORS_TINY = ((10, 14), (23, 27), (37, 58), (81, 82), (135, 169), (344, 319))
# Boxes from a logistic convolution: size 4 v^2 of the anchor, centre in [-0.5, 1.5] of the cell.
HEAD_SCALED = {"scale_x_y": 2.0, "new_coords": 1, "objectness_smooth": 1, "jitter": 0.1, "resize": 1.5, "ignore_thresh": 0.7, "truth_thresh": 1,
               "iou_loss": "ciou", "iou_normalizer": 0.05, "cls_normalizer": 0.5, "nms_kind": "diounms", "beta_nms": 0.6}  # fmt: skip
HEAD_V3 = {"jitter": 0.3, "ignore_thresh": 0.7, "truth_thresh": 1, "random": 1}


def csp_stage(net, filters, blocks, activation="mish", first=False):
    """A halving, then two branches: residual blocks on one, a single convolution on the other; joined at the end (CSP)."""
    branch = filters if first else filters // 2
    inner = filters // 2
    net.conv(filters, 3, 2, activation)
    net.conv(branch, activation=activation)
    net.route(-2)
    net.conv(branch, activation=activation)
    net.residuals(blocks, inner, branch, activation)
    net.conv(branch, activation=activation)
    net.route(-1, -(3 * blocks + 4))
    net.conv(filters, activation=activation)


def alternate(net, filters, count):
    """filters 1x1, 2 x filters 3x3, filters 1x1, ..."""
    for i in range(count):
        net.conv(2 * filters if i % 2 else filters, 3 if i % 2 else 1)


def pyramid(net, tail=(-1, -3, -5, -6)):
    """Spatial pyramid pooling: the input and its maxima over windows of 5, 9 and 13, joined."""
    net.maxpool(5, 1)
    net.route(-2)
    net.maxpool(9, 1)
    net.route(-4)
    net.maxpool(13, 1)
    net.route(*tail)
