#!/usr/bin/env python3
"""Writes the cfg files of this project from descriptions of the architectures.

    scripts/make_cfgs.py            write cfg/*.cfg
    scripts/make_cfgs.py --check    exit with 1 when a committed file differs from what would be written

The networks are in scripts/networks. Each is built section by section; its shape, parameters and FLOPs are counted along the way, stand in
the comment on top of the file, and are held against the published figures, so that published .weights files fit.
"""

import sys
from pathlib import Path

sys.dont_write_bytecode = True
from networks import classifiers, csresnext, efficientnet, own, scaled_yolov4, yolov1, yolov2, yolov3, yolov4, yolov7  # noqa: E402

CFG = Path(__file__).resolve().parent.parent / "cfg"

# File, network, and what is published: convolutions and the floats of the .weights file. cfg/README.md says how well each is known.
FILES = (
    ("yolov4-tiny", yolov4.yolov4_tiny, 21, 6062814),
    ("yolov4-tiny-3l", yolov4.yolov4_tiny_3l, 24, None),
    ("yolov3-tiny", yolov3.yolov3_tiny, 13, 8858734),
    ("yolov3-tiny-3l", yolov3.yolov3_tiny_3l, 16, None),
    ("yolov3-tiny-prn", yolov3.yolov3_tiny_prn, 13, 4939758),
    ("yolov7-tiny", yolov7.yolov7_tiny, 58, 6241885),
    ("yolov3", yolov3.yolov3, 75, 62001757),
    ("yolov3-spp", yolov3.yolov3_spp, 76, 63052381),
    ("yolov3-openimages", yolov3.yolov3_openimages, 75, 64807342),
    ("csresnext50-panet-spp", csresnext.csresnext50_panet_spp, 97, 57030845),
    ("yolov4", yolov4.yolov4, 110, 64429405),
    ("yolov4-custom", yolov4.yolov4_custom, 110, 64429405),
    ("yolov4-csp", scaled_yolov4.yolov4_csp, 115, 52986205),
    ("yolov4-csp-swish", scaled_yolov4.yolov4_csp_swish, 115, 52986205),
    ("yolov4x-mish", scaled_yolov4.yolov4x_mish, 137, 99847037),
    ("yolov4-csp-x-swish", scaled_yolov4.yolov4_csp_x_swish, 137, 99847037),
    ("yolov4-p5", scaled_yolov4.yolov4_p5, 163, 70917468),
    ("yolov4-p6", scaled_yolov4.yolov4_p6, 205, 127717040),
    ("yolov7", yolov7.yolov7, 92, 36974557),
    ("yolov7x", yolov7.yolov7x, 108, 71409685),
    ("darknet19", classifiers.darknet19_classifier, 19, 20856776),
    ("darknet53", classifiers.darknet53_classifier, 53, 41645640),
    ("yolov1", yolov1.yolov1, 24, 197328243),
    ("yolov1-small", yolov1.yolov1_small, 24, 93970430),
    ("yolov1-tiny", yolov1.yolov1_tiny, 8, 27099950),
    ("yolov2", yolov2.yolov2, 23, 50983561),
    ("yolov2-voc", yolov2.yolov2_voc, 23, 50676061),
    ("yolov2-tiny", yolov2.yolov2_tiny, 9, 11237145),
    ("Gaussian_yolov3_BDD", yolov3.gaussian_yolov3_bdd, 75, 61646347),
    ("enet-coco", efficientnet.enet_coco, 88, 4808270),
    ("efficientnet_b0", efficientnet.efficientnet_b0, 83, 4890040),
    ("resnet50", classifiers.resnet50, 50, 22825896),
    ("resnet101", classifiers.resnet101, 101, 41870248),
    ("resnet152", classifiers.resnet152, 152, 57559976),
    ("densenet201", classifiers.densenet201, 201, 17206440),
    ("retinanet", own.retinanet, 86, None),
    ("mobilenetv2-yolo", own.mobilenetv2_yolo, 59, None),
    ("convnext-yolo", own.convnext_yolo, 51, None),
    ("yolov4-tiny-bccd", own.yolov4_tiny_bccd, 21, None),
    ("demo", own.demo, 10, None),
)


def main():
    check = sys.argv[1:] == ["--check"]
    if sys.argv[1:] and not check:
        sys.exit(__doc__)
    stale = []
    for name, build, convolutions, parameters in FILES:
        net, text = build()
        assert net.convolutions == convolutions, f"{name}: {net.convolutions} convolutions, published {convolutions}"
        assert parameters in (None, net.parameters), f"{name}: {net.parameters} parameters, published {parameters}"
        path = CFG / f"{name}.cfg"
        if not check:
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            stale.append(path.name)
    if stale:
        sys.exit(f"differs from scripts/make_cfgs.py: {', '.join(stale)}")


if __name__ == "__main__":
    main()
