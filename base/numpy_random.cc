#include "base/numpy_random.h"

#include <array>
#include <bit>
#include <numeric>
#include <utility>

#include "base/error.h"

namespace daq {
namespace {

__extension__ using Uint128 = unsigned __int128;  // -Wpedantic: no ISO C++ has it

constexpr std::size_t kPoolWords = 4;

// The hash that SeedSequence takes words through; `constant` goes on to another value with each.
std::uint32_t HashWord(std::uint32_t word, std::uint32_t multiplier, std::uint32_t* constant) {
  word ^= *constant;
  *constant *= multiplier;
  word *= *constant;
  return word ^ (word >> 16U);
}

std::uint32_t MixWords(std::uint32_t x, std::uint32_t y) {
  const std::uint32_t mixed = 0xca01f9ddU * x - 0x4973f715U * y;
  return mixed ^ (mixed >> 16U);
}

// SeedSequence(seed).generate_state(4, uint64).
std::array<std::uint64_t, 4> GenerateState(std::uint64_t seed) {
  // A seed below 2^32 is one word of entropy, a larger one two; either way zeros fill the pool.
  std::array<std::uint32_t, kPoolWords> pool = {static_cast<std::uint32_t>(seed),
                                                static_cast<std::uint32_t>(seed >> 32U), 0, 0};
  std::uint32_t constant = 0x43b0d7e5U;
  constexpr std::uint32_t kMultiplier = 0x931e8875U;
  for (std::uint32_t& word : pool) word = HashWord(word, kMultiplier, &constant);
  for (std::size_t from = 0; from < kPoolWords; ++from) {
    for (std::size_t to = 0; to < kPoolWords; ++to) {
      if (from != to) pool[to] = MixWords(pool[to], HashWord(pool[from], kMultiplier, &constant));
    }
  }
  std::array<std::uint64_t, 4> state{};
  constant = 0x8b51f9ddU;
  for (std::size_t word = 0; word < 2 * state.size(); ++word) {
    const std::uint64_t half = HashWord(pool[word % kPoolWords], 0x58f38dedU, &constant);
    state[word / 2] |= half << (word % 2 == 0 ? 0U : 32U);
  }
  return state;
}

class Pcg64 {
 public:
  explicit Pcg64(std::uint64_t seed) {
    const std::array<std::uint64_t, 4> words = GenerateState(seed);
    increment_ = (Join(words[2], words[3]) << 1U) | 1U;
    Step();
    state_ += Join(words[0], words[1]);
    Step();
  }

  std::uint32_t NextWord() {
    if (has_high_) {
      has_high_ = false;
      return high_;
    }
    Step();
    const auto upper = static_cast<std::uint64_t>(state_ >> 64U);
    const std::uint64_t output =
        std::rotr(upper ^ static_cast<std::uint64_t>(state_), static_cast<int>(state_ >> 122U));
    has_high_ = true;
    high_ = static_cast<std::uint32_t>(output >> 32U);
    return static_cast<std::uint32_t>(output);
  }

  // A number in 0 .. highest: as many low bits as `highest` has, drawn until they are no larger.
  std::uint32_t Interval(std::uint32_t highest) {
    const std::uint32_t mask =
        highest == 0 ? 0 : 0xffffffffU >> static_cast<unsigned>(std::countl_zero(highest));
    std::uint32_t draw = NextWord() & mask;
    while (draw > highest) draw = NextWord() & mask;
    return draw;
  }

 private:
  static Uint128 Join(std::uint64_t high, std::uint64_t low) {
    return static_cast<Uint128>(high) << 64U | low;
  }

  void Step() { state_ = state_ * Join(0x2360ed051fc65da4ULL, 0x4385df649fccf645ULL) + increment_; }

  Uint128 state_ = 0;
  Uint128 increment_ = 0;
  bool has_high_ = false;  // the upper half of the last output is still to be given out
  std::uint32_t high_ = 0;
};

}  // namespace

std::vector<std::int64_t> NumpyPermutation(std::uint64_t seed, std::int64_t n) {
  DAQ_CHECK(n >= 0 && n <= 0xffffffffLL, "an interval of 32 bits");
  std::vector<std::int64_t> order(static_cast<std::size_t>(n));
  std::iota(order.begin(), order.end(), std::int64_t{0});
  Pcg64 generator(seed);
  for (std::size_t last = order.size(); last-- > 1;) {
    std::swap(order[last], order[generator.Interval(static_cast<std::uint32_t>(last))]);
  }
  return order;
}

}  // namespace daq
