"""Opens the pages of `asv publish` in headless Chromium and fails unless their plots are drawn.

    python check_pages.py [--html .asv/html] [--chromium chromium] [--benchmark lstm.LSTM.time_call]

Serves the pages on this machine, with one page more that opens the front page and a benchmark's page in a frame and
counts coloured pixels on flot's canvases: the grid and the axes are grey, points and lines are not. The front page
draws lines alone, so with a single commit measured there its plots stay empty frames, and only these are asked for.
"""

import argparse
import functools
import html
import http.server
import json
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

# Fewer pixels than one point of a plot covers.
ENOUGH_PIXELS = 10

PROBE = """<!doctype html><title>probe</title>
<iframe id="frame" width="1400" height="1000"></iframe><pre id="found"></pre>
<script>
const frame = document.getElementById("frame"), pages = PAGES, found = [];
function coloured(canvas) {
  if (!canvas.width || !canvas.height) return 0;
  const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  let count = 0;
  for (let i = 0; i < data.length; i += 4) {
    const low = Math.min(data[i], data[i + 1], data[i + 2]), high = Math.max(data[i], data[i + 1], data[i + 2]);
    count += data[i + 3] > 100 && high - low > 50;
  }
  return count;
}
function look() {
  const page = frame.contentDocument, canvases = [...page.querySelectorAll("canvas.flot-base")];
  return {
    title: page.title,
    shown: page.body.innerText,
    plots: canvases.map(coloured),
  };
}
const wait = ms => new Promise(done => setTimeout(done, ms));
async function run() {
  for (const address of pages) {
    frame.src = "about:blank";
    await wait(100);
    frame.src = address;
    let seen = null;
    for (let i = 0; i < 100; i++) {
      await wait(100);
      try { seen = look(); } catch (error) { seen = {title: String(error), shown: "", plots: []}; }
      if (seen.plots.some(count => count >= ENOUGH)) break;
    }
    found.push({address, ...seen});
  }
  document.getElementById("found").textContent = JSON.stringify(found);
}
run();
</script>"""


class Handler(http.server.SimpleHTTPRequestHandler):
    def __init__(self, *args, probe, **kwargs):
        self.probe = probe
        super().__init__(*args, **kwargs)

    def do_GET(self):
        if self.path != "/probe.html":
            super().do_GET()
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(self.probe)))
        self.end_headers()
        self.wfile.write(self.probe)

    def log_message(self, *args):
        """Quiet: what matters is what the pages show."""


def open_pages(folder, pages, chromium, seconds):
    """What the probe found, a dict for each page: address, title, shown text, plots (coloured pixels of each)."""
    probe = PROBE.replace("PAGES", json.dumps(pages)).replace("ENOUGH", str(ENOUGH_PIXELS)).encode()
    handler = functools.partial(Handler, directory=str(folder), probe=probe)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server, tempfile.TemporaryDirectory() as profile:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        command = [
            *(chromium, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", f"--user-data-dir={profile}"),
            *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
            *(f"--virtual-time-budget={30_000 * len(pages)}", "--dump-dom"),
            f"http://127.0.0.1:{server.server_port}/probe.html",
        ]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
        finally:
            server.shutdown()
    match = re.search(r'<pre id="found">(.+?)</pre>', done.stdout, re.DOTALL)
    if match is None:
        raise SystemExit(f"{chromium} showed no result (exit status {done.returncode}):\n{done.stderr[-2000:]}")
    return json.loads(html.unescape(match[1]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--html", type=Path, default=Path(__file__).parent / ".asv" / "html")
    parser.add_argument("--chromium", default=shutil.which("chromium") or shutil.which("google-chrome") or "chromium")
    parser.add_argument("--benchmark", default="lstm.LSTM.time_call")
    parser.add_argument("--seconds", type=float, default=120, help="how long the browser may take")
    options = parser.parse_args()
    if not (options.html / "index.json").is_file():
        raise SystemExit(f"{options.html} has no published pages: run `asv publish` first")
    pages = ["/index.html", f"/index.html#{options.benchmark}"]
    front, benchmark = open_pages(options.html, pages, options.chromium, options.seconds)
    commits = len(json.loads((options.html / "index.json").read_text(encoding="utf-8"))["revision_to_hash"])
    # The front page has the module as a heading and the rest of the name below.
    good = [
        shows(front, options.benchmark.partition(".")[2], ENOUGH_PIXELS if commits > 1 else 0),
        shows(benchmark, options.benchmark, ENOUGH_PIXELS),
    ]
    return 0 if all(good) else 1


def shows(page, name, pixels):
    """True where the page has the name on it and a plot of at least so many coloured pixels; says what it found."""
    drawn = [count for count in page["plots"] if count >= pixels]
    good = bool(drawn) and name in page["shown"]
    print(f"{'ok' if good else 'FAILED'}: {page['address']}, coloured pixels of its plots: {page['plots']}")
    if not good:
        print(f"  wanted {name} and a plot, got {page['title']!r}: {page['shown'][:300]!r}")
    return good


if __name__ == "__main__":
    sys.exit(main())
