#!/usr/bin/env python3
"""check_floors.py must object to each thing it claims to object to: small trees with one fault each. Run by ctest (include_floors_selftest)."""

import sys
import tempfile
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))
import check_floors  # noqa: E402

README = """
| floor | folder | what |
|---|---|---|
| 0 | `base/` | |
| 1 | `config/` | |
| 1 | `image/` | |
| 2 | `device/` | |
| 4 | `layers/<x>` | |
| 5 | `graph/` | |
| 6 | `main.cpp` | |
"""
CLEAN = {
    "src/README.md": README,
    "src/base/text.h": "#include <string>\n// exit(1) in a comment\n",
    "src/config/keys.h": '#include "base/text.h"\nconst char* s = "system(1)";\n',
    "src/image/box.h": '#include "base/text.h"\n',
    "src/device/cpu/parallel.h": "#include <omp.h>\n#pragma omp parallel for\n",
    "src/layers/registry.h": '#include "config/keys.h"\n',
    "src/layers/registry.cpp": '#include "layers/registry.h"\n#include "layers/route/route.h"\n',
    "src/layers/route/route.h": '#include "device/cpu/parallel.h"\n',
    "src/layers/route/route_cpu.cpp": '#include "layers/route/route.h"\n#include <dnnl.hpp>\n',
    "src/layers/route/route_test.cpp": '#include "graph/plan.h"\n#include "tests/harness/check.h"\n#include <gtest/gtest.h>\n',
    "src/layers/sam/sam.h": '#include "base/text.h"\n',
    "src/graph/plan.h": '#include "layers/registry.h"\n',
    "src/main.cpp": '#include "graph/plan.h"\nint main() { return run_exit(0) + log.exit(1); }\n',
    "tests/harness/check.h": "\n",
    "CMakeLists.txt": "# no -ffast-math\n",
}


class CheckFloors(unittest.TestCase):
    def run_on(self, changes):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            for name, text in {**CLEAN, **changes}.items():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text(text, encoding="utf-8")
            report, _, _ = check_floors.check(root)
            return report

    def expect(self, name, text, expected):
        errors = self.run_on({name: text}).errors
        self.assertTrue(any(expected in error for error in errors), f"no error with {expected!r} among {errors}")
        self.assertTrue(any(error.startswith(name) for error in errors), errors)

    def test_clean_tree(self):
        report = self.run_on({})
        self.assertEqual(report.errors, [])
        self.assertEqual(report.warnings, [])

    def test_includes(self):
        self.expect("src/base/text.h", '#include "config/keys.h"\n', "above base")
        self.expect("src/config/keys.h", '#include "image/box.h"\n', "sideways")
        self.expect("src/layers/sam/sam.h", '#include "layers/route/route.h"\n', "sideways")
        self.expect("src/layers/sam/sam.h", '#include "layers/registry.h"\n', "sideways")
        self.expect("src/graph/plan.h", '#include "layers/route/route.h"\n', "registry.h only")
        self.expect("src/layers/registry.h", '#include "graph/plan.h"\n', "above layers")
        self.expect("src/graph/plan.h", '#include "tests/harness/check.h"\n', "no such file")
        self.expect("src/graph/plan.h", '#include "plan2.h"\n', "no such file")

    def test_circle(self):
        report = self.run_on({"src/base/a.h": '#include "base/b.h"\n', "src/base/b.h": '#include "base/a.h"\n'})
        self.assertTrue(any("circle: src/base/a.h -> src/base/b.h -> src/base/a.h" in e for e in report.errors), report.errors)

    def test_table_matches_tree(self):
        self.assertIn("src/new:1: is not in the floors table of src/README.md", self.run_on({"src/new/x.h": "\n"}).errors)
        self.expect("src/README.md", README + "| 3 | `nn/` | |\n", "does not exist")
        self.expect("src/README.md", "nothing\n", "no floors table")

    def test_third_party(self):
        self.expect("src/graph/plan.h", "#include <dnnl.hpp>\n", "oneDNN")
        self.expect("src/layers/route/route.h", "#include <oneapi/dnnl/dnnl.hpp>\n", "oneDNN")
        self.expect("src/config/keys.h", "#include <cairo/cairo.h>\n", "Cairo")
        self.expect("src/config/keys.h", "#include <stb/stb_image.h>\n", "codecs")
        self.expect("src/config/keys.h", "#include <turbojpeg.h>\n", "codecs")
        for header in ["cuda_runtime_api.h", "cuda.h", "cudnn.h", "cublasLt.h"]:
            self.expect("src/device/cpu/device.h", f"#include <{header}>\n", "CUDA")
            self.assertEqual(self.run_on({"src/device/cuda/stream_driver.cpp": f"#include <{header}>\n"}).errors, [])
            self.assertEqual(self.run_on({"tests/fake_libraries/cudart.cpp": f"#include <{header}>\n"}).errors, [])
        self.expect("src/device/cpu/device.h", "#include <omp.h>\n", "OpenMP")
        self.expect("src/device/cpu/device.h", "  #pragma omp simd\n", "OpenMP pragma")
        self.expect("src/graph/plan.h", "#include <gtest/gtest.h>\n", "GoogleTest")
        self.expect("src/graph/plan.h", "#include <random>\n", "base/rng.h")

    def test_banned(self):
        for call in ["exit(1)", "std::exit(1)", "::exit (1)", "system(x)", "std::system(x)", "popen(a, b)", "atoi(s)", "std::atof(s)", "sprintf(b, c)",
                     "scanf(b)", "sscanf(a, b)", "fscanf(a, b)", "strtok(a, b)", "rand()", "std::rand()", "srand(1)", "getchar()"]:
            self.expect("src/base/call.cpp", f"int f() {{ {call}; }}\n", "banned")
        self.expect("src/base/call.cpp", "auto& in = std::cin;\n", "banned")
        self.expect("tests/call.cpp", "int f() { exit(1); }\n", "banned")
        for fine in ["_exit(1)", "on_exit_do(1)", "x.exit(1)", "snprintf(a, b, c)", "operand(1)", "'\"'; exits(1)"]:
            self.assertEqual(self.run_on({"src/base/call.cpp": f"int f() {{ {fine}; }}\n"}).errors, [], fine)

    def test_flags(self):
        for flag in ["-ffast-math", "-Ofast", "-march=native"]:
            self.expect("CMakeLists.txt", f"add_compile_options({flag})\n", "banned compiler flag")

    def test_sizes(self):
        self.expect("src/base/long.cpp", "\n" * 401, "401 lines")
        self.assertEqual(self.run_on({"src/base/long.cpp": "\n" * 400}).errors, [])
        body = "  if (x) { y(); }\n" * 59
        for head in ["int f(int a)", "void T::g() const", "struct S {\n  int f(int a = 0, std::function<int()> b = {})", "namespace a {\nauto h() -> int"]:
            ends = "\n}" if head.startswith(("struct", "namespace")) else ""
            self.assertEqual(self.run_on({"src/base/f.cpp": f"{head} {{\n{body[:-18]}}}{ends}\n"}).warnings, [], head)
            self.assertEqual(len(self.run_on({"src/base/f.cpp": f"{head} {{\n{body}}}{ends}\n"}).warnings), 1, head)


if __name__ == "__main__":
    unittest.main()
