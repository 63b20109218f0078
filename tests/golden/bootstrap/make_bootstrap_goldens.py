"""Makes intervals.json: 95 % intervals of perplexity differences by the circular block bootstrap, written from its definition in
base/bootstrap.h with nothing but CPython's own generator and sort.

    python3 tests/golden/bootstrap/make_bootstrap_goldens.py > tests/golden/bootstrap/intervals.json
"""

import json
import math
import platform
import random

SEED = 0
DRAWS = 10001


def interval(a, b, block):
    n = len(a)
    generator = random.Random(SEED)
    differences = []
    for _ in range(DRAWS):
        starts = [generator.randint(0, n - 1) for _ in range(math.ceil(n / block))]
        drawn = [(start + step) % n for start in starts for step in range(block)][:n]
        perplexity = [math.exp(math.fsum(losses[i] for i in drawn) / n) for losses in (a, b)]
        differences.append(perplexity[0] - perplexity[1])
    differences.sort()
    # numpy.quantile's default at 0.025 and 0.975 of 10001 values: no interpolation is left to do.
    return differences[250], differences[9750]


def main():
    texts = random.Random(7)
    goldens = []
    for n, block in [(9, 1), (18, 2), (96, 1), (29, 3), (96, 5)]:
        b = [round(texts.gauss(3.8, 0.2), 6) for _ in range(n)]
        a = [round(loss + texts.gauss(0.02, 0.01), 6) for loss in b]
        low, high = interval(a, b, block)
        goldens.append({"a": a, "b": b, "block_windows": block, "low": low, "high": high})
    print(json.dumps({"python": platform.python_version(), "intervals": goldens}, indent=1))


main()
