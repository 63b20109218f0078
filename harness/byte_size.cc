#include "harness/byte_size.h"

#include <charconv>
#include <limits>
#include <system_error>

#include "harness/yaml_value.h"

namespace daq {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t bytes;
};

constexpr Unit kUnits[] = {{"B", 1},
                           {"KB", 1000},
                           {"MB", 1000'000},
                           {"GB", 1000'000'000},
                           {"TB", 1000'000'000'000},
                           {"KiB", std::uint64_t{1} << 10},
                           {"MiB", std::uint64_t{1} << 20},
                           {"GiB", std::uint64_t{1} << 30},
                           {"TiB", std::uint64_t{1} << 40}};

}  // namespace

std::uint64_t ParseByteSize(std::string_view text, const FileLocation& where,
                            std::string_view key) {
  std::uint64_t number = 0;
  const char* end = text.data() + text.size();
  const std::from_chars_result parsed = std::from_chars(text.data(), end, number);
  const std::string_view name(parsed.ptr, static_cast<std::size_t>(end - parsed.ptr));
  const bool usual = parsed.ec == std::errc() && number > 0 && text.front() != '0';
  for (const Unit& unit : kUnits) {
    if (!usual || name != unit.name) continue;
    if (number > std::numeric_limits<std::uint64_t>::max() / unit.bytes) break;
    return number * unit.bytes;
  }
  throw InputError(
      where, key,
      "a size such as 12GiB (a whole number and B, KB, MB, GB, TB, KiB, MiB, GiB or TiB)",
      text.empty() ? "nothing" : DescribeScalar(text, /*quoted=*/false));
}

}  // namespace daq
