#!/usr/bin/env python3
"""The status page in a real browser, before a daemon that serves a replayed trace; and promtool over
what it is scraped for, over the alert rules and their tests.

Usage: check_page.py BIN_DIR [PICTURES_DIR]. Prints one JSON object of figures, exits 1 when a check
fails. Needs chromium and promtool (./dev page installs them).
"""
import json
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from browser import Browser  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
MOST_PAGE_KIB = 60
MOST_FIRST_PAINT_MS = 200
PAINTS = 7
POINTS = 9  # of the curves, before pictures are taken
CONVERSATIONS = 24
USERS = [20001, 20002, 20003] if os.geteuid() == 0 else [os.geteuid()]
TURNS = 10
READER = "reader-0123456789abcdef"
METRICS = "metrics-0123456789abcdef"

# Larger than RAM after a while, so that the SSD is read and policies differ.
LAYOUT = """name = "page-check"
unit_tokens = 512
block_tokens = 512
[[groups]]
name = "kv"
kind = "append"
page_bytes = 262144
layers = [{first = 0, count = 1, offset = 0, bytes = 262144}]
"""

failures = []


def check(condition, what):
    if not condition:
        failures.append(what)
        print(f"FAILED: {what}", file=sys.stderr)


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def get(address, token=None):
    request = urllib.request.Request(address)
    if token:
        request.add_header("Authorization", "Bearer " + token)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as refusal:
        return refusal.code, refusal.read()


class Daemon:
    """quired with RAM, SSD, ghosts and HTTP, in a directory of its own."""

    def __init__(self, bin_dir, *flags):
        self._bin = bin_dir
        self.directory = tempfile.TemporaryDirectory(prefix="quire-page-", dir="/var/tmp")
        path = self.directory.name
        os.chmod(path, 0o755)  # other users replay
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.socket = path + "/quired.sock"
        self._log = open(path + "/log", "wb")
        os.mkdir(path + "/ssd")
        self.process = subprocess.Popen(
            [bin_dir + "/quired", "--socket=" + self.socket, "--socket_mode=0666", "--ram_bytes=256MiB",
             "--segment_bytes=64MiB", "--huge_pages=off", "--ssd_path=" + path + "/ssd",
             "--ssd_bytes=512MiB", f"--http_address=127.0.0.1:{self.port}", *flags],
            stderr=self._log, stdout=self._log)
        for _ in range(600):
            try:
                if get(self.address + "/healthz")[0] == 200:
                    return
            except OSError:
                pass
            time.sleep(0.1)
        raise RuntimeError("quired does not come up: " + open(path + "/log").read())

    def replay(self, user, seconds):
        trace = f"{self.directory.name}/trace-{user}.jsonl"
        write_trace(trace, seconds, seed=user)
        layout = self.directory.name + "/layout.toml"
        pathlib.Path(layout).write_text(LAYOUT)
        become = (lambda: os.setuid(user)) if user != os.geteuid() else None
        return subprocess.Popen(
            [self._bin + "/quirectl", "--socket", self.socket, "trace", "replay", trace, "--sessions", "4",
             "--layout", layout],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=become)

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        self._log.close()
        self.directory.cleanup()


def write_trace(path, seconds, seed):
    """Conversations that come back with longer prompts, each block 512 tokens."""
    chance = random.Random(seed)
    rows = []
    next_hash = 1000
    for conversation in range(CONVERSATIONS):
        blocks = [conversation % 4]  # system prompts that conversations share
        start = chance.random() * seconds * 300
        for turn in range(TURNS):
            grown = chance.randint(1, 6)
            blocks = blocks + list(range(next_hash, next_hash + grown))
            next_hash += grown
            rows.append({"timestamp": int(start + turn * seconds * 70), "input_length": len(blocks) * 512 + 40,
                         "output_length": 64, "hash_ids": blocks, "conversation": conversation + 1})
    rows.sort(key=lambda row: row["timestamp"])
    with open(path, "w") as file:
        for row in rows:
            file.write(json.dumps(row) + "\n")


def promtool(*arguments, text=None):
    done = subprocess.run(["promtool", *arguments], input=text, capture_output=True, check=False)
    # Of advice it says so with 3.
    check(done.returncode == 0, f"promtool {' '.join(arguments)}: {(done.stdout + done.stderr).decode()[:2000]}")


def check_rules():
    rules = ROOT / "configs" / "prometheus"
    promtool("check", "rules", str(rules / "quire_alerts.yml"))
    promtool("test", "rules", str(rules / "quire_alerts_test.yml"))


def check_dashboard(metrics):
    """Each figure that the dashboard or an alert names is one that the daemon has."""
    known = {line.split()[2] for line in metrics.decode().splitlines() if line.startswith("# TYPE ")}
    for path in ("configs/grafana/quire.json", "configs/prometheus/quire_alerts.yml"):
        text = (ROOT / path).read_text()
        if path.endswith(".json"):
            json.loads(text)
        for word in set(part.strip("\"'") for part in re.findall(r"quire_(?!alerts)[a-z0-9_]+", text)):
            base = word
            for ending in ("_bucket", "_sum", "_count"):
                if word.endswith(ending) and word[:-len(ending)] in known:
                    base = word[:-len(ending)]
            check(base in known, f"{path} names {word}, which the daemon does not have")


def first_paint_ms(browser, address):
    browser.open("about:blank")
    browser.open(address)
    browser.wait_for("performance.getEntriesByType('paint').some(p => p.name === 'first-contentful-paint')")
    return browser.ask("performance.getEntriesByType('paint').find(p => p.name === 'first-contentful-paint').startTime")


def check_page(daemon, browser, pictures, figures):
    browser.show_as(1280, 900)
    browser.open(daemon.address)
    browser.wait_for("document.body && document.body.dataset.ready === 'yes'")
    # Some samples of the history, between which something was asked for.
    browser.wait_for(f"[...document.querySelectorAll('#tokens polygon')].filter(p => p.points.length >= {2 * POINTS}).length === 4", 120)
    browser.wait_for("fetch('/status').then(r => r.json()).then(s => s.tenants_total > 0 && "
                     "s.tenants_total === document.querySelectorAll('#tenants tbody tr').length)")
    browser.wait_for("!document.getElementById('ghost-card').hidden", 90)
    check(browser.ask("document.getElementById('state').textContent") == "all is well", "the page says that all is well")
    check(browser.ask("/%/.test(document.getElementById('rate').textContent)"), "the page shows a hit rate")
    check(browser.ask("document.querySelectorAll('.tier').length") == 2, "the page shows two tiers")
    check(browser.ask("/USD/.test(document.getElementById('money').textContent)"), "the page shows what was saved")
    check(browser.ask("document.querySelectorAll('#ghosts polyline').length") >= 3, "a curve a policy")
    check(browser.ask("document.documentElement.scrollWidth <= innerWidth"), "nothing is cut off")
    browser.photograph(pictures / "status_page_light.png")
    # The one of docs/.
    browser.show_as(1120, 760)
    browser.ask("dispatchEvent(new Event('resize'))")
    browser.photograph(pictures / "status_page.png", whole=False)
    browser.show_as(1280, 900, "dark")
    browser.ask("dispatchEvent(new Event('resize'))")
    check(browser.ask("getComputedStyle(document.body).backgroundColor") == "rgb(20, 22, 26)", "it is dark where people want it dark")
    browser.photograph(pictures / "status_page_dark.png")
    browser.show_as(390, 844, "light", 2)
    browser.ask("dispatchEvent(new Event('resize'))")
    check(browser.ask("document.documentElement.scrollWidth <= innerWidth"), "a phone shows it whole")
    check(browser.ask("[...document.querySelectorAll('main p, td, h2')].every(e => parseFloat(getComputedStyle(e).fontSize) >= 12)"), "it can be read on a phone")
    browser.photograph(pictures / "status_page_phone.png")
    browser.ask("document.getElementById('span-day').click()")
    check(browser.ask("document.getElementById('span-day').getAttribute('aria-pressed')") == "true", "a day can be shown")
    before = browser.ask("document.getElementById('stamp').textContent")
    browser.wait_for(f"document.getElementById('stamp').textContent !== {json.dumps(before)}", 30)
    foreign = [one for one in browser.requested if not one.startswith((daemon.address, "data:", "about:"))]
    check(not foreign, f"the page asks nobody else: {foreign}")
    check(not browser.complaints, f"the browser has nothing to complain of: {browser.complaints[:5]}")
    browser.show_as(1280, 900)
    paints = sorted(first_paint_ms(browser, daemon.address) for _ in range(PAINTS))
    figures["first_paint_ms"] = round(paints[len(paints) // 2], 1)
    figures["first_paint_worst_ms"] = round(paints[-1], 1)
    check(figures["first_paint_ms"] <= MOST_FIRST_PAINT_MS, f"first paint after {paints} ms")


def check_tokens(bin_dir, browser, pictures):
    """A daemon that wants tokens: the page asks for one, and shows what it may."""
    with tempfile.NamedTemporaryFile("w", dir="/var/tmp") as file:
        file.write(f"reader {READER}\nmetrics {METRICS}\n")
        file.flush()
        daemon = Daemon(bin_dir, "--http_token_file=" + file.name)
        try:
            browser.open(daemon.address)
            browser.wait_for("document.body && document.body.dataset.ready === 'ask'")
            check(not browser.ask("document.getElementById('ask').hidden"), "the page asks for a token")
            browser.photograph(pictures / "status_page_token.png")

            def enter(token):
                browser.ask(f"document.getElementById('token').value = {json.dumps(token)}; document.getElementById('enter').requestSubmit()")
            enter("wrong-0123456789abcdef")
            browser.wait_for("document.getElementById('refusal').textContent !== ''")
            enter(METRICS)
            browser.wait_for("document.body.dataset.ready === 'yes'")
            check(browser.ask("document.getElementById('state').textContent") == "metrics", "the token of metrics sees curves")
            enter(READER)
            browser.wait_for("document.getElementById('state').textContent === 'all is well'")
        finally:
            daemon.close()


def main():
    bin_dir = sys.argv[1]
    pictures = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else pathlib.Path(tempfile.mkdtemp(prefix="quire-pictures-"))
    pictures.mkdir(parents=True, exist_ok=True)
    figures = {}
    check_rules()
    daemon = Daemon(bin_dir, "--http_price_book=" + str(ROOT / "configs/prices/anthropic.toml"),
                    "--http_price_model=claude-sonnet-5-5")
    browser = None
    try:
        promtool("check", "metrics", text=get(daemon.address + "/metrics")[1])
        status, page = get(daemon.address + "/")
        figures["page_kib"] = round(len(page) / 1024, 1)
        check(status == 200 and figures["page_kib"] <= MOST_PAGE_KIB, f"the page has {figures['page_kib']} KiB")
        replays = [daemon.replay(user, seconds=60) for user in USERS]
        browser = Browser()
        check_page(daemon, browser, pictures, figures)
        for replay in replays:
            replay.terminate()
            replay.wait()
        wide = get(daemon.address + "/metrics?tenants=1")[1]
        promtool("check", "metrics", text=wide)
        check_dashboard(wide)
        browser.complaints.clear()
        check_tokens(bin_dir, browser, pictures)
    finally:
        if browser:
            browser.close()
        daemon.close()
    figures["pictures"] = str(pictures)
    figures["failures"] = len(failures)
    print(json.dumps(figures))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
