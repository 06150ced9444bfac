"""Scaled-YOLOv4 (Wang, Bochkovskiy, Liao 2021): every part of the network is a cross stage partial one.

The family differs in width, depth, activation and number of levels. One level is a map of one stride: the finest has stride 8.
"""

from networks.network import COCO_ANCHORS_P5, COCO_ANCHORS_P6, COCO_ANCHORS_V4, HEAD_SCALED, Network, csp_stage, pyramid, recipe


def backbone(net, widths, blocks, activation, plain_first):
    """Halvings, each with a CSP stage; the first may be a plain residual block. Returns the last layer of each stage."""
    ends = []
    net.conv(32, 3, activation=activation)
    for filters, count in zip(widths, blocks):
        if plain_first and not ends:
            net.conv(filters, 3, 2, activation)
            net.residuals(count, filters // 2, filters, activation)
        else:
            csp_stage(net, filters, count, activation)
        ends.append(net.last())
    return ends


def csp_pyramid(net, filters, pairs, activation):
    """Pyramid pooling on one of two branches, with pairs of convolutions after it."""
    net.conv(filters, activation=activation)
    branch = net.last()
    net.route(-2)
    net.conv(filters, activation=activation)
    net.conv(filters, 3, activation=activation)
    net.conv(filters, activation=activation)
    pyramid(net)
    for _ in range(pairs):
        net.conv(filters, activation=activation)
        net.conv(filters, 3, activation=activation)
    net.route(-1, branch)
    net.conv(filters, activation=activation)


def csp_plain(net, filters, pairs, activation):
    """What follows a concatenation in the neck: two branches, pairs of convolutions on one of them."""
    net.conv(filters, activation=activation)
    net.conv(filters, activation=activation)
    net.route(-2)
    for _ in range(pairs):
        net.conv(filters, activation=activation)
        net.conv(filters, 3, activation=activation)
    net.route(-1, -(2 * pairs + 2))
    net.conv(filters, activation=activation)


def scaled(net, widths, blocks, neck, pooled, activation, heads, anchors, heads_last, plain_first=True):
    """neck, pooled: pairs of convolutions in the blocks of the neck and after the pyramid. heads: the keys of each head, the finest first.

    heads_last: all heads follow the neck; otherwise each follows its level. It is the order of the weights in the file.
    """
    net.comment("backbone")
    ends = backbone(net, widths, blocks, activation, plain_first)
    net.comment("pyramid pooling")
    csp_pyramid(net, widths[-1] // 2, pooled, activation)
    up = [(widths[-1] // 2, net.last())]  # filters and layer of each level, the coarsest first
    for level in range(len(heads) - 1):
        filters, deeper = widths[-2 - level] // 2, ends[-2 - level]
        net.comment(f"up, joined with layer {deeper}")
        net.conv(filters, activation=activation)
        net.upsample()
        net.route(deeper)
        net.conv(filters, activation=activation)
        net.route(-1, -3)
        csp_plain(net, filters, neck, activation)
        up.append((filters, net.last()))

    def head(level, filters, layer):
        net.comment(f"head of stride {net.input[1] // net.shape(layer)[1]}")
        if heads_last:
            net.route(layer)
        net.conv(2 * filters, 3, activation=activation)
        each = len(anchors) // len(heads)
        net.head(range(each * level, each * (level + 1)), anchors, 80, "logistic", **{**HEAD_SCALED, **heads[level]})

    outputs = []
    for level, (filters, layer) in enumerate(reversed(up)):
        if level:
            net.comment(f"down, joined with layer {layer}")
            if not heads_last:
                net.route(outputs[-1][1])
            net.conv(filters, 3, 2, activation)
            net.route(-1, layer)
            csp_plain(net, filters, neck, activation)
        outputs.append((filters, net.last()))
        if not heads_last:
            head(level, filters, net.last())
    if heads_last:
        for level, (filters, layer) in enumerate(outputs):
            head(level, filters, layer)


CSP = {"widths": (64, 128, 256, 512, 1024), "blocks": (1, 2, 8, 8, 4), "neck": 2, "pooled": 1, "anchors": COCO_ANCHORS_V4}
CSP_X = {"widths": (80, 160, 320, 640, 1280), "blocks": (1, 3, 10, 10, 5), "neck": 3, "pooled": 2, "anchors": COCO_ANCHORS_V4}
HEADS_MISH = (
    {"objectness_smooth": 0, "iou_thresh": 0.2, "obj_normalizer": 4.0, "max_delta": 5},
    {"iou_thresh": 0.2, "obj_normalizer": 1.0, "max_delta": 5},
    {"iou_thresh": 0.2, "obj_normalizer": 0.4, "max_delta": 2},
)
HEADS_SWISH = ({"obj_normalizer": 0.4, "max_delta": 2},) * 3
HEADS_LARGE = {"iou_thresh": 0.2, "obj_normalizer": 1.0, "max_delta": 2}


def build(size, subdivisions, title, weights, **parts):
    net = Network(**recipe(size, 64, subdivisions, 0.001, 500500, (400000, 450000), momentum=0.949, letter_box=1, mosaic=1,
                           ema_alpha=0.9998))  # fmt: skip
    scaled(net, **parts)
    return net, net.file(f"{title}, 80 classes (Wang, Bochkovskiy, Liao 2021).", f"The published {weights} fits.")


def yolov4_csp():
    parts = {**CSP, "activation": "mish", "heads": HEADS_MISH, "heads_last": False}
    return build(512, 8, "YOLOv4-CSP: Scaled-YOLOv4 with three levels", "yolov4-csp.weights", **parts)


def yolov4x_mish():
    parts = {**CSP_X, "activation": "mish", "heads": HEADS_MISH, "heads_last": False}
    return build(640, 16, "YOLOv4x-mish: YOLOv4-CSP, wider and deeper", "yolov4x-mish.weights", **parts)


def yolov4_csp_swish():
    parts = {**CSP, "activation": "swish", "heads": HEADS_SWISH, "heads_last": True}
    return build(640, 8, "YOLOv4-CSP with swish", "yolov4-csp-swish.weights", **parts)


def yolov4_csp_x_swish():
    parts = {**CSP_X, "activation": "swish", "heads": HEADS_SWISH, "heads_last": True}
    return build(640, 16, "YOLOv4-CSP with swish, wider and deeper", "yolov4-csp-x-swish.weights", **parts)


def yolov4_p5():
    return build(
        896, 32, "YOLOv4-P5: Scaled-YOLOv4 with three levels of four anchors", "yolov4-p5.weights",
        widths=(64, 128, 256, 512, 1024), blocks=(1, 3, 15, 15, 7), neck=3, pooled=1, anchors=COCO_ANCHORS_P5,
        activation="mish", heads=(HEADS_LARGE,) * 3, heads_last=True, plain_first=False,
    )  # fmt: skip


def yolov4_p6():
    return build(
        1280, 64, "YOLOv4-P6: Scaled-YOLOv4 with four levels of four anchors", "yolov4-p6.weights",
        widths=(64, 128, 256, 512, 1024, 1024), blocks=(1, 3, 15, 15, 7, 7), neck=3, pooled=1, anchors=COCO_ANCHORS_P6,
        activation="mish", heads=(HEADS_LARGE,) * 4, heads_last=True, plain_first=False,
    )  # fmt: skip
