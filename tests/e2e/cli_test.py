#!/usr/bin/python3
"""convctl as a process against a server as a process: results, files, messages, exit codes.

    cli_test.py CONVCTL PICTURE      with the server's address in CONVSERVE_ADDRESS
"""

import json
import os
import subprocess
import sys
import tempfile
import unittest

import numpy as np

CONVCTL, PICTURE = sys.argv[1:3]
ADDRESS = os.environ["CONVSERVE_ADDRESS"]

DONE, OTHER, USAGE, REFUSED, UNREACHABLE = 0, 1, 2, 3, 4


def convctl(*arguments, server=ADDRESS, stdin=""):
    return subprocess.run([CONVCTL, "--server", server, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          input=stdin, universal_newlines=True, timeout=120)


def values(*arguments):
    result = convctl("--json", *arguments)
    assert result.returncode == DONE, result.stderr
    answer = json.loads(result.stdout)
    array = np.array(answer["values"])
    assert list(array.shape) == answer["shape"], answer
    return array


def correlate(x, w, padding):
    """The reference: [H, W] with [kh, kw]."""
    x = np.pad(x, padding)
    rows, columns = x.shape[0] - w.shape[0] + 1, x.shape[1] - w.shape[1] + 1
    return sum(w[i, j] * x[i:i + rows, j:j + columns] for i in range(w.shape[0]) for j in range(w.shape[1]))


class Cli(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="convctl-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def path(self, name):
        return os.path.join(self.folder, name)

    def assert_fails(self, code, *words, arguments):
        result = convctl(*arguments)
        self.assertEqual(result.returncode, code, result)
        self.assertEqual(result.stdout, "")
        for word in words:
            self.assertIn(word, result.stderr)

    def test_the_server_is_healthy(self):
        self.assertEqual(convctl("health").returncode, DONE)

    def test_grpc_adds_nothing_to_a_complaint(self):
        result = convctl("--tls", "bench", "--requests", "1")
        self.assertEqual(result.returncode, UNREACHABLE)
        self.assertRegex(result.stderr, r"\Aconvctl: .*leave out --tls.*\n\Z")

    def test_the_stride_4_example_gives_its_6x6(self):
        y = values("conv-transpose", "--input", "[[1,2],[3,4]]", "--weight", "[[1,2],[0,1]]", "--stride", "4")
        self.assertEqual(y.reshape(6, 6).tolist(), [[1, 2, 0, 0, 2, 4], [0, 1, 0, 0, 0, 2], [0] * 6, [0] * 6,
                                                    [3, 6, 0, 0, 4, 8], [0, 3, 0, 0, 0, 4]])

    def test_stride_and_dilation_take_one_number_an_axis(self):
        x, w = np.arange(48.0).reshape(6, 8), np.array([[1, 2], [3, 4.0]])
        y = values("conv", "--input", json.dumps(x.tolist()), "--weight", json.dumps(w.tolist()), "--stride", "2,1",
                   "--padding", "1,0,0,2")
        self.assertEqual(y.reshape(y.shape[-2:]).tolist(), correlate(x, w, ((1, 0), (0, 2)))[::2].tolist())

    def test_numpy_files_go_in_and_out_whatever_their_order(self):
        x = np.arange(2 * 3 * 5 * 4, dtype=np.float32).reshape(2, 3, 5, 4)
        w = np.arange(4 * 3 * 2 * 2, dtype=np.float32).reshape(4, 3, 2, 2)
        np.save(self.path("w.npy"), w)
        outputs = []
        for name, stored in (("c", x), ("fortran", np.asfortranarray(x)), ("big", x.astype(">f4"))):
            np.save(self.path(name + ".npy"), stored)
            result = convctl("conv", "--input", self.path(name + ".npy"), "--weight", self.path("w.npy"),
                             "--output", self.path("y.npy"))
            self.assertEqual(result.returncode, DONE, result.stderr)
            outputs.append(np.load(self.path("y.npy")))
        expected = sum(correlate(x[1, c], w[3, c], 0) for c in range(3))
        for y in outputs:
            self.assertEqual(y.dtype, np.float32)
            self.assertEqual(y.shape, (2, 4, 4, 3))
            np.testing.assert_array_equal(y[1, 3], expected)

    def test_npz_members_are_named(self):
        np.savez(self.path("both.npz"), image=np.eye(4, dtype=np.float64), kernel=np.ones((2, 2)))
        y = values("conv", "--input", self.path("both.npz") + ":image", "--weight", self.path("both.npz") + ":kernel")
        self.assertEqual(y.reshape(3, 3).tolist(), correlate(np.eye(4), np.ones((2, 2)), 0).tolist())

    def test_a_picture_is_filtered_and_upsampled(self):
        def tensor_of(*arguments):
            result = convctl(*arguments, "--output", self.path("t.npy"))
            self.assertEqual(result.returncode, DONE, result.stderr)
            return np.load(self.path("t.npy"))

        picture = tensor_of("conv", "--input", PICTURE, "--weight", "box:1", "--output-type", "uint8")
        self.assertEqual((picture.dtype, picture.shape), (np.uint8, (1, 3, 853, 1280)))
        edges = tensor_of("conv", "--input", PICTURE, "--weight", "sobel-x", "--padding", "same")
        sobel = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])
        for channel in range(3):
            np.testing.assert_array_equal(edges[0, channel], correlate(picture[0, channel].astype(int), sobel, 1))

        for command, options, shape in (
                ("conv", ("--weight", "gaussian:9:2.0", "--padding", "same", "--padding-mode", "reflect"), (853, 1280)),
                ("conv-transpose", ("--weight", "bilinear:2"), (1706, 2560))):
            written = self.path("out.png")
            result = convctl(command, "--input", PICTURE, *options, "--output", written)
            self.assertEqual(result.returncode, DONE, result.stderr)
            again = tensor_of("conv", "--input", written, "--weight", "box:1", "--output-type", "uint8")
            self.assertEqual(again.shape, (1, 3) + shape)
            # Both filters keep the brightness.
            self.assertLess(abs(again.mean() - picture.mean()), 1)

    def test_files_that_cannot_be_read_are_named(self):
        kernel = ("--weight", "[[1]]")
        self.assert_fails(OTHER, self.path("absent.npy"), arguments=("conv", "--input", self.path("absent.npy"), *kernel))
        with open(self.path("text.npy"), "w") as out:
            out.write("this is no array\n")
        self.assert_fails(OTHER, "text.npy", arguments=("conv", "--input", self.path("text.npy"), *kernel))
        np.save(self.path("whole.npy"), np.ones((4, 4), np.float32))
        with open(self.path("whole.npy"), "rb") as whole, open(self.path("cut.npy"), "wb") as cut:
            cut.write(whole.read()[:-5])
        self.assert_fails(OTHER, "cut.npy", arguments=("conv", "--input", self.path("cut.npy"), *kernel))

    def test_wrong_usage_says_what_is_wrong(self):
        self.assert_fails(USAGE, "--no-such-option", arguments=("conv", "--no-such-option"))
        self.assert_fails(USAGE, "--input", arguments=("conv", "--weight", "[[1]]"))
        self.assert_fails(USAGE, "--stride", arguments=("conv", "--input", "[[1]]", "--weight", "[[1]]", "--stride", "x"))
        self.assertEqual(convctl("no-such-command").returncode, USAGE)

    def test_refusals_name_the_field(self):
        def refused(field, command, x, w, *options):
            self.assert_fails(REFUSED, field,
                              arguments=(command, "--input", x, "--weight", w, *options))

        refused("weight.shape[2]", "conv", "[[1,2],[3,4]]", "[[1,1,1],[1,1,1],[1,1,1]]")
        refused("parameters.groups", "conv", "[[[[1]],[[1]],[[1]]]]", "[[[[1]]],[[[1]]]]", "--groups", "2")
        refused("parameters.stride[0]", "conv", "[[1,2],[3,4]]", "[[1]]", "--stride", "0")
        refused("parameters.padding", "conv", "[[1,2],[3,4]]", "[[1]]", "--padding", str(2**62))
        # 36 bytes that ask for 69 GB.
        refused("expected", "conv-transpose", "[[1,2,3],[4,5,6],[7,8,9]]", "[[1,1,1],[1,1,1],[1,1,1]]", "--stride", "65536")

    def test_all_violations_come_at_once_one_a_line(self):
        result = convctl("conv", "--input", "[[1,2],[3,4]]", "--weight", "[[1]]", "--stride", "0", "--dilation", "0")
        self.assertEqual(result.returncode, REFUSED)
        for field in ("parameters.stride[0]", "parameters.dilation[0]"):
            self.assertEqual(len([line for line in result.stderr.splitlines() if field in line]), 1, result.stderr)

    def test_describe_answers_from_shapes_alone(self):
        result = convctl("describe", "conv", "--input-shape", "1,1,28,28", "--weight-shape", "1,1,5,5", "--stride", "2")
        self.assertEqual(result.returncode, DONE, result.stderr)
        self.assertIn("[1, 1, 12, 12]", result.stdout)

    def test_no_server_is_an_exit_code_of_its_own(self):
        result = convctl("health", server="unix:" + self.path("nobody"))
        self.assertEqual(result.returncode, UNREACHABLE, result.stderr)

    def test_embedded_needs_no_server(self):
        result = subprocess.run([CONVCTL, "--embedded", "--json", "conv", "--input", "[[1,2],[3,4]]", "--weight", "[[2]]"],
                                stdout=subprocess.PIPE, universal_newlines=True, timeout=120)
        self.assertEqual(json.loads(result.stdout)["values"], [[[[2, 4], [6, 8]]]])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
