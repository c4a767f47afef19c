#!/usr/bin/python3
"""Makes lake.png: a mountain lake at sunrise, 1280 x 853, computed with NumPy (Debian's python3-numpy).

A picture of a photograph's size and character (smooth gradients, hard edges, fine texture, all three channels
different) that belongs to nobody else.
"""

import os
import struct
import zlib

import numpy as np

WIDTH, HEIGHT = 1280, 853
HORIZON = 505
RANDOM = np.random.RandomState(853)


def fractal(shape, exponent, stretch=1.0):
    """Noise in [0, 1] with a power spectrum of 1 / f^exponent; `stretch` > 1 makes it wide."""
    fy = np.fft.fftfreq(shape[0])[:, None]
    fx = np.fft.fftfreq(shape[1])[None, :] * stretch
    frequency = np.hypot(fx, fy)
    frequency[0, 0] = 1
    spectrum = np.exp(2j * np.pi * RANDOM.rand(*shape)) / frequency ** (exponent / 2)
    spectrum[0, 0] = 0
    noise = np.fft.ifft2(spectrum).real
    return (noise - noise.min()) / (noise.max() - noise.min())


def ridge(base, height, roughness):
    """The outline of a mountain range: one y for every x."""
    line = fractal((1, 2 * WIDTH), roughness)[0, :WIDTH]
    return base - height * (line - line.min()) / (line.max() - line.min())


def smooth(low, high, value):
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def mix(a, b, share):
    return a + (b - a) * share[..., None]


def sky():
    y = np.linspace(0, 1, HORIZON)[:, None] * np.ones((1, WIDTH))
    x = np.linspace(0, 1, WIDTH)[None, :] * np.ones((HORIZON, 1))
    color = mix(np.array([44.0, 84.0, 148.0]), np.array([150.0, 178.0, 205.0]), smooth(0, 0.7, y))
    color = mix(color, np.array([250.0, 206.0, 150.0]), smooth(0.45, 1.0, y) * 0.85)
    distance = np.hypot((x - 0.36) * WIDTH / HORIZON, y - 0.60)
    color = mix(color, np.array([255.0, 236.0, 196.0]), np.exp(-((distance / 0.24) ** 2)) * 0.9)
    color = mix(color, np.array([255.0, 251.0, 238.0]), 1 - smooth(0.040, 0.046, distance))
    clouds = smooth(0.50, 0.78, fractal((HORIZON, WIDTH), 3.3, stretch=3.0)) * (1 - 0.6 * y)
    light = mix(np.array([206.0, 196.0, 200.0]), np.array([255.0, 226.0, 190.0]), smooth(0.1, 0.8, y))
    return mix(color, light, clouds * 0.8)


def add_mountains(picture):
    rows = np.arange(HEIGHT)[:, None]
    ranges = (
        (HORIZON - 55, 190, 3.4, (148, 160, 184), (186, 182, 188), 0.10),
        (HORIZON - 20, 150, 3.1, (98, 116, 144), (140, 140, 150), 0.22),
        (HORIZON + 2, 95, 2.8, (44, 66, 74), (78, 92, 84), 0.40),
    )
    for base, height, roughness, shade, lit, contrast in ranges:
        line = ridge(base, height, roughness)[None, :]
        rock = fractal((HEIGHT, WIDTH), 2.6)
        light = np.clip(0.5 + (0.6 + contrast) * 2.0 * (rock - 0.5), 0, 1)
        color = mix(np.array(shade, float), np.array(lit, float), light)
        snow = smooth(0.52, 0.60, rock) * smooth(line + 60, line + 10, rows) * (1.0 - 2 * contrast)
        color = mix(color, np.array([232.0, 230.0, 236.0]), np.clip(snow, 0, 1))
        haze = np.clip((rows - line) / (HORIZON - line + 1), 0, 1) ** 2 * (0.75 - contrast)
        color = mix(color, np.array([214.0, 200.0, 186.0]), haze)
        picture = mix(picture, color, smooth(-0.7, 0.7, rows - line))
    return picture


def add_trees(picture):
    rows = np.arange(HEIGHT)[:, None]
    line = HORIZON - 2 - 8 * fractal((1, 2 * WIDTH), 2.0)[:, :WIDTH]
    columns = np.arange(WIDTH)
    for _ in range(260):
        x, height = RANDOM.rand() * WIDTH, 14 + 34 * RANDOM.rand() ** 2
        height *= 1.4 - abs(x / WIDTH - 0.5)
        width = height * (0.16 + 0.08 * RANDOM.rand())
        inside = np.abs(columns - x) < width
        spruce = HORIZON - height * (1 - np.abs(columns - x) / width)
        spruce += RANDOM.rand(WIDTH) * 3
        line[0, inside] = np.minimum(line[0, inside], spruce[inside])
    texture = fractal((HEIGHT, WIDTH), 1.6)
    color = mix(np.array([14.0, 30.0, 30.0]), np.array([52.0, 66.0, 44.0]), texture)
    shore = (rows >= line) & (rows < HORIZON)
    return np.where(shore[..., None], color, picture)


def add_lake(picture):
    depth = np.arange(HEIGHT - HORIZON)
    ripples = fractal((HEIGHT - HORIZON, WIDTH), 2.4, stretch=9.0) - 0.5
    nearness = (depth / depth[-1])[:, None]
    shift = ripples * (6 + 90 * nearness)
    source = np.clip(HORIZON - 1 - depth[:, None] * (HORIZON / (HEIGHT - HORIZON)) * 0.72 + shift, 0, HORIZON - 1)
    below = np.floor(source).astype(int)
    above = np.minimum(below + 1, HORIZON - 1)
    columns = np.arange(WIDTH)[None, :]
    share = source - below
    water = mix(picture[below, columns], picture[above, columns], share)
    water = mix(water, np.array([26.0, 52.0, 70.0]), 0.22 + 0.33 * nearness)
    water *= (1 + 0.35 * ripples * (0.4 + nearness))[..., None]
    picture[HORIZON:] = water
    return picture


def add_stones(picture):
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    texture = fractal((HEIGHT, WIDTH), 1.9)
    for _ in range(46):
        x, y = RANDOM.rand() * WIDTH, HEIGHT - 8 - 90 * RANDOM.rand() ** 2
        size = 8 + 46 * ((y - HEIGHT + 98) / 98) * RANDOM.rand()
        v, u = (rows - y) / (size * 0.55), (columns - x) / size
        radius = u * u + v * v + 0.35 * (texture - 0.5)
        light = np.clip(0.45 - 0.4 * v + 0.3 * u + 0.7 * (texture - 0.5), 0, 1)
        color = mix(np.array([30.0, 31.0, 36.0]), np.array([158.0, 146.0, 132.0]), light)
        picture = mix(picture, color, 1 - smooth(0.92, 1.02, radius))
    return picture


def write_png(path, pixels):
    """8-bit RGB; every row takes the filter (none, left, up, average, Paeth) with the smallest residues."""
    height, width, _ = pixels.shape
    previous = np.zeros((width, 3), np.int32)
    lines = []
    for row in pixels.astype(np.int32):
        left = np.vstack([np.zeros((1, 3), np.int32), row[:-1]])
        corner = np.vstack([np.zeros((1, 3), np.int32), previous[:-1]])
        guess = left + previous - corner
        dl, du, dc = abs(guess - left), abs(guess - previous), abs(guess - corner)
        paeth = np.where((dl <= du) & (dl <= dc), left, np.where(du <= dc, previous, corner))
        options = [(row - base) & 255 for base in (0, left, previous, (left + previous) // 2, paeth)]
        best = min(range(5), key=lambda i: np.minimum(options[i], 256 - options[i]).sum())
        lines.append(bytes([best]) + options[best].astype(np.uint8).tobytes())
        previous = row

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    with open(path, "wb") as out:
        out.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"".join(lines), 9)) +
                  chunk(b"IEND", b""))


if __name__ == "__main__":
    image = np.zeros((HEIGHT, WIDTH, 3))
    image[:HORIZON] = sky()
    image = add_mountains(image)
    image = add_trees(image)
    image = add_lake(image)
    image = add_stones(image)
    target = os.path.join(os.path.dirname(os.path.abspath(__file__)), "lake.png")
    write_png(target, np.clip(np.rint(image), 0, 255).astype(np.uint8))
    print("%s: %d bytes" % (os.path.basename(target), os.path.getsize(target)))
