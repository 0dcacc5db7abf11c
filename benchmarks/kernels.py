"""Single kernels of a training step: convolutions of each stage, BatchNorm, and convolutions in groups."""

from collections.abc import Callable, Iterator
from itertools import product

import torch
from torch import Tensor, nn

from benchmarks.report import Row
from benchmarks.timing import seconds_a_call
from robustbench_pix.networks.segments import BatchNorm2d, segmented

STAGES = 4
PASSES_OVER_MAPS = 8
"""Of BatchNorm with its own kernels: forward two reads and a write, backward four reads and a write."""

MODELS_GROUPED = 7


def convolutions(images: int, width: int, side: int, device: str, least_seconds: float) -> Iterator[Row]:
    """Give TFLOP/s of the 3x3 convolutions of each stage: forward, gradient of the input, gradient of the weights."""
    kinds = {"tf32": torch.float32, "bfloat16": torch.bfloat16}
    for stage, (precision, kind), benchmark, deterministic in product(
        range(STAGES), kinds.items(), (False, True), (False, True)
    ):
        channels, pixels = width * 2**stage, max(1, side // 2**stage)
        inputs, weights = _maps(images, channels, pixels, kind, device), _weights(channels, kind, device)
        flags = {"benchmark": benchmark, "deterministic": deterministic, "allow_tf32": True}
        with torch.backends.cudnn.flags(enabled=True, **flags):
            times = {name: seconds_a_call(call, device, least_seconds=least_seconds)
                     for name, call in _three_convolutions(inputs, weights).items()}  # fmt: skip
        flops = 2 * images * channels**2 * 9 * pixels**2
        rates = {f"{name}, TFLOP/s": flops / seconds / 1e12 for name, seconds in times.items()}
        names = {"channels": channels, "pixels a side": pixels, "precision": precision}
        yield names | {"benchmark": str(benchmark), "deterministic": str(deterministic)} | rates


def normalizations(
    segments: tuple[int, ...], width: int, side: int, device: str, least_seconds: float, *, compiled: bool
) -> Iterator[Row]:
    """Give GB/s of BatchNorm in train mode, forward and backward: on the whole batch, in segments, and by inductor."""
    maps = _maps(sum(segments), width, side, torch.bfloat16 if device != "cpu" else torch.float32, device)
    maps.requires_grad_()
    gradient = torch.randn_like(maps)
    layer = BatchNorm2d(width).to(device)
    ways: dict[str, Callable[[Tensor], Tensor]] = {"one batch": layer, "segments": layer}
    if compiled:
        ways["one batch, inductor"] = torch.compile(nn.BatchNorm2d(width).to(device))
    for name, normalize in ways.items():

        def there_and_back(normalize: Callable[[Tensor], Tensor] = normalize) -> None:
            maps.grad = None
            normalize(maps).backward(gradient)

        with segmented(layer, segments if name == "segments" else ()):
            seconds = seconds_a_call(there_and_back, device, least_seconds=least_seconds)
        moved = PASSES_OVER_MAPS * maps.nbytes
        yield {"BatchNorm": name, "us": 1e6 * seconds, "GB/s": moved / seconds / 1e9}


def grouped_convolutions(images: int, width: int, side: int, device: str, least_seconds: float) -> Iterator[Row]:
    """Compare convolutions of seven models in turn with one convolution of seven groups, stages 3 and 4."""
    kind = torch.bfloat16
    for stage in (2, 3):
        channels, pixels = width * 2**stage, max(1, side // 2**stage)
        single = _three_convolutions(_maps(images, channels, pixels, kind, device), _weights(channels, kind, device))
        together = _maps(images, MODELS_GROUPED * channels, pixels, kind, device)
        weights = _weights(channels, kind, device).repeat(MODELS_GROUPED, 1, 1, 1)
        grouped = _three_convolutions(together, weights, groups=MODELS_GROUPED)
        in_turn, at_once = (
            sum(seconds_a_call(call, device, least_seconds=least_seconds) for call in calls.values())
            for calls in (single, grouped)
        )
        yield {
            "channels": channels,
            "pixels a side": pixels,
            "seven in turn, us": MODELS_GROUPED * 1e6 * in_turn,
            "one of seven groups, us": 1e6 * at_once,
            "ratio": MODELS_GROUPED * in_turn / at_once,
        }


def _three_convolutions(inputs: Tensor, weights: Tensor, groups: int = 1) -> dict[str, Callable[[], object]]:
    shape = {"stride": [1, 1], "padding": [1, 1], "dilation": [1, 1], "transposed": False, "output_padding": [0, 0]}
    forward, backward = torch.ops.aten.convolution, torch.ops.aten.convolution_backward
    gradient = torch.randn_like(forward(inputs, weights, None, **shape, groups=groups))

    def back(to_inputs: bool) -> object:
        wanted = [to_inputs, not to_inputs, False]
        return backward(gradient, inputs, weights, None, **shape, groups=groups, output_mask=wanted)

    return {
        "forward": lambda: forward(inputs, weights, None, **shape, groups=groups),
        "to inputs": lambda: back(True),
        "to weights": lambda: back(False),
    }


def _maps(images: int, channels: int, pixels: int, kind: torch.dtype, device: str) -> Tensor:
    maps = torch.randn(images, channels, pixels, pixels, device=device).to(kind)
    return maps.contiguous(memory_format=torch.channels_last)


def _weights(channels: int, kind: torch.dtype, device: str) -> Tensor:
    weights = 0.05 * torch.randn(channels, channels, 3, 3, device=device)
    return weights.to(kind).contiguous(memory_format=torch.channels_last)
