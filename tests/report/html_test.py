#!/usr/bin/env python3
"""Opens the page of `daq-bench report --format html` in headless Chromium.

    html_test.py DAQ_BENCH CONFIG

Runs the config, which must be small, and looks at the page as a wide screen, a phone, a dark screen and paper show it: all plots there, nothing
wider than the screen, nothing fetched, text that stands out from its ground, everything that is said of the numbers, also of one that failed and
in a layout. Exit code 77, skipped, where Chromium is not installed or cannot run.
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
  scrolled: [...document.querySelectorAll('figure div')].filter(d => d.querySelector('svg') && d.scrollWidth > d.clientWidth).length,
  names: [...document.querySelectorAll('table')].filter(t => { t.parentElement.scrollLeft = 1000;
    return t.rows[1].cells[0].getBoundingClientRect().left < t.parentElement.getBoundingClientRect().left }).length,
  titles: document.querySelectorAll('figure svg title').length,
  letters: Math.min(...[...document.querySelectorAll('figure svg')].map(s => 12 * s.getBoundingClientRect().width / s.viewBox.baseVal.width)),
  filter: getComputedStyle(document.querySelector('figure svg')).filter,
  text: style.color, ground: style.backgroundColor});
</script></body>"""

# Chromium's own windows are at least 500 wide; a frame is a screen of any width.
PHONE = """<title>none</title><iframe id="screen" src="page.html" style="width: 390px; height: 844px; border: 0"></iframe><script>
document.getElementById('screen').onload = e => { document.title = e.target.contentDocument.title };
</script>"""
CHROMIUM = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]


def look(page: pathlib.Path, width: int, *flags: str) -> dict:
    command = [*CHROMIUM, "--virtual-time-budget=5000", "--allow-file-access-from-files",
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

        def run(*arguments: str) -> str:
            return subprocess.run([program, *arguments, *results], check=True, capture_output=True, text=True).stdout

        def make_page(of: str) -> str:
            return run("report", of, "--format", "html")

        run("run", config, "--quiet")
        assert "inspect page.yaml --layer" in make_page(config), "where a drawing of weights would come from"
        run("inspect", config, "--layer", "0.mlp.up_proj", "--quiet")
        html = make_page(config)
        assert html == make_page(config), "the same cells give the same page"
        outside = re.findall(r"""(?:src|href|xlink:href)\s*=\s*["'](?!data:|#)[^"']*|@import|url\((?!["']?(?:#|data:))""", html)
        assert not outside, f"the page asks for {outside}"
        assert "<div class=\"warnings\">" not in html, "nothing is wrong yet"
        page = folder / "page.html"
        page.write_text(html.replace("</body>", PROBE))
        wide = look(page, 1280)
        # Calibration sizes of one format, bits, depth, time; and the layer that inspect drew.
        assert (wide["tables"], wide["plots"], wide["images"]) == (1, 4, 1), wide
        (folder / "phone.html").write_text(PHONE)
        phone = look(folder / "phone.html", 500)
        assert phone["width"] <= 390, phone  # without its scroll bar
        for seen in (wide, phone):
            assert seen["overflow"] <= 0, f"wider than the screen: {seen}"
            assert seen["scrolled"] == 0, f"plots wider than the screen, legends out of sight: {seen}"
            assert seen["names"] == 0, f"scrolled tables do not say which row is whose: {seen}"
            assert seen["titles"] == 0, f"gnuplot's ids as tooltips: {seen}"
            assert seen["letters"] > 8, f"letters of plots too small to read: {seen}"
            assert brightness(seen["ground"]) - brightness(seen["text"]) > 150, seen
            assert seen["filter"] == "none", seen
        dark = look(page, 1280, "--blink-settings=preferredColorScheme=0")
        assert brightness(dark["text"]) - brightness(dark["ground"]) > 150, dark
        assert dark["filter"].startswith("invert"), "plots are dark, too"

        # On paper everything is there: the table's last column, the legends of plots, the config, every setting, each number's meaning.
        paper = print_page(page)
        for text in ("loss vs fp16", "Pareto front", "bits per weight", "decoder block", "seconds", "max_windows: 16", "static_groups",
                     "Perplexity = exp(mean loss of the windows)", "sha256", "OpenBLAS"):
            assert text in paper, f"{text!r} is not on paper"
        sizes = next(figure for figure in re.findall(r"<figure>.*?</figure>", html, re.DOTALL) if "Pareto front" in figure)
        assert len(re.findall(r">\s*nf3 channel\s*<", sizes)) == 1, "code books are told apart"
        assert re.search(r"<path stroke='rgb[^']*'\s*d='M([\d.]+),[\d.]+ L\1,[\d.]+ M", sizes), "losses have bars of error"
        assert "filledcurves" not in html and html.count("fill-opacity") > 0, "bands of error are drawn"

        # One cell fails, as a run would have left it; a layout of the same cells.
        cell = next(path for path in (folder / "page/cells").glob("*.json") if json.loads(path.read_text())["method"] == "gptq")
        failed = json.loads(cell.read_text())
        failed.update(status="failed", error="no Cholesky factor", metrics={})
        cell.write_text(json.dumps(failed))
        assert re.search(r"warnings.*failed: no Cholesky factor", make_page(config), re.DOTALL), "failures are warned of"
        layout = folder / "layout.yaml"
        layout.write_text(pathlib.Path(config).read_text().replace("../../", f"{pathlib.Path(config).resolve().parents[2]}/") +
                          "report: {rows: [method], columns: [format, calibration], value: [perplexity, loss_vs_fp], error: interval}\n")
        run("run", str(layout), "--quiet")
        page.write_text(make_page(str(layout)).replace("</body>", PROBE))
        seen = look(folder / "phone.html", 500)
        assert (seen["tables"], seen["plots"]) == (1, 4) and seen["overflow"] <= 0, seen
        assert "loss vs fp16" in print_page(page), "the layout's last column is on paper"
    print(f"the page holds: {wide}")


def print_page(page: pathlib.Path) -> str:
    """The words that are on paper, in their order, one blank between two."""
    pdf = page.parent / "page.pdf"
    subprocess.run([*CHROMIUM, f"--print-to-pdf={pdf}", f"--user-data-dir={page.parent / 'profile'}", page.as_uri()], capture_output=True,
                   timeout=120, check=True)
    return " ".join(subprocess.run(["pdftotext", "-layout", pdf, "-"], check=True, capture_output=True, text=True).stdout.split())


if __name__ == "__main__":
    main()
