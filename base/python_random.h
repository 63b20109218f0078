#pragma once
#include <cstdint>
#include <random>

namespace daq {

// CPython's random.Random(seed): the Mersenne Twister as random.seed(int) starts it, and randint.
// Evaluation and calibration texts of the published protocols are drawn with it.
class PythonRandom {
 public:
  // random.seed(seed) for 0 <= seed < 2^64.
  explicit PythonRandom(std::uint64_t seed);

  // random.getrandbits(bits), 1 <= bits <= 32.
  std::uint32_t GetRandBits(int bits);

  // random.randint(low, high), both ends included; requires low <= high and high - low < 2^32 - 1.
  std::int64_t RandInt(std::int64_t low, std::int64_t high);

 private:
  std::mt19937 generator_;
};

}  // namespace daq
