#include "base/python_random.h"

#include <array>
#include <bit>
#include <vector>

#include "base/error.h"

namespace daq {
namespace {

// Feeds std::mt19937 the state that the reference implementation's init_by_array gives (Matsumoto
// and Nishimura 2002; CPython's Modules/_randommodule.c calls it with the seed's 32-bit words,
// lowest first). std::mt19937 takes the 624 words from generate() as they are.
class InitByArray {
 public:
  using result_type = std::uint32_t;
  explicit InitByArray(std::uint64_t seed) {
    key_.push_back(static_cast<std::uint32_t>(seed));
    if (seed >> 32U != 0) key_.push_back(static_cast<std::uint32_t>(seed >> 32U));
  }

  template <typename Iterator>
  void generate(Iterator begin, Iterator end) const {
    constexpr std::size_t kWords = 624;
    DAQ_CHECK(static_cast<std::size_t>(end - begin) == kWords, "mt19937 asks for its whole state");
    std::array<std::uint32_t, kWords> state{};
    state[0] = 19650218U;
    for (std::uint32_t i = 1; i < kWords; ++i)
      state[i] = 1812433253U * (state[i - 1] ^ (state[i - 1] >> 30U)) + i;
    std::size_t i = 1;
    const auto previous = [&] { return state[i - 1] ^ (state[i - 1] >> 30U); };
    const auto advance = [&] {
      if (++i == kWords) {
        state[0] = state[kWords - 1];
        i = 1;
      }
    };
    for (std::size_t step = 0, j = 0; step < kWords; ++step) {
      state[i] = (state[i] ^ (previous() * 1664525U)) + key_[j] + static_cast<std::uint32_t>(j);
      advance();
      j = (j + 1) % key_.size();
    }
    for (std::size_t step = 0; step + 1 < kWords; ++step) {
      state[i] = (state[i] ^ (previous() * 1566083941U)) - static_cast<std::uint32_t>(i);
      advance();
    }
    state[0] = 0x80000000U;
    for (std::size_t word = 0; word < kWords; ++word, ++begin) *begin = state[word];
  }

 private:
  std::vector<std::uint32_t> key_;
};

std::mt19937 Seeded(std::uint64_t seed) {
  InitByArray sequence(seed);
  return std::mt19937(sequence);
}

}  // namespace

PythonRandom::PythonRandom(std::uint64_t seed) : generator_(Seeded(seed)) {}

std::uint32_t PythonRandom::GetRandBits(int bits) {
  DAQ_CHECK(bits >= 1 && bits <= 32, "getrandbits of one word");
  return static_cast<std::uint32_t>(generator_()) >> static_cast<unsigned>(32 - bits);
}

std::int64_t PythonRandom::RandInt(std::int64_t low, std::int64_t high) {
  DAQ_CHECK(low <= high && high - low < 0xffffffffLL, "randint's range");
  // CPython's _randbelow_with_getrandbits: draw as many bits as n has until the draw is below n.
  const auto n = static_cast<std::uint64_t>(high - low + 1);
  const int bits = static_cast<int>(std::bit_width(n));
  std::uint64_t draw = GetRandBits(bits);
  while (draw >= n) draw = GetRandBits(bits);
  return low + static_cast<std::int64_t>(draw);
}

}  // namespace daq
