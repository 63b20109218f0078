#pragma once
#include <cstdint>
#include <vector>

namespace daq {

// numpy.random.default_rng(seed).permutation(n): the numbers 0 .. n - 1 in the order in which
// Hugging Face's Dataset.shuffle(seed=seed) puts n rows. 0 <= seed < 2^64, 0 <= n < 2^32.
//
// NumPy makes it of a SeedSequence (Melissa O'Neill's seed_seq_fe128, "Developing a seed_seq
// alternative", 2015), the PCG XSL-RR 128/64 generator (O'Neill, HMC-CS-2014-0905), whose 64-bit
// outputs serve as two 32-bit ones, low half first, and a Fisher-Yates shuffle from the end. NumPy
// does not promise to keep the stream between versions, but has since 1.17; tests/golden/random has
// vectors of it.
std::vector<std::int64_t> NumpyPermutation(std::uint64_t seed, std::int64_t n);

}  // namespace daq
