"""What the three make_*.py scripts share: seeded operands, and the file that the C++ tests read.

A file is {"made_by": ..., "cases": [...]}, one case a line:

  name        says what the case covers
  operation   "conv" or "conv_transpose"
  input, weight, bias (absent: none), output
              {"type": "float32", "shape": [...], "values": [...]}, row-major
  parameters  the fields of ConvParameters or ConvTransposeParameters; absent ones have their defaults
  output_type absent: the default of the operand types
  magnitude   only where float results are not exact: sum |x||w| + |bias| of every output element, computed
              in float64 like the output itself. Without it the output is compared bit by bit.

Operands are non-zero small integers or dyadic fractions, so that every sum is exact in whatever order it is formed.
"""

import json
import os

import numpy as np

TYPES = {
    "float32": np.float32,
    "float64": np.float64,
    "float16": np.float16,
    "int8": np.int8,
    "uint8": np.uint8,
    "int32": np.int32,
}


class Operands:
    """A seeded source of operands."""

    def __init__(self, seed):
        self.random = np.random.RandomState(seed)

    def integers(self, *shape, largest=4):
        """Non-zero integers in [-largest, largest], as float64."""
        values = self.random.randint(1, largest + 1, size=shape)
        return (values * self.random.choice([-1, 1], size=shape)).astype(np.float64)

    def naturals(self, *shape, largest=9):
        return self.random.randint(1, largest + 1, size=shape).astype(np.float64)

    def fractions(self, *shape):
        """Multiples of 1/64 below 4, never zero."""
        return self.integers(*shape, largest=255) / 64

    def floats(self, *shape):
        """Float32 numbers with full significands."""
        return self.random.uniform(-1, 1, size=shape).astype(np.float32).astype(np.float64)

    def choice(self, options):
        return options[self.random.randint(len(options))]


def tensor(values, type_name):
    values = np.asarray(values)
    flat = [float(v) for v in values.reshape(-1)]
    return {
        "type": type_name,
        "shape": list(values.shape),
        "values": [int(v) if v == int(v) else v for v in flat],
    }


def case(name, operation, x, w, y, *, bias=None, type_name="float32", weight_type=None, output_type=None,
         bias_type=None, result_type=None, magnitude=None, **parameters):
    """`type_name` is the operands' type; `result_type` that of `y` where output_type is left to its default."""
    record = {
        "name": name,
        "operation": operation,
        "input": tensor(x, type_name),
        "weight": tensor(w, weight_type or type_name),
        "parameters": {key: value for key, value in parameters.items() if value is not None},
        "output": tensor(y, output_type or result_type or type_name),
    }
    if bias is not None:
        record["bias"] = tensor(bias, bias_type or weight_type or type_name)
    if output_type is not None:
        record["output_type"] = output_type
    if magnitude is not None:
        record["magnitude"] = [float(v) for v in np.asarray(magnitude).reshape(-1)]
    return record


def write(file_name, made_by, cases):
    names = [record["name"] for record in cases]
    duplicates = {name for name in names if names.count(name) > 1}
    assert not duplicates, duplicates
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), file_name)
    with open(path, "w") as out:
        out.write('{"made_by": %s, "cases": [\n' % json.dumps(made_by))
        out.write(",\n".join(json.dumps(record, separators=(",", ":")) for record in cases))
        out.write("\n]}\n")
    print("%s: %d cases, %d bytes" % (file_name, len(cases), os.path.getsize(path)))
