"""Classifiers of ImageNet's 1000 classes. `darknet partial` cuts the first layers of their weights off as the start of a detector."""

from networks.network import Network
from networks.yolov3 import darknet53


def net_of(size):
    return Network(batch=1, subdivisions=1, width=size, height=size, channels=3)


def darknet19_classifier():
    net = net_of(256)
    net.conv(32, 3)
    net.maxpool(2, 2)
    net.conv(64, 3)
    for filters, convolutions in ((64, 3), (128, 3), (256, 5), (512, 5)):
        net.maxpool(2, 2)
        for i in range(convolutions):
            net.conv(filters if i % 2 else 2 * filters, 1 if i % 2 else 3)
    net.comment("classifier")
    net.conv(1000, activation="linear", norm=None)
    net.average()
    net.softmax()
    return net, net.file("Darknet-19, the classifier of ImageNet's 1000 classes (Redmon, Farhadi 2016). The published darknet19.weights fits.")


def darknet53_classifier():
    net = net_of(256)
    darknet53(net)
    net.comment("classifier")
    net.average()
    net.conv(1000, activation="linear", norm=None)
    net.softmax()
    return net, net.file(
        "Darknet-53, the classifier of ImageNet's 1000 classes (Redmon, Farhadi 2018). The published darknet53.weights fits:",
        "`darknet partial` cuts from it the 74 layers that trainings of yolov3 and yolov3-spp begin with.",
    )
