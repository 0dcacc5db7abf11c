"""The corruptions of CIFAR-10-C for one image at a time, in numpy, scipy and Pillow; only random numbers are shared.

An image is float64 (H, W, C) in [0, 1], of one channel or three. The numbers are typed anew from make_cifar_c.py.
"""

import colorsys
import io

import numpy as np
from PIL import Image
from scipy import ndimage, stats


def corrupted(name, image, severity, draw):
    """Return a corrupted image; draw(kind, number, *shape) gives the image's random numbers."""
    return np.clip(globals()[name.replace("-", "_")](image, severity - 1, draw), 0, 1)


def channels_first(draw, kind, number, image):
    height, width, channels = image.shape
    return draw(kind, number, channels, height, width).transpose(1, 2, 0)


def gaussian_noise(x, s, draw):
    return x + [0.04, 0.06, 0.08, 0.09, 0.10][s] * channels_first(draw, "normal", 0, x)


def shot_noise(x, s, draw):
    c = [500, 250, 100, 75, 50][s]
    return np.maximum(stats.poisson.ppf(channels_first(draw, "uniform", 0, x) + 2.0**-30, x * c), 0) / c


def impulse_noise(x, s, draw):
    hit = channels_first(draw, "uniform", 0, x) < [0.01, 0.02, 0.03, 0.05, 0.07][s]
    return np.where(hit, channels_first(draw, "uniform", 1, x) < 0.5, x)


def defocus_blur(x, s, draw):
    radius, alias = [(0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1)][s]
    down, right = np.mgrid[-8:9, -8:9]
    disk = (down**2 + right**2 <= radius**2).astype(float)
    smooth = np.exp(-np.array([1, 0, 1]) / (2 * alias**2))
    kernel = ndimage.correlate(disk / disk.sum(), np.outer(smooth, smooth) / smooth.sum() ** 2)
    return ndimage.correlate(x, kernel[:, :, None], mode="mirror")


def glass_blur(x, s, draw):
    sigma, times = [(0.05, 1), (0.25, 1), (0.4, 1), (0.25, 2), (0.4, 2)][s]
    height, width, _ = x.shape
    smooth = {"sigma": (sigma, sigma, 0), "mode": "nearest", "truncate": 4}
    x = ndimage.gaussian_filter(x, **smooth)
    for time in range(times):
        up, left = (draw("uniform", 2 * time + axis, 1, height, width)[0] < 0.5 for axis in (0, 1))
        for h in range(height - 1, 1, -1):
            for w in range(width - 1, 1, -1):
                there = h - int(up[h, w]), w - int(left[h, w])
                x[h, w], x[there] = x[there], x[h, w]  # views: what was meant as a swap writes one over the other
    return ndimage.gaussian_filter(x, **smooth)


def length_for(x):
    return max(min(x.shape[:2]) / 32, 0.5)


def along_a_line(x, radius, sigma, degrees):
    weights = stats.norm(scale=sigma).pdf(np.arange(2 * int(np.ceil(radius)) + 1))
    down, right = np.sin(np.radians(degrees)), np.cos(np.radians(degrees))
    steps = [[int(np.ceil(i * part - 0.5)) for part in (down, right)] for i in range(len(weights))]
    shifted = [ndimage.shift(x, (-h, -w, 0), order=0, mode="nearest") for h, w in steps]
    return np.average(shifted, axis=0, weights=weights)


def motion_blur(x, s, draw):
    radius, sigma = np.array([(6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5)][s]) * length_for(x)
    return along_a_line(x, radius, sigma, -45 + 90 * draw("uniform", 0))


def enlarged_32(x, factor):
    """As published, for pictures of 32x32 pixels."""
    crop = int(np.ceil(32 / factor))
    top = (32 - crop) // 2
    x = ndimage.zoom(x[top : top + crop, top : top + crop], (factor, factor, 1), order=1)
    trim = (len(x) - 32) // 2
    return x[trim : trim + 32, trim : trim + 32]


def enlarged(x, factor):
    """Other sizes are enlarged by the map by which that enlarges its coordinates."""
    if x.shape[:2] == (32, 32):
        return enlarged_32(x, factor)
    ramp = enlarged_32(np.mgrid[:32, :32].transpose(1, 2, 0) / 31, factor)
    down, right = (
        np.interp(np.linspace(0, 1, size), np.linspace(0, 1, 32), line) * (size - 1)
        for size, line in zip(x.shape[:2], (ramp[:, 0, 0], ramp[0, :, 1]), strict=True)
    )
    places = np.meshgrid(down, right, indexing="ij")
    return np.stack(
        [ndimage.map_coordinates(c, places, order=1, mode="nearest") for c in x.transpose(2, 0, 1)], axis=-1
    )


def zoom_blur(x, s, draw):
    factors = np.arange(1, [1.06, 1.11, 1.16, 1.21, 1.26][s], 0.01)
    return (x + sum(enlarged(x, factor) for factor in factors)) / (len(factors) + 1)


def gray(x):
    return x if x.shape[2] == 1 else (x @ [0.299, 0.587, 0.114])[:, :, None]


def snow(x, s, draw):
    mean, deviation, zoom, threshold, radius, sigma, share = [
        (0.1, 0.2, 1, 0.6, 8, 3, 0.95),
        (0.1, 0.2, 1, 0.5, 10, 4, 0.9),
        (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
        (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85),
        (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
    ][s]
    layer = enlarged(mean + deviation * draw("normal", 0, 1, *x.shape[:2])[0][:, :, None], zoom)
    layer[layer < threshold] = 0
    degrees = -135 + 90 * draw("uniform", 1)
    layer = along_a_line(np.clip(layer, 0, 1), radius * length_for(x), sigma * length_for(x), degrees)
    x = share * x + (1 - share) * np.maximum(x, gray(x) * 1.5 + 0.5)
    return x + layer + np.rot90(layer, 2)


def frost(x, s, draw):
    share, thickness = [(1, 0.2), (1, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45)][s]
    ice = 0.0
    for number, cells in enumerate((4, 8, 16)):
        places = [(np.arange(size) + 0.5) * cells / size - 0.5 for size in x.shape[:2]]
        field = draw("normal", number, 1, cells, cells)[0].astype(float)
        field = ndimage.map_coordinates(field, np.meshgrid(*places, indexing="ij"), order=1, mode="nearest")
        ice = ice + np.maximum(1 - abs(field), 0) / 2**number
    ice = 0.38 + 0.52 * draw("uniform", 3, 1, 1, 1).item() + 0.087 * stats.zscore(ice, axis=None)
    tint = np.array([[[0.89, 1.02, 1.09]]])
    return share * x + thickness * np.clip(ice[:, :, None] * (tint if x.shape[2] == 3 else gray(tint)), 0, 1)


def fog(x, s, draw):
    thickness, decay = [(0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75)][s]
    side = 1
    while side < max(x.shape[:2]):
        side *= 2
    wobble, heights = 2 * draw("uniform", 0, side, side) - 1.0, np.zeros((side, side))

    def put(h, w, *around):
        mean = sum(heights[a % side, b % side] for a, b in around) / 4
        heights[h, w] = mean + wibble**2 * wobble[h, w]

    step, wibble = side, 100.0
    while step > 1:
        half = step // 2
        corners = [(h, w) for h in range(0, side, step) for w in range(0, side, step)]
        for h, w in corners:
            put(h + half, w + half, (h, w), (h + step, w), (h, w + step), (h + step, w + step))
        for h, w in corners:
            put(h, w + half, (h, w), (h, w + step), (h - half, w + half), (h + half, w + half))
            put(h + half, w, (h, w), (h + step, w), (h + half, w - half), (h + half, w + half))
        step, wibble = half, wibble / decay
    heights = (heights - heights.min()) / (heights.max() - heights.min())
    return (x + thickness * heights[: x.shape[0], : x.shape[1], None]) * x.max() / (x.max() + thickness)


def brightness(x, s, draw):
    c = [0.05, 0.1, 0.15, 0.2, 0.3][s]
    if x.shape[2] == 1:
        return x + c
    pixels = []
    for pixel in x.reshape(-1, 3):
        hue, saturation, value = colorsys.rgb_to_hsv(*pixel)
        pixels.append(colorsys.hsv_to_rgb(hue, saturation, min(value + c, 1)))
    return np.array(pixels).reshape(x.shape)


def contrast(x, s, draw):
    means = np.mean(x, axis=(0, 1))
    return (x - means) * [0.75, 0.5, 0.4, 0.3, 0.15][s] + means


def elastic_transform(x, s, draw):
    side = min(x.shape[:2])
    table = [(0, 0, 0.08), (0.05, 0.2, 0.07), (0.08, 0.06, 0.06), (0.1, 0.04, 0.05), (0.1, 0.03, 0.03)]
    amplitude, sigma, reach = np.array(table[s]) * side
    middle, third = np.array([x.shape[1] // 2, x.shape[0] // 2]), side // 3
    before = middle + third * np.array([(1, 1), (1, -1), (-1, -1)], dtype=float)
    after = before + reach * (2 * draw("uniform", 0, 3, 2) - 1.0)
    back = np.linalg.solve(np.c_[after, np.ones(3)], before)  # (column, row, 1) @ back is where a pixel comes from
    rows, columns = np.mgrid[: x.shape[0], : x.shape[1]].astype(float)
    source = np.stack([columns, rows, np.ones_like(rows)], axis=-1) @ back
    fields = [2.0 * draw("uniform", number, *x.shape[:2]) - 1 for number in (1, 2)]
    down, right = (amplitude * ndimage.gaussian_filter(field, sigma, mode="reflect", truncate=3) for field in fields)
    channels = []
    for channel in x.transpose(2, 0, 1):
        warped = ndimage.map_coordinates(channel, [source[..., 1], source[..., 0]], order=1, mode="mirror")
        channels.append(ndimage.map_coordinates(warped, [rows + down, columns + right], order=1, mode="reflect"))
    return np.stack(channels, axis=-1)


def pixelate(x, s, draw):
    c = [0.95, 0.9, 0.85, 0.75, 0.65][s]
    height, width, _ = x.shape
    channels = []
    for channel in x.transpose(2, 0, 1):
        picture = Image.fromarray(channel.astype(np.float32))
        small = picture.resize((int(width * c), int(height * c)), Image.Resampling.BOX)
        channels.append(np.asarray(small.resize((width, height), Image.Resampling.BOX)))
    return np.stack(channels, axis=-1)


def jpeg_compression(x, s, draw):
    pixels, file = np.uint8(np.rint(x * 255)), io.BytesIO()
    picture = Image.fromarray(pixels if x.shape[2] == 3 else pixels[..., 0])
    picture.save(file, "JPEG", quality=[80, 65, 58, 50, 40][s])
    return np.asarray(Image.open(file)).reshape(x.shape) / 255
