#!/usr/bin/env python3
"""Writes the cfg files of this project from descriptions of the architectures.

    scripts/make_cfgs.py            write cfg/*.cfg
    scripts/make_cfgs.py --check    exit with 1 when a committed file differs from what would be written

A network is built section by section; its shape, parameters and FLOPs are counted along the way, stand in the comment on top of the
file, and are held against the published figures, so that published .weights files fit.
"""

import sys
from pathlib import Path

CFG = Path(__file__).resolve().parent.parent / "cfg"


class Network:
    """Collects sections; knows the shape (channels, height, width) of every layer's output."""

    def __init__(self, **net):
        self.text = []
        self.shapes = []
        self.input = (net["channels"], net["height"], net["width"])
        self.convolutions = self.parameters = self.multiplications = 0
        self._write("net", net)

    def _write(self, name, keys):
        lines = [f"[{name}]"]
        lines += [f"{key} = {self._value(value)}" for key, value in keys.items()]
        self.text.append("\n".join(lines))

    @staticmethod
    def _value(value):
        if isinstance(value, (list, tuple)):
            return ", ".join(Network._value(v) for v in value)
        return f"{value:g}" if isinstance(value, float) else str(value)

    def comment(self, text):
        self.text.append(f"# {text}")

    def _shape(self, layer=-1):
        if not self.shapes:
            return self.input
        return self.shapes[layer]

    def conv(self, filters, size=1, stride=1, activation="leaky", bn=True):
        channels, height, width = self._shape()
        keys = {"batch_normalize": 1} if bn else {}
        self._write("convolutional", {**keys, "filters": filters, "size": size, "stride": stride, "pad": 1, "activation": activation})
        padding = size // 2
        height, width = ((side + 2 * padding - size) // stride + 1 for side in (height, width))
        weights = channels * filters * size * size
        self.convolutions += 1
        self.parameters += weights + (4 if bn else 1) * filters  # with bn: biases, scales, means, variances
        self.multiplications += weights * height * width
        self.shapes.append((filters, height, width))

    def maxpool(self, size, stride):
        channels, height, width = self._shape()
        self._write("maxpool", {"size": size, "stride": stride})
        self.shapes.append((channels, (height - 1) // stride + 1, (width - 1) // stride + 1))

    def upsample(self):
        channels, height, width = self._shape()
        self._write("upsample", {"stride": 2})
        self.shapes.append((channels, 2 * height, 2 * width))

    def route(self, *layers, half=None):
        """Concatenates layers; half=1 takes the second half of the channels."""
        keys = {"layers": layers}
        if half is not None:
            keys.update(groups=2, group_id=half)
        sources = [self._shape(layer) for layer in layers]
        assert len({shape[1:] for shape in sources}) == 1, f"route {layers}: {sources}"
        channels = sum(shape[0] for shape in sources) // (1 if half is None else 2)
        self._write("route", keys)
        self.shapes.append((channels, *sources[0][1:]))

    def shortcut(self, layer=-3):
        assert self._shape(layer) == self._shape(), f"shortcut {layer}: {self._shape(layer)} + {self._shape()}"
        self._write("shortcut", {"from": layer, "activation": "linear"})
        self.shapes.append(self._shape())

    def head(self, mask, anchors, classes, **keys):
        """The linear convolution that feeds a [yolo] section, and the section."""
        self.conv(len(mask) * (5 + classes), activation="linear", bn=False)
        pairs = [f"{w},{h}" for w, h in anchors]
        self._write("yolo", {"mask": mask, "anchors": ",  ".join(pairs), "classes": classes, "num": len(anchors), **keys})
        self.shapes.append(self._shape())

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


def recipe(width, batch, subdivisions, rate, max_batches, steps, momentum=0.9, burn_in=1000):
    """[net] of a long training: two drops of the rate by ten near the end, color and exposure distortion."""
    return {
        "batch": batch, "subdivisions": subdivisions, "width": width, "height": width, "channels": 3,
        "momentum": momentum, "decay": 0.0005, "saturation": 1.5, "exposure": 1.5, "hue": 0.1,
        "learning_rate": rate, "burn_in": burn_in, "max_batches": max_batches,
        "policy": "steps", "steps": steps, "scales": (0.1, 0.1),
    }  # fmt: skip


COCO_ANCHORS = ((10, 13), (16, 30), (33, 23), (30, 61), (62, 45), (59, 119), (116, 90), (156, 198), (373, 326))
COCO_ANCHORS_V4 = ((12, 16), (19, 36), (40, 28), (36, 75), (76, 55), (72, 146), (142, 110), (192, 243), (459, 401))
COCO_ANCHORS_TINY = ((10, 14), (23, 27), (37, 58), (81, 82), (135, 169), (344, 319))
HEAD_V3 = {"jitter": 0.3, "ignore_thresh": 0.7, "truth_thresh": 1, "random": 1}


def yolov3():
    net = Network(**recipe(416, 64, 16, 0.001, 500200, (400000, 450000)))
    net.comment("Darknet-53: five halvings, residual blocks between them")
    net.conv(32, 3)
    for filters, blocks in ((64, 1), (128, 2), (256, 8), (512, 8), (1024, 4)):
        net.conv(filters, 3, 2)
        net.residuals(blocks, filters // 2, filters)
    for filters, mask, deeper in ((512, (6, 7, 8), 61), (256, (3, 4, 5), 36), (128, (0, 1, 2), None)):
        net.comment(f"head of stride {416 // net._shape()[1]}")
        for _ in range(3):
            net.conv(filters)
            net.conv(2 * filters, 3)
        net.head(mask, COCO_ANCHORS, 80, **HEAD_V3)
        if deeper:
            net.route(-4)
            net.conv(filters // 2)
            net.upsample()
            net.route(-1, deeper)
    return net, net.file("YOLOv3: Darknet-53 with three heads, 80 classes (Redmon, Farhadi 2018). The published yolov3.weights fits.")


def yolov3_tiny():
    net = Network(**recipe(416, 64, 2, 0.001, 500200, (400000, 450000)))
    for filters in (16, 32, 64, 128, 256):
        net.conv(filters, 3)
        net.maxpool(2, 2)
    net.conv(512, 3)
    net.maxpool(2, 1)
    net.conv(1024, 3)
    net.comment("head of stride 32")
    net.conv(256)
    net.conv(512, 3)
    net.head((3, 4, 5), COCO_ANCHORS_TINY, 80, **{**HEAD_V3, "random": 0})
    net.comment("head of stride 16")
    net.route(-4)
    net.conv(128)
    net.upsample()
    net.route(-1, 8)
    net.conv(256, 3)
    net.head((0, 1, 2), COCO_ANCHORS_TINY, 80, **{**HEAD_V3, "random": 0})
    return net, net.file("YOLOv3-tiny: seven convolutions with pooling, two heads, 80 classes. The published yolov3-tiny.weights fits.")


def csp_stage(net, filters, blocks, first=False):
    """A halving, then two branches: residual blocks on one, a single convolution on the other; joined at the end (CSP)."""
    branch = filters if first else filters // 2
    inner = filters // 2
    net.conv(filters, 3, 2, "mish")
    net.conv(branch, activation="mish")
    net.route(-2)
    net.conv(branch, activation="mish")
    net.residuals(blocks, inner, branch, "mish")
    net.conv(branch, activation="mish")
    net.route(-1, -(3 * blocks + 4))
    net.conv(filters, activation="mish")


def alternate(net, filters, count):
    """filters 1x1, 2 x filters 3x3, filters 1x1, ..."""
    for i in range(count):
        net.conv(2 * filters if i % 2 else filters, 3 if i % 2 else 1)


def yolov4():
    net = Network(**recipe(416, 64, 8, 0.0013, 500500, (400000, 450000), momentum=0.949))
    keys = {"jitter": 0.3, "ignore_thresh": 0.7, "truth_thresh": 1, "iou_thresh": 0.213, "iou_loss": "ciou", "iou_normalizer": 0.07,
            "cls_normalizer": 1.0, "nms_kind": "greedynms", "beta_nms": 0.6, "max_delta": 5, "random": 1}  # fmt: skip
    net.comment("CSPDarknet-53")
    net.conv(32, 3, activation="mish")
    for filters, blocks in ((64, 1), (128, 2), (256, 8), (512, 8), (1024, 4)):
        csp_stage(net, filters, blocks, first=filters == 64)
    net.comment("spatial pyramid pooling")
    alternate(net, 512, 3)
    net.maxpool(5, 1)
    net.route(-2)
    net.maxpool(9, 1)
    net.route(-4)
    net.maxpool(13, 1)
    net.route(-1, -3, -5, -6)
    alternate(net, 512, 3)
    for filters, deeper in ((256, 85), (128, 54)):
        net.comment(f"path aggregation: up, joined with layer {deeper}")
        net.conv(filters)
        net.upsample()
        net.route(deeper)
        net.conv(filters)
        net.route(-1, -3)
        alternate(net, filters, 5)
    for filters, mask, scale, back in ((128, (0, 1, 2), 1.2, None), (256, (3, 4, 5), 1.1, -16), (512, (6, 7, 8), 1.05, -37)):
        if back:
            net.comment("path aggregation: down")
            net.route(-4)
            net.conv(filters, 3, 2)
            net.route(-1, back)
            alternate(net, filters, 5)
        net.comment(f"head of stride {416 // net._shape()[1]}")
        net.conv(2 * filters, 3)
        net.head(mask, COCO_ANCHORS_V4, 80, scale_x_y=scale, **keys)
    return net, net.file(
        "YOLOv4: CSPDarknet-53, spatial pyramid pooling, path aggregation, three heads, 80 classes",
        "(Bochkovskiy, Wang, Liao 2020). The published yolov4.weights fits.",
    )


def tiny_backbone(net, width):
    """CSPDarknet-53-tiny. Returns the index of the layer that the second head joins."""
    net.comment("CSPDarknet-53-tiny")
    net.conv(width, 3, 2)
    net.conv(2 * width, 3, 2)
    for filters in (2 * width, 4 * width, 8 * width):
        net.conv(filters, 3)
        net.route(-1, half=1)
        net.conv(filters // 2, 3)
        net.conv(filters // 2, 3)
        net.route(-1, -2)
        net.conv(filters)
        joined = len(net.shapes) - 1
        net.route(-6, -1)
        net.maxpool(2, 2)
    net.conv(16 * width, 3)
    return joined


def tiny_heads(net, width, joined, masks, anchors, classes, **keys):
    net.comment("head of stride 32")
    net.conv(8 * width)
    net.conv(16 * width, 3)
    net.head(masks[0], anchors, classes, **keys)
    net.comment("head of stride 16")
    net.route(-4)
    net.conv(4 * width)
    net.upsample()
    net.route(-1, joined)
    net.conv(8 * width, 3)
    net.head(masks[1], anchors, classes, **keys)


HEAD_V4_TINY = {"scale_x_y": 1.05, "ignore_thresh": 0.7, "truth_thresh": 1, "iou_loss": "ciou", "iou_normalizer": 0.07,
                "cls_normalizer": 1.0, "nms_kind": "greedynms", "beta_nms": 0.6, "random": 0}  # fmt: skip


def yolov4_tiny():
    net = Network(**recipe(416, 64, 1, 0.00261, 2000200, (1600000, 1800000)))
    joined = tiny_backbone(net, 32)
    tiny_heads(net, 32, joined, ((3, 4, 5), (1, 2, 3)), COCO_ANCHORS_TINY, 80, jitter=0.3, **HEAD_V4_TINY)
    return net, net.file(
        "YOLOv4-tiny: CSPDarknet-53-tiny with two heads, 80 classes (Wang, Bochkovskiy, Liao 2021).",
        "The published yolov4-tiny.weights fits.",
    )


def short_recipe(width, batch, rate, max_batches, burn_in):
    """[net] of a short training from scratch: a rise, then one cosine down to nearly nothing."""
    return {
        "batch": batch, "subdivisions": 1, "width": width, "height": width, "channels": 3,
        "momentum": 0.9, "decay": 0.0005, "saturation": 1.3, "exposure": 1.4, "hue": 0.04,
        "learning_rate": rate, "burn_in": burn_in, "max_batches": max_batches,
        "policy": "sgdr", "sgdr_cycle": max_batches, "learning_rate_min": rate / 100,
    }  # fmt: skip


def yolov4_tiny_bccd():
    # k-means (1 - IoU) over the 3941 boxes of the 292 training photographs, as `detector calc_anchors` does it: mean IoU 86 %.
    anchors = ((26, 34), (59, 70), (62, 92), (73, 81), (79, 101), (141, 169))
    net = Network(**short_recipe(416, 8, 0.002, 3500, 200))
    joined = tiny_backbone(net, 16)
    tiny_heads(net, 16, joined, ((3, 4, 5), (0, 1, 2)), anchors, 3, jitter=0.2, **HEAD_V4_TINY)
    return net, net.file(
        "YOLOv4-tiny at half its width for the blood cells of BCCD: RBC, WBC, Platelets.",
        "292 photographs, from scratch, on a CPU: 3500 iterations of 8 images are 28000 images, 96 times each.",
        "The anchors are the k-means centers of the training boxes at 416 x 416.",
    )


def demo():
    # k-means over the boxes of the embedded data set, as `detector calc_anchors` does it.
    anchors = ((22, 25), (38, 35), (23, 60), (46, 59), (73, 45), (43, 103))
    net = Network(**short_recipe(160, 16, 0.005, 2400, 100))
    net.conv(16, 3, 2)
    net.conv(32, 3, 2)
    net.conv(64, 3, 2)
    net.conv(64, 3)
    net.conv(128, 3, 2)
    net.conv(128, 3)
    net.comment("head of stride 16")
    net.head((3, 4, 5), anchors, 6, jitter=0.1, iou_thresh=0.213, **HEAD_V4_TINY)
    net.comment("head of stride 8, joined with layer 3")
    net.route(-3)
    net.conv(32)
    net.upsample()
    net.route(-1, 3)
    net.conv(64, 3)
    net.head((0, 1, 2), anchors, 6, jitter=0.1, iou_thresh=0.213, **HEAD_V4_TINY)
    return net, net.file("The network of the demonstration: ten convolutions, two heads, 6 classes; trains in minutes on two cores.")


# File, network, and what is published: convolutions and the floats of the .weights file.
FILES = (
    ("yolov4-tiny", yolov4_tiny, 21, 6062814),
    ("yolov3-tiny", yolov3_tiny, 13, 8858734),
    ("yolov3", yolov3, 75, 62001757),
    ("yolov4", yolov4, 110, 64429405),
    ("yolov4-tiny-bccd", yolov4_tiny_bccd, 21, None),
    ("demo", demo, 10, None),
)


def main():
    check = sys.argv[1:] == ["--check"]
    if sys.argv[1:] and not check:
        sys.exit(__doc__)
    stale = []
    for name, build, convolutions, parameters in FILES:
        net, text = build()
        assert net.convolutions == convolutions, f"{name}: {net.convolutions} convolutions, published {convolutions}"
        assert parameters in (None, net.parameters), f"{name}: {net.parameters} parameters, published {parameters}"
        path = CFG / f"{name}.cfg"
        if not check:
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            stale.append(path.name)
    if stale:
        sys.exit(f"differs from scripts/make_cfgs.py: {', '.join(stale)}")


if __name__ == "__main__":
    main()
