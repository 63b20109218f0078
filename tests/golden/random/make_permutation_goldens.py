"""Makes permutations.json: numpy.random.default_rng(seed).permutation(n), which is the order in which Hugging Face's
Dataset.shuffle(seed=seed) puts n rows. 214670 is the number of rows of the Pile's validation set.

    pip install numpy
    python tests/golden/random/make_permutation_goldens.py > tests/golden/random/permutations.json
"""

import hashlib
import json

import numpy

SEEDS = [0, 42, 12345, 2**32 + 5, 2**64 - 1]
LENGTHS = [0, 1, 2, 3, 10, 1000, 214670]


def main():
    print("[")
    for seed in SEEDS:
        for n in LENGTHS:
            order = numpy.random.default_rng(seed).permutation(n)
            last = (seed, n) == (SEEDS[-1], LENGTHS[-1])
            print(
                json.dumps(
                    {
                        "seed": seed,
                        "n": n,
                        "first": order[:10].tolist(),
                        "last": order[-5:].tolist(),
                        # of the numbers as little-endian 64-bit integers
                        "sha256": hashlib.sha256(order.astype("<i8").tobytes()).hexdigest(),
                        "numpy": numpy.__version__,
                    }
                )
                + ("" if last else ",")
            )
    print("]")


main()
