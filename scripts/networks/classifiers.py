"""Classifiers of ImageNet's 1000 classes. `darknet partial` cuts the first layers of their weights off as the start of a detector."""

from networks.network import Network
from networks.yolov3 import darknet53


def net_of(size):
    return Network(batch=1, subdivisions=1, width=size, height=size, channels=3)


def classify(net):
    """A score for each class at every pixel, the mean of each over the map, and softmax."""
    net.comment("classifier")
    net.conv(1000, activation="linear", norm=None)
    net.average()
    net.softmax()


def darknet19(net):
    """18 convolutions, five halvings by pooling."""
    net.conv(32, 3)
    net.maxpool(2, 2)
    net.conv(64, 3)
    for filters, convolutions in ((64, 3), (128, 3), (256, 5), (512, 5)):
        net.maxpool(2, 2)
        for i in range(convolutions):
            net.conv(filters if i % 2 else 2 * filters, 1 if i % 2 else 3)


def darknet19_classifier():
    net = net_of(256)
    darknet19(net)
    classify(net)
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


def resnet(depth, stages):
    """Bottleneck blocks of 1x1, 3x3, 1x1. No projection where a stage begins: the leading channels of every second pixel are added."""
    net = net_of(256)
    net.conv(64, 7, 2)
    net.maxpool(2, 2)
    for filters, blocks in zip((64, 128, 256, 512), stages):
        for i in range(blocks):
            net.conv(filters)
            net.conv(filters, 3, 2 if filters > 64 and i == 0 else 1)
            net.conv(4 * filters, activation="linear")
            net.shortcut(-4, "leaky")
    classify(net)
    return net, net.file(
        f"ResNet-{depth} (He, Zhang, Ren, Sun 2015) without projections, the classifier of ImageNet's 1000 classes.",
        f"The published resnet{depth}.weights fits.",
    )


def resnet50():
    return resnet(50, (3, 4, 6, 3))


def resnet101():
    return resnet(101, (3, 4, 23, 3))


def resnet152():
    return resnet(152, (3, 8, 36, 3))


def densenet201():
    """Every block of 1x1 and 3x3 adds 32 channels to what it read."""
    net = net_of(256)
    net.conv(64, 7, 2)
    net.maxpool(2, 2)
    for i, blocks in enumerate((6, 12, 48, 32)):
        if i:
            net.conv(64 * 2**i)
            net.maxpool(2, 2)
        for _ in range(blocks):
            net.conv(128)
            net.conv(32, 3)
            net.route(-1, -3)
    classify(net)
    return net, net.file(
        "DenseNet-201 (Huang, Liu, van der Maaten, Weinberger 2016), the classifier of ImageNet's 1000 classes. The published densenet201.weights fits.",
    )
