"""YOLOv3 and its relatives (Redmon, Farhadi 2018)."""

from networks.network import COCO_ANCHORS, COCO_ANCHORS_TINY, HEAD_V3, Network, pyramid, recipe

LONG = (0.001, 500200, (400000, 450000))


def darknet53(net):
    """Five halvings, residual blocks between them. Its stages end in layers 4, 11, 36, 61 and 74."""
    net.conv(32, 3)
    for filters, blocks in ((64, 1), (128, 2), (256, 8), (512, 8), (1024, 4)):
        net.conv(filters, 3, 2)
        net.residuals(blocks, filters // 2, filters)


ABOUT_YOLOV3 = ("YOLOv3: Darknet-53 with three heads, 80 classes (Redmon, Farhadi 2018). The published yolov3.weights fits.",)


def yolov3(size=416, classes=80, spp=False, about=ABOUT_YOLOV3, anchors=COCO_ANCHORS, rates=LONG, **keys):
    net = Network(**recipe(size, 64, 16, *rates))
    net.comment("Darknet-53: five halvings, residual blocks between them")
    darknet53(net)
    for filters, mask, deeper in ((512, (6, 7, 8), 61), (256, (3, 4, 5), 36), (128, (0, 1, 2), None)):
        net.comment(f"head of stride {size // net.shape()[1]}")
        for i in range(3):
            net.conv(filters)
            if spp and deeper == 61 and i == 1:
                net.comment("spatial pyramid pooling")
                pyramid(net)
                net.conv(filters)
            net.conv(2 * filters, 3)
        net.head(mask, anchors, classes, **{**HEAD_V3, **keys})
        if deeper:
            net.route(-4)
            net.conv(filters // 2)
            net.upsample()
            net.route(-1, deeper)
    return net, net.file(*about)


def yolov3_spp():
    about = "YOLOv3 with spatial pyramid pooling in its first head, 80 classes. The published yolov3-spp.weights fits."
    return yolov3(608, spp=True, about=(about,))


def yolov3_openimages():
    return yolov3(608, 601, about=("YOLOv3 for the 601 classes of OpenImages. The published yolov3-openimages.weights fits.",))


def gaussian_yolov3_bdd():
    anchors = ((7, 10), (14, 24), (27, 43), (32, 97), (57, 64), (92, 109), (73, 175), (141, 178), (144, 291))
    about = (
        "YOLOv3 whose boxes have an uncertainty, 10 classes of BDD100K (Choi, Chun, Kim, Lee 2019).",
        "The published Gaussian_yolov3_BDD.weights fits.",
    )
    keys = {"ignore_thresh": 0.5, "iou_thresh": 0.213, "iou_normalizer": 0.5, "iou_loss": "giou", "uc_normalizer": 1.0, "cls_normalizer": 1.0,
            "scale_x_y": 1.0}  # fmt: skip
    return yolov3(512, 10, about=about, anchors=anchors, rates=(0.0001, *LONG[1:]), section="Gaussian_yolo", **keys)


def tiny_trunk(net, deepest):
    """Convolutions with pooling, to stride 32. Layer 6 is the last of stride 8, layer 8 of stride 16."""
    for filters in (16, 32, 64, 128, 256):
        net.conv(filters, 3)
        net.maxpool(2, 2)
    net.conv(512, 3)
    net.maxpool(2, 1)
    net.conv(deepest, 3)


def tiny_head(net, back, filters, joined, after, mask, anchors, **keys):
    """A head of the next finer stride."""
    net.comment(f"head of stride {net.input[1] // net.shape(joined)[1]}")
    net.route(back)
    net.conv(filters)
    net.upsample()
    net.route(-1, joined)
    net.conv(after, 3)
    net.head(mask, anchors, 80, **keys)


def yolov3_tiny():
    net = Network(**recipe(416, 64, 2, *LONG))
    tiny_trunk(net, 1024)
    net.comment("head of stride 32")
    net.conv(256)
    net.conv(512, 3)
    keys = {**HEAD_V3, "random": 0}
    net.head((3, 4, 5), COCO_ANCHORS_TINY, 80, **keys)
    tiny_head(net, -4, 128, 8, 256, (0, 1, 2), COCO_ANCHORS_TINY, **keys)
    return net, net.file("YOLOv3-tiny: seven convolutions with pooling, two heads, 80 classes. The published yolov3-tiny.weights fits.")


def yolov3_tiny_3l():
    net = Network(**recipe(416, 64, 4, *LONG))
    tiny_trunk(net, 1024)
    net.comment("head of stride 32")
    net.conv(256)
    net.conv(512, 3)
    net.head((6, 7, 8), COCO_ANCHORS, 80, **HEAD_V3)
    tiny_head(net, -4, 128, 8, 256, (3, 4, 5), COCO_ANCHORS, **HEAD_V3)
    tiny_head(net, -3, 128, 6, 128, (0, 1, 2), COCO_ANCHORS, **HEAD_V3)
    return net, net.file("YOLOv3-tiny with a third head, of stride 8, for small objects, 80 classes. There are no published weights.")


def yolov3_tiny_prn():
    """Partial residual connections: sums of maps whose channels differ, in place of concatenations."""
    net = Network(**recipe(416, 64, 8, *LONG))
    tiny_trunk(net, 512)
    net.shortcut(-3, "leaky")
    net.comment("head of stride 32")
    net.conv(256)
    net.conv(256, 3)
    net.shortcut(-2, "leaky")
    net.head((3, 4, 5), COCO_ANCHORS_TINY, 80, **HEAD_V3)
    net.comment("head of stride 16: sums with the leading half of layer 8's channels")
    net.route(-4)
    net.conv(128)
    net.upsample()
    net.shortcut(8, "leaky")
    net.conv(128, 3)
    net.shortcut(-3, "leaky")
    net.shortcut(8, "leaky")
    net.head((1, 2, 3), COCO_ANCHORS_TINY, 80, **HEAD_V3)
    return net, net.file(
        "YOLOv3-tiny-PRN: YOLOv3-tiny with partial residual connections, two heads, 80 classes (Wang, Liao, Chen, Yeh 2019).",
        "The published yolov3-tiny-prn.weights fits.",
    )
