#!/usr/bin/python3
"""Makes pytorch.json with PyTorch (Debian's python3-torch 1.13.1).

Everything is computed in float64 on the CPU and rounded once to the stated type: operands are chosen so that
float64 is exact, and PyTorch 1.13's own 16-bit kernels are no oracle (its CPU bfloat16 conv_transpose computes a
forward convolution). Asymmetric padding, which PyTorch's convolutions do not take, is F.pad before Conv and
a crop after ConvTranspose.
"""

import itertools
import warnings

import numpy as np
import torch
import torch.nn.functional as F

from golden import Operands, case, write

CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
CONV_TRANSPOSE = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}
CONV_MODULE = {1: torch.nn.Conv1d, 2: torch.nn.Conv2d, 3: torch.nn.Conv3d}
TRANSPOSE_MODULE = {1: torch.nn.ConvTranspose1d, 2: torch.nn.ConvTranspose2d, 3: torch.nn.ConvTranspose3d}


def torch_pad(begins, ends):
    """F.pad wants (begin, end) of the last axis first."""
    return [p for pair in reversed(list(zip(begins, ends))) for p in pair]


def t(values):
    return None if values is None else torch.from_numpy(np.ascontiguousarray(values))


def conv(x, w, bias=None, stride=1, dilation=1, begins=None, ends=None, groups=1):
    k = w.ndim - 2
    x = t(x)
    if begins is not None:
        x = F.pad(x, torch_pad(begins, ends))
    return CONV[k](x, t(w), t(bias), stride=stride, dilation=dilation, groups=groups).numpy()


def conv_transpose(x, w, bias=None, stride=1, dilation=1, begins=None, ends=None, output_padding=0, groups=1):
    k = w.ndim - 2
    y = CONV_TRANSPOSE[k](t(x), t(w), t(bias), stride=stride, dilation=dilation, output_padding=output_padding,
                          groups=groups).numpy()
    if begins is not None:
        for axis in range(k):
            cells = range(begins[axis], y.shape[y.ndim - k + axis] - ends[axis])
            y = np.take(y, cells, axis=y.ndim - k + axis)
    return y


def to_bfloat16(values):
    return torch.from_numpy(values).float().bfloat16().double().numpy()


def to_type(values, name):
    """Rounds float64 results once, as the output type demands."""
    if name == "bfloat16":
        return to_bfloat16(values)
    if name == "float16":
        return values.astype(np.float32).astype(np.float16).astype(np.float64)
    return values


def geometries(seed, count, axes):
    """`count` random parameter sets for that many axes that both operations accept."""
    random = np.random.RandomState(seed)
    size_limit = {1: 14, 2: 8, 3: 5}[axes]
    made = 0
    while made < count:
        n = [int(v) for v in random.randint(1, size_limit + 1, size=axes)]
        k = [int(v) for v in random.randint(1, {1: 6, 2: 5, 3: 4}[axes], size=axes)]
        s = [int(v) for v in random.randint(1, 4, size=axes)]
        d = [int(v) for v in random.randint(1, 4, size=axes)]
        begins = [int(v) for v in random.randint(0, 4, size=axes)]
        ends = [int(v) for v in random.randint(0, 4, size=axes)]
        op = [int(random.randint(0, max(a, b))) for a, b in zip(s, d)]
        ek = [b * (a - 1) + 1 for a, b in zip(k, d)]
        conv_fits = all(n[i] + begins[i] + ends[i] >= ek[i] for i in range(axes))
        full = [(n[i] - 1) * s[i] + ek[i] + op[i] for i in range(axes)]
        transpose_fits = all(full[i] - begins[i] - ends[i] >= 1 for i in range(axes))
        if conv_fits and transpose_fits:
            made += 1
            yield n, k, s, d, begins, ends, op


def sweep(cases):
    """Random geometry: every parameter at once, 1 to 3 axes, batched and not, grouped and not."""
    for axes, count in ((1, 40), (2, 45), (3, 25)):
        for number, (n, k, s, d, begins, ends, op) in enumerate(geometries(100 + axes, count, axes)):
            make = Operands(1000 * axes + number)
            groups = make.choice([1, 1, 2, 3])
            c, m = groups * make.choice([1, 2]), groups * make.choice([1, 2])
            batch = make.choice([None, 1, 2])
            x_shape = ([] if batch is None else [batch]) + [c] + n
            bias = make.integers(m) if number % 2 else None
            symmetric = begins == ends
            padding = begins if symmetric else begins + ends
            x, w = make.integers(*x_shape), make.integers(m, c // groups, *k)
            y = conv(x, w, bias, s, d, begins, ends, groups)
            cases.append(case("conv%dd sweep %d" % (axes, number), "conv", x, w, y, bias=bias, stride=s, dilation=d,
                              padding=padding, groups=groups))
            w = make.integers(c, m // groups, *k)
            y = conv_transpose(x, w, bias, s, d, begins, ends, op, groups)
            cases.append(case("conv_transpose%dd sweep %d" % (axes, number), "conv_transpose", x, w, y, bias=bias,
                              stride=s, dilation=d, padding=padding, output_padding=op, groups=groups))


def layouts(cases):
    """The same numbers, channels last: each of the two layouts alone and both."""
    make = Operands(7)
    for axes in (1, 2, 3):
        n, k = [6, 5, 4][:axes], [3, 2, 2][:axes]
        for batched, tensors_last, weights_last in itertools.product((True, False), repeat=3):
            if not tensors_last and not weights_last:
                continue
            x = make.integers(*([2] if batched else []), 4, *n)
            for operation in ("conv", "conv_transpose"):
                if operation == "conv":
                    w = make.integers(6, 2, *k)
                    y = conv(x, w, None, 2, 1, [1] * axes, [0] * axes, 2)
                else:
                    w = make.integers(4, 3, *k)
                    y = conv_transpose(x, w, None, 2, 1, [1] * axes, [0] * axes, 1, 2)
                put_x, put_w, put_y = x, w, y
                if tensors_last:
                    put_x, put_y = (np.moveaxis(a, -axes - 1, -1) for a in (x, y))
                if weights_last:
                    # [A, B, kernel...] -> [kernel..., B, A]
                    put_w = np.moveaxis(w, (0, 1), (-1, -2))
                cases.append(case(
                    "%s%dd %s, tensors %s, weights %s" % (
                        operation, axes, "batched" if batched else "unbatched", "last" if tensors_last else "first",
                        "last" if weights_last else "first"),
                    operation, put_x, put_w, put_y, stride=[2], padding=[1] * axes + [0] * axes, groups=2,
                    output_padding=[1] if operation == "conv_transpose" else None,
                    tensor_layout="channels_last" if tensors_last else None,
                    weight_layout="channels_last" if weights_last else None))


def padding_modes(cases):
    """torch.nn.ConvNd(padding_mode=...), and the asymmetric kind through F.pad."""
    make = Operands(8)
    for axes, mode in itertools.product((1, 2, 3), ("zeros", "reflect", "replicate", "circular")):
        n = [5, 6, 4][:axes]
        for p, s, d in ((1, 1, 1), (2, 2, 1), (3, 1, 2), (3, 3, 2)):
            x, w, bias = make.integers(2, 2, *n), make.integers(2, 1, *[2] * axes), make.integers(2)
            module = CONV_MODULE[axes](2, 2, 2, stride=s, dilation=d, padding=p, groups=2, padding_mode=mode).double()
            module.weight.data, module.bias.data = t(w), t(bias)
            y = module(t(x)).detach().numpy()
            cases.append(case("nn.Conv%dd padding_mode %s p%d s%d d%d" % (axes, mode, p, s, d), "conv", x, w, y,
                              bias=bias, stride=[s], dilation=[d], padding=[p], groups=2, padding_mode=mode))
        begins, ends = [3, 0, 1][:axes], [1, 2, 3][:axes]
        x, w = make.integers(1, 1, *n), make.integers(1, 1, *[3] * axes)
        padded = F.pad(t(x), torch_pad(begins, ends), mode="constant" if mode == "zeros" else mode)
        y = CONV[axes](padded, t(w)).numpy()
        cases.append(case("F.pad%dd asymmetric %s" % (axes, mode), "conv", x, w, y, padding=begins + ends,
                          padding_mode=mode))
    for mode, p in (("circular", 5), ("reflect", 4), ("replicate", 9)):
        x, w = make.integers(1, 1, 5), make.integers(1, 1, 3)
        y = F.conv1d(F.pad(t(x), [p, p], mode=mode), t(w)).numpy()
        cases.append(case("F.pad1d widest %s" % mode, "conv", x, w, y, padding=[p], padding_mode=mode))


def same(cases):
    """padding='same' and padding='valid'; the former exists for stride 1 alone and is SAME_UPPER."""
    make = Operands(9)
    for axes in (1, 2, 3):
        for kernel, dilation in ((2, 1), (3, 1), (4, 1), (2, 3), (5, 2)):
            x, w = make.integers(1, 2, *[6, 5, 4][:axes]), make.integers(2, 2, *[kernel] * axes)
            y = CONV[axes](t(x), t(w), padding="same", dilation=dilation).numpy()
            cases.append(case("conv%dd padding=same k%d d%d" % (axes, kernel, dilation), "conv", x, w, y,
                              dilation=[dilation], auto_pad="same_upper"))
        x, w = make.integers(1, 1, *[6, 5, 4][:axes]), make.integers(1, 1, *[3] * axes)
        y = CONV[axes](t(x), t(w), padding="valid", stride=2).numpy()
        cases.append(case("conv%dd padding=valid" % axes, "conv", x, w, y, stride=[2], auto_pad="valid"))


def output_size(cases):
    """nn.ConvTransposeNd(...)(x, output_size=...), over all sizes that a module can reach."""
    make = Operands(10)
    for axes, (s, p, d, k) in itertools.product((1, 2, 3), ((3, 1, 1, 3), (2, 0, 1, 4), (3, 2, 2, 3))):
        n = [4, 3, 2][:axes]
        for extra in range(s):
            x, w = make.integers(2, 2, *n), make.integers(2, 1, *[k] * axes)
            module = TRANSPOSE_MODULE[axes](2, 2, k, stride=s, padding=p, dilation=d, groups=2, bias=False).double()
            module.weight.data = t(w)
            size = [(v - 1) * s - 2 * p + d * (k - 1) + 1 + extra for v in n]
            y = module(t(x), output_size=size).detach().numpy()
            assert list(y.shape[2:]) == size
            cases.append(case("nn.ConvTranspose%dd k%d s%d p%d d%d output_size %s" % (axes, k, s, p, d, size),
                              "conv_transpose", x, w, y, stride=[s], padding=[p], dilation=[d], output_size=size,
                              groups=2))


def depthwise_and_large(cases):
    """Channel counts around vector and tile widths, 1x1 and depthwise kernels, a channel multiplier."""
    make = Operands(11)
    for c, m, groups, k, n in ((1, 1, 1, 1, 1), (7, 7, 7, 3, 6), (8, 16, 8, 3, 5), (17, 17, 17, 5, 4),
                               (16, 16, 1, 1, 5), (33, 9, 1, 1, 4), (15, 31, 1, 3, 4), (12, 20, 4, 3, 4),
                               (64, 3, 1, 2, 3), (3, 65, 1, 3, 5)):
        x, w, bias = make.integers(1, c, n, n), make.integers(m, c // groups, k, k), make.integers(m)
        p = k // 2
        cases.append(case("conv2d C%d M%d g%d k%d n%d" % (c, m, groups, k, n), "conv", x, w,
                          conv(x, w, bias, 1, 1, [p] * 2, [p] * 2, groups), bias=bias, padding=[p], groups=groups))
        w = make.integers(c, m // groups, k, k)
        cases.append(case("conv_transpose2d C%d M%d g%d k%d n%d" % (c, m, groups, k, n), "conv_transpose", x, w,
                          conv_transpose(x, w, bias, 2, 1, [p] * 2, [p] * 2, 1, groups), bias=bias, stride=[2],
                          padding=[p], output_padding=[1], groups=groups))


def types(cases):
    """float64 exactly, 16-bit floats rounded once, other output types, and an image under float32 weights."""
    make = Operands(12)
    for operation, run in (("conv", conv), ("conv_transpose", conv_transpose)):
        for type_name in ("float32", "float64"):
            x, w, bias = make.fractions(2, 3, 6, 5), make.fractions(3, 3, 3, 2), make.fractions(3)
            y = run(x, w, bias, 2, 1, [1, 0], [0, 1])
            cases.append(case("%s %s fractions" % (operation, type_name), operation, x, w, y, bias=bias,
                              type_name=type_name, stride=[2], padding=[1, 0, 0, 1]))
        x = make.fractions(1, 2, 5, 5) * 2.0**30 + make.fractions(1, 2, 5, 5)
        w = make.integers(2, 2, 2, 2)
        cases.append(case("%s float64 beyond float32" % operation, operation, x, w, run(x, w), type_name="float64"))
        for type_name in ("float16", "bfloat16"):
            scale = 15 if type_name == "float16" else 7
            for output_type in (None, "float32", "float16", "bfloat16"):
                # Sums that the 16-bit type cannot hold: rounding is seen.
                x, w = make.integers(2, 4, 5, 5, largest=scale * 8), make.integers(4, 4, 3, 3, largest=scale)
                y = run(x, w, None, 1, 1, [1, 1], [1, 1])
                cases.append(case("%s %s to %s" % (operation, type_name, output_type or "itself"), operation, x, w,
                                  to_type(y, output_type or type_name), type_name=type_name, output_type=output_type,
                                  padding=[1]))
        for output_type in ("float64", "float16", "bfloat16", "int8", "uint8", "int32"):
            # Halves, to see ties go to even; sums that leave int8 and uint8 on both sides, to see them saturate.
            x, w = make.integers(1, 3, 6, 6, largest=40) / 2, make.integers(3, 3, 2, 2, largest=7)
            y = run(x, w)
            if output_type in ("int8", "uint8", "int32"):
                limits = np.iinfo(output_type)
                y = np.clip(np.rint(y), limits.min, limits.max)
            cases.append(case("%s float32 to %s" % (operation, output_type), operation, x, w, to_type(y, output_type),
                              output_type=output_type))
        x, w, bias = make.naturals(1, 3, 6, 6, largest=255), make.fractions(3, 3, 3, 3), make.fractions(3)
        cases.append(case("%s uint8 image, float32 weight" % operation, operation, x, w, run(x, w, bias), bias=bias,
                          type_name="uint8", weight_type="float32", result_type="float32"))


def inexact(cases):
    """Full significands: compared within c * eps * sum|x||w| of the float64 result."""
    make = Operands(13)
    for axes in (1, 2, 3):
        for number, (c, m, groups, k, s) in enumerate(((8, 8, 1, 3, 1), (16, 4, 1, 3, 2), (6, 6, 6, 4, 1))):
            n = {1: 12, 2: 6, 3: 4}[axes]
            x, bias = make.floats(1, c, *[n] * axes), make.floats(m)
            for operation, run in (("conv", conv), ("conv_transpose", conv_transpose)):
                shape = (m, c // groups) if operation == "conv" else (c, m // groups)
                w = make.floats(*shape, *[k] * axes)
                pads = [1] * axes
                y = run(x, w, bias, s, 1, pads, pads, groups=groups)
                magnitude = run(abs(x), abs(w), abs(bias), s, 1, pads, pads, groups=groups)
                cases.append(case("%s%dd full significands %d" % (operation, axes, number), operation, x, w, y,
                                  bias=bias, stride=[s], padding=[1], groups=groups,
                                  magnitude=magnitude))


def empty_batch(cases):
    for operation, run in (("conv", conv), ("conv_transpose", conv_transpose)):
        x, w = np.zeros((0, 2, 5)), np.ones((2, 2, 3))
        cases.append(case("%s1d empty batch" % operation, operation, x, w, run(x, w, None, 2), stride=[2]))


def single_positions(cases):
    """The first layer of a generator: a transposed convolution of one position, batched and grouped."""
    make = Operands(17)
    for axes, k in ((1, [8]), (2, [4, 4]), (3, [2, 2, 4])):
        for batch, groups, s in ((1, 1, 1), (3, 2, 2)):
            x, w, bias = make.integers(batch, 6, *[1] * axes), make.integers(6, 4, *k), make.integers(4 * groups)
            y = conv_transpose(x, w, bias, s, 1, [0] * axes, [0] * axes, groups=groups)
            cases.append(case("conv_transpose%dd of one position, %d groups" % (axes, groups), "conv_transpose", x, w, y,
                              bias=bias, stride=[s], groups=groups))


if __name__ == "__main__":
    warnings.filterwarnings("ignore", message="Using padding='same' with even kernel lengths")
    collected = []
    for family in (sweep, layouts, padding_modes, same, output_size, depthwise_and_large, types, inexact,
                   empty_batch, single_positions):
        family(collected)
    write("pytorch.json", "PyTorch " + torch.__version__, collected)
