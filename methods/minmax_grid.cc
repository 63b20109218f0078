#include "methods/minmax_grid.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"

namespace daq {
namespace {

// The smallest range an integer grid is laid over: llm-awq's clamp.
constexpr float kSmallestIntegerRange = 1e-5F;

float AtLeastSmallestNormal(float scale) {
  return std::max(scale, std::numeric_limits<float>::min());
}

// highest - lowest over steps; where the difference alone exceeds float32, term by term.
float Step(const WeightInterval& interval, float floor, float steps) {
  const float length = interval.highest - interval.lowest;
  if (std::isfinite(length)) return std::max(length, floor) / steps;
  return interval.highest / steps - interval.lowest / steps;
}

GroupGrid Symmetric(const WeightInterval& interval, const Codebook& book) {
  const float largest = std::max(std::abs(interval.lowest), std::abs(interval.highest));
  if (book.integer)
    return {.scale = AtLeastSmallestNormal(std::max(largest, kSmallestIntegerRange) / book.last())};
  return {.scale = AtLeastSmallestNormal(largest / std::min(book.last(), -book.first()))};
}

GroupGrid AsymmetricInteger(const WeightInterval& interval, const GridRules& rules,
                            const Codebook& book) {
  const float scale = AtLeastSmallestNormal(Step(interval, kSmallestIntegerRange, book.last()));
  const float exact = -(interval.lowest / scale);
  if (!rules.round_zero_point) return {.scale = scale, .zero_point = exact + 0.0F};
  // Adding 0 turns -0 into 0. nearbyint rounds half to even, as torch.round does.
  return {.scale = scale,
          .zero_point = std::clamp(std::nearbyint(exact), 0.0F, book.last()) + 0.0F};
}

}  // namespace

WeightInterval IntervalOf(std::span<const float> weights) {
  WeightInterval interval{.lowest = weights.front(), .highest = weights.front()};
  for (const float weight : weights) {
    interval.lowest = std::min(interval.lowest, weight);
    interval.highest = std::max(interval.highest, weight);
  }
  return interval;
}

bool FitsInFloat32(const GroupGrid& grid, const Codebook& book) {
  return std::isfinite(grid.scale) &&
         std::isfinite((book.first() - grid.zero_point) * grid.scale) &&
         std::isfinite((book.last() - grid.zero_point) * grid.scale);
}

std::array<SettingSpec, kGridRuleCount> GridRuleSpecs() {
  return {
      SettingSpec{
          .name = "round_zero_point",
          .default_value = true,
          .meaning =
              "asymmetric integer grids: round the zero-point and clamp it into the code range, so "
              "that 0 is exact and the zero-point takes as few bits as a code; other formats have "
              "no whole zero-points and are not concerned",
          .source = "llm-awq and GPTQ round; the DAQ release does not"},
      SettingSpec{
          .name = "include_zero",
          .default_value = false,
          .meaning =
              "stretch each group's range to contain 0; matters to asymmetric groups of one sign",
          .source = "GPTQ does; llm-awq and the DAQ release do not"}};
}

GridRules ReadGridRules(const Settings& settings) {
  return {.round_zero_point = GetBool(settings, "round_zero_point"),
          .include_zero = GetBool(settings, "include_zero")};
}

std::string ExplainGrid(const GridRules& rules, const Format& format) {
  if (format.symmetric)
    return "symmetric: zero-point 0, neither round_zero_point nor include_zero matters";
  const std::string_view zero =
      rules.include_zero ? "range stretched to contain 0" : "range as the weights lie";
  if (!format.codebook.integer) {
    return fmt::format(
        "{}; zero-point real-valued, 32 bits ({} is no integer grid, round_zero_point does not "
        "matter)",
        zero, format.codebook.name);
  }
  if (rules.round_zero_point) {
    return fmt::format("{}; zero-point rounded and clamped to 0 .. {}, {} bits", zero,
                       format.codebook.last(), format.codebook.bits);
  }
  return fmt::format("{}; zero-point real-valued, 32 bits", zero);
}

bool HasIntegerZeroPoint(const GridRules& rules, const Format& format) {
  return format.codebook.integer && !format.symmetric && rules.round_zero_point;
}

void CheckGridFormat(const Format& format) {
  if (!format.symmetric) return;
  if (format.codebook.first() < 0.0F && format.codebook.last() > 0.0F) return;
  throw InputError({"format"}, "symmetric",
                   fmt::format("false for {}, whose values are of one sign", format.codebook.name),
                   "true");
}

GroupGrid LayGrid(const WeightInterval& interval, const GridRules& rules, const Format& format) {
  const Codebook& book = format.codebook;
  if (format.symmetric) return Symmetric(interval, book);
  WeightInterval range = interval;
  if (rules.include_zero || range.lowest == range.highest) {
    range.lowest = std::min(range.lowest, 0.0F);
    range.highest = std::max(range.highest, 0.0F);
  }
  if (book.integer) return AsymmetricInteger(range, rules, book);
  const float scale = AtLeastSmallestNormal(Step(range, 0.0F, book.last() - book.first()));
  return {.scale = scale, .zero_point = book.last() - range.highest / scale};
}

}  // namespace daq
