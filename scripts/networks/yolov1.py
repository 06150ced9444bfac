"""YOLOv1 (Redmon, Divvala, Girshick, Farhadi 2015): one grid of cells, boxes from a connected layer."""

from networks.network import Network

# Of the published cfg files: the rate rises by steps, then falls twice.
RATES = {"policy": "steps", "steps": (200, 400, 600, 20000, 30000), "scales": (2.5, 2.0, 2.0, 0.1, 0.1), "max_batches": 40000}
HEAD = {"classes": 20, "coords": 4, "rescore": 1, "side": 7, "softmax": 0, "sqrt": 1, "jitter": 0.2, "object_scale": 1, "noobject_scale": 0.5,
        "class_scale": 1, "coord_scale": 5}  # fmt: skip


def net_of(subdivisions, rate, **colours):
    return Network(batch=64, subdivisions=subdivisions, width=448, height=448, channels=3, momentum=0.9, decay=0.0005, learning_rate=rate, **colours,
                   **RATES)  # fmt: skip


def trunk(net, norm):
    """24 convolutions to 7 x 7 of 1024 channels."""

    def pairs(filters, count):
        for _ in range(count):
            net.conv(filters, norm=norm)
            net.conv(2 * filters, 3, norm=norm)

    net.conv(64, 7, 2, norm=norm)
    net.maxpool(2, 2)
    net.conv(192, 3, norm=norm)
    net.maxpool(2, 2)
    pairs(128, 1)
    pairs(256, 1)
    net.maxpool(2, 2)
    pairs(256, 4)
    pairs(512, 1)
    net.maxpool(2, 2)
    pairs(512, 2)
    for stride in (1, 2, 1, 1):
        net.conv(1024, 3, stride, norm=norm)


def head(net, boxes):
    net.connected(49 * (20 + 5 * boxes), "linear")
    net.section("detection", num=boxes, **HEAD)


def yolov1():
    net = net_of(8, 0.0005, saturation=1.5, exposure=1.5, hue=0.1)
    trunk(net, "bn")
    net.comment("head: 7 x 7 cells of 3 boxes and 20 classes")
    net.local(256, 3)
    net.dropout(0.5)
    head(net, 3)
    return net, net.file("YOLOv1, 20 classes of Pascal VOC (Redmon, Divvala, Girshick, Farhadi 2015). The published yolov1.weights fits.")


def yolov1_small():
    net = net_of(64, 0.001)
    net.comment("brings the pixels from 0..1 to -1..1")
    net.section("crop", crop_width=448, crop_height=448, flip=0, angle=0, saturation=1.5, exposure=1.5)
    trunk(net, None)
    net.comment("head: 7 x 7 cells of 2 boxes and 20 classes")
    net.connected(512)
    net.connected(4096)
    net.dropout(0.5)
    head(net, 2)
    return net, net.file("YOLOv1 with narrow connected layers and without batch normalization, 20 classes of Pascal VOC. The published yolo-small.weights fits.")


def yolov1_tiny():
    net = net_of(2, 0.0005, saturation=0.75, exposure=0.75, hue=0.1)
    for filters in (16, 32, 64, 128, 256, 512):
        net.conv(filters, 3)
        net.maxpool(2, 2)
    net.conv(1024, 3)
    net.conv(256, 3)
    net.comment("head: 7 x 7 cells of 2 boxes and 20 classes")
    head(net, 2)
    return net, net.file("YOLOv1-tiny: eight convolutions, 20 classes of Pascal VOC. The published tiny-yolov1.weights fits.")
