"""A photo brought to another size by the filter that its backbone was trained with."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_BY_TORCH = {Image.Resampling.BICUBIC: "bicubic", Image.Resampling.BILINEAR: "bilinear"}


def resampled(rgb: NDArray[np.uint8], height: int, width: int, by: int) -> NDArray[np.uint8]:
    """Resize, averaging over as many pixels as become one: uint8 [H, W, 3] to uint8 [height, width, 3].

    Cubic and linear filters are PyTorch's, which torchvision resizes by: PIL's arithmetic in 16-bit steps on
    the processor's vector units, several times as fast and without the copy that PIL makes of a large photo.
    Few values differ from PIL's, and by rounding (`python -m benchmarks.resize`), but where one side grows
    and the other shrinks, which PIL does in another order. Other filters are PIL's.

    Args:
        rgb: the photo.
        height: wanted.
        width: wanted.
        by: PIL's number of the filter (`PIL.Image.Resampling`).
    """
    import torch

    mode = _BY_TORCH.get(Image.Resampling(by))
    if mode is None:
        return np.array(Image.fromarray(rgb).resize((width, height), Image.Resampling(by)))
    # Seen as a batch of one first: so laid out, PyTorch takes the channels as they are, side by side.
    owned = np.require(rgb, requirements=("C", "W"))  # PyTorch warns of arrays that must not be written to
    channels_first = torch.from_numpy(owned)[None].permute(0, 3, 1, 2)
    resized = torch.nn.functional.interpolate(channels_first, (height, width), mode=mode, antialias=True)
    return np.ascontiguousarray(resized[0].permute(1, 2, 0).numpy())
