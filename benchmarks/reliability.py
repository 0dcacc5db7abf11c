"""Count what is lost, damaged or done twice when clients share a store and are killed.

    python benchmarks/reliability.py clients --runs 100     # two to four at once, of other hosts and namespaces
    python benchmarks/reliability.py kills --kills 200      # clients and their workers killed at random moments
    python benchmarks/reliability.py hidden --runs 20       # as clients, each on a mount that hides news for 30 s

``hidden`` stands for NFS: each client sees the store through a mount of its own (bindfs) that remembers for 30 s which
files are there and which are not. It needs root and bindfs; namespaces need root.
"""

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.reliability_client import content, jobs
from robustbench_pix.runs.store import Store

CLIENT = Path(__file__).with_name("reliability_client.py")
LONGEST_RUN_SECONDS = 300
HIDDEN = "attr_timeout=30,entry_timeout=30,negative_timeout=30"


class Tally(dict[str, int]):
    """Counts by what was counted."""

    def add(self, what: str, count: int = 1) -> None:
        """Count something."""
        self[what] = self.get(what, 0) + count


def client(root: Path, log: Path, number: int, seed: int, *, apart: bool) -> subprocess.Popen[bytes]:
    """Start a client, ``apart`` with a host name and a namespace of processes of its own."""
    command = [sys.executable, str(CLIENT), str(root), str(log), str(seed)]
    shell = f'hostname host-{number} && exec "$@"'
    own = ["unshare", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", shell, "sh"]
    environment = {**os.environ, "PYTHONPATH": str(CLIENT.parents[1])}
    return subprocess.Popen([*(own if apart else ()), *command], env=environment)


def audit(root: Path, log: Path, tally: Tally) -> None:
    """Count jobs that are missing or damaged, and such as were begun after they were done."""
    store = Store(root)
    for job in jobs():
        tally.add("jobs")
        if not store.has(job.name):
            tally.add("lost")
        elif store.damage(job.name) or (store.folder(job.name) / "data").read_bytes() != content(job):
            tally.add("damaged")
    done, begun = set[str](), set[str]()
    for line in log.read_text().splitlines():
        what, name = line.split()
        if what == "begin":
            tally.add("done twice that was finished", name in done)
            tally.add("begun twice", name in begun)
            begun.add(name)
        else:
            done.add(name)


def several_clients(folder: Path, seed: int, tally: Tally, *, hidden: bool) -> None:
    """Let two to four clients do the same jobs at once."""
    chance = random.Random(seed)
    root, log = folder / "runs", folder / "log"
    root.mkdir()
    count = chance.randint(2, 4)
    with mounted(root, count) if hidden else plain(root, count) as seen:
        started = []
        for number, place in enumerate(seen):
            started.append(client(place, log, number, seed * 10 + number, apart=True))
            time.sleep(chance.random() * 0.5)
        codes = [one.wait(LONGEST_RUN_SECONDS) for one in started]
    tally.add("runs")
    tally.add("clients", count)
    tally.add("clients that failed", sum(map(bool, codes)))
    audit(root, log, tally)


def killed_clients(folder: Path, seed: int, tally: Tally, kills: int) -> None:
    """Let two clients do the jobs while they and their workers are killed, and start again whoever died.

    They are neighbours with every other seed, else apart.
    """
    chance, apart = random.Random(seed), bool(seed % 2)
    root, log = folder / "runs", folder / "log"
    root.mkdir()
    running = [client(root, log, number, seed * 10 + number, apart=apart) for number in range(2)]
    done = 0
    while done < kills and any(one.poll() is None for one in running):
        time.sleep(chance.random() * 1.5)
        victims = [(number, one) for number, one in enumerate(running) if one.poll() is None]
        if not victims:
            break
        number, victim = chance.choice(victims)
        workers = descendants(victim.pid)[1 if apart else 0 :]
        if workers and chance.random() < 0.5:
            kill(chance.choice(workers))
            tally.add("workers killed")
        else:
            victim.kill()
            victim.wait()
            tally.add("clients killed")
            running[number] = client(root, log, number, seed * 10 + 5 + number, apart=apart)
        done += 1
    for one in running:
        one.wait(LONGEST_RUN_SECONDS)
    last = client(root, log, 0, seed, apart=apart)
    tally.add("clients that failed", bool(last.wait(LONGEST_RUN_SECONDS)))
    tally.add("runs")
    audit(root, log, tally)


def descendants(process: int) -> list[int]:
    """Return the processes below one, its own children first."""
    found = []
    for children in Path(f"/proc/{process}/task").glob("*/children"):  # Each thread has its own.
        for child in map(int, children.read_text().split()):
            found += [child, *descendants(child)]
    return found


def kill(process: int) -> None:
    """Kill a process that may have ended."""
    subprocess.run(["kill", "-9", str(process)], check=False, stderr=subprocess.DEVNULL)


@contextmanager
def plain(root: Path, count: int) -> Iterator[list[Path]]:
    """Give every client the folder itself."""
    yield [root] * count


@contextmanager
def mounted(root: Path, count: int) -> Iterator[list[Path]]:
    """Give every client a mount of its own of the folder."""
    places = [root.parent / f"mount-{number}" for number in range(count)]
    try:
        for place in places:
            place.mkdir()
            subprocess.run(["bindfs", "-o", HIDDEN, root, place], check=True)
        yield places
    finally:
        for place in places:
            subprocess.run(["umount", "-l", place], check=False)


def main() -> None:
    """Run a campaign and print its tally."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("campaign", choices=["clients", "kills", "hidden"])
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    tally, number = Tally(), options.seed
    while True:
        killed = tally.get("clients killed", 0) + tally.get("workers killed", 0)
        left = options.kills - killed if options.campaign == "kills" else options.runs - tally.get("runs", 0)
        if left <= 0:
            break
        folder = Path(tempfile.mkdtemp(prefix="reliability-"))
        if options.campaign == "kills":
            killed_clients(folder, number, tally, min(left, 10))
        else:
            several_clients(folder, number, tally, hidden=options.campaign == "hidden")
        shutil.rmtree(folder, ignore_errors=True)
        number += 1
    print(options.campaign, dict(tally))


if __name__ == "__main__":
    main()
