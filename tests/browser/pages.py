"""Opens HTML reports in Chromium and uses them: pages.py CHROMIUM FOLDER PAGE...

Speaks the DevTools protocol over a pipe (file descriptors 3 and 4), so that it needs no package. With SHOTS=DIR in the
environment, pictures of every page are put there.
"""

import base64
import json
import os
import pathlib
import subprocess
import sys

FLAGS = """--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
    --disable-component-update --disable-sync --disable-extensions --remote-debugging-pipe --hide-scrollbars""".split()


class Browser:
    def __init__(self, chromium, folder):
        to_read, self.write_to = os.pipe()
        self.read_from, to_write = os.pipe()

        def pipes():
            os.dup2(to_read, 13), os.dup2(to_write, 14)
            os.dup2(13, 3), os.dup2(14, 4)

        log = open(os.path.join(folder, "chromium.log"), "w")
        command = [chromium, *FLAGS, f"--user-data-dir={folder}/profile", "about:blank"]
        self.process = subprocess.Popen(command, preexec_fn=pipes, close_fds=False, stdout=log, stderr=log)
        os.close(to_read), os.close(to_write)
        self.number, self.buffer, self.events, self.session = 0, b"", [], None

    def message(self):
        while b"\0" not in self.buffer:
            data = os.read(self.read_from, 1 << 16)
            if not data:
                raise SystemExit("chromium went away; see chromium.log")
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(line)

    def call(self, method, **params):
        self.number += 1
        asked = {"id": self.number, "method": method, "params": params}
        if self.session:
            asked["sessionId"] = self.session
        os.write(self.write_to, json.dumps(asked).encode() + b"\0")
        while True:
            said = self.message()
            if said.get("id") == self.number:
                if "error" in said:
                    raise SystemExit(f"{method}: {said['error']}")
                return said["result"]
            self.events.append(said)

    def until(self, method):
        while not any(e.get("method") == method for e in self.events):
            self.events.append(self.message())

    def js(self, expression):
        said = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in said:
            raise SystemExit(f"{expression}: {said['exceptionDetails']}")
        return said["result"].get("value")

    def key(self, key, code=None, text=None):
        known = {"Tab": 9, "Enter": 13, "Escape": 27, "ArrowRight": 39, "/": 191}
        params = {"key": key, "code": code or key, "windowsVirtualKeyCode": known[key]}
        text = {"text": text} if text else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", **params, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", **params)

    def open(self, url):
        self.session = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{domain}.enable")
        self.events = []
        self.call("Page.navigate", url=url)
        self.until("Page.loadEventFired")

    def asked_for(self):
        return [e["params"]["request"]["url"] for e in self.events if e.get("method") == "Network.requestWillBeSent"]

    def shot(self, name, width):
        folder = os.environ.get("SHOTS")
        if folder:
            data = self.call("Page.captureScreenshot", format="png")["data"]
            (pathlib.Path(folder) / f"{name}-{width}.png").write_bytes(base64.b64decode(data))


def check(holds, what):
    if not holds:
        raise SystemExit(f"FAILED: {what}")


# Ratio of luminance of text and ground, after WCAG; the ground is that of the nearest ancestor that has one.
CONTRAST = """(() => {
  const parse = (c) => c.match(/[\\d.]+/g).map(Number);
  const lum = (c) => { const [r, g, b] = c.slice(0, 3).map((v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const ground = (e) => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c.length < 4 || c[3] > 0) return c; } return [255, 255, 255]; };
  let worst = [99, ''];
  for (const e of document.querySelectorAll('p, dt, dd, summary span, th, td, li, h1, h2, button, pre, figcaption span')) {
    if (!e.checkVisibility() || !e.textContent.trim()) continue;
    const [a, b] = [lum(parse(getComputedStyle(e).color)), lum(ground(e))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < worst[0]) worst = [ratio, e.tagName + '.' + e.className + ': ' + e.textContent.slice(0, 40)];
  }
  return worst;
})()"""


def harmless(browser, page):
    check(browser.js("typeof window.pwned") == "undefined", f"{page}: a script of the server ran")
    check(browser.js("document.scripts.length") == 1, f"{page}: there is one script, ours")
    tags = "img, iframe, link, base, form, object, embed, video, audio, a[href], meta[http-equiv=refresh]"
    check(browser.js(f"document.querySelectorAll('{tags}').length") == 0, f"{page}: an element of the server's")
    on = "[...document.querySelectorAll('*')].filter((e) => e.getAttributeNames().some((n) => n.startsWith('on'))).length"
    check(browser.js(on) == 0, f"{page}: a handler of the server's")
    outside = [url for url in browser.asked_for() if not url.startswith("file://")]
    check(not outside, f"{page}: asked for {outside}")
    check(len(browser.asked_for()) == 1, f"{page}: loads itself and nothing else")


def unfolds_by_keyboard(browser, page):
    """Tab to the second failure, which is closed, and open it with Enter."""
    closed = "document.activeElement.tagName === 'SUMMARY' && document.activeElement.parentElement.matches('details[data-item]:not([open])')"
    browser.js("document.activeElement.blur()")
    for _ in range(200):
        browser.key("Tab")
        if browser.js(closed):
            break
    check(browser.js(closed), f"{page}: no failure can be reached by Tab")
    browser.key("Enter", text="\r")
    check(browser.js("document.activeElement.parentElement.open"), f"{page}: Enter unfolds it")
    body = "document.activeElement.parentElement.querySelector('.body').checkVisibility()"
    check(browser.js(body), f"{page}: its evidence is seen")


def copies(browser, page):
    button = "[...document.querySelectorAll('[data-copy]')].find((b) => b.checkVisibility())"
    check(browser.js(f"!!{button}"), f"{page}: a command can be copied")
    browser.js(f"{button}.focus()")
    browser.key("Enter", text="\r")
    browser.js("new Promise((done) => requestAnimationFrame(done))")
    said = browser.js("document.activeElement.textContent")
    check(said in ("Copied", "Select it and copy"), f"{page}: the button says {said}")


def searches(browser, page):
    shown = "document.querySelectorAll('[data-item]:not([hidden])').length"
    everything = browser.js(shown)
    browser.js("document.activeElement.blur()")
    browser.key("/", code="Slash", text="/")
    check(browser.js("document.activeElement.id") == "search", f"{page}: / goes to the search")
    word = browser.js("document.querySelector('[data-item] .id').textContent")
    browser.call("Input.insertText", text=word)
    found = browser.js(shown)
    check(0 < found < everything, f"{page}: `{word}` is in {found} of {everything}")
    other = f"[...document.querySelectorAll('[data-item]:not([hidden])')].filter((i) => !i.textContent.includes({json.dumps(word)})).length"
    check(browser.js(other) == 0, f"{page}: only what holds the word is left")
    browser.call("Input.insertText", text=" zzzz-nothing")
    check(browser.js(shown) == 0, f"{page}: nothing holds that")
    browser.key("Escape")
    check(browser.js(shown) == everything, f"{page}: Escape shows all again")


def tables_by_keyboard(browser, page):
    regions = "[...document.querySelectorAll('.scroll')].filter((r) => r.checkVisibility())"
    check(browser.js(f"{regions}.every((r) => r.tabIndex === 0)"), f"{page}: a table cannot be reached by Tab")


def looks(browser, page, name):
    browser.js("document.querySelectorAll('details').forEach((d, i) => { if (i < 4) d.open = true; }); scrollTo(0, 0)")
    for scheme in ("light", "dark"):
        media = [{"name": "prefers-color-scheme", "value": scheme}]
        browser.call("Emulation.setEmulatedMedia", features=media)
        for width in (400, 1280):
            browser.call("Emulation.setDeviceMetricsOverride", width=width, height=2600, deviceScaleFactor=1, mobile=False)
            wide = browser.js("document.documentElement.scrollWidth")
            check(wide <= width, f"{page}: {wide} wide on a screen of {width}")
            browser.shot(f"{name}-{scheme}", width)
        ratio, where = browser.js(CONTRAST)
        check(ratio >= 4.5, f"{page}: contrast {ratio:.2f} in {scheme}: {where}")
    browser.call("Emulation.clearDeviceMetricsOverride")


def main():
    chromium, folder, *pages = sys.argv[1:]
    browser = Browser(chromium, folder)
    try:
        for page in pages:
            browser.open(pathlib.Path(page).resolve().as_uri())
            name = pathlib.Path(page).parent.name + "-" + pathlib.Path(page).stem
            poison = browser.js("document.body.textContent.includes('window.pwned=1')")
            expected = "hostile" in page
            check(poison or not expected, f"{page}: the text of the server is not shown, so nothing was tried")
            if browser.js("document.querySelector('section [data-item]') !== null"):
                unfolds_by_keyboard(browser, page)
                copies(browser, page)
            if browser.js("document.getElementById('search') !== null"):
                searches(browser, page)
            browser.js("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
            tables_by_keyboard(browser, page)
            browser.js("document.querySelectorAll('details').forEach((d) => { d.open = false; })")
            looks(browser, page, name)
            harmless(browser, page)
            print(f"{page.split('/', 3)[-1]}: harmless, searchable, usable by keyboard, readable in light and dark")
    finally:
        browser.process.terminate()
        browser.process.wait()


main()
