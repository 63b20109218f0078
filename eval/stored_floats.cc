#include "eval/stored_floats.h"

#include <bit>
#include <cstdint>
#include <cstring>

namespace daq {
namespace {

// A load that works at any address; compilers make one instruction of it, or of eight of them.
template <typename Bits>
Bits Load(const std::byte* from) {
  Bits bits;
  std::memcpy(&bits, from, sizeof(bits));
  return bits;
}

// IEEE half by integer arithmetic, without a branch, so that the loop vectorises on any x86-64;
// conversion through _Float16 calls a library function for each value unless the processor has
// F16C.
std::uint32_t WidenF16(std::uint32_t half) {
  const std::uint32_t sign = (half & 0x8000U) << 16U;
  const std::uint32_t magnitude = (half & 0x7FFFU) << 13U;
  // Exponent 0 means mantissa * 2^-24: give it the exponent -14, which puts an implicit 1 before
  // the mantissa, and subtract that 1 again.
  const std::uint32_t tiny =
      std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude + (113U << 23U)) - 0x1p-14F);
  const std::uint32_t normal = magnitude + (112U << 23U);  // exponent bias 127 for 15
  const std::uint32_t is_tiny = magnitude < (1U << 23U) ? ~0U : 0U;
  // Infinity and NaN come out as large finite numbers; the caller refuses them by the stored
  // exponent.
  return sign | (tiny & is_tiny) | (normal & ~is_tiny);
}

}  // namespace

bool ParseFloatType(std::string_view name, FloatType* type) {
  if (name == "F32")
    *type = FloatType::kF32;
  else if (name == "F16")
    *type = FloatType::kF16;
  else if (name == "BF16")
    *type = FloatType::kBF16;
  else
    return false;
  return true;
}

bool ConvertStoredFloats(FloatType type, const std::byte* stored, std::span<float> to) {
  // Each loop also notes whether an exponent has all bits set, which means infinity or NaN.
  std::uint32_t bad = 0;
  const std::size_t count = to.size();
  float* out = to.data();
  switch (type) {
    case FloatType::kF32:
      for (std::size_t i = 0; i < count; ++i) {
        const auto bits = Load<std::uint32_t>(stored + i * 4);
        bad |= (bits & 0x7F800000U) == 0x7F800000U ? 1U : 0U;
        out[i] = std::bit_cast<float>(bits);
      }
      break;
    case FloatType::kF16:
      for (std::size_t i = 0; i < count; ++i) {
        const std::uint32_t bits = Load<std::uint16_t>(stored + i * 2);
        bad |= (bits & 0x7C00U) == 0x7C00U ? 1U : 0U;
        out[i] = std::bit_cast<float>(WidenF16(bits));
      }
      break;
    case FloatType::kBF16:
      for (std::size_t i = 0; i < count; ++i) {
        const std::uint32_t bits = Load<std::uint16_t>(stored + i * 2);
        bad |= (bits & 0x7F80U) == 0x7F80U ? 1U : 0U;
        out[i] = std::bit_cast<float>(bits << 16U);
      }
      break;
  }
  return bad == 0;
}

}  // namespace daq
