"""The file of a cluster is checked before anything is started: one sentence, with the nearest name."""

import subprocess
import sys

import pytest

from robustbench_pix.errors import UserError
from robustbench_pix.runs.cluster.cluster_file import LocalSpec, QueueSpec, SshSpec, read_cluster
from robustbench_pix.runs.request import Resources

SLURM = 'kind = "slurm"\nworkers = 8\nslots = 4\n'

WRONG = {
    "workers = 2": r"kind: missing; state one of local, ssh, address, kubernetes, .*slurm",
    'kind = "slrm"': r"no kind of cluster named 'slrm'\. Did you mean slurm\?",
    'kind = "local"\nworker = 2': r"worker: there is no such field \(did you mean workers\?\)",
    'kind = "local"\nworkers = 0': r"workers: Input should be greater than 0 \(got 0\)",
    'kind = "local"\nleast = 1': r"least and most belong together",
    'kind = "local"\nleast = 3\nmost = 2': r"least no larger than most",
    'kind = "local"\nworkers = 2\nmost = 4\nleast = 1': r"state workers, or least and most",
    'kind = "address"': r"address: Field required",
    'kind = "address"\naddress = "host:8786"': r"address: String should match pattern .* \(got 'host:8786'\)",
    'kind = "ssh"': r"hosts: Field required",
    'kind = "ssh"\nhosts = ["a"]\nslots = 2\ngpus = 2': r"one worker a GPU; state gpus alone",
    'kind = "ssh"\nhosts = ["a"]\n[options]\nremote_pyton = "x"': r"no such option \(did you mean remote_python\?\)",
    'kind = "slurm"\n[options]\nmemory = "8GB"': r"workers: missing",
    SLURM: r'options\.memory: missing; state the memory of one slurm job, such as "8GB"',
    f'{SLURM}[options]\nmemory = "8GB"\nqeue = "main"': r"SLURMCluster has no such option \(did you mean queue\?\)",
    f'{SLURM}[options]\nmemory = "8GB"\ncores = 4': r"options\.cores: slots and workers decide it",
    'kind = "kubernetes"\nworkers = 2': r"needs dask-kubernetes; pip install dask-kubernetes",
    "kind = local": r"is not valid TOML",
}


@pytest.fixture
def written(tmp_path):
    def write(text):
        (tmp_path / "cluster.toml").write_text(text)
        return tmp_path / "cluster.toml"

    return write


@pytest.mark.parametrize("text", WRONG)
def test_what_is_wrong_is_said_in_one_sentence(text, written):
    with pytest.raises(UserError, match=WRONG[text]):
        read_cluster(written(text))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match=r"none\.toml cannot be read: No such file"):
        read_cluster(tmp_path / "none.toml")


def test_numbers_of_workers(written):
    local = read_cluster(written('kind = "local"'))
    assert isinstance(local, LocalSpec)
    assert local.most_workers == 2
    assert read_cluster(written('kind = "local"\ngpus = 8')).most_workers == 8
    hosts = read_cluster(written('kind = "ssh"\nhosts = ["a", "b", "c"]\nslots = 4'))
    assert isinstance(hosts, SshSpec)
    assert hosts.most_workers == 12
    queue = read_cluster(written(f'{SLURM}[options]\nmemory = "8GB"\nwalltime = "01:00:00"'))
    assert isinstance(queue, QueueSpec)
    assert (queue.most_workers, queue.workers_each, queue.device) == (8, 4, "cpu")
    adaptive = read_cluster(written('kind = "local"\nleast = 0\nmost = 6'))
    assert (adaptive.most_workers, adaptive.is_adaptive) == (6, True)


@pytest.mark.parametrize(
    ("stated", "sentence"),
    [
        ({"workers": 2}, r"states what --workers says; leave --workers out"),
        ({"device": "cpu"}, r"states what --device says; leave --device out"),
        ({"executor": "inline"}, r"--cluster and --executor inline exclude each other"),
    ],
)
def test_options_that_a_cluster_file_decides_are_refused(stated, sentence, tmp_path):
    with pytest.raises(UserError, match=sentence):
        Resources(cluster=tmp_path / "cluster.toml", **stated)


def test_dask_is_not_imported_unless_it_is_used(tmp_path):
    script = "import sys; import robustbench_pix.runs.runner; from robustbench_pix.cli import main; " + (
        "main(['run', '--help'], standalone_mode=False); "
        "sys.exit(','.join({'dask', 'distributed', 'dask_jobqueue'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr


def test_without_dask_each_way_to_a_cluster_says_what_to_install(tmp_path):
    (tmp_path / "slurm.toml").write_text('kind = "slurm"\nworkers = 2\n')
    script = (
        "import sys; sys.modules |= dict.fromkeys(('dask', 'distributed', 'dask_jobqueue'))\n"
        "from robustbench_pix.cli import main\n"
        "main(['run', '--suite', 'smoke', '--recipe', 'unregularized', '--seeds', '1', *sys.argv[1:]])\n"
    )
    for arguments, need in ((["--executor", "dask"], "need Dask"), (["--cluster", "slurm.toml"], "need dask-jobqueue")):
        command = [sys.executable, "-c", script, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
        assert done.returncode == 1
        (sentence,) = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
        assert need in sentence
        assert "pip install 'robustbench-pix[cluster]'" in sentence
        assert "Traceback" not in done.stderr
