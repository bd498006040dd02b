#!/usr/bin/env python3
"""Names in the manual: every metric is listed and every metric listed exists; every make target is in the README
and every one mentioned exists; links and paths lead somewhere; lines are at most 120 columns."""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
METRIC = re.compile(r"\b((?:narwhal|dsn)_[a-z][a-z0-9_]*[a-z0-9])")
# Words of that shape that are no metrics.
NOT_METRICS = {"dsn_some_name"}
PATH = re.compile(r"`((?:common|proto|consensus|sequencer|rollup-kernel|tests|scripts|docker|docs)/[\w./-]*)`")
findings = []


def read(path):
    return path.read_text(encoding="utf-8")


def metrics():
    source = read(ROOT / "consensus/node/node_http.c")
    made = set(re.findall(r'"(?:# TYPE )?((?:narwhal|dsn)_[a-z0-9_]+)', source))
    made |= set(re.findall(r"# TYPE (dsn_[a-z_]+) ", source))
    made |= {"dsn_sequencer_" + name for name in re.findall(r'\{"([a-z_]+)", "(?:gauge|counter)"', read(ROOT / "sequencer/http_api.c"))}
    listed = set(METRIC.findall(read(ROOT / "docs/operations.md"))) - NOT_METRICS
    if len(made) < 40:
        findings.append(f"only {len(made)} metrics found in the sources: this check is out of date")
    for name in sorted(made - listed):
        findings.append(f"docs/operations.md: the metric {name} is not listed")
    for name in sorted(listed - made):
        findings.append(f"docs/operations.md: there is no metric {name}")


def targets():
    exist = set(re.findall(r"^([a-z-]+):.*## ", read(ROOT / "Makefile"), re.MULTILINE))
    named = set(re.findall(r"`make ([a-z-]+)", read(ROOT / "README.md")))
    for name in sorted(exist - named):
        findings.append(f"README.md: make {name} is not described")
    for page in PAGES:
        for name in sorted(set(re.findall(r"(?:`|^    |&& |; )make ([a-z-]+)", read(page), re.MULTILINE)) - exist):
            findings.append(f"{page.relative_to(ROOT)}: there is no target make {name}")


def links():
    for page in PAGES:
        text = read(page)
        for target in re.findall(r"\]\(([^)#:]+)\)", text):
            if not (page.parent / target).exists():
                findings.append(f"{page.relative_to(ROOT)}: the link {target} leads nowhere")
        for path in PATH.findall(text):
            stem = ROOT / path.rstrip("/")
            if not stem.exists() and not list(stem.parent.glob(stem.name + ".*")):
                findings.append(f"{page.relative_to(ROOT)}: {path} does not exist")


def tests():
    """`file:name` in the security page: the file has the name in it."""
    page = read(ROOT / "docs/security.md")
    named = re.findall(r"`(tests/[\w./-]+):([\w' -]+)`", page)
    if len(named) < 40:
        findings.append(f"docs/security.md: only {len(named)} tests are named")
    for path, name in named:
        if not (ROOT / path).exists():
            findings.append(f"docs/security.md: there is no {path}")
        elif name not in read(ROOT / path):
            findings.append(f"docs/security.md: {path} has no {name}")


def columns():
    for page in PAGES:
        fenced = False
        for number, line in enumerate(read(page).splitlines(), 1):
            fenced ^= line.startswith("```")
            if page.name != "rollup.md" and len(line) > 120 and not fenced and not line.startswith(("|", "    ")):
                findings.append(f"{page.relative_to(ROOT)}:{number}: {len(line)} columns")


metrics()
targets()
links()
tests()
columns()
print("\n".join(findings) or f"docs_names: {len(PAGES)} pages, nothing to say")
sys.exit(1 if findings else 0)
