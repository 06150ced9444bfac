"""YOLOv4 (Bochkovskiy, Wang, Liao 2020) and YOLOv4-tiny (Wang, Bochkovskiy, Liao 2021)."""

from networks.network import COCO_ANCHORS_TINY, COCO_ANCHORS_V4, Network, alternate, csp_stage, pyramid, recipe


ABOUT_YOLOV4 = (
    "YOLOv4: CSPDarknet-53, spatial pyramid pooling, path aggregation, three heads, 80 classes",
    "(Bochkovskiy, Wang, Liao 2020). The published yolov4.weights fits.",
)


def yolov4(size=416, subdivisions=8, rate=0.0013, about=ABOUT_YOLOV4):
    net = Network(**recipe(size, 64, subdivisions, rate, 500500, (400000, 450000), momentum=0.949, mosaic=1))
    keys = {"jitter": 0.3, "ignore_thresh": 0.7, "truth_thresh": 1, "iou_thresh": 0.213, "iou_loss": "ciou", "iou_normalizer": 0.07,
            "cls_normalizer": 1.0, "nms_kind": "greedynms", "beta_nms": 0.6, "max_delta": 5, "random": 1}  # fmt: skip
    net.comment("CSPDarknet-53")
    net.conv(32, 3, activation="mish")
    for filters, blocks in ((64, 1), (128, 2), (256, 8), (512, 8), (1024, 4)):
        csp_stage(net, filters, blocks, first=filters == 64)
    net.comment("spatial pyramid pooling")
    alternate(net, 512, 3)
    pyramid(net)
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
        net.comment(f"head of stride {size // net.shape()[1]}")
        net.conv(2 * filters, 3)
        net.head(mask, COCO_ANCHORS_V4, 80, scale_x_y=scale, **keys)
    return net, net.file(*about)


def yolov4_custom():
    return yolov4(
        608, 16, 0.001,
        ("YOLOv4 for classes of one's own, to be copied and changed: 608 x 608, a mini-batch of 4. The published yolov4.weights fits,",
         "and so does yolov4.conv.137, its first 137 layers, as a start."),
    )  # fmt: skip


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
        joined = net.last()
        net.route(-6, -1)
        net.maxpool(2, 2)
    net.conv(16 * width, 3)
    return joined


def tiny_heads(net, width, joined, masks, anchors, classes, **keys):
    """Two heads; a third, of stride 8, where there are three masks."""
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
    if len(masks) > 2:
        net.comment("head of stride 8")
        net.route(-3)
        net.conv(2 * width)
        net.upsample()
        net.route(-1, joined - 8)
        net.conv(4 * width, 3)
        net.head(masks[2], anchors, classes, **keys)


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


def yolov4_tiny_3l():
    net = Network(**recipe(608, 64, 8, 0.00261, 500200, (400000, 450000)))
    joined = tiny_backbone(net, 32)
    tiny_heads(net, 32, joined, ((6, 7, 8), (3, 4, 5), (0, 1, 2)), COCO_ANCHORS_V4, 80, jitter=0.3, resize=1.5, **HEAD_V4_TINY)
    return net, net.file("YOLOv4-tiny with a third head, of stride 8, for small objects, 80 classes. There are no published weights.")
