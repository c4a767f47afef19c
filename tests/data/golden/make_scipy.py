#!/usr/bin/python3
"""Makes scipy.json with SciPy and NumPy (Debian's python3-scipy 1.10.1, python3-numpy 1.24.2).

  flipped kernels    scipy.signal.convolve in its three modes, channel by channel
  integer types      scipy.signal.correlate over int64: exact, then saturated to the output type
  padding modes      scipy.ndimage.correlate: mirror is reflect, nearest replicate, wrap circular
  transposed         scipy.signal.convolve of the zero-stuffed input: full convolution adds whole kernels
"""

import itertools

import numpy as np
import scipy
from scipy import ndimage, signal

from golden import Operands, case, write


def per_channel(function, x, w, transposed=False):
    """Sums `function` over input channels: x [N, C, ...], w [M, C, ...] (or [C, M, ...]) -> [N, M, ...]."""
    batch, channels = x.shape[:2]
    outputs = w.shape[1 if transposed else 0]

    def kernel(m, c):
        return w[c, m] if transposed else w[m, c]

    return np.stack([np.stack([sum(function(x[i, c], kernel(m, c)) for c in range(channels)) for m in range(outputs)])
                     for i in range(batch)])


def correlate(x, w):
    return per_channel(lambda a, b: signal.correlate(a, b, mode="valid", method="direct"), x, w)


def convolve(mode):
    return lambda a, b: signal.convolve(a, b, mode=mode, method="direct")


def zero_stuffed(x, stride):
    axes = x.ndim - 2
    shape = x.shape[:2] + tuple((n - 1) * stride + 1 for n in x.shape[2:])
    stuffed = np.zeros(shape, x.dtype)
    stuffed[(slice(None), slice(None)) + (slice(None, None, stride),) * axes] = x
    return stuffed


def dilated(w, dilation):
    return zero_stuffed(w, dilation)


def flipped_kernels(cases):
    make = Operands(21)
    for axes, k in itertools.product((1, 2, 3), (1, 2, 3)):
        n = [6, 5, 4][:axes]
        x, w = make.integers(2, 2, *n), make.integers(2, 2, *[k] * axes)
        full = [k - 1] * axes
        # SciPy's "same" is the centre of "full": its output i is output i + (k - 1) // 2 of that.
        same = [k - 1 - (k - 1) // 2] * axes + [(k - 1) // 2] * axes
        for mode, padding in (("valid", [0]), ("full", full), ("same", same)):
            y = per_channel(convolve(mode), x, w)
            cases.append(case("convolve%dd %s k%d" % (axes, mode, k), "conv", x, w, y, padding=padding,
                              flip_kernel=True))
        if k > 1:
            y = per_channel(convolve("full"), x, w)[(slice(None),) * 2 + (slice(None, None, 2),) * axes]
            cases.append(case("convolve%dd full k%d every second" % (axes, k), "conv", x, w, y, stride=[2],
                              padding=full, flip_kernel=True))
            y = per_channel(convolve("valid"), x, dilated(w, 2)) if n[-1] >= 2 * k - 1 else None
            if y is not None:
                cases.append(case("convolve%dd valid k%d dilated" % (axes, k), "conv", x, w, y, dilation=[2],
                                  flip_kernel=True))


def transposed(cases):
    make = Operands(22)
    for axes, s, d in itertools.product((1, 2, 3), (1, 2, 3), (1, 2)):
        x, w = make.integers(2, 2, *[4, 3, 2][:axes]), make.integers(2, 3, *[3, 2, 2][:axes])
        y = per_channel(convolve("full"), zero_stuffed(x, s), dilated(w, d), transposed=True)
        cases.append(case("transposed%dd s%d d%d" % (axes, s, d), "conv_transpose", x, w, y, stride=[s],
                          dilation=[d]))
        flipped = w[(slice(None),) * 2 + (slice(None, None, -1),) * axes]
        y = per_channel(convolve("full"), zero_stuffed(x, s), dilated(flipped, d), transposed=True)
        cases.append(case("transposed%dd s%d d%d flipped" % (axes, s, d), "conv_transpose", x, w, y, stride=[s],
                          dilation=[d], flip_kernel=True))


def integers(cases):
    make = Operands(23)
    kinds = {"int8": (-128, 127), "uint8": (0, 255)}

    def draw(kind, *shape):
        low, high = kinds[kind]
        return make.random.randint(low, high + 1, size=shape).astype(np.int64)

    for x_type, w_type in itertools.product(kinds, repeat=2):
        for axes in (1, 2, 3):
            x, w = draw(x_type, 2, 3, *[7, 5, 4][:axes]), draw(w_type, 2, 3, *[3, 3, 2][:axes])
            y = correlate(x, w)
            name = "%s * %s, %dd" % (x_type, w_type, axes)
            cases.append(case(name, "conv", x, w, y, type_name=x_type, weight_type=w_type, result_type="int32"))
            w = draw(w_type, 3, 2, *[3, 3, 2][:axes])
            y = per_channel(convolve("full"), zero_stuffed(x, 2), w, transposed=True)
            cases.append(case("transposed " + name, "conv_transpose", x, w, y, type_name=x_type, weight_type=w_type,
                              result_type="int32", stride=[2]))
        x, w = draw(x_type, 1, 2, 6, 6), draw(w_type, 2, 2, 2, 2)
        y = correlate(x, w)
        for output_type in ("int8", "uint8", "float32", "float64"):
            values = y
            if output_type in kinds:
                values = np.clip(y, *kinds[output_type])
            cases.append(case("%s * %s to %s" % (x_type, w_type, output_type), "conv", x, w, values,
                              type_name=x_type, weight_type=w_type, output_type=output_type))
    # A bias of each integer type; the int32 one takes sums to the ends of int32 and past them.
    for operation, bias_type, bias in (("conv", "int32", [2**31 - 1, -(2**31)]), ("conv", "int8", [-128, 127]),
                                       ("conv", "uint8", [255, 1]), ("conv_transpose", "int32", [10**9, -7])):
        x, w, bias = draw("uint8", 2, 3, 6), draw("int8", 2, 3, 2), np.array(bias, np.int64)
        if operation == "conv":
            y = correlate(x, w)
        else:
            w = draw("int8", 3, 2, 2)
            y = per_channel(convolve("full"), x, w, transposed=True)
        y = np.clip(y + bias[:, None], -(2**31), 2**31 - 1)
        cases.append(case("%s with an %s bias" % (operation, bias_type), operation, x, w, y, bias=bias,
                          type_name="uint8", weight_type="int8", bias_type=bias_type, result_type="int32"))
    # The largest sums of 8-bit products: no intermediate of 16 or 24 bits survives this.
    for x_type, x_value, w_type, w_value in (("uint8", 255, "uint8", 255), ("int8", -128, "int8", -128),
                                             ("uint8", 255, "int8", -128), ("int8", -128, "uint8", 255)):
        x, w = np.full((1, 300, 3), x_value, np.int64), np.full((1, 300, 3), w_value, np.int64)
        cases.append(case("extreme %s * %s" % (x_type, w_type), "conv", x, w, correlate(x, w), type_name=x_type,
                          weight_type=w_type, result_type="int32"))


def padding_modes(cases):
    make = Operands(24)
    for axes, (mode, scipy_mode) in itertools.product(
            (1, 2, 3), (("reflect", "mirror"), ("replicate", "nearest"), ("circular", "wrap"), ("zeros", "constant"))):
        x, w = make.integers(2, 1, *[7, 5, 4][:axes]), make.integers(1, 1, *[5, 3, 3][:axes])
        y = np.stack([ndimage.correlate(image[0], w[0, 0], mode=scipy_mode, cval=0)[None] for image in x])
        cases.append(case("ndimage%dd %s" % (axes, scipy_mode), "conv", x, w, y,
                          padding=[k // 2 for k in w.shape[2:]], padding_mode=mode))


if __name__ == "__main__":
    collected = []
    for family in (flipped_kernels, transposed, integers, padding_modes):
        family(collected)
    write("scipy.json", "SciPy %s, NumPy %s" % (scipy.__version__, np.__version__), collected)
