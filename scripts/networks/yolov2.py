"""YOLOv2 (Redmon, Farhadi 2016): Darknet-19, anchors, one grid, [region] heads."""

from networks.classifiers import darknet19
from networks.network import Network, recipe
from networks.yolov3 import tiny_trunk

# In cells of the grid, as [region] takes them.
COCO = "0.57273, 0.677385,  1.87446, 2.06253,  3.33843, 5.47434,  7.88282, 3.52778,  9.77052, 9.16828"
VOC = "1.3221, 1.73145,  3.19275, 4.00944,  5.05587, 8.09892,  9.47112, 4.84053,  11.2364, 10.0071"
LONG = (0.001, 500200, (400000, 450000))


def head(net, anchors, classes, **keys):
    net.conv(5 * (5 + classes), activation="linear", norm=None)
    net.section("region", anchors=anchors, bias_match=1, classes=classes, coords=4, num=5, softmax=1, **keys, object_scale=5, noobject_scale=1,
                class_scale=1, coord_scale=1, absolute=1, thresh=0.6, random=1)  # fmt: skip


def detector(net, anchors, classes, **keys):
    net.comment("Darknet-19 without its classifier")
    darknet19(net)
    net.comment("head, which also sees the maps of twice the size, their squares of 2 x 2 pixels as channels")
    net.conv(1024, 3)
    net.conv(1024, 3)
    net.route(-9)
    net.conv(64)
    net.reorg()
    net.route(-1, -4)
    net.conv(1024, 3)
    head(net, anchors, classes, **keys)


def yolov2():
    net = Network(**recipe(608, 64, 8, *LONG))
    detector(net, COCO, 80, jitter=0.3, rescore=1)
    return net, net.file("YOLOv2, 80 classes (Redmon, Farhadi 2016). The published yolov2.weights fits.")


def yolov2_voc():
    net = Network(**recipe(416, 64, 8, 0.001, 80200, (40000, 60000)))
    detector(net, VOC, 20, jitter=0.3, rescore=1)
    return net, net.file("YOLOv2, 20 classes of Pascal VOC. The published yolov2-voc.weights fits.")


def yolov2_tiny():
    net = Network(**recipe(416, 64, 2, *LONG))
    tiny_trunk(net, 1024)
    net.conv(512, 3)
    head(net, COCO, 80, jitter=0.2, rescore=0)
    return net, net.file("YOLOv2-tiny: nine convolutions, 80 classes. The published yolov2-tiny.weights fits.")
