"""640 images and the spike counts of 50 neurons of macaque V4, with 6 to 10 repeats (Cowley et al., compact models).

The images are those of Bashivan et al. 2019. Another example of a recording as a set of images.
"""

import io
import zipfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from robustbench_pix.data.base import ImageData
from robustbench_pix.data.kriegeskorte import recording_file
from robustbench_pix.data.recording import Recording, Session

SOURCE = "github.com/cowleygroup/V4_compact_models, data_V4_responses (GPL-3)"
IMAGE_FILES = ("cowley_v4_210325_images.zip", "images_210325.zip")
COUNT_FILES = ("cowley_v4_210325_counts.npy", "responses_raw/responses_210325.npy")


def v4(root: Path, *, colour: str) -> ImageData:
    """Return 640 images (640, C, 112, 112) without labels, with counts in 100 ms (640, 50, 10), NaN where missing.

    Raises:
        UserError: a file is absent.
    """
    pictures, counts = recording_file(root, IMAGE_FILES, SOURCE), recording_file(root, COUNT_FILES, SOURCE)
    assert pictures is not None
    assert counts is not None
    with zipfile.ZipFile(pictures) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".jpg"))
        decoded = [np.asarray(Image.open(io.BytesIO(archive.read(name))).convert("RGB")) for name in names]
    responses = np.load(counts, allow_pickle=False).transpose(1, 0, 2)
    images = torch.from_numpy(np.stack(decoded).transpose(0, 3, 1, 2).copy())
    recording = Recording({"210325": Session(str(counts), responses=responses)})
    return ImageData(images, recording=recording).in_colour(colour)
