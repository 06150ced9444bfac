"""CSPResNeXt-50 as a detector (Wang, Liao, Wu, Chen, Hsieh, Yeh 2020): grouped convolutions in cross stage partial stages."""

from networks.network import COCO_ANCHORS, HEAD_V3, Network, alternate, pyramid, recipe


def stage(net, filters, blocks, activation):
    """Blocks of 1x1, 3x3 in 32 groups, 1x1, added; two branches around them. activation: of the branches; the first stage follows pooling."""
    first = filters == 128
    if not first:
        net.conv(filters, 3, 2, groups=32)
    net.conv(filters, activation=activation)
    net.route(-2)
    net.conv(64 if first else filters, activation=activation)
    for _ in range(blocks):
        net.conv(filters)
        net.conv(filters, 3, groups=32)
        net.conv(filters, activation="linear")
        net.shortcut(-4, "leaky")
    net.conv(filters)
    net.route(-1, -(4 * blocks + 4))
    net.conv(2 * filters)
    return net.last()


def csresnext50_panet_spp():
    net = Network(**recipe(512, 64, 16, 0.001, 500500, (400000, 450000)))
    net.comment("CSPResNeXt-50")
    net.conv(64, 7, 2)
    net.maxpool(2, 2)
    ends = [stage(net, filters, blocks, activation) for filters, blocks, activation in (
        (128, 3, "leaky"), (256, 3, "linear"), (512, 5, "linear"), (1024, 2, "leaky"))]  # fmt: skip
    net.comment("spatial pyramid pooling")
    alternate(net, 512, 3)
    pyramid(net)
    alternate(net, 512, 3)
    levels = [net.last()]
    for filters, deeper in ((256, ends[2]), (128, ends[1])):
        net.comment(f"path aggregation: up, joined with layer {deeper}")
        net.conv(filters)
        net.upsample()
        net.route(deeper)
        net.conv(filters)
        net.route(-1, -3)
        alternate(net, filters, 5)
        levels.append(net.last())
    for filters, mask, level in ((128, (0, 1, 2), None), (256, (3, 4, 5), levels[1]), (512, (6, 7, 8), levels[0])):
        if level:
            net.comment(f"path aggregation: down, joined with layer {level}")
            net.route(-4)
            net.conv(filters, 3, 2)
            net.route(-1, level)
            alternate(net, filters, 5)
        net.comment(f"head of stride {net.input[1] // net.shape()[1]}")
        net.conv(2 * filters, 3)
        net.head(mask, COCO_ANCHORS, 80, **HEAD_V3)
    return net, net.file(
        "CSPResNeXt-50 with spatial pyramid pooling and path aggregation, three heads, 80 classes (Wang, Liao, Wu, Chen, Hsieh, Yeh 2020).",
        "The published csresnext50-panet-spp_final.weights fits.",
    )
