#!/usr/bin/env python3
"""Opens the page of `daq-bench report --format html` in headless Chromium.

    html_test.py DAQ_BENCH CONFIG

Runs the config, which must be small, and looks at the page as a wide screen, a phone and a dark screen show it: all plots there, nothing wider
than the screen, nothing fetched, text that stands out from its ground. Exit code 77, skipped, where Chromium is not installed or cannot run.
"""

import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

# Leaves what it sees in the title, which --dump-dom prints.
PROBE = """<script>
const style = getComputedStyle(document.body);
document.title = JSON.stringify({
  overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  width: document.documentElement.clientWidth,
  tables: document.querySelectorAll('table').length,
  plots: [...document.querySelectorAll('figure svg')].filter(s => s.getBoundingClientRect().height > 50).length,
  images: [...document.querySelectorAll('figure img')].filter(i => i.complete && i.naturalWidth > 100).length,
  text: style.color, ground: style.backgroundColor});
</script></body>"""


def look(page: pathlib.Path, width: int, *flags: str) -> dict:
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--virtual-time-budget=5000",
               f"--window-size={width},1000", f"--user-data-dir={page.parent / 'profile'}", *flags, "--dump-dom", page.as_uri()]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120)
    title = re.search(r"<title>(.*?)</title>", run.stdout, re.DOTALL)
    if title is None:
        print(f"skipped: Chromium cannot run here: {run.stderr[-500:]}")
        sys.exit(77)
    return json.loads(title[1].replace("&amp;", "&").replace("&quot;", '"'))


def brightness(color: str) -> float:
    return sum(map(int, re.findall(r"\d+", color)[:3])) / 3


def main() -> None:
    if shutil.which("chromium") is None:
        print("skipped: chromium is not installed")
        sys.exit(77)
    program, config = sys.argv[1:]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = pathlib.Path(name)
        results = ["--results", str(folder)]
        subprocess.run([program, "run", config, "--quiet", *results], check=True, capture_output=True)
        subprocess.run([program, "inspect", config, "--layer", "0.mlp.up_proj", "--quiet", *results], check=True, capture_output=True)
        html = subprocess.run([program, "report", config, "--format", "html", *results], check=True, capture_output=True, text=True).stdout
        again = subprocess.run([program, "report", config, "--format", "html", *results], check=True, capture_output=True, text=True).stdout
        assert html == again, "the same cells give the same page"
        outside = re.findall(r"""(?:src|href|xlink:href)\s*=\s*["'](?!data:|#)[^"']*|@import|url\((?!["']?(?:#|data:))""", html)
        assert not outside, f"the page asks for {outside}"
        page = folder / "page.html"
        page.write_text(html.replace("</body>", PROBE))
        wide = look(page, 1280)
        # Calibration sizes of one format, bits, depth, time and memory; and the layer that inspect drew.
        assert (wide["tables"], wide["plots"], wide["images"]) == (1, 4, 1), wide
        # Chromium's windows are at least 500 wide; that is a phone held sideways.
        phone = look(page, 500)
        for seen in (wide, phone):
            assert seen["overflow"] <= 0, f"wider than the screen: {seen}"
            assert brightness(seen["ground"]) - brightness(seen["text"]) > 150, seen
        dark = look(page, 1280, "--blink-settings=preferredColorScheme=0")
        assert brightness(dark["text"]) - brightness(dark["ground"]) > 150, dark
        pdf = folder / "page.pdf"
        subprocess.run(["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", f"--print-to-pdf={pdf}",
                        f"--user-data-dir={folder / 'profile'}", page.as_uri()], capture_output=True, timeout=120, check=True)
        assert pdf.read_bytes().startswith(b"%PDF"), "it can be printed"
    print(f"the page holds: {wide}")


if __name__ == "__main__":
    main()
