"""What bench/norm_study says: one line per run, the figures of all runs, a Markdown table, a plot as SVG, and their places in docs/."""

import json
import re
import statistics

MARKER = re.compile(r"(<!-- norm_study -->\n).*?(<!-- /norm_study -->)", re.S)
NAMES = {"minibatch": "`minibatch`", "default": "default momentum", "cmbn": "`cmbn`", "batch": "`batch`", "gn": "`norm = gn`", "frozen": "frozen half-way"}
# Okabe and Ito's colours, which the colour-blind tell apart; and marks, for print without colours.
LOOK = {"minibatch": ("#0072b2", "circle"), "default": ("#56b4e9", "ring"), "cmbn": ("#e69f00", "square"), "batch": ("#009e73", "diamond"),
        "gn": ("#cc79a7", "triangle"), "frozen": ("#555555", "cross")}


def complaint(output):
    """The error of a run that failed."""
    lines = output.strip().splitlines() or ["no output"]
    errors = [line for line in lines if line.startswith("error:")]
    return (errors or lines)[-1].removeprefix("error: ")[:200]


def one_line(result):
    if result["failed"]:
        return f"FAILED: {result['failed']}"
    loss, score = result["loss"], result["map"]
    return f"loss {loss:.3f}, {'' if score is None else f'mAP {100 * score:.1f} %, '}{result['seconds']:.0f} s"


def spread(values):
    """Figures of one cell over its seeds."""
    return {"mean": statistics.fmean(values), "min": min(values), "max": max(values),
            "sd": statistics.stdev(values) if len(values) > 1 else None} if values else None


def cell_of(results, name, scheme, parts, seeds):
    mine = [r for r in results if r["set"] == name and r["scheme"] == scheme]
    runs = []
    if scheme == "default" and not any(r["subdivisions"] == parts for r in mine):  # the same run
        mine = [r for r in results if r["set"] == name and r["scheme"] == "minibatch"]
    for seed in seeds:
        exact = [r for r in mine if r["seed"] == seed and r["subdivisions"] == parts]
        runs += exact or [r for r in mine if scheme == "batch" and r["seed"] == seed and r["subdivisions"] == 1]
    good = [r for r in runs if not r["failed"]]
    return {"subdivisions": parts, "map": spread([r["map"] for r in good]), "loss": spread([r["loss"] for r in good]),
            "failed": [r["failed"] for r in runs if r["failed"]], "runs": runs}


def same_weights(results, name, subdivisions):
    """Whether `batch` ended with the same weight file under all subdivisions; None: not known."""
    hashes = [r["weights_sha256"] for r in results if r["set"] == name and r["scheme"] == "batch" and r["seed"] == 1 and not r["failed"]]
    return len(set(hashes)) == 1 if len(hashes) == len(subdivisions) else None


def summarize(results, sets, missing, seeds, program, batch, subdivisions):
    study = {"program": program.version, "program_sha256": program.digest, "machine": program.machine, "batch": batch, "subdivisions": list(subdivisions),
             "seeds": seeds, "missing": missing, "sets": []}
    schemes = list(dict.fromkeys(r["scheme"] for r in results))
    for data in sets:
        cells = [{"scheme": scheme, "cells": [cell_of(results, data.name, scheme, parts, seeds) for parts in subdivisions]} for scheme in schemes]
        study["sets"].append({"name": data.name, "train_images": data.counts["train"], "valid_images": data.counts["valid"], "classes": data.classes,
                              **data.settings, "batch_same_weights": same_weights(results, data.name, subdivisions), "schemes": cells})
    return study


def figure(cell, what):
    factor, digits = (100, 1) if what == "map" else (1, 2)
    s = cell[what]
    if not s:
        return "failed"
    text = f"{factor * s['mean']:.{digits}f}"
    if s["sd"] is not None:
        text += f" ({factor * s['min']:.{digits}f}..{factor * s['max']:.{digits}f})"
    return text + (f", {len(cell['failed'])} failed" if cell["failed"] else "")


def set_table(data, study):
    parts = study["subdivisions"]
    head = "| normalization | " + " | ".join([f"mAP %, {p}" for p in parts] + [f"loss, {p}" for p in parts]) + " |"
    lines = [f"**{data['title']}**: {data['train_images']} images to train on, {data['valid_images']} to validate, {data['classes']} classes, "
             f"{data['size']} x {data['size']}, {data['iterations']} iterations. Columns by `subdivisions`; mean (lowest..highest).", "", head,
             "|---" * (1 + 2 * len(parts)) + "|"]
    for row in data["schemes"]:
        cells = [figure(cell, what) for what in ("map", "loss") for cell in row["cells"]]
        lines.append(f"| {NAMES[row['scheme']]} | " + " | ".join(cells) + " |")
    lines += [f"| {NAMES[scheme]} | " + " | ".join(["not in this program"] * (2 * len(parts))) + " |" for scheme in study["missing"]]
    failures = {}  # message -> where
    for row in data["schemes"]:
        for c in row["cells"]:
            for message in c["failed"]:
                failures.setdefault(message, []).append(f"{row['scheme']} / {c['subdivisions']}")
    return [*lines, "", *[f"Failed: {', '.join(dict.fromkeys(where))}: {message}\n" for message, where in failures.items()]]


def verdict(data):
    same = data["batch_same_weights"]
    if same is None:
        return f"{data['title']}: whether `batch` is the same for all subdivisions was not checked."
    return (f"{data['title']}: the final weight files of `batch` are "
            f"{'the same byte for byte under all subdivisions' if same else 'NOT THE SAME under all subdivisions, which is a fault'} (seed 1).")


def markdown(study):
    count = len(study["seeds"])
    about = (f"`cfg/demo.cfg` (10 convolutions), batch {study['batch']}, {count} seed{'s' if count > 1 else ''}, last weights. mAP at IoU 0.5; loss: mean of "
             "the last 5 % of the iterations, in training mode, so that it knows only the statistics that were trained with. In all rows but one "
             "`norm_momentum` is such that the running statistics, which evaluation uses, forget as much per batch whatever `subdivisions` says (0.14854 with "
             "one, 0.0394 with four, 0.01 with sixteen): the rows differ in what training saw. *default momentum*: `minibatch` with 0.01 throughout. "
             "`batch` with more than one subdivision was run for the first seed, to compare the weight files, and counted once for the others. `norm = gn` "
             "has `norm_groups = 8`. *frozen half-way*: the first half of the iterations as `minibatch` with `subdivisions = 1`, the second from its weights "
             "with `norm_frozen = stats` and a fifth of the learning rate (at the full one some diverged); the number of iterations is that of the other rows, the "
             "gradient's momentum starts anew at the change. Learning rate, burn-in and length were chosen by a few trials with `minibatch`, which may favour it. "
             "Single runs of `norm = gn` with the same seed differ between subdivisions by rounding alone: that is how far chance goes. "
             "Differences within the spread say nothing.")
    lines = [about, ""]
    for data in study["sets"]:
        lines += set_table(data, study)
    lines += [" ".join(verdict(data) for data in study["sets"]), "",
              f"{study['program']}, {study['machine']}; {study['run_seconds'] / 60:.0f} minutes of runs with one thread each."]
    return "\n".join(lines) + "\n"


# ---- the plot

PANEL_W, PANEL_H, LEFT, TOP, GAP, BOTTOM = 360, 260, 60, 84, 76, 58


def ticks(low, high):
    """Round values that enclose low..high, about five steps."""
    width = max(high - low, 1e-9)
    step = next(s for s in (1, 2, 5, 10, 20, 50) if width / s <= 6)
    first, last = int(low // step), int(-(-high // step))
    return [step * i for i in range(first, max(last, first + 1) + 1)]


def mark(kind, x, y, colour):
    r = 4.5
    if kind == "circle":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r}" fill="{colour}"/>'
    if kind == "ring":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r - 0.6}" fill="#ffffff" stroke="{colour}" stroke-width="2"/>'
    if kind == "cross":
        return f'<path d="M{x - r:.1f} {y - r:.1f}l{2 * r} {2 * r}m0 {-2 * r}l{-2 * r} {2 * r}" stroke="{colour}" stroke-width="2.4"/>'
    points = {"square": ((-4, -4), (4, -4), (4, 4), (-4, 4)), "diamond": ((0, -5.6), (5.6, 0), (0, 5.6), (-5.6, 0)),
              "triangle": ((0, -5.4), (5.2, 4), (-5.2, 4))}
    return f'<polygon points="{" ".join(f"{x + dx:.1f},{y + dy:.1f}" for dx, dy in points[kind])}" fill="{colour}"/>'


def text(x, y, words, anchor="middle", size=13, extra=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" {extra}>{words}</text>'


def panel(data, x0, study):
    """Axes, then per scheme a line through the means and a bar from the lowest to the highest seed, schemes side by side."""
    parts = study["subdivisions"]
    known = [c["map"] for row in data["schemes"] for c in row["cells"] if c["map"]]
    axis = ticks(min(100 * s["min"] for s in known), max(100 * s["max"] for s in known)) if known else [0, 100]
    column = PANEL_W / len(parts)
    to_y = lambda value: TOP + PANEL_H * (axis[-1] - value) / (axis[-1] - axis[0])  # noqa: E731
    out = [text(x0 + PANEL_W / 2, TOP - 14, f"{data['title']}, {data['size']} x {data['size']}, {data['iterations']} iterations", size=14)]
    for value in axis:
        out.append(f'<line x1="{x0}" x2="{x0 + PANEL_W}" y1="{to_y(value):.1f}" y2="{to_y(value):.1f}" stroke="#dddddd"/>')
        out.append(text(x0 - 8, to_y(value) + 4.5, value, "end"))
    out.append(f'<path d="M{x0} {TOP}v{PANEL_H}h{PANEL_W}" fill="none" stroke="#222222"/>')
    for i, p in enumerate(parts):
        out.append(text(x0 + column * (i + 0.5), TOP + PANEL_H + 20, p))
    out.append(text(x0 + PANEL_W / 2, TOP + PANEL_H + 44, "subdivisions"))
    for number, row in enumerate(data["schemes"]):
        colour, kind = LOOK[row["scheme"]]
        shift = (number - (len(data["schemes"]) - 1) / 2) * 14
        points = [(x0 + column * (i + 0.5) + shift, c["map"]) for i, c in enumerate(row["cells"]) if c["map"]]
        path = " ".join(f"{x:.1f},{to_y(100 * s['mean']):.1f}" for x, s in points)
        out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.4" stroke-opacity="0.5"/>')
        for x, s in points:
            low, high = to_y(100 * s["min"]), to_y(100 * s["max"])
            out.append(f'<path d="M{x:.1f} {low:.1f}V{high:.1f}M{x - 4:.1f} {low:.1f}h8M{x - 4:.1f} {high:.1f}h8" stroke="{colour}" stroke-width="1.6"/>')
            out.append(mark(kind, x, to_y(100 * s["mean"]), colour))
    return out


def svg(study):
    panels = study["sets"]
    width = LEFT + len(panels) * PANEL_W + (len(panels) - 1) * GAP + 24
    height = TOP + PANEL_H + BOTTOM
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
           'font-family="DejaVu Sans, Verdana, sans-serif" fill="#222222">', f'<rect width="{width}" height="{height}" fill="#ffffff"/>']
    x = LEFT
    for scheme in dict.fromkeys(row["scheme"] for data in panels for row in data["schemes"]):
        words = NAMES[scheme].replace("`", "")
        out += [mark(LOOK[scheme][1], x + 4, 26, LOOK[scheme][0]), text(x + 16, 30.5, words, "start")]
        x += 44 + 8 * len(words)
    for number, data in enumerate(panels):
        out += panel(data, LEFT + number * (PANEL_W + GAP), study)
    middle = TOP + PANEL_H / 2
    out.append(text(18, middle, "mAP at IoU 0.5, %", extra=f'transform="rotate(-90 18 {middle})"'))
    return "\n".join([*out, "</svg>"]) + "\n"


def write(study, folder):
    (folder / "norm_study.json").write_text(json.dumps(study, indent=1) + "\n")
    (folder / "norm_study.md").write_text(markdown(study))
    (folder / "norm_study.svg").write_text(svg(study))


def write_docs(study, docs):
    page = docs / "normalization.md"
    old = page.read_text()
    if not MARKER.search(old):
        raise SystemExit(f"{page}: no <!-- norm_study --> ... <!-- /norm_study --> to fill in")
    (docs / "norm_study.json").write_text(json.dumps(study, indent=1) + "\n")
    (docs / "norm_study.svg").write_text(svg(study))
    filling = f"{markdown(study)}\n![mAP by subdivisions, per normalization and data set](norm_study.svg)\n"
    page.write_text(MARKER.sub(lambda found: found.group(1) + filling + found.group(2), old))
