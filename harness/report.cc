#include "harness/report.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/error.h"
#include "harness/report_cells.h"
#include "harness/report_markdown.h"

namespace daq {
namespace {

using Json = nlohmann::ordered_json;

std::string CsvField(const Json& value) {
  if (value.is_null()) return "";
  const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
  if (text.find_first_of(",\"\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted.append(c == '"' ? "\"\"" : std::string(1, c));
  return quoted + "\"";
}

// Of the metric, in the order of the columns; what it lacks stays empty.
constexpr std::array kCsvMetricFields = {"dataset",
                                         "window_tokens",
                                         "windows",
                                         "tokens",
                                         "perplexity",
                                         "stderr",
                                         "loss_vs_fp",
                                         "loss_vs_fp_stderr",
                                         "loss_vs_fp_low",
                                         "loss_vs_fp_high",
                                         "loss_reduction",
                                         "loss_reduction_low",
                                         "loss_reduction_high",
                                         "best_baseline",
                                         "against",
                                         "difference",
                                         "difference_low",
                                         "difference_high",
                                         "significant",
                                         "kl_mean",
                                         "kl_p50",
                                         "kl_p90",
                                         "kl_p99",
                                         "top1_agreement"};

void AppendLine(const std::vector<Json>& fields, std::string* text) {
  for (std::size_t i = 0; i < fields.size(); ++i)
    text->append(i == 0 ? "" : ",").append(CsvField(fields[i]));
  text->append("\n");
}

std::string CsvReport(const Manifest& manifest, const ReportCells& cells) {
  constexpr std::array kCellFields = {"transform", "range",       "rounding",
                                      "format",    "granularity", "bits_per_weight"};
  std::string text;
  std::vector<Json> titles = {"model", "model_sha256", "method"};
  titles.insert(titles.end(), kCellFields.begin(), kCellFields.end());
  titles.insert(titles.end(), {"calibration", "evaluation", "protocol"});
  titles.insert(titles.end(), kCsvMetricFields.begin(), kCsvMetricFields.end());
  titles.insert(titles.end(), {"quantize_seconds", "evaluate_seconds", "output_error_vs_rtn",
                               "held_out_error_vs_rtn", "status", "error"});
  AppendLine(titles, &text);
  for (std::size_t row = 0; row < manifest.rows.size(); ++row) {
    for (std::size_t column = 0; column < manifest.columns.size(); ++column) {
      const ReportCell* found = cells.Find(row, column);
      if (found == nullptr) continue;
      const Json& cell = found->cell;
      std::vector<Json> fields = {manifest.rows[row].model, cell.at("model_sha256"),
                                  manifest.rows[row].method};
      for (const char* name : kCellFields) fields.push_back(cell.at(name));
      fields.insert(fields.end(), {manifest.rows[row].calibration, manifest.columns[column].title,
                                   manifest.columns[column].protocol});
      for (const char* name : kCsvMetricFields)
        fields.push_back(found->metric.contains(name) ? found->metric.at(name) : Json());
      fields.insert(fields.end(),
                    {cell.at("seconds").at("quantize"), cell.at("seconds").at("evaluate"),
                     MeanErrorRatio(cell, "output_error_vs_rtn"),
                     MeanErrorRatio(cell, "held_out_error_vs_rtn"), cell.at("status"),
                     found->failed ? cell.at("error") : Json()});
      AppendLine(fields, &text);
    }
  }
  return text;
}

std::string JsonReport(const Manifest& manifest, const ReportCells& cells) {
  Json all = Json::array();
  for (std::size_t row = 0; row < manifest.rows.size(); ++row) {
    Json object;
    bool from_failed = true;
    for (std::size_t column = 0; column < manifest.columns.size(); ++column) {
      const ReportCell* found = cells.Find(row, column);
      if (found == nullptr) continue;
      // What evaluations share (layers, bits) is in cells that are done.
      if (object.is_null() || (from_failed && !found->failed)) {
        const Json failed = std::exchange(object, found->cell);
        object["model"] = manifest.rows[row].model;
        object["metrics"] = Json::object();
        object["seconds"]["evaluate"] = 0.0;
        if (!failed.is_null()) {
          object["status"] = "failed";
          object["error"] = failed.at("error");
        }
        from_failed = found->failed;
      }
      if (found->failed) {
        object["status"] = "failed";
        object["error"] = found->cell.at("error");
        continue;
      }
      object["metrics"][manifest.columns[column].title] = found->metric;
      object["seconds"]["evaluate"] = object["seconds"]["evaluate"].get<double>() +
                                      found->cell.at("seconds").at("evaluate").get<double>();
      object["peak_rss_bytes"] = std::max(object.at("peak_rss_bytes").get<std::uint64_t>(),
                                          found->cell.at("peak_rss_bytes").get<std::uint64_t>());
    }
    if (!object.is_null()) all.push_back(std::move(object));
  }
  return all.dump(1) + "\n";
}

}  // namespace

std::string Report(const Manifest& manifest, const std::filesystem::path& folder,
                   ReportFormat format, const std::string& against) {
  const ReportCells cells(manifest, folder, against);
  switch (format) {
    case ReportFormat::kMarkdown:
      return MarkdownReport(manifest, cells, against);
    case ReportFormat::kCsv:
      return CsvReport(manifest, cells);
    case ReportFormat::kJson:
      return JsonReport(manifest, cells);
  }
  DAQ_CHECK(false, "a report format");
  return {};
}

std::string JoinReports(const std::vector<std::string>& reports, ReportFormat format) {
  if (format == ReportFormat::kJson && reports.size() > 1) {
    Json all = Json::array();
    for (const std::string& report : reports) {
      for (Json& object : Json::parse(report)) all.push_back(std::move(object));
    }
    return all.dump(1) + "\n";
  }
  std::string text;
  for (const std::string& report : reports) {
    if (text.empty())
      text = report;
    else if (format == ReportFormat::kCsv)
      text.append(report, report.find('\n') + 1);
    else
      text.append("\n").append(report);
  }
  return text;
}

}  // namespace daq
