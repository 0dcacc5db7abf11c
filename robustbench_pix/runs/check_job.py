"""The job ``check``: evidence of masked gradients in one model."""

from pathlib import Path

from robustbench_pix.evaluation.masking import gather
from robustbench_pix.networks.inference import channels_last
from robustbench_pix.runs.jobs import Job, load_tested
from robustbench_pix.runs.store import EVIDENCE, Store
from robustbench_pix.runs.training_job import trained_network


def run_check(job: Job, store: Store, scratch: Path, *, device: str) -> None:
    """Examine the model of a job beside a source model and write one row for each image into a scratch folder."""
    images, labels, classes = load_tested(job, device)
    network, source = (channels_last(trained_network(store, name).to(device)) for name in job.needs)
    task, radius = job.identity["task"], job.identity["radius"]
    evidence = gather(network, source, images, labels, task=task, radius=radius, classes=classes, device=device)
    evidence.to_parquet(scratch / EVIDENCE, index=False, compression="zstd")
