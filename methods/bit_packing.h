#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

namespace daq {

// Bytes that `count` codes of `bits` bits take: ceil(count * bits / 8).
inline std::size_t PackedBytes(std::size_t count, int bits) {
  return count / 8 * static_cast<std::size_t>(bits) +
         (count % 8 * static_cast<std::size_t>(bits) + 7) / 8;
}

// Writes codes, each < 2^bits, one after the other, lowest bits first: code i takes bits i * bits
// .. of the stream, and bit b of the stream is bit b % 8 of byte b / 8. packed has
// PackedBytes(codes.size(), bits); its last bits are 0.
void PackBits(std::span<const std::uint8_t> codes, int bits, std::span<std::uint8_t> packed);

// The inverse.
void UnpackBits(std::span<const std::uint8_t> packed, int bits, std::span<std::uint8_t> codes);

// The same for whole numbers of any width up to 32 bits, each < 2^bits; one at a time, for what a
// matrix has few of. bits may be 0: every number is then 0 and takes no room.
void PackNumbers(std::span<const std::uint32_t> numbers, int bits, std::span<std::uint8_t> packed);
void UnpackNumbers(std::span<const std::uint8_t> packed, int bits,
                   std::span<std::uint32_t> numbers);

}  // namespace daq
