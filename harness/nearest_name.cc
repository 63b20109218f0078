#include "harness/nearest_name.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace daq {
namespace {

char LowerCase(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

}  // namespace

std::size_t EditDistance(std::string_view from, std::string_view to) {
  // Rows of the usual table: the distances of every prefix of `to` from one prefix of `from`.
  std::vector<std::size_t> before(to.size() + 1);
  std::vector<std::size_t> last(to.size() + 1);
  std::vector<std::size_t> row(to.size() + 1);
  for (std::size_t j = 0; j <= to.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= from.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= to.size(); ++j) {
      const char a = LowerCase(from[i - 1]);
      const char b = LowerCase(to[j - 1]);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a == b ? 0U : 1U)});
      if (i > 1 && j > 1 && a == LowerCase(to[j - 2]) && LowerCase(from[i - 2]) == b) {
        row[j] = std::min(row[j], before[j - 2] + 1);
      }
    }
    std::swap(before, last);
    std::swap(last, row);
  }
  return last[to.size()];
}

std::string_view NearestName(std::string_view name, std::span<const std::string_view> names) {
  std::string_view nearest;
  std::size_t least = 0;
  for (const std::string_view candidate : names) {
    const std::size_t longer = std::max(name.size(), candidate.size());
    const std::size_t shorter = std::min(name.size(), candidate.size());
    const bool begins = name.size() >= 3 && candidate.starts_with(name);
    if (longer - shorter > longer / 2 && !begins)
      continue;  // also keeps a hostile, endless name from costing time
    const std::size_t distance = EditDistance(name, candidate);
    if ((distance > longer / 2 && !begins) || (!nearest.empty() && distance >= least)) continue;
    nearest = candidate;
    least = distance;
  }
  return nearest;
}

std::string DidYouMean(std::string_view name, std::span<const std::string_view> names) {
  const std::string_view nearest = NearestName(name, names);
  return nearest.empty() ? "" : fmt::format(" (did you mean {}?)", nearest);
}

std::string OneOf(std::span<const std::string_view> names) {
  const std::string list = fmt::format("{}", fmt::join(names, ", "));
  return names.size() == 1 ? list : "one of " + list;
}

}  // namespace daq
