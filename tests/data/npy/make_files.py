"""Writes the .npy and .npz files beside this script with NumPy. The tests read them and need no NumPy."""

import pathlib
import warnings

import numpy as np

HERE = pathlib.Path(__file__).parent

# Every file holds 0 - 2 = -2, -1, 0, ... in row-major order of its shape, but for unsigned types 0, 1, 2, ...


def counting(shape, dtype):
    start = 0 if np.dtype(dtype).kind == "u" else -2
    count = int(np.prod(shape))
    return np.arange(start, start + count).astype(dtype).reshape(shape)


def save(name, array, version=None):
    with open(HERE / f"{name}.npy", "wb") as file:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that version 2 or 3 is not necessary
            np.lib.format.write_array(file, array, version=version)


for dtype in ("f2", "f4", "f8", "i1", "u1", "i4"):
    save(f"little_{dtype}", counting((2, 3), f"<{dtype}"))
for dtype in ("f2", "f4", "f8", "i4"):
    save(f"big_{dtype}", counting((2, 3), f">{dtype}"))
for version in (1, 2, 3):
    save(f"version_{version}", counting((2, 3), "<f4"), (version, 0))
save("fortran_2d", np.asfortranarray(counting((2, 3), "<f4")))
save("fortran_3d_big", np.asfortranarray(counting((2, 3, 4), ">f4")))
save("scalar", counting((), "<f4"))
save("vector", counting((4,), "<f4"))
save("empty", counting((0, 2, 2), "<f4"))
save("int64", counting((2, 3), "<i8"))
save("bool", counting((2, 3), "?"))
save("complex", counting((2, 3), "<c8"))
save("structured", np.zeros(2, dtype=[("x", "<f4"), ("y", "<i4")]))
save("image_1x1x4x4", np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4))

arrays = {"first": counting((2, 3), "<f4"), "second": counting((4,), "<i4")}
np.savez(HERE / "stored.npz", **arrays)
np.savez_compressed(HERE / "deflated.npz", **arrays)
np.savez(HERE / "single.npz", counting((2, 3), "<f8"))
