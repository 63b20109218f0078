#include "methods/bit_packing.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "base/error.h"

namespace daq {
namespace {

static_assert(std::endian::native == std::endian::little,
              "eight codes are read as one little-endian word");

// Eight codes of any width fill whole bytes, `Bits` of them. The width is a template parameter so
// that the shifts and the copy are constants.
template <int Bits>
void PackEights(std::span<const std::uint8_t> codes, std::uint8_t* packed) {
  for (std::size_t begin = 0; begin < codes.size(); begin += 8, packed += Bits) {
    std::uint64_t word = 0;
    for (std::size_t i = 0; i < 8; ++i) word |= std::uint64_t{codes[begin + i]} << (i * Bits);
    std::memcpy(packed, &word, Bits);
  }
}

template <int Bits>
void UnpackEights(const std::uint8_t* packed, std::span<std::uint8_t> codes) {
  constexpr std::uint64_t kMask = (1U << Bits) - 1;
  for (std::size_t begin = 0; begin < codes.size(); begin += 8, packed += Bits) {
    std::uint64_t word = 0;
    std::memcpy(&word, packed, Bits);
    for (std::size_t i = 0; i < 8; ++i)
      codes[begin + i] = static_cast<std::uint8_t>(word >> (i * Bits) & kMask);
  }
}

using PackFunction = void (*)(std::span<const std::uint8_t>, std::uint8_t*);
using UnpackFunction = void (*)(const std::uint8_t*, std::span<std::uint8_t>);
constexpr std::array<PackFunction, 9> kPack = {nullptr,       PackEights<1>, PackEights<2>,
                                               PackEights<3>, PackEights<4>, PackEights<5>,
                                               PackEights<6>, PackEights<7>, PackEights<8>};
constexpr std::array<UnpackFunction, 9> kUnpack = {
    nullptr,         UnpackEights<1>, UnpackEights<2>, UnpackEights<3>, UnpackEights<4>,
    UnpackEights<5>, UnpackEights<6>, UnpackEights<7>, UnpackEights<8>};

}  // namespace

void PackBits(std::span<const std::uint8_t> codes, int bits, std::span<std::uint8_t> packed) {
  DAQ_CHECK(bits >= 1 && bits <= 8 && packed.size() == PackedBytes(codes.size(), bits),
            "room for the codes");
  const std::size_t whole = codes.size() / 8 * 8;
  const std::size_t whole_bytes = PackedBytes(whole, bits);
  const PackFunction pack = kPack[static_cast<std::size_t>(bits)];
  pack(codes.first(whole), packed.data());
  if (whole == codes.size()) return;
  std::array<std::uint8_t, 8> last_codes{};
  std::array<std::uint8_t, 8> last_bytes{};
  std::memcpy(last_codes.data(), &codes[whole], codes.size() - whole);
  pack(last_codes, last_bytes.data());
  std::memcpy(&packed[whole_bytes], last_bytes.data(), packed.size() - whole_bytes);
}

void UnpackBits(std::span<const std::uint8_t> packed, int bits, std::span<std::uint8_t> codes) {
  DAQ_CHECK(bits >= 1 && bits <= 8 && packed.size() == PackedBytes(codes.size(), bits),
            "as many bytes as codes take");
  const std::size_t whole = codes.size() / 8 * 8;
  const std::size_t whole_bytes = PackedBytes(whole, bits);
  const UnpackFunction unpack = kUnpack[static_cast<std::size_t>(bits)];
  unpack(packed.data(), codes.first(whole));
  if (whole == codes.size()) return;
  std::array<std::uint8_t, 8> last_codes{};
  std::array<std::uint8_t, 8> last_bytes{};
  std::memcpy(last_bytes.data(), &packed[whole_bytes], packed.size() - whole_bytes);
  unpack(last_bytes.data(), last_codes);
  std::memcpy(&codes[whole], last_codes.data(), codes.size() - whole);
}

void PackNumbers(std::span<const std::uint32_t> numbers, int bits, std::span<std::uint8_t> packed) {
  DAQ_CHECK(bits >= 0 && bits <= 32 && packed.size() == PackedBytes(numbers.size(), bits),
            "room for the numbers");
  std::fill(packed.begin(), packed.end(), std::uint8_t{0});
  std::size_t at = 0;
  for (const std::uint32_t number : numbers) {
    for (int bit = 0; bit < bits; ++bit, ++at)
      packed[at / 8] = static_cast<std::uint8_t>(packed[at / 8] | (number >> bit & 1U) << (at % 8));
  }
}

void UnpackNumbers(std::span<const std::uint8_t> packed, int bits,
                   std::span<std::uint32_t> numbers) {
  DAQ_CHECK(bits >= 0 && bits <= 32 && packed.size() == PackedBytes(numbers.size(), bits),
            "as many bytes as the numbers take");
  std::size_t at = 0;
  for (std::uint32_t& number : numbers) {
    number = 0;
    for (int bit = 0; bit < bits; ++bit, ++at)
      number |= (static_cast<std::uint32_t>(packed[at / 8]) >> (at % 8) & 1U) << bit;
  }
}

}  // namespace daq
