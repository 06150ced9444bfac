"""YOLOv7 (Wang, Bochkovskiy, Liao 2022) as it is published for the darknet family: after training, without auxiliary heads, the
convolutions that were trained in parallel branches already added up.
"""

from networks.network import COCO_ANCHORS, COCO_ANCHORS_V4, HEAD_SCALED, Network, pyramid, recipe


def elan(net, first, inner, depth, joined, filters, activation):
    """Efficient layer aggregation: two 1x1 branches of `first` filters, `depth` 3x3 convolutions in a row on the second of them; the layers `joined`
    of all these, counted from the end, are joined and mixed."""
    net.conv(first, activation=activation)
    net.route(-2)
    net.conv(first, activation=activation)
    for _ in range(depth):
        net.conv(inner, 3, activation=activation)
    net.route(*joined)
    net.conv(filters, activation=activation)
    return net.last()


def halve(net, filters, joined=()):
    """A halving by pooling beside a halving by convolution; with the layers `joined` in the neck."""
    net.maxpool(2, 2)
    net.conv(filters, activation="swish")
    net.route(-3)
    net.conv(filters, activation="swish")
    net.conv(filters, 3, 2, "swish")
    net.route(-1, -4, *joined)


def csp_pyramid(net, filters):
    net.comment("spatial pyramid pooling on one of two branches")
    net.conv(filters, activation="swish")
    net.route(-2)
    net.conv(filters, activation="swish")
    net.conv(filters, 3, activation="swish")
    net.conv(filters, activation="swish")
    pyramid(net, (-6, -5, -3, -1))
    net.conv(filters, activation="swish")
    net.conv(filters, 3, activation="swish")
    net.route(-1, -13)
    net.conv(filters, activation="swish")
    return net.last()


def up(net, filters, joined, activation):
    net.comment(f"up, joined with layer {joined}")
    net.conv(filters, activation=activation)
    net.upsample()
    net.route(joined)
    net.conv(filters, activation=activation)
    net.route(-1, -3)


def heads(net, levels, anchors, activation):
    """levels: layer and filters of each head, the finest first."""
    for i, (layer, filters) in enumerate(levels):
        net.comment(f"head of stride {net.input[1] // net.shape(layer)[1]}")
        net.route(layer)
        net.conv(filters, 3, activation=activation)
        keys = {**HEAD_SCALED, "iou_thresh": 0.2, "obj_normalizer": 1.0, "max_delta": 2}
        net.head(range(3 * i, 3 * i + 3), anchors, 80, "logistic", **keys)


def start(size, subdivisions):
    return Network(**recipe(size, 64, subdivisions, 0.00261, 2000200, (1600000, 1800000)))


def full(width, depth, neck):
    """width: filters after the first halving. depth: 3x3 convolutions of an ELAN block. neck(net, filters of the level): the block of the neck."""
    net = start(640, 8)
    net.comment("backbone")
    net.conv(width // 2, 3, activation="swish")
    net.conv(width, 3, 2, "swish")
    net.conv(width, 3, activation="swish")
    net.conv(2 * width, 3, 2, "swish")
    joined = tuple(range(-1, -depth - 4, -2))
    ends = []
    for inner, filters in ((64, 4 * width), (128, 8 * width), (256, 16 * width), (256, 16 * width)):
        if ends:
            halve(net, net.shape()[0] // 2)
        ends.append(elan(net, inner, inner, depth, joined, filters, "swish"))
    coarse = csp_pyramid(net, 8 * width)
    up(net, 4 * width, ends[2], "swish")
    middle = neck(net, 4 * width)
    up(net, 2 * width, ends[1], "swish")
    levels = [(neck(net, 2 * width), 4 * width)]
    for filters, layer in ((4 * width, middle), (8 * width, coarse)):
        net.comment(f"down, joined with layer {layer}")
        halve(net, filters // 2, (layer,))
        levels.append((neck(net, filters), 2 * filters))
    heads(net, levels, COCO_ANCHORS_V4, "swish")
    return net


def yolov7():
    def neck(net, filters):
        return elan(net, filters, filters // 2, 4, (-1, -2, -3, -4, -5, -7), filters, "swish")

    net = full(64, 4, neck)
    about = "YOLOv7: ELAN blocks, three heads, 80 classes (Wang, Bochkovskiy, Liao 2022)."
    return net, net.file(about, "The published yolov7.weights fits.")


def yolov7x():
    def neck(net, filters):
        inner = filters * 4 // 5
        return elan(net, inner, inner, 6, (-1, -3, -5, -7, -9), filters, "swish")

    net = full(80, 6, neck)
    about = "YOLOv7-X: YOLOv7, wider and deeper, 80 classes (Wang, Bochkovskiy, Liao 2022)."
    return net, net.file(about, "The published yolov7x.weights fits.")


def yolov7_tiny():
    def block(inner, filters):
        return elan(net, inner, inner, 2, (-5, -3, -2, -1), filters, "leaky")

    net = start(416, 1)
    net.comment("backbone")
    net.conv(32, 3, 2)
    net.conv(64, 3, 2)
    ends = []
    for filters in (64, 128, 256, 512):
        if ends:
            net.maxpool(2, 2)
        ends.append(block(filters // 2, filters))
    net.comment("spatial pyramid pooling on one of two branches")
    net.conv(256)
    net.route(-2)
    net.conv(256)
    pyramid(net)
    net.conv(256)
    net.route(-10, -1)
    net.conv(256)
    coarse = net.last()
    up(net, 128, ends[2], "leaky")
    middle = block(64, 128)
    up(net, 64, ends[1], "leaky")
    levels = [(block(32, 64), 128)]
    for filters, layer in ((128, middle), (256, coarse)):
        net.comment(f"down, joined with layer {layer}")
        net.conv(filters, 3, 2)
        net.route(-1, layer)
        levels.append((block(filters // 2, filters), 2 * filters))
    heads(net, levels, COCO_ANCHORS, "leaky")
    about = "YOLOv7-tiny: ELAN blocks, three heads, 80 classes (Wang, Bochkovskiy, Liao 2022)."
    return net, net.file(about, "The published yolov7-tiny.weights fits.")
