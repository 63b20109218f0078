#include "harness/report_json.h"

#include <array>
#include <utility>

namespace daq {
namespace {

constexpr std::array<std::pair<const char*, double LayerReport::*>, 11> kFields = {{
    {"weight_mse", &LayerReport::weight_mse},
    {"weight_relative_error", &LayerReport::weight_relative_error},
    {"bits_per_weight", &LayerReport::bits_per_weight},
    {"clipped_share", &LayerReport::clipped_share},
    {"code_entropy_bits", &LayerReport::code_entropy_bits},
    {"lowest_weight", &LayerReport::lowest_weight},
    {"highest_weight", &LayerReport::highest_weight},
    {"dense_center", &LayerReport::dense_center},
    {"dense_width", &LayerReport::dense_width},
    {"range_center", &LayerReport::range_center},
    {"range_width", &LayerReport::range_width},
}};

constexpr std::array<std::pair<const char*, std::optional<double> LayerReport::*>, 5>
    kOptionalFields = {{
        {"output_mse", &LayerReport::output_mse},
        {"output_relative_error", &LayerReport::output_relative_error},
        {"output_error_vs_rtn", &LayerReport::output_error_vs_rtn},
        {"held_out_mse", &LayerReport::held_out_mse},
        {"held_out_error_vs_rtn", &LayerReport::held_out_error_vs_rtn},
    }};

}  // namespace

nlohmann::ordered_json ToJson(const LayerReport& report) {
  nlohmann::ordered_json json = {{"layer", report.layer}};
  for (const auto& [name, member] : kFields) json[name] = report.*member;
  for (const auto& [name, member] : kOptionalFields) {
    if (report.*member) json[name] = *(report.*member);
  }
  json["diagnostics"] = report.diagnostics;
  return json;
}

LayerReport LayerReportFromJson(const nlohmann::ordered_json& json) {
  LayerReport report;
  json.at("layer").get_to(report.layer);
  for (const auto& [name, member] : kFields) json.at(name).get_to(report.*member);
  for (const auto& [name, member] : kOptionalFields) {
    if (json.contains(name)) report.*member = json.at(name).get<double>();
  }
  json.at("diagnostics").get_to(report.diagnostics);
  return report;
}

}  // namespace daq
