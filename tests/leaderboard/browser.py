"""A headless Chromium, spoken to over two pipes in the DevTools protocol, so that no library is needed."""

import base64
import itertools
import json
import os
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

MOVE = "import os, sys; os.dup2(200, 3); os.dup2(201, 4); os.execv(sys.argv[1], sys.argv[1:])"


class Browser:
    """One page; ``complaints`` are console messages and exceptions, ``requests`` the addresses that it asked for."""

    def __init__(self, folder: Path, width: int = 1400, height: int = 1000):
        to_read, self._write = os.pipe()
        self._read, to_write = os.pipe()
        # The protocol wants descriptors 3 and 4; a small program moves ours there, from above so that none is lost.
        high_read, high_write = os.dup2(to_read, 200), os.dup2(to_write, 201)
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", "--hide-scrollbars"]
        options += ["--disable-dev-shm-usage", f"--user-data-dir={folder}", f"--window-size={width},{height}"]
        self._process = subprocess.Popen(
            [sys.executable, "-c", MOVE, CHROMIUM, *options, "about:blank"],
            pass_fds=(high_read, high_write), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        for end in (to_read, to_write, high_read, high_write):
            os.close(end)
        self._numbers, self._left, self._session = itertools.count(1), b"", None
        self.complaints, self.requests = [], []
        targets = self.send("Target.getTargets")["targetInfos"]
        target = next(one["targetId"] for one in targets if one["type"] == "page")
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.send(f"{domain}.enable")

    def open(self, file: Path, *, script: bool = True, fragment: str = ""):
        self.send("Emulation.setScriptExecutionDisabled", value=not script)
        # With a new query even the same file is loaded anew. The load event may still be that of the page before.
        address = f"{file.as_uri()}?{next(self._numbers)}{fragment}"
        self.send("Page.navigate", url=address)
        while self.run("document.readyState + location.href") != "complete" + address:
            time.sleep(0.02)

    def run(self, expression: str):
        """Return what an expression is, once it is settled, as JSON can say it."""
        found = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def press(self, key: str, code: int, text: str = ""):
        for kind in ("keyDown", "keyUp"):
            typed = {"text": text} if text and kind == "keyDown" else {}
            self.send("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **typed)

    def emulate(self, *, width: int = 1400, height: int = 1000, media: str = "", scheme: str = "light"):
        mobile = {"mobile": width < 600, "deviceScaleFactor": 1}
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, **mobile)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.send("Emulation.setEmulatedMedia", media=media, features=features)

    def screenshot(self, *, whole: bool = False) -> bytes:
        return base64.b64decode(self.send("Page.captureScreenshot", captureBeyondViewport=whole)["data"])

    def close(self):
        self._process.terminate()
        self._process.wait(10)
        os.close(self._write)
        os.close(self._read)

    def send(self, method: str, **parameters):
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        message |= {"sessionId": self._session} if self._session else {}
        os.write(self._write, json.dumps(message).encode() + b"\0")
        answers = []
        self._until(lambda: bool(answers), lambda found: answers.append(found) if found.get("id") == number else None)
        assert "error" not in answers[0], answers[0]
        return answers[0]["result"]

    def _until(self, done, take=lambda found: None, seconds: float = 30.0):
        end = time.monotonic() + seconds
        while not done():
            ready = select.select([self._read], [], [], max(0.0, end - time.monotonic()))[0]
            assert ready, "Chromium does not answer"
            data = os.read(self._read, 1 << 20)
            assert data, "Chromium has ended"
            *messages, self._left = (self._left + data).split(b"\0")
            for found in map(json.loads, messages):
                take(found)
                self._note(found)

    def _note(self, found):
        method, parameters = found.get("method"), found.get("params", {})
        if method == "Network.requestWillBeSent" and parameters["request"]["url"] != "about:blank":
            self.requests.append(parameters["request"]["url"])
        if method in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"):
            self.complaints.append(parameters)
