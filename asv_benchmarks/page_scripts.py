"""Lets the pages of `asv publish` open without the web: asv.conf.json names this file as a plugin.

asv's pages load jQuery, flot and others from three public servers and show an error page where one does not answer.
Here npm fetches the same libraries once, and the pages load them from beside themselves.
"""

import re
import shutil
import subprocess
import tarfile
from pathlib import Path

from asv.console import log
from asv.publishing import OutputPublisher

# The file that asv's index.html asks for: the npm package, of the version asv names, and the file in it. flot's package
# has no minified files, and stupid-table-plugin's only version is 1.1.3.
LIBRARIES = {
    "jquery-3.3.1.min.js": ("jquery@3.3.1", "dist/jquery.min.js"),
    "jquery.flot.min.js": ("flot@0.8.3", "jquery.flot.js"),
    "jquery.flot.time.min.js": ("flot@0.8.3", "jquery.flot.time.js"),
    "jquery.flot.selection.min.js": ("flot@0.8.3", "jquery.flot.selection.js"),
    "jquery.flot.categories.min.js": ("flot@0.8.3", "jquery.flot.categories.js"),
    "jquery.flot.orderBars.js": ("flot-orderbars@1.0.0", "js/jquery.flot.orderBars.js"),
    "stupidtable.min.js": ("stupid-table-plugin@1.1.3", "stupidtable.js"),
    "md5.min.js": ("blueimp-md5@2.19.0", "js/md5.min.js"),
    "bootstrap.min.js": ("bootstrap@3.1.1", "dist/js/bootstrap.min.js"),
    "bootstrap.min.css": ("bootstrap@3.1.1", "dist/css/bootstrap.min.css"),
}
# A script or stylesheet of another server; `integrity` hashes the minified file, so it goes with the address.
TAG = re.compile(r'(?P<kind>src|href)="https://[^"]+/(?P<file>[^/"]+\.(?:js|css))" integrity="[^"]*"(?: [^<>]*)?>')


class PageScripts(OutputPublisher):
    """Has no page of its own: `publish` rewrites index.html, which asv has put there before."""

    name = "page_scripts"
    button_label = "Scripts"
    description = "Libraries that the pages load"

    @classmethod
    def publish(cls, conf, repo, benchmarks, graphs, revisions):
        """Leaves the pages as asv makes them, with a warning, where npm is not there or does not get a package."""
        html = Path(conf.html_dir)
        page = (html / "index.html").read_text(encoding="utf-8")
        wanted = [match["file"] for match in TAG.finditer(page)]
        if unknown := set(wanted) - set(LIBRARIES):
            log.warning(f"The pages load {', '.join(sorted(unknown))} from the web: page_scripts.py does not know them")
        try:
            packages = {package for file, (package, _) in LIBRARIES.items() if file in wanted}
            folders = {package: fetched(package, html.parent / "npm") for package in packages}
        except (OSError, subprocess.CalledProcessError) as error:
            log.warning(f"The pages load their scripts from the web, as npm did not get them: {error}")
            return
        (html / "libraries").mkdir(exist_ok=True)
        for file in set(wanted) - unknown:
            package, path = LIBRARIES[file]
            shutil.copy(folders[package] / path, html / "libraries" / file)

        def local(match):
            return match[0] if match["file"] in unknown else f'{match["kind"]}="libraries/{match["file"]}">'

        (html / "index.html").write_text(TAG.sub(local, page), encoding="utf-8")


def fetched(package, cache):
    """The unpacked folder of an npm package, "name@version", from the cache or the registry that npm is set to."""
    folder = cache / package
    if not (folder / "package").is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        command = ["npm", "pack", "--silent", "--pack-destination", str(folder), package]
        subprocess.run(command, check=True, capture_output=True, text=True)
        with tarfile.open(next(folder.glob("*.tgz"))) as archive:
            # npm's archives hold plain files below package/; an entry that leads elsewhere is not one of those.
            archive.extractall(folder, [m for m in archive if m.isfile() and ".." not in Path(m.name).parts])
    return folder / "package"
