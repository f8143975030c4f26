"""Presses keys in `difyprobe review` and looks at what became of the files.

    drive.py DIFYPROBE CARGO_INSTA SCENARIO
"""

import json
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BINARY, INSTA, SCENARIO = (str(Path(a).resolve()) for a in sys.argv[1:4])
# Takes one member out of every blocking chat answer.
MUTANT = "chat.blocking.shape/no-mode"
NAME = "chat.parity.blocking@chat"
LIMIT_S = 60


def environment(**more):
    """Nothing of whoever runs this but what programs need; cargo-insta first on the path."""
    keep = {k: os.environ[k] for k in ("HOME", "PATH", "CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN") if k in os.environ}
    keep["PATH"] = f"{Path(INSTA).parent}{os.pathsep}{keep.get('PATH', '')}"
    return {**keep, "TERM": "xterm", **more}


def run(folder, *args, code, **more):
    done = subprocess.run([BINARY, *args], cwd=folder, env=environment(**more), capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=LIMIT_S)
    assert done.returncode == code, f"{args}: exit {done.returncode}, not {code}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


class Terminal:
    """A command in a pseudo-terminal."""

    def __init__(self, folder, *args, **more):
        self.raw = ""
        # Without colours, and what of them has come by half at the end.
        self.text = ""
        self.seen = 0
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execve(args[0], list(args), environment(**more))

    def read(self, deadline):
        ready, _, _ = select.select([self.fd], [], [], max(0, deadline - time.monotonic()))
        assert ready, f"nothing came in time; so far:\n{self.text}"
        try:
            chunk = os.read(self.fd, 65536)
        except OSError:  # Linux says so at the end
            chunk = b""
        self.raw += chunk.decode("utf-8", "replace")
        self.text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.raw)
        return chunk

    def expect(self, words):
        """Reads on until the words come after those that were expected before."""
        deadline = time.monotonic() + LIMIT_S
        while (at := self.text.find(words, self.seen)) < 0:
            assert self.read(deadline), f"it ended without {words!r}:\n{self.text}"
        self.seen = at + len(words)

    def press(self, keys):
        os.write(self.fd, keys.encode())

    def ends(self, code):
        deadline = time.monotonic() + LIMIT_S
        while self.read(deadline):
            pass
        _, status = os.waitpid(self.pid, 0)
        os.close(self.fd)
        got = os.waitstatus_to_exitcode(status)
        assert got == code, f"exit {got}, not {code}\n{self.text}"


class Served:
    """`difyprobe serve` on a free port."""

    def __init__(self, *args):
        self.child = subprocess.Popen([BINARY, "serve", "--json", *args], stdout=subprocess.PIPE, text=True,
                                      env=environment())
        told = json.loads(self.child.stdout.readline())
        self.target = ["--base-url", told["base_url"], "--app", f"chat={told['apps']['chat']}"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.kill()
        self.child.wait()


def files(folder):
    return sorted(str(p.relative_to(folder)) for p in Path(folder).rglob("*.snap*"))


def prepare(folder, server, *more, **env):
    """Reviewed snapshots of the healthy emulator, and one change that waits."""
    run(folder, "snapshot", SCENARIO, "--name", "staging", "--update", *more, code=0)
    said = run(folder, "snapshot", SCENARIO, "--name", "staging", *server.target, *more, code=6, **env)
    assert "1 to review: `difyprobe review`" in said, said


def reviewed(folder, snapshots="snapshots"):
    return (Path(folder) / snapshots / "staging" / f"{NAME}.snap").read_text()


def accept_without_a_project(folder, server):
    prepare(folder, server)
    before = reviewed(folder)
    assert '"mode": "chat"' in before
    terminal = Terminal(folder, BINARY, "review")
    terminal.expect("Reviewing [")
    terminal.expect("staging@")
    terminal.expect(NAME)
    terminal.expect('"mode": "chat"')
    terminal.expect("keep both for now")
    terminal.press("a")
    terminal.expect("nothing waits any more")
    terminal.ends(0)
    assert '"mode": "chat"' not in reviewed(folder)
    assert "assertion_line" not in reviewed(folder)
    assert not [f for f in files(folder) if f.endswith(".new")], files(folder)
    run(folder, "snapshot", SCENARIO, "--name", "staging", "--check", *server.target, code=0)
    assert "nothing waits for review in snapshots" in run(folder, "review", code=0)


def reject_and_skip(folder, server):
    prepare(folder, server)
    before = reviewed(folder)
    for key, code, words in (("s", 6, "1 still to review in snapshots"), ("r", 0, "nothing waits any more")):
        terminal = Terminal(folder, BINARY, "review")
        terminal.expect("keep both for now")
        terminal.press(key)
        terminal.expect(words)
        terminal.ends(code)
        assert reviewed(folder) == before
        assert any(f.endswith(".new") for f in files(folder)) == (key == "s"), files(folder)


def inside_a_project(folder, server):
    """In a Cargo project what waits of its own tests stays untouched, and plain cargo insta finds ours."""
    (folder / "src" / "snapshots").mkdir(parents=True)
    (folder / "Cargo.toml").write_text('[package]\nname = "theirs"\nversion = "0.1.0"\nedition = "2021"\n')
    (folder / "src" / "lib.rs").write_text("")
    theirs = folder / "src" / "snapshots" / "theirs__test.snap.new"
    theirs.write_text("---\nsource: src/lib.rs\nexpression: x\n---\n1\n")
    prepare(folder, server)
    pending = subprocess.run([INSTA, "pending-snapshots"], cwd=folder, env=environment(),
                             capture_output=True, text=True, timeout=LIMIT_S)
    assert f"snapshots/staging/{NAME}.snap" in pending.stdout, pending.stdout + pending.stderr
    terminal = Terminal(folder, BINARY, "review")
    terminal.expect("Reviewing [1/1]")
    terminal.expect("keep both for now")
    terminal.press("a")
    terminal.ends(0)
    assert '"mode": "chat"' not in reviewed(folder)
    assert theirs.exists()


def hidden_folder_and_one_name(folder, server):
    """A folder that cargo insta does not look into by itself, and only one of two that wait."""
    snapshots = ".state/target/snapshots"
    prepare(folder, server, "--snapshots", snapshots)
    other = folder / snapshots / "staging" / f"{NAME}.snap.new"
    shutil.copy(other, other.with_name("chat.other.step@chat.snap.new"))
    terminal = Terminal(folder, BINARY, "review", "chat.parity.*", "--snapshots", snapshots)
    terminal.expect("keep both for now")
    terminal.press("a")
    terminal.ends(0)
    assert '"mode": "chat"' not in reviewed(folder, snapshots)
    left = [f for f in files(folder) if f.endswith(".new")]
    assert left == [f"{snapshots}/staging/chat.other.step@chat.snap.new"], left


def carried_from_ci(folder, server):
    pending = folder / "artifact"
    pending.mkdir()
    carried = {"INSTA_PENDING_DIR": str(pending)}
    prepare(folder, server, **carried)
    assert (pending / "snapshots" / "staging" / f"{NAME}.snap.new").exists()
    terminal = Terminal(folder, BINARY, "review", **carried)
    terminal.expect("keep both for now")
    terminal.press("a")
    terminal.expect("nothing waits any more")
    terminal.ends(0)
    assert '"mode": "chat"' not in reviewed(folder)
    assert not list(pending.rglob("*.new"))


def built_in(folder, server):
    prepare(folder, server)
    terminal = Terminal(folder, BINARY, "review", "--builtin")
    terminal.expect(f"changed  staging/{NAME}")
    terminal.expect("chat-parity.yaml:")
    terminal.expect('-  "mode": "chat",')
    terminal.expect("> ")
    assert '\x1b[31m-  "mode": "chat",' in terminal.raw, terminal.raw
    terminal.press("a")
    terminal.expect("1 accepted, 0 rejected, 0 skipped")
    terminal.ends(0)
    assert '"mode": "chat"' not in reviewed(folder)


def main():
    cases = [accept_without_a_project, reject_and_skip, inside_a_project, hidden_folder_and_one_name, carried_from_ci,
             built_in]
    with Served("--mutant", MUTANT) as server:
        for case in cases:
            with tempfile.TemporaryDirectory() as folder:
                case(Path(folder), server)
            print(f"ok: {case.__name__.replace('_', ' ')}")
    print(f"review: {len(cases)} cases passed with a real cargo-insta")


main()
