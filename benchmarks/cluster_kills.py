"""Kill the client, scheduler, nannies and workers of a run on Dask at random moments, and count what is lost.

    python benchmarks/cluster_kills.py --kills 50

A scheduler and two workers with their nannies run apart from the client, which is ``rbp run`` on digits with the suite
``smoke``. Whatever was killed is started again, until the run is done; then the next run begins in a new workspace.
Counted are run folders that were there before a kill and are not there in the end, such as are there anew, and
published files that differ from those of a run that nobody disturbed.
"""

import argparse
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
RUN = ("run", "--suite", "smoke", "--recipe", "unregularized,thresholded", "--seeds", "2")
LONGEST_WAIT_SECONDS = 15.0
LONGEST_RUN_SECONDS = 900
CLI = "distributed.cli"
RUNS_PREFIXES = ("train-", "attack-", "check-", "nearest-")


def rbp(*arguments: str) -> subprocess.Popen[bytes]:
    """Start a command."""
    return started(sys.executable, "-m", "robustbench_pix", *arguments)


def started(*command: str) -> subprocess.Popen[bytes]:
    """Start a process that writes nothing here."""
    silent = subprocess.DEVNULL
    return subprocess.Popen(command, env=ENVIRONMENT, stdin=silent, stdout=silent, stderr=silent)


class Cluster:
    """A scheduler and two nannies with a worker each; what has ended is started again by ``mend``."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.file = folder / "cluster.toml"
        self.file.write_text(f'kind = "address"\naddress = "tcp://127.0.0.1:{self.port}"\n')
        self.folder, self.parts = folder, dict[str, subprocess.Popen[bytes]]()
        self.mend()

    def mend(self) -> None:
        """Start what does not run."""
        for name in ("scheduler", "nanny 1", "nanny 2"):
            if name not in self.parts or self.parts[name].poll() is not None:
                self.parts[name] = started(sys.executable, "-m", *self._arguments(name))

    def _arguments(self, name: str) -> list[str]:
        if name == "scheduler":
            return [f"{CLI}.dask_scheduler", "--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard"]
        place = ["--local-directory", str(self.folder / name.replace(" ", "-"))]
        limits = ["--nthreads", "1", "--memory-limit", "0", "--death-timeout", "60", "--no-dashboard"]
        return [f"{CLI}.dask_worker", f"tcp://127.0.0.1:{self.port}", *limits, *place]

    def victims(self, client: subprocess.Popen[bytes]) -> dict[str, list[int]]:
        """Return the processes that may be killed, by what they are."""
        nannies = [one.pid for name, one in self.parts.items() if name != "scheduler" and one.poll() is None]
        workers = [child for nanny in nannies for child in children(nanny)]
        found = {"client": [client.pid], "scheduler": [self.parts["scheduler"].pid]}
        return found | {"nanny": nannies, "worker": workers}

    def end(self) -> None:
        """Kill everything."""
        for one in self.parts.values():
            for child in children(one.pid):
                kill(child)
            one.kill()
            one.wait()


def children(process: int) -> list[int]:
    """Return the processes that one began."""
    found = []
    for tasks in Path(f"/proc/{process}/task").glob("*/children"):
        found += list(map(int, tasks.read_text().split()))
    return found


def kill(process: int) -> None:
    """Kill a process that may have ended."""
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        return


def folders(workspace: Path) -> dict[str, int]:
    """Return the run folders that are there, each with the number of its inode, which a folder made anew changes."""
    found = (workspace / "runs").glob("*-*")
    return {path.name: path.stat().st_ino for path in found if path.name.startswith(RUNS_PREFIXES)}


def published(workspace: Path) -> dict[str, bytes]:
    """Publish, and return the files without seconds, which differ each time."""
    rbp("publish", "--workspace", str(workspace)).wait(LONGEST_RUN_SECONDS)
    files = {path.name: path.read_bytes() for path in (workspace / "leaderboard").iterdir()}
    sums = [line for line in files["SHA256SUMS"].splitlines() if b"costs" not in line]
    return {name: data for name, data in files.items() if "costs" not in name} | {"SHA256SUMS": b"".join(sums)}


def disturbed(folder: Path, chance: random.Random, kills: int, tally: Counter[str]) -> Path:
    """Do a run while its processes are killed, at most ``kills`` times; return its workspace."""
    workspace = folder / "workspace"
    workspace.mkdir()
    cluster, seen, done = Cluster(folder), dict[str, int](), 0
    arguments = (*RUN, "--cluster", str(cluster.file), "--workspace", str(workspace))
    client = rbp(*arguments)
    try:
        while client.poll() != 0:
            cluster.mend()
            if client.poll() is not None:
                tally["clients begun again"] += 1
                client = rbp(*arguments)
            try:
                client.wait(chance.random() * LONGEST_WAIT_SECONDS if done < kills else LONGEST_RUN_SECONDS)
                continue
            except subprocess.TimeoutExpired:
                pass
            what, processes = chance.choice(sorted(cluster.victims(client).items()))
            if processes:
                seen = folders(workspace) | seen
                kill(chance.choice(processes))
                tally[f"{what} killed"] += 1
                done += 1
    finally:
        client.kill()
        cluster.end()
    now = folders(workspace)
    tally["finished before a kill"] += len(seen)
    tally["lost"] += sum(name not in now for name in seen)
    tally["done again though finished"] += sum(name in now and now[name] != inode for name, inode in seen.items())
    return workspace


def main() -> None:
    """Run the campaign and print its tally."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    options = parser.parse_args()
    tally, chance, folder = Counter[str](), random.Random(0), Path(tempfile.mkdtemp(prefix="cluster-kills-"))
    rbp(*RUN, "--workspace", str(folder)).wait(LONGEST_RUN_SECONDS)
    whole = published(folder)
    while (killed := sum(count for what, count in tally.items() if what.endswith("killed"))) < options.kills:
        place = Path(tempfile.mkdtemp(prefix="cluster-kills-"))
        workspace = disturbed(place, chance, min(6, options.kills - killed), tally)
        tally["runs"] += 1
        tally["runs with other published bytes"] += published(workspace) != whole
        shutil.rmtree(place)
    shutil.rmtree(folder)
    print(dict(tally))


if __name__ == "__main__":
    main()
