"""The 92 images of objects of Kriegeskorte et al. 2008 (Neuron 60:1126), and similarities in inferior temporal cortex.

An example of a recording as a set of images: read images, read what neurons answered, return both.
"""

from pathlib import Path

import numpy as np
import torch

from robustbench_pix.data.base import ImageData, required
from robustbench_pix.data.dissimilarity import similarity_of
from robustbench_pix.data.recording import Recording, Session
from robustbench_pix.errors import UserError

FOLDER = "neural"
SOURCE = "github.com/rsagroup/rsatoolbox, demos/92imageData (MIT)"
FILES = ("kriegeskorte2008.mat", "Kriegeskorte_Neuron2008_supplementalData.mat")
HUMAN_FILES = ("kriegeskorte2008_human_rdms.mat", "92_brainRDMs.mat")
HUMANS = ("BE", "KO", "SN", "TI")


def kriegeskorte92(root: Path, *, colour: str) -> ImageData:
    """Return 92 images (92, C, 175, 175) without labels, with similarities 1 - RDM of the same images.

    The session ``macaque`` is of 674 neurons of two monkeys, ``human`` the mean of four humans (316 voxels); where
    their file is there too, ``human-BE-1`` to ``human-TI-2`` are two sessions of each. A target takes the macaque's.

    Raises:
        UserError: the file is absent.
    """
    from scipy.io import loadmat

    path = recording_file(root, FILES, SOURCE)
    assert path is not None
    content = loadmat(path)
    images = np.stack([image.transpose(2, 0, 1) for image in content["stimuli_92objs"]["image"][0]])
    macaque, human = (rdm.ravel() for rdm in content["RDMs_mIT_hIT_fig1"]["RDM"][0])
    rdms = {"macaque": macaque, "human": human}
    if humans := recording_file(root, HUMAN_FILES, None):
        for name, sessions in zip(HUMANS, loadmat(humans)["RDMs"]["RDM"][0], strict=True):
            rdms |= {f"human-{name}-{number}": rdm for number, rdm in enumerate(sessions, start=1)}
    sessions = {
        name: Session(f"{path}, {name}", similarity=similarity_of(rdm, "correlation", f"{path}, {name}"))
        for name, rdm in rdms.items()
    }
    return ImageData(torch.from_numpy(images), recording=Recording(sessions, ("macaque",))).in_colour(colour)


def recording_file(root: Path, names: tuple[str, ...], source: str | None) -> Path | None:
    """Return the file of a recording in the folder ``neural`` below the data root, under the first name that is there.

    Raises:
        UserError: it is absent, and ``source`` says where it comes from; without a source None is returned.
    """
    folder = required(root) / FOLDER
    for name in names:
        if (folder / name).is_file():
            return folder / name
    if source is None:
        return None
    raise UserError(
        f"There is no {names[0]} in {folder}; it is {names[-1]} of {source}; put it there, or name another folder with "
        "--data-root or RBP_DATA."
    )
