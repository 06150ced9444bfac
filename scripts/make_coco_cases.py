#!/usr/bin/env python3
"""Writes tests/data/coco_cases.json: small detection sets and the twelve numbers that pycocotools computes for them.

The tests read the file; this script is run by hand when cases are added, with pycocotools and numpy installed:

    python3 -m venv venv && venv/bin/pip install pycocotools numpy && venv/bin/python scripts/make_coco_cases.py

A case is random but for its seed. Rows of the file: truths [image, class, left, top, width, height, area, crowd], detections [image, class, left, top,
width, height, score]; images, classes count from 0, boxes are in pixels. A number of -1 means that there is nothing to measure.
"""

import contextlib
import io
import json
import random
from pathlib import Path

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

SIDE = 400


def random_box(rng, sizes):
    width, height = rng.choice(sizes) * rng.uniform(.6, 1.4), rng.choice(sizes) * rng.uniform(.6, 1.4)
    return [rng.uniform(0, SIDE - width), rng.uniform(0, SIDE - height), width, height]


def near(rng, box, spread):
    left, top, width, height = box
    return [left + width * rng.uniform(-spread, spread), top + height * rng.uniform(-spread, spread),
            width * rng.uniform(1 - spread, 1 + spread), height * rng.uniform(1 - spread, 1 + spread)]


def make_case(name, seed, images=8, classes=3, truths=(0, 6), detections=(0, 10), sizes=(20, 60, 140), crowd=0.0, crowded=False, digits=3, areas=False,
              truth_classes=None, detected_classes=None, empty=0.0):
    rng = random.Random(seed)
    rounded = lambda box: [round(v, 2) for v in box]
    case = {"name": name, "classes": classes, "images": images, "truths": [], "detections": []}
    for image in range(images):
        if rng.random() < empty:
            continue
        own = []
        for _ in range(rng.randint(*truths)):
            box = rounded(random_box(rng, sizes))
            if own and rng.random() < .3:
                box = rounded(near(rng, rng.choice(own)[2:6], .4))  # objects that overlap
            area = round(box[2] * box[3] * (rng.uniform(.4, 1) if areas else 1), 4)
            own.append([image, rng.choice(truth_classes or range(classes)), *box, area, int(rng.random() < crowd)])
        case["truths"] += own
        for _ in range(rng.randint(*detections)):
            label, box = rng.choice(detected_classes or range(classes)), random_box(rng, sizes)
            if own and rng.random() < .75:
                truth = rng.choice(own)
                box = near(rng, truth[2:6], rng.choice((.05, .15, .3)))
                if truth[7] and rng.random() < .7:  # a part of a crowd
                    box = [truth[2] + truth[4] * .2, truth[3] + truth[5] * .2, truth[4] * rng.uniform(.1, .6), truth[5] * rng.uniform(.1, .6)]
                if rng.random() < .9 and (detected_classes is None or truth[1] in detected_classes):
                    label = truth[1]
            case["detections"].append([image, 0 if crowded else label, *rounded(box), round(rng.uniform(.05, 1), digits)])
    case["numbers"] = judge(case)
    return case


def judge(case):
    gt, dt = COCO(), COCO()
    images = [{"id": i + 1, "width": SIDE, "height": SIDE} for i in range(case["images"])]
    categories = [{"id": c + 1, "name": str(c)} for c in range(case["classes"])]

    def annotation(number, row):
        return {"id": number + 1, "image_id": row[0] + 1, "category_id": row[1] + 1, "bbox": row[2:6]}

    gt.dataset = {"images": images, "categories": categories,
                  "annotations": [annotation(i, t) | {"area": t[6], "iscrowd": t[7]} for i, t in enumerate(case["truths"])]}
    dt.dataset = {"images": images, "categories": categories,
                  "annotations": [annotation(i, d) | {"area": d[4] * d[5], "iscrowd": 0, "score": d[6]} for i, d in enumerate(case["detections"])]}
    with contextlib.redirect_stdout(io.StringIO()):
        gt.createIndex()
        dt.createIndex()
        evaluation = COCOeval(gt, dt, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return [float(number) for number in evaluation.stats]


def main():
    cases = [
        make_case("several classes", 1, images=14, classes=4),
        make_case("areas and crowds", 2, images=20, crowd=.2, areas=True),
        make_case("many crowds", 3, images=12, classes=2, crowd=.6, truths=(2, 8), detections=(4, 14)),
        make_case("more than 100 detections of a class in an image", 4, images=3, classes=2, truths=(10, 20), detections=(150, 190), crowded=True),
        make_case("between 10 and 100 detections", 5, images=3, classes=1, truths=(5, 12), detections=(40, 60)),
        make_case("classes without truths", 6, classes=5, truth_classes=(0, 3)),
        make_case("classes without detections", 7, classes=5, detected_classes=(1, 2)),
        make_case("equal scores", 8, images=16, digits=1, detections=(4, 12)),
        make_case("images without anything", 9, images=24, empty=.6),
        make_case("small objects only", 10, sizes=(8, 20)),
        make_case("large objects only", 11, sizes=(150, 220)),
        make_case("at the borders between the areas", 12, images=16, sizes=(32, 96), areas=True, crowd=.1),
        make_case("nothing but crowds", 13, crowd=1.1),
        make_case("no detections", 14, detections=(0, 0)),
        make_case("no truths", 15, truths=(0, 0)),
        make_case("nothing", 16, images=2, truths=(0, 0), detections=(0, 0)),
    ]
    path = Path(__file__).resolve().parent.parent / "tests" / "data" / "coco_cases.json"
    path.write_text("[\n" + ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases) + "\n]\n", encoding="utf-8")
    for case in cases:
        print(f"{case['name']:50} {len(case['truths']):4} truths {len(case['detections']):4} detections ", *(f"{n:.3f}" for n in case["numbers"]))
    print(path, path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
