#include "harness/explain.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "eval/protocols.h"
#include "harness/config_schema.h"
#include "harness/explain_recipe.h"
#include "harness/recipe_json.h"
#include "harness/recipe_label.h"
#include "harness/wrapped_text.h"

namespace daq {
namespace {

// Things of one kind that points have in common, each with the points that have it.
template <typename Thing>
class Shared {
 public:
  struct Entry {
    Thing thing;
    std::vector<std::size_t> points;
  };

  void Add(const Thing& thing, std::size_t point) {
    auto found = std::find_if(entries_.begin(), entries_.end(),
                              [&](const Entry& entry) { return entry.thing == thing; });
    if (found == entries_.end())
      found = entries_.insert(entries_.end(), {.thing = thing, .points = {}});
    found->points.push_back(point);
  }

  const std::vector<Entry>& entries() const { return entries_; }

 private:
  std::vector<Entry> entries_;
};

// " [points 1-3, 5]", or nothing where every point has it.
std::string PointsNote(const std::vector<std::size_t>& points, std::size_t all) {
  if (points.size() == all) return "";
  std::string note;
  for (std::size_t i = 0; i < points.size();) {
    std::size_t last = i;
    while (last + 1 < points.size() && points[last + 1] == points[last] + 1) ++last;
    note.append(note.empty() ? "" : ", ").append(fmt::format("{}", points[i] + 1));
    if (last > i) note.append(fmt::format("-{}", points[last] + 1));
    i = last + 1;
  }
  return fmt::format("  [{} {}]", points.size() == 1 ? "point" : "points", note);
}

std::string Heading(std::string_view name) { return fmt::format("     {:<16}", name); }

std::string Line(std::string_view name, std::string_view value, bool is_default,
                 std::string_view path) {
  return WrappedText(
      Heading(name),
      fmt::format("{} ({}): {}", value, is_default ? "default" : "config", MeaningOf(path)));
}

std::string ExplainSource(const TextSource& source, bool is_default) {
  const std::string text =
      source.file.empty() ? fmt::format("{} of dataset {}", source.dataset_file, source.dataset)
                          : "file " + source.file.string();
  return WrappedText(Heading("text"),
                     fmt::format("{} ({})", text, is_default ? "default" : "config"));
}

std::string ExplainEvaluation(const EvaluationRequest& request) {
  const ProtocolInfo& info = *FindEvaluationProtocol(request.protocol);
  const EvaluationRequest usual;
  const bool usual_source = request.source.file.empty() && request.source.dataset == info.dataset &&
                            request.source.dataset_file == info.dataset_file;
  std::string text = WrappedText(
      Heading("protocol"), fmt::format("{}: {}. Source: {}", info.id, info.summary, info.source));
  text.append(ExplainSource(request.source, usual_source));
  if (request.protocol != "ids") {
    text.append(Line("window_tokens", std::to_string(request.window_tokens),
                     request.window_tokens == usual.window_tokens, "evaluate.window_tokens"));
  }
  return text.append(Line("max_windows",
                          request.max_windows ? std::to_string(*request.max_windows) : "all",
                          !request.max_windows, "evaluate.max_windows"));
}

std::string ExplainCalibration(const CalibrationRequest& request) {
  const CalibrationRequest usual;
  std::string text = Line("protocol", request.protocol, false, "calibration.protocol");
  text.append(ExplainSource(request.source, /*is_default=*/false));
  text.append(Line("windows", std::to_string(request.windows), request.windows == usual.windows,
                   "calibration.windows"));
  if (request.protocol != "ids") {
    text.append(Line("window_tokens", std::to_string(request.window_tokens),
                     request.window_tokens == usual.window_tokens, "calibration.window_tokens"));
  }
  return text.append(
      Line("seed", std::to_string(request.seed), request.seed == usual.seed, "calibration.seed"));
}

std::string ExplainSweep(const ExperimentFile& experiment) {
  if (experiment.points.front().sweep_point.empty()) return "";
  std::string text = "\nSweep\n";
  for (std::size_t i = 0; i < experiment.points.size(); ++i) {
    std::string label;
    for (const auto& [key, value] : experiment.points[i].sweep_point) {
      label.append(fmt::format("{}{} = {}", label.empty() ? "" : ", ", key, value));
    }
    text.append(WrappedText(fmt::format("  point {:>5}  ", i + 1), label));
  }
  return text;
}

}  // namespace

std::string Explain(const ExperimentFile& experiment) {
  Shared<std::string> models;
  Shared<Recipe> recipes;
  Shared<EvaluationRequest> evaluations;
  Shared<std::optional<CalibrationRequest>> calibrations;
  for (std::size_t i = 0; i < experiment.points.size(); ++i) {
    const Experiment& point = experiment.points[i];
    models.Add(point.model, i);
    calibrations.Add(point.calibration, i);
    for (const EvaluationRequest& request : point.evaluations) evaluations.Add(request, i);
    for (const RecipeRequest& request : point.recipes) recipes.Add(request.recipe, i);
  }
  const std::size_t all = experiment.points.size();
  std::string text =
      fmt::format("# {}: {} with every default\n\n", experiment.path.string(), experiment.name);
  for (const auto& [model, points] : models.entries()) {
    text.append(fmt::format("model          {}{}\n", model, PointsNote(points, all)));
  }
  text.append(
      experiment.memory_budget_bytes
          ? fmt::format("memory_budget  {} bytes (config)\n", *experiment.memory_budget_bytes)
          : "memory_budget  70 % of the machine's memory (default)\n");
  text.append(ExplainSweep(experiment));
  text.append("\nRecipes\n");
  int number = 0;
  for (const auto& [recipe, points] : recipes.entries()) {
    text.append(
        fmt::format("  {}. {}{}\n", ++number, RecipeLabel(recipe), PointsNote(points, all)));
    text.append(ExplainRecipe(recipe));
  }
  text.append("\nEvaluations\n");
  number = 0;
  for (const auto& [request, points] : evaluations.entries()) {
    text.append(fmt::format("  {}. {}{}\n", ++number, request.name, PointsNote(points, all)));
    text.append(ExplainEvaluation(request));
  }
  text.append("\nCalibration\n");
  number = 0;
  for (const auto& [request, points] : calibrations.entries()) {
    text.append(fmt::format("  {}. {}{}\n", ++number, request ? request->protocol : "none",
                            PointsNote(points, all)));
    if (request) text.append(ExplainCalibration(*request));
  }
  return text;
}

}  // namespace daq
