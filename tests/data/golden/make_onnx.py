#!/usr/bin/python3
"""Makes onnx.json with ONNX (Debian's python3-onnx 1.12.0) and PyTorch (python3-torch 1.13.1).

The values of ONNX's own node tests (Conv, ConvInteger, ConvTranspose) are taken from the onnx package. ONNX's Python
evaluation is no oracle beyond them: it is wrong for Conv with auto_pad and for ConvTranspose with groups. So
auto_pad and output_shape are resolved here by the formulas of the ONNX operator texts, checked
against onnx.shape_inference, and computed with the explicit padding that results through PyTorch.
"""

import math

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, shape_inference

from golden import Operands, case, write
from make_pytorch import conv, conv_transpose

# Names that onnx 1.12 still uses and NumPy 1.24 no longer has.
for removed in (float, bool, int, object):
    if removed.__name__ not in np.__dict__:
        setattr(np, removed.__name__, removed)

from onnx.backend.test.case import node as node_tests  # noqa: E402
from onnx.backend.test.case.node import conv as _, convinteger as _, convtranspose as _  # noqa: E402,F401,F811

# Without auto_pad, a ConvTranspose with output_shape splits like SAME_LOWER.
AUTO_PAD = {b"SAME_UPPER": "same_upper", b"SAME_LOWER": "same_lower", b"VALID": "valid", b"NOTSET": None}


def parameters_of(node):
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    parameters = {
        "stride": attributes.get("strides"),
        "dilation": attributes.get("dilations"),
        "padding": attributes.get("pads"),
        "groups": attributes.get("group"),
        "output_padding": attributes.get("output_padding"),
        "output_size": attributes.get("output_shape"),
        "auto_pad": AUTO_PAD[attributes.get("auto_pad", b"NOTSET")],
    }
    if parameters["output_size"] is not None and parameters["auto_pad"] is None:
        parameters["auto_pad"] = "same_lower"
    return parameters


def node_cases(cases):
    for test in node_tests._NodeTestCases:
        node = test.model.graph.node[0]
        if node.op_type not in ("Conv", "ConvInteger", "ConvTranspose"):
            continue
        inputs, outputs = test.data_sets[0]
        x, w = (np.asarray(a).astype(np.int64) for a in inputs[:2])
        kind = "float32"
        if node.op_type == "ConvInteger":
            kind = "uint8"
            x = x - int(inputs[2])  # the zero point, which padding also has
        operation = "conv_transpose" if node.op_type == "ConvTranspose" else "conv"
        cases.append(case(test.name, operation, x, w, outputs[0], type_name=kind,
                          result_type="int32" if kind == "uint8" else None, **parameters_of(node)))


def split(total, name):
    small, large = total // 2, total - total // 2
    return (small, large) if name == "SAME_UPPER" else (large, small)


def assert_shape(op_type, x, w, y, **attributes):
    """ONNX infers the shape that we are about to write."""
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node(op_type, ["x", "w"], ["y"], **attributes)], "g",
        [value("x", TensorProto.FLOAT, x.shape), value("w", TensorProto.FLOAT, w.shape)],
        [value("y", TensorProto.FLOAT, None)])
    inferred = shape_inference.infer_shapes(helper.make_model(graph), strict_mode=True)
    dims = [d.dim_value for d in inferred.graph.output[0].type.tensor_type.shape.dim]
    assert dims == list(y.shape), (op_type, attributes, dims, y.shape)


def conv_auto_pad(cases):
    make = Operands(31)
    for axes, name in ((a, n) for a in (1, 2, 3) for n in ("SAME_UPPER", "SAME_LOWER")):
        for number in range({1: 16, 2: 12, 3: 8}[axes]):
            draw = make.random.randint
            n, k = ([int(v) for v in draw(low, high, size=axes)] for low, high in ((2, 8 - axes), (1, 6 - axes)))
            s, d = ([int(v) for v in draw(1, 4, size=axes)] for _ in range(2))
            groups = make.choice([1, 2])
            x, w = make.integers(1, 2 * groups, *n), make.integers(groups, 2, *k)
            totals = [max(0, (math.ceil(n[i] / s[i]) - 1) * s[i] + d[i] * (k[i] - 1) + 1 - n[i]) for i in range(axes)]
            begins, ends = zip(*(split(total, name) for total in totals))
            y = conv(x, w, None, s, d, begins, ends, groups)
            assert list(y.shape[2:]) == [math.ceil(n[i] / s[i]) for i in range(axes)]
            if all(v == 1 for v in d):  # onnx 1.12 infers dilated SAME shapes from the undilated kernel
                assert_shape("Conv", x, w, y, auto_pad=name, strides=s, dilations=d, group=groups)
            cases.append(case("Conv%dd %s %d" % (axes, name, number), "conv", x, w, y, stride=s, dilation=d,
                              groups=groups, auto_pad=name.lower()))


def full_transpose(x, w, s, d, groups, begins, ends, extra):
    """A ConvTranspose whose `extra` cells at the end need not stay below max(s, d), as PyTorch demands."""
    axes = x.ndim - 2
    y = conv_transpose(x, w, None, s, d, groups=groups)
    y = np.pad(y, [(0, 0), (0, 0)] + [(0, extra[i]) for i in range(axes)])
    return y[(slice(None),) * 2 + tuple(slice(begins[i], y.shape[2 + i] - ends[i]) for i in range(axes))]


def transpose_auto_pad(cases):
    make = Operands(32)
    made = 0
    while made < 72:
        axes = 1 + made % 3
        name = ("SAME_UPPER", "SAME_LOWER", "NOTSET")[made // 3 % 3]
        sized = made % 2 == 1 or name == "NOTSET"
        draw = make.random.randint
        n, k = ([int(v) for v in draw(1, high, size=axes)] for high in (7 - axes, 6 - axes))
        s, d = ([int(v) for v in draw(1, 4, size=axes)] for _ in range(2))
        op = [int(draw(0, max(a, b))) if made % 4 == 0 else 0 for a, b in zip(s, d)]
        groups = make.choice([1, 2])
        full = [(n[i] - 1) * s[i] + d[i] * (k[i] - 1) + 1 for i in range(axes)]
        size = [int(draw(1, full[i] + 3)) if sized else n[i] * s[i] for i in range(axes)]
        totals = [full[i] + op[i] - size[i] for i in range(axes)]
        extra = [op[i] + max(0, -totals[i]) for i in range(axes)]
        # More than a stride's (or dilation's) worth of cells that nothing reaches is refused.
        if any(extra[i] >= max(s[i], d[i]) for i in range(axes)):
            continue
        begins, ends = zip(*(split(max(0, total), name) for total in totals))
        x, w = make.integers(1, 2 * groups, *n), make.integers(2 * groups, 1, *k)
        y = full_transpose(x, w, s, d, groups, begins, ends, extra)
        assert list(y.shape[2:]) == size
        # onnx 1.12 infers no output_shape below the input's, infers SAME shapes from the undilated kernel, adds
        # output_padding to n * s, and never infers more than the full result.
        if sized and all(size[i] >= n[i] for i in range(axes)):
            assert_shape("ConvTranspose", x, w, y, strides=s, dilations=d, group=groups, auto_pad=name,
                         output_shape=size)
        elif not sized and all(v == 1 for v in d) and not any(extra):
            assert_shape("ConvTranspose", x, w, y, strides=s, group=groups, auto_pad=name)
        cases.append(case("ConvTranspose%dd %s %d" % (axes, name, made), "conv_transpose", x, w, y, stride=s,
                          dilation=d, groups=groups, output_padding=op if any(op) else None,
                          output_size=size if sized else None,
                          auto_pad="same_lower" if name == "NOTSET" else name.lower()))
        made += 1


if __name__ == "__main__":
    collected = []
    for family in (node_cases, conv_auto_pad, transpose_auto_pad):
        family(collected)
    write("onnx.json", "ONNX %s, PyTorch %s" % (onnx.__version__, torch.__version__), collected)
