#!/usr/bin/env python3
"""Draws how delivery time and memory grow with the number of patients.

    for n in 100 1000 5000 10000; do
        cargo run --release --example load -- --patients $n --json
    done > docs/performance/load.jsonl
    docs/performance/plot.py

Reads the lines of `examples/load --json` from load.jsonl beside this file (or
the files named) and writes load.svg beside it (or where --out says). A number
of patients that was measured more than once counts with its last run.
"""

import argparse
import html
import json
import math
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
WIDTH, HEIGHT = 900, 380
LEFT, TOP, BOTTOM, RIGHT = 60, 40, 310, 430
GAP = 450  # from one drawing to the next
COLOURS = ["#1f5fa8", "#c2410c", "#2f7d32", "#7b3fa0"]


def fail(sentence):
    sys.exit(f"plot.py: {sentence}")


def read(paths):
    """All lines of all files, as objects."""
    lines = []
    for path in paths:
        try:
            with open(path, encoding="utf-8") as file:
                lines += [json.loads(line) for line in file if line.strip()]
        except OSError as error:
            fail(f"{path}: {error.strerror}; make it with examples/load --json")
        except json.JSONDecodeError as error:
            fail(f"{path}: this is no line of examples/load --json: {error}")
    return lines


def curves(lines):
    """For each drawing its title, the unit, and points by name of the curve."""
    times, memory = {}, {}
    for line in lines:
        if line.get("what") == "broadcast":
            for field, said in [("received_ms", "patient has it"), ("committed_ms", "receipt committed")]:
                times.setdefault(f"{line['bytes']} B, last {said}", {})[line["patients"]] = line[field]["p50"]
        elif line.get("what") == "memory":
            memory.setdefault("server, resident", {})[line["patients"]] = line["after_kib"] / 1024
    if not times or not memory:
        fail("there is no line of a broadcast or none of the memory in it")
    return [("Time of a broadcast, median", "ms", times), ("Memory of the server", "MiB", memory)]


def ticks(least, most):
    """Powers of ten that enclose both, and what lies between."""
    low, high = math.floor(math.log10(least)), math.ceil(math.log10(most))
    high = max(high, low + 1)
    return [10.0**power for power in range(low, high + 1)]


def number(value):
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"


class Drawing:
    """One diagram, both axes logarithmic, from `x` on."""

    def __init__(self, x, title, unit, points):
        self.x, self.out = x, []
        patients = [n for curve in points.values() for n in curve]
        values = [value for curve in points.values() for value in curve.values()]
        self.across, self.up = ticks(min(patients), max(patients)), ticks(min(values), max(values))
        self.text(x + LEFT, 22, f"{title}, {unit}", 'font-weight="bold"')
        self.grid()
        for index, (name, curve) in enumerate(points.items()):
            self.curve(sorted(curve.items()), COLOURS[index % len(COLOURS)])
            self.text(x + LEFT + 24, TOP + 14 + 15 * index, name)
            y = TOP + 10 + 15 * index
            self.out.append(f'<line x1="{x + LEFT + 6}" y1="{y}" x2="{x + LEFT + 20}" y2="{y}" stroke="{COLOURS[index % len(COLOURS)]}" stroke-width="2"/>')
        self.text(x + (LEFT + RIGHT) / 2, HEIGHT - 22, "patients connected", 'text-anchor="middle"')

    def place(self, patients, value):
        def part(value, scale):
            return math.log(value / scale[0]) / math.log(scale[-1] / scale[0])

        x = self.x + LEFT + (RIGHT - LEFT) * part(patients, self.across)
        return x, BOTTOM - (BOTTOM - TOP) * part(value, self.up)

    def text(self, x, y, text, more=""):
        self.out.append(f'<text x="{x:.1f}" y="{y:.1f}" {more}>{html.escape(text)}</text>')

    def grid(self):
        for value in self.up:
            x, y = self.place(self.across[0], value)
            self.out.append(f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{self.x + RIGHT}" y2="{y:.1f}" stroke="#bbb"/>')
            self.text(x - 6, y + 4, number(value), 'text-anchor="end"')
        for patients in self.across:
            x, y = self.place(patients, self.up[0])
            self.out.append(f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{y:.1f}" stroke="#bbb"/>')
            self.text(x, y + 18, number(patients), 'text-anchor="middle"')

    def curve(self, points, colour):
        places = [self.place(*point) for point in points]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        self.out.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for (x, y), (patients, value) in zip(places, points):
            self.out.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"><title>{patients} patients: {value:.1f}</title></circle>')


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", default=[os.path.join(HERE, "load.jsonl")])
    parser.add_argument("--out", default=os.path.join(HERE, "load.svg"))
    args = parser.parse_args()
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
    ]
    for index, (title, unit, points) in enumerate(curves(read(args.files))):
        lines += Drawing(GAP * index, title, unit, points).out
    with open(args.out, "w", encoding="utf-8") as file:
        file.write("\n".join([*lines, "</svg>", ""]))


if __name__ == "__main__":
    main()
