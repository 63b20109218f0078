#pragma once
#include <cstddef>
#include <span>
#include <string_view>

namespace daq {

// The float types that weights are read from.
enum class FloatType { kF32, kF16, kBF16 };

constexpr std::size_t FloatBytes(FloatType type) { return type == FloatType::kF32 ? 4 : 2; }

// From the name in a safetensors header; false for any other type.
bool ParseFloatType(std::string_view name, FloatType* type);

// Converts to.size() little-endian values at `stored`, which need not be aligned, to float32.
// Exact: each stored value, subnormal ones and signed zeros included, is a float32. Returns whether
// all of them are finite.
bool ConvertStoredFloats(FloatType type, const std::byte* stored, std::span<float> to);

}  // namespace daq
