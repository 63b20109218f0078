#pragma once
#include <cstdint>
#include <string_view>

#include "base/error.h"

namespace daq {

// "12GiB" -> 12 * 2^30. A positive whole number directly followed by B, KB, MB, GB, TB (powers of
// 1000) or KiB, MiB, GiB, TiB (powers of 1024). Throws InputError at `where` and `key` for anything
// else (a bare number too: its unit would be a guess) and for 2^64 or more.
std::uint64_t ParseByteSize(std::string_view text, const FileLocation& where, std::string_view key);

}  // namespace daq
