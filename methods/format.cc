#include "methods/format.h"

#include <fmt/format.h>

#include "base/error.h"

namespace daq {

Index GroupsPerRow(const Format& format, Index in_features, const std::string& layer) {
  if (format.group_size == 0) return 1;
  if (format.group_size < 0 || in_features % format.group_size != 0) {
    throw InputError({layer}, "format.group",
                     fmt::format("a divisor of in_features {}", in_features),
                     fmt::format("{}", format.group_size));
  }
  return in_features / format.group_size;
}

Index GroupLength(const Format& format, Index in_features) {
  return format.group_size == 0 ? in_features : format.group_size;
}

std::string FormatName(const Format& format) {
  const bool symmetric_by_default = !format.codebook.integer;
  if (format.symmetric == symmetric_by_default) return format.codebook.name;
  return format.codebook.name + (format.symmetric ? "-sym" : "-asym");
}

std::string GranularityName(const Format& format) {
  return format.group_size == 0 ? "channel" : fmt::format("group-{}", format.group_size);
}

}  // namespace daq
