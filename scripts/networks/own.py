"""Networks of this project."""

from networks.network import COCO_ANCHORS_TINY, Network, recipe, short_recipe
from networks.yolov4 import HEAD_V4_TINY, tiny_backbone, tiny_heads


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


def bottleneck(net, expansion, filters, stride, activation="relu6"):
    """MobileNetV2's inverted residual: wide inside, depthwise 3x3, a linear narrow end; added to its input where the shapes agree."""
    channels = net.shape()[0]
    before = net.last()
    if expansion > 1:
        net.conv(expansion * channels, activation=activation)
    net.conv(expansion * channels, 3, stride, activation, groups=expansion * channels)
    net.conv(filters, activation="linear")
    if stride == 1 and channels == filters:
        net.shortcut(before - net.last() - 1)


def separable(net, filters, activation="relu6"):
    net.conv(net.shape()[0], 3, activation=activation, groups=net.shape()[0])
    net.conv(filters, activation=activation)


def mobilenetv2_yolo():
    net = Network(**recipe(416, 64, 2, 0.0013, 500200, (400000, 450000)))
    net.comment("MobileNetV2 without its last 1x1 convolution")
    net.conv(32, 3, 2, "relu6")
    stages = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
    for expansion, filters, blocks, stride in stages:
        for i in range(blocks):
            bottleneck(net, expansion, filters, stride if i == 0 else 1)
        if filters == 96:
            joined = net.last()
    learned = net.parameters - net.statistics
    assert learned == 2223872 - 1280 * (320 + 2), f"{learned} learned parameters; the paper's network without its last convolution has 1811712"
    net.comment("head of stride 32")
    net.conv(256, activation="relu6")
    separable(net, 512)
    net.head((3, 4, 5), COCO_ANCHORS_TINY, 80, jitter=0.3, **HEAD_V4_TINY)
    net.comment(f"head of stride 16, joined with layer {joined}")
    net.route(-5)
    net.conv(128, activation="relu6")
    net.upsample()
    net.route(-1, joined)
    separable(net, 256)
    net.head((0, 1, 2), COCO_ANCHORS_TINY, 80, jitter=0.3, **HEAD_V4_TINY)
    return net, net.file(
        "MobileNetV2 (Sandler, Howard, Zhu, Zhmoginov, Chen 2018) with two light heads, 80 classes: inverted residuals, depthwise convolutions,",
        "relu6, linear bottlenecks. The heads are this project's; there are no published weights of the whole.",
    )


def convnext_block(net, kernel=7):
    """A depthwise convolution normalized per pixel, then two 1x1 ones with gelu between them, four times as wide inside."""
    channels = net.shape()[0]
    net.conv(channels, kernel, activation="linear", norm="lnc", groups=channels)
    net.conv(4 * channels, activation="gelu", norm=None)
    net.conv(channels, activation="linear", norm=None)
    net.shortcut(-4)


def convnext_yolo():
    net = Network(**recipe(416, 64, 2, 0.001, 500200, (400000, 450000)))
    net.comment("ConvNeXt of widths 48, 96, 192, 384 and depths 2, 2, 6, 2")
    for filters, blocks in ((48, 2), (96, 2), (192, 6), (384, 2)):
        side = 2 if net.shapes else 4
        net.conv(filters, side, side, "linear", norm="lnc")
        for _ in range(blocks):
            convnext_block(net)
        if filters == 192:
            joined = net.last()
    net.comment("head of stride 32")
    net.conv(192, activation="gelu", norm="lnc")
    convnext_block(net)
    net.head((3, 4, 5), COCO_ANCHORS_TINY, 80, jitter=0.3, **HEAD_V4_TINY)
    net.comment(f"head of stride 16, joined with layer {joined}")
    net.route(-3)
    net.conv(96, activation="gelu", norm="lnc")
    net.upsample()
    net.route(-1, joined)
    net.conv(192, activation="gelu", norm="lnc")
    convnext_block(net)
    net.head((0, 1, 2), COCO_ANCHORS_TINY, 80, jitter=0.3, **HEAD_V4_TINY)
    return net, net.file(
        "ConvNeXt blocks (Liu, Mao, Wu, Feichtenhofer, Darrell, Xie 2022) with two heads, 80 classes: 7x7 depthwise convolutions, normalization per",
        "pixel over the channels, gelu. Unlike the paper's, the halvings normalize their output, and there is no layer scale. The heads are this",
        "project's; there are no published weights, and .safetensors holds those of a training, since .weights has no form for the normalization.",
    )


RETINA_LEVELS = (8, 16, 32, 64, 128)


def retina_anchors():
    """Per level three sizes, 4, 4 x 2^(1/3) and 4 x 2^(2/3) strides, in the aspects 1:2, 1:1, 2:1, smallest first."""
    return tuple(
        (round(4 * stride * 2 ** (step / 3) * aspect**0.5), round(4 * stride * 2 ** (step / 3) / aspect**0.5))
        for stride in RETINA_LEVELS for step in range(3) for aspect in (0.5, 1, 2)
    )  # fmt: skip


def projected_resnet50(net):
    """ResNet-50 with projections. Returns the last layers of strides 8, 16 and 32."""
    net.conv(64, 7, 2, "relu")
    net.maxpool(2, 2)
    ends = []
    for filters, blocks in ((64, 3), (128, 4), (256, 6), (512, 3)):
        for i in range(blocks):
            stride = 2 if filters > 64 and i == 0 else 1
            start = net.last()
            net.conv(filters, activation="relu")
            net.conv(filters, 3, stride, "relu")
            net.conv(4 * filters, activation="linear")
            if i == 0:
                net.route(start)
                net.conv(4 * filters, 1, stride, "linear")
                net.shortcut(-3, "relu")
            else:
                net.shortcut(-4, "relu")
        ends.append(net.last())
    return ends[1:]


def retinanet():
    net = Network(**recipe(512, 16, 4, 0.001, 360000, (240000, 320000)))
    net.comment("ResNet-50")
    third, fourth, fifth = projected_resnet50(net)
    net.comment("feature pyramid: 1x1 on each stride, the coarser one added to it, smoothed by 3x3")
    net.conv(256, activation="linear")
    top = net.last()
    tops = [top]
    for lateral in (fourth, third):
        net.upsample()
        net.route(lateral)
        net.conv(256, activation="linear")
        net.shortcut(-3)
        tops.append(net.last())
    levels = {}
    for stride, end in zip((8, 16, 32), reversed(tops)):
        net.route(end)
        net.conv(256, 3, activation="linear")
        levels[stride] = net.last()
    net.comment("two coarser strides")
    for stride in (64, 128):
        net.conv(256, 3, 2, "relu")
        levels[stride] = net.last()
    anchors = retina_anchors()
    towers = []
    for i, stride in enumerate(RETINA_LEVELS):
        net.comment(f"head of stride {stride}" + (", which shares the parameters of the first one" if towers else ""))
        net.route(levels[stride])
        own = []
        for j in range(4):
            net.conv(256, 3, activation="relu", norm="gn", share=towers[j] if towers else None)
            own.append(net.last())
        own.append(net.last() + 1)
        net.head(range(9 * i, 9 * i + 9), anchors, 80, size=3, share=towers[4] if towers else None, focal_loss=1, jitter=0.3, ignore_thresh=0.5,
                 truth_thresh=1, iou_thresh=0.5, iou_loss="giou", iou_normalizer=0.5, random=0)  # fmt: skip
        towers = towers or own
    return net, net.file(
        "RetinaNet's form (Lin, Goyal, Girshick, He, Dollar 2017): ResNet-50, a feature pyramid, five heads of 9 anchors a cell that share their",
        "parameters, focal loss, 80 classes. Unlike the paper's, boxes and classes come from one tower, normalized in groups, and a box has an",
        "objectness. There are no published weights; .safetensors holds those of a training, since .weights has no form for the normalization.",
    )
