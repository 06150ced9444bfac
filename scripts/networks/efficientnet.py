"""EfficientNet-B0 (Tan, Le 2019) in the widths of the published darknet weights, as a classifier and with two heads."""

from networks.classifiers import net_of
from networks.network import COCO_ANCHORS_TINY, HEAD_V3, Network, recipe
from networks.yolov3 import LONG

# Filters inside, squeezed, and at the end; kernel; stride. A block that keeps its shape is added to its input.
BLOCKS = (
    (32, 8, 16, 3, 1),
    (96, 16, 24, 3, 2), (144, 8, 24, 3, 1),
    (144, 8, 40, 5, 2), (192, 16, 40, 5, 1),
    (192, 16, 80, 3, 1), (384, 24, 80, 3, 1), (384, 24, 80, 3, 1),
    (384, 24, 112, 5, 2), (576, 32, 112, 5, 1), (576, 32, 112, 5, 1),
    (576, 32, 192, 5, 2), (960, 64, 192, 5, 1), (960, 64, 192, 5, 1), (960, 64, 192, 5, 1),
    (960, 64, 320, 3, 1),
)  # fmt: skip


def backbone(net, dropout):
    """Inverted residuals with squeeze and excitation. Returns the last layer of stride 16: inside the block that goes to stride 32, 576 wide."""
    net.conv(32, 3, 2, "swish")
    for inner, squeezed, outer, kernel, stride in BLOCKS:
        added = stride == 1 and net.shape()[0] == outer
        net.conv(inner, activation="swish")
        if net.shape()[1] * 16 == net.input[1]:
            joined = net.last()
        net.conv(inner, kernel, stride, "swish", groups=inner)
        net.average()
        net.conv(squeezed, activation="swish", norm=None)
        net.conv(inner, activation="logistic", norm=None)
        net.scale_channels(-4)
        net.conv(outer, activation="linear")
        if added:
            net.dropout(dropout)
            net.shortcut(-9)
    net.conv(1280, activation="swish")
    return joined


def efficientnet_b0():
    net = net_of(224)
    backbone(net, 0.2)
    net.comment("classifier")
    net.average()
    net.dropout(0.2)
    net.conv(1000, activation="linear", norm=None)
    net.softmax()
    return net, net.file(
        "EfficientNet-B0 (Tan, Le 2019), the classifier of ImageNet's 1000 classes, in the widths of the published efficientnet_b0.weights, which fits.",
    )


def enet_coco():
    net = Network(**recipe(416, 64, 8, *LONG))
    net.comment("EfficientNet-B0")
    joined = backbone(net, 0.0)
    assert joined == 90
    net.comment("head of stride 32")
    net.conv(256)
    net.conv(256, 3)
    net.shortcut(-2, "leaky")
    net.head((3, 4, 5), COCO_ANCHORS_TINY, 80, **{**HEAD_V3, "random": 0})
    net.comment(f"head of stride 16: sums with the leading channels of layer {joined}")
    net.route(-4)
    net.conv(128)
    net.upsample()
    net.shortcut(joined, "leaky")
    net.conv(128, 3)
    net.shortcut(-3, "leaky")
    net.shortcut(joined, "leaky")
    net.head((1, 2, 3), COCO_ANCHORS_TINY, 80, **{**HEAD_V3, "random": 0})
    return net, net.file("EfficientNet-B0 with two heads of partial residual connections, 80 classes. The published enetb0-coco_final.weights fits.")
