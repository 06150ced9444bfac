#!/usr/bin/env python3
"""Holds the source tree to its rules; run by ctest (include_floors) and by hand: scripts/check_floors.py [--root DIR]

Errors: an include that goes upward, sideways or in a circle (the floors table of src/README.md is read, it is the only copy); a third-party header
or an OpenMP pragma outside its place; a banned call or compiler flag; a file over 400 lines. Warnings: a function over 60 lines.
A test (x_test.cpp) may include any floor, since it may need a whole network to drive a layer; everything else holds for tests too.
"""

import argparse
import re
import sys
from pathlib import Path

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60
LONG_FILES = {}  # path -> reason; meant to stay empty

# What may include which third-party header, as a pattern on the path below the repository.
CONTAINED = [
    (re.compile(r"(oneapi/dnnl/)?dnnl\w*\.h(pp)?$"), re.compile(r"src/device/cpu/|src/layers/\w+/\w*_cpu(_test)?\.(cpp|h)$|bench/"), "oneDNN"),
    (re.compile(r"(cairo/)?cairo[\w-]*\.h$"), re.compile(r"src/image/"), "Cairo"),
    (re.compile(r"(turbojpeg|jpeglib)\.h$|(stb/)?stb_\w+\.h$"), re.compile(r"src/image/"), "image codecs"),
    (re.compile(r"pugixml\.hpp$"), re.compile(r"src/data/convert/"), "pugixml"),
    (re.compile(r"lib(av\w+|sw\w+)/"), re.compile(r"src/video/(\w+_ffmpeg\.cpp|ffmpeg\.h)$"), "FFmpeg"),
    (re.compile(r"(cuda|cudnn|cublas)\w*\.h(pp)?$"), re.compile(r"src/device/cuda/|tests/(driver/|fake_libraries/cudart)"), "CUDA"),
    (re.compile(r"omp\.h$"), re.compile(r"src/device/cpu/parallel\.h$"), "OpenMP"),
    (re.compile(r"gtest/|gmock/"), re.compile(r"src/.*_test\.cpp$|tests/"), "GoogleTest"),
    (re.compile(r"benchmark/"), re.compile(r"bench/"), "Google Benchmark"),
    (re.compile(r"random$"), re.compile(r"$^"), "<random> (numbers come from base/rng.h)"),
]
OMP_PRAGMA = re.compile(r"^\s*#\s*pragma\s+omp\b|_Pragma\s*\(\s*\"omp\b")
OMP_PLACE = re.compile(r"src/device/cpu/parallel\.h$")

BANNED = [
    (re.compile(r"(?<![\w.>])(?:std::|::)?(?:quick_)?exit\s*\("), "exit: throw dn::Error, main decides"),
    (re.compile(r"(?<![\w.>])(?:std::|::)?system\s*\("), "system"),
    (re.compile(r"\bpopen\s*\("), "popen"),
    (re.compile(r"\b(?:atoi|atol|atoll|atof)\s*\("), "atoi and atof accept anything: use base/text.h"),
    (re.compile(r"\bv?sprintf\s*\("), "sprintf: use concat of base/text.h"),
    (re.compile(r"\bv?[fs]?scanf\s*\("), "scanf: use base/text.h"),
    (re.compile(r"\bstrtok(?:_r)?\s*\("), "strtok: use split of base/text.h"),
    (re.compile(r"(?<![\w.>])(?:std::|::)?s?rand(?:_r)?\s*\("), "rand: use base/rng.h"),
    (re.compile(r"\bstd::cin\b|\bgetchar\s*\(|\bgets\s*\(|\bSTDIN_FILENO\b"), "reading standard input"),
]
BANNED_FLAGS = re.compile(r"-ffast-math|-Ofast|-funsafe-math-optimizations|-ffinite-math-only|-march=native")

INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]')
FLOOR_ROW = re.compile(r"^\|\s*(\d+)\s*\|\s*`([\w./]+?)/?(?:<\w+>)?`\s*\|")


class Report:
    def __init__(self):
        self.errors, self.warnings = [], []

    def error(self, path, line, text):
        self.errors.append(f"{path}:{line}: {text}")

    def warning(self, path, line, text):
        self.warnings.append(f"{path}:{line}: warning: {text}")


def strip_comments_and_strings(text):
    """The same text with comments, string and character literals blanked; line numbers stay."""
    pattern = re.compile(
        r'//[^\n]*|/\*.*?\*/|R"(?P<tag>[^()\s\\]{0,16})\(.*?\)(?P=tag)"|"(?:\\.|[^"\\\n])*"|(?<![0-9a-fA-F])\'(?:\\.|[^\'\\\n])*\'', re.S)
    return pattern.sub(lambda m: re.sub(r"[^\n]", " ", m.group(0)), text)


def read_floors(root, report):
    readme = root / "src" / "README.md"
    floors = {}
    if readme.is_file():
        for line in readme.read_text(encoding="utf-8").splitlines():
            row = FLOOR_ROW.match(line)
            if row:
                floors[row.group(2)] = int(row.group(1))
    if len(floors) < 2:
        report.error("src/README.md", 1, "no floors table found; expected rows like | 0 | `base/` | ... |")
    return floors


def unit_of(path, floors):
    """(name, floor) of a file below src/: its folder, `layers/x` for a layer's folder, or the file's own name at the top (main.cpp)."""
    parts = path.parts
    if len(parts) == 1:
        return parts[0], floors.get(parts[0])
    if parts[0] == "layers" and len(parts) > 2:
        return "/".join(parts[:2]), floors.get("layers")
    return parts[0], floors.get(parts[0])


def check_include(source, target, floors):
    """None when a file below src/ may include another, else the reason why not."""
    source_unit, source_floor = unit_of(source, floors)
    target_unit, target_floor = unit_of(target, floors)
    if source_floor is None or target_floor is None:
        return None  # the folder itself was reported already
    if source_unit == target_unit:
        return None
    if source_unit == "layers":  # the registry knows every layer
        if target_unit.startswith("layers/") or target_floor < source_floor:
            return None
    if target_floor > source_floor:
        return f"{target} is on floor {target_floor}, above {source_unit} (floor {source_floor})"
    if target_floor == source_floor:
        return f"{target} is sideways of {source_unit} (both floor {source_floor})"
    if target_unit.startswith("layers") and target.as_posix() != "layers/registry.h":
        return f"{target}: from outside, layers are reached through layers/registry.h only"
    return None


def find_cycle(graph):
    """A list of nodes that include each other in a circle, or None."""
    state = {}
    for start in sorted(graph):
        if start in state:
            continue
        path, stack = [start], [iter(sorted(graph[start]))]
        state[start] = 1
        while stack:
            following = next(stack[-1], None)
            if following is None:
                state[path.pop()] = 2
                stack.pop()
            elif state.get(following) == 1:
                return path[path.index(following):] + [following]
            elif following not in state:
                state[following] = 1
                path.append(following)
                stack.append(iter(sorted(graph.get(following, ()))))
    return None


def check_includes(root, files, floors, report):
    """Floors, circles and third-party places. Returns the number of includes seen."""
    source_root, graph, count = root / "src", {}, 0
    for path in files:
        name = path.relative_to(root).as_posix()
        below_src = name.startswith("src/")
        is_test = name.endswith("_test.cpp")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if OMP_PRAGMA.match(line) and not OMP_PLACE.match(name):
                report.error(name, number, "an OpenMP pragma; expected in src/device/cpu/parallel.h only")
            match = INCLUDE.match(line)
            if not match:
                continue
            count += 1
            quoted, target = match.group(1) == '"', match.group(2)
            for header, place, what in CONTAINED:
                if header.match(target) and not place.match(name):
                    report.error(name, number, f"includes {target}: {what} does not belong here")
            if not below_src or not quoted or target.startswith("hwy/"):
                continue
            if (source_root / target).is_file():
                graph.setdefault(name, set()).add("src/" + target)
                reason = None if is_test else check_include(Path(name[4:]), Path(target), floors)
                if reason:
                    report.error(name, number, "includes " + reason)
            elif not (is_test and (root / target).is_file()):
                report.error(name, number, f"includes {target}: no such file below src/ (includes are written from src/)")
    cycle = find_cycle(graph)
    if cycle:
        report.error(cycle[0], 1, "includes in a circle: " + " -> ".join(cycle))
    return count


def functions(stripped):
    """(name, first line, last line) of every function body, by matching braces and looking at what stands before an opening one."""
    stack, head_start, parens = [], 0, 0
    for position, char in enumerate(stripped):
        if char in "()":
            parens += 1 if char == "(" else -1
        elif char == ";" and parens == 0:
            head_start = position + 1
        elif char == "{":
            head = re.sub(r"^\s*#.*$", "", stripped[head_start:position], flags=re.M).strip()
            inside = any(entry[0] == "function" for entry in stack)
            container = re.search(r"\b(namespace|class|struct|union|enum|extern)\b", head) and not head.endswith(")")
            kind = "function" if not inside and not container and parens == 0 and "(" in head else "other"
            stack.append((kind, head, head_start, parens))
            head_start, parens = position + 1, 0
        elif char == "}" and stack:
            kind, head, start, parens = stack.pop()
            head_start = position + 1 if parens == 0 else start  # a brace inside parentheses does not end the head
            if kind == "function":
                first = start + stripped[start:].index(head.split("\n", 1)[0])
                named = re.search(r"([\w:~]+)\s*\(", head)
                yield named.group(1) if named else "?", stripped.count("\n", 0, first) + 1, stripped.count("\n", 0, position) + 1


def check_text(root, files, report):
    for path in files:
        name = path.relative_to(root).as_posix()
        text = path.read_text(encoding="utf-8")
        stripped = strip_comments_and_strings(text)
        for number, line in enumerate(stripped.splitlines(), 1):
            for pattern, what in BANNED:
                if pattern.search(line):
                    report.error(name, number, f"banned: {what}")
        lines = text.count("\n")
        if lines > MAX_FILE_LINES and name not in LONG_FILES:
            report.error(name, lines, f"{lines} lines; expected at most {MAX_FILE_LINES}")
        for function, first, last in functions(stripped):
            if last - first + 1 > MAX_FUNCTION_LINES:
                report.warning(name, first, f"{function} has {last - first + 1} lines; {MAX_FUNCTION_LINES} are the budget")


def check_flags(root, report):
    for path in [root / "CMakeLists.txt", root / "CMakePresets.json", root / "Makefile"]:
        if path.is_file():
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                if BANNED_FLAGS.search(line.split("#", 1)[0]):
                    report.error(path.name, number, "banned compiler flag: NaN checks and one program for all machines must work")


def check_folders(root, floors, report):
    source_root = root / "src"
    for entry in sorted(source_root.iterdir()):
        if (entry.is_dir() and any(entry.rglob("*.*"))) or entry.suffix in (".cpp", ".h"):
            if entry.name not in floors:
                report.error(f"src/{entry.name}", 1, "is not in the floors table of src/README.md")
    for name in floors:
        if not (source_root / name).exists():
            report.error("src/README.md", 1, f"the floors table lists {name}, which does not exist")


def check(root):
    report = Report()
    floors = read_floors(root, report)
    files = sorted(p for top in ("src", "include", "tests", "bench") for p in (root / top).rglob("*") if p.suffix in (".cpp", ".h", ".hpp", ".cu"))
    check_folders(root, floors, report)
    includes = check_includes(root, files, floors, report)
    check_text(root, files, report)
    check_flags(root, report)
    return report, len(files), includes


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parent.parent)
    report, files, includes = check(parser.parse_args().root.resolve())
    for line in report.warnings + report.errors:
        print(line)
    print(f"check_floors: {files} files, {includes} includes, {len(report.errors)} errors, {len(report.warnings)} warnings")
    return 1 if report.errors or not files else 0


if __name__ == "__main__":
    sys.exit(main())
