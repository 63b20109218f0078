#!/usr/bin/env python3
"""Draws how time and memory grow (program.json of measure.py) with gnuplot.

    plot_growth.py PROGRAM.json OUT.svg

One panel for each thing that grows: seconds and peak memory over its size, both axes logarithmic, so that a straight
line of slope one is growth in proportion.
"""
import json
import pathlib
import subprocess
import sys

SERIES = ["windows", "blocks", "hidden size", "recipes"]


def panel(name: str, points: list[dict]) -> str:
    data = "\n".join(f"{point['size']} {point['seconds']} {point['peak_bytes'] / 2**20}" for point in points)
    sizes = ", ".join(f'"{point["size"]}" {point["size"]}' for point in points)
    return f"""
set xlabel "{name}"
set xtics ({sizes})
$data << EOD
{data}
EOD
plot $data using 1:2 with linespoints pt 7 lc rgb "#1f6feb" title "seconds", \\
     $data using 1:3 axes x1y2 with linespoints pt 6 lc rgb "#d29922" title "peak MiB"
"""


def main() -> None:
    growth = json.loads(pathlib.Path(sys.argv[1]).read_text())["growth"]
    script = f"""
set terminal svg size 960,640 font "sans-serif,13" background "white"
set output "{sys.argv[2]}"
set multiplot layout 2,2
set logscale xyy2
set ytics nomirror
set y2tics
set ylabel "seconds"
set y2label "peak MiB"
set key left top
set grid
""" + "".join(panel(name, growth[name]) for name in SERIES) + "unset multiplot\n"
    subprocess.run(["gnuplot"], input=script, text=True, check=True)


main()
