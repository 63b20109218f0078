#include "harness/report_remarks.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/bootstrap.h"
#include "harness/report_tables.h"

namespace daq {
namespace {

using Json = nlohmann::ordered_json;

// What an evaluation is: text, windows, hash; and why no interval stands in the table, if that is
// so.
std::string EvaluationNote(const std::string& title, const Json& metric) {
  const auto windows =
      metric.at(metric.contains("windows_of_text") ? "windows_of_text" : "windows").get<Index>();
  return fmt::format(
      "{}: {}, {} {} of {} tokens, ids sha256 {}{}", title, metric.at("dataset").get<std::string>(),
      windows, windows == 1 ? "window" : "windows", metric.at("window_tokens").get<Index>(),
      metric.at("ids_sha256").get<std::string>().substr(0, 12),
      HasInterval(windows, UsualBlockWindows(windows)) ? ""
                                                       : ", too few windows for 95 % intervals");
}

bool Has(const std::vector<std::string>& texts, const std::string& text) {
  return std::find(texts.begin(), texts.end(), text) != texts.end();
}

}  // namespace

void ReportRemarks::AddNote(const std::string& text, const std::string& of,
                            std::vector<Note>* notes) {
  auto found = std::find_if(notes->begin(), notes->end(),
                            [&](const Note& other) { return other.text == text; });
  if (found == notes->end()) found = notes->insert(notes->end(), {.text = text});
  if (!Has(found->of, of)) found->of.push_back(of);
}

void ReportRemarks::Add(const Manifest::Row& row, const Manifest::Column& column,
                        const ReportCell& cell) {
  AddNote(cell.cell.at("model_sha256").get<std::string>().substr(0, 12), row.model, &models_);
  if (cell.failed) {
    AddNote(cell.cell.at("error"), fmt::format("{} on {}", RowLabel(row), column.title),
            &failures_);
    return;
  }
  AddNote(EvaluationNote(column.title, cell.metric), row.model, &evaluations_[&column]);
}

void ReportRemarks::AddSources(const ReportCell& cell) {
  for (std::string& source : PublishedSources(cell.metric)) {
    if (!Has(sources_, source)) sources_.push_back(std::move(source));
  }
}

std::string ReportRemarks::Heading(const std::string& model) const {
  return models_.empty() ? model : fmt::format("{} (sha256 {})", model, models_.front().text);
}

std::vector<std::string> ReportRemarks::LinesOfModels() const {
  std::vector<std::string> lines;
  for (const Note& note : models_)
    lines.push_back(fmt::format("{}: sha256 {}\n", fmt::join(note.of, ", "), note.text));
  return lines;
}

std::vector<std::string> ReportRemarks::Lines(const std::string& about_columns) const {
  std::vector<std::string> lines;
  for (const auto& [column, notes] : evaluations_) {
    // Models with different tokenizers read one text as different ids.
    for (const Note& note : notes) {
      lines.push_back(notes.size() == 1
                          ? note.text + "\n"
                          : fmt::format("{} ({})\n", note.text, fmt::join(note.of, ", ")));
    }
  }
  if (!about_columns.empty()) lines.push_back(about_columns);
  if (!sources_.empty()) lines.push_back(fmt::format("published: {}\n", fmt::join(sources_, "; ")));
  std::string failures;
  for (const Note& note : failures_)
    failures.append(fmt::format("failed: {}: {}\n", fmt::join(note.of, ", "), note.text));
  if (!failures.empty()) lines.push_back(failures);
  return lines;
}

}  // namespace daq
