#include "harness/explain.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <vector>

#include "eval/calibration.h"
#include "eval/protocols.h"
#include "harness/authors_calibration.h"
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

  // Returns the thing's number, from 0.
  std::size_t Add(const Thing& thing, std::size_t point) {
    auto found = std::find_if(entries_.begin(), entries_.end(),
                              [&](const Entry& entry) { return entry.thing == thing; });
    if (found == entries_.end())
      found = entries_.insert(entries_.end(), {.thing = thing, .points = {}});
    if (found->points.empty() || found->points.back() != point) found->points.push_back(point);
    return static_cast<std::size_t>(found - entries_.begin());
  }

  const std::vector<Entry>& entries() const { return entries_; }

 private:
  std::vector<Entry> entries_;
};

// "1-3, 5" of 0-based 0 1 2 4, increasing.
std::string NumberRanges(const std::vector<std::size_t>& numbers) {
  std::string text;
  for (std::size_t i = 0; i < numbers.size();) {
    std::size_t last = i;
    while (last + 1 < numbers.size() && numbers[last + 1] == numbers[last] + 1) ++last;
    text.append(text.empty() ? "" : ", ").append(fmt::format("{}", numbers[i] + 1));
    if (last > i) text.append(fmt::format("-{}", numbers[last] + 1));
    i = last + 1;
  }
  return text;
}

// " [points 1-3, 5]", or nothing where every point has it.
std::string PointsNote(const std::vector<std::size_t>& points, std::size_t all) {
  if (points.size() == all) return "";
  return fmt::format("  [{} {}]", points.size() == 1 ? "point" : "points", NumberRanges(points));
}

std::string Heading(std::string_view name) { return fmt::format("     {:<16}", name); }

std::string_view DefaultOrConfig(bool is_default) { return is_default ? "default" : "config"; }

std::string Line(std::string_view name, std::string_view value, std::string_view chosen_by,
                 std::string_view path) {
  return WrappedText(Heading(name), fmt::format("{} ({}): {}", value, chosen_by, MeaningOf(path)));
}

std::string ExplainSource(const TextSource& source, std::string_view chosen_by) {
  const std::string text =
      source.file.empty() ? fmt::format("{} of dataset {}", source.dataset_file, source.dataset)
                          : "file " + source.file.string();
  return WrappedText(Heading("text"), fmt::format("{} ({})", text, chosen_by));
}

std::string ExplainEvaluation(const EvaluationRequest& request) {
  const ProtocolInfo& info = *FindEvaluationProtocol(request.protocol);
  const bool usual_source = request.source.file.empty() && request.source.dataset == info.dataset &&
                            request.source.dataset_file == info.dataset_file;
  std::string text = WrappedText(
      Heading("protocol"), fmt::format("{}: {}. Source: {}", info.id, info.summary, info.source));
  text.append(ExplainSource(request.source, DefaultOrConfig(usual_source)));
  if (request.protocol != "ids") {
    text.append(Line("window_tokens", std::to_string(request.window_tokens),
                     DefaultOrConfig(request.window_tokens == info.window_tokens),
                     "evaluate.window_tokens"));
  }
  text.append(Line("max_windows",
                   request.max_windows ? std::to_string(*request.max_windows) : "all",
                   DefaultOrConfig(!request.max_windows), "evaluate.max_windows"));
  text.append(Line("stop_when",
                   request.stop_when
                       ? fmt::format("loss_vs_fp_stderr {}", request.stop_when->loss_vs_fp_stderr)
                       : "none",
                   DefaultOrConfig(!request.stop_when), "evaluate.stop_when"));
  return text.append(Line("token_metrics", request.token_metrics ? "true" : "false",
                          DefaultOrConfig(!request.token_metrics), "evaluate.token_metrics"));
}

// A calibration of one recipe or more, by their numbers in the list of recipes.
struct CalibrationUse {
  std::optional<CalibrationRequest> request;
  std::vector<std::size_t> points;
  std::set<std::size_t> recipes;
  bool authors = true;  // it is what the authors of every one of these use
};

class CalibrationUses {
 public:
  void Add(const RecipeRequest& request, std::size_t recipe, std::size_t point) {
    auto found = std::find_if(uses_.begin(), uses_.end(), [&](const CalibrationUse& use) {
      return use.request == request.calibration;
    });
    if (found == uses_.end()) {
      uses_.push_back({.request = request.calibration, .points = {}, .recipes = {}});
      found = uses_.end() - 1;
    }
    if (found->points.empty() || found->points.back() != point) found->points.push_back(point);
    found->recipes.insert(recipe);
    if (FindAuthorsCalibration(request.recipe.method) != request.calibration)
      found->authors = false;
  }

  const std::vector<CalibrationUse>& uses() const { return uses_; }

 private:
  std::vector<CalibrationUse> uses_;
};

std::string ExplainCalibration(const CalibrationRequest& request, bool is_authors) {
  const CalibrationProtocol& protocol = *FindCalibrationProtocol(request.protocol);
  const auto chosen_by = [&](bool is_default) {
    return is_authors ? "authors" : is_default ? "default" : "config";
  };
  std::string text = WrappedText(
      Heading("protocol"), fmt::format("{} ({}): {}. Source: {}", protocol.id, chosen_by(false),
                                       protocol.summary, protocol.source));
  const bool usual_source = request.source.file.empty() &&
                            request.source.dataset == protocol.dataset &&
                            request.source.dataset_file == protocol.dataset_file;
  text.append(ExplainSource(request.source, chosen_by(usual_source)));
  const auto add = [&](std::string_view key, const std::optional<std::int64_t>& value,
                       const std::optional<std::int64_t>& usual) {
    if (!value) return;
    text.append(Line(key, std::to_string(*value), chosen_by(value == usual),
                     fmt::format("calibration.{}", key)));
  };
  add("windows", request.windows, protocol.windows);
  add("documents", request.documents, protocol.documents);
  if (protocol.window_tokens) add("window_tokens", request.window_tokens, protocol.window_tokens);
  add("seed", request.seed, protocol.seed);
  return text;
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
  CalibrationUses calibrations;
  for (std::size_t i = 0; i < experiment.points.size(); ++i) {
    const Experiment& point = experiment.points[i];
    models.Add(point.model, i);
    for (const EvaluationRequest& request : point.evaluations) evaluations.Add(request, i);
    for (const RecipeRequest& request : point.recipes) {
      calibrations.Add(request, recipes.Add(request.recipe, i), i);
    }
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
  for (const CalibrationUse& use : calibrations.uses()) {
    const std::vector<std::size_t> users(use.recipes.begin(), use.recipes.end());
    text.append(fmt::format("  {}. {}{}\n", ++number, use.request ? use.request->protocol : "none",
                            PointsNote(use.points, all)));
    text.append(WrappedText(
        Heading("for"),
        fmt::format("{} {}", users.size() == 1 ? "recipe" : "recipes", NumberRanges(users))));
    if (use.request) text.append(ExplainCalibration(*use.request, use.authors));
  }
  text.append("\nHeld out\n");
  const std::optional<CalibrationRequest>& held_out = experiment.points.front().held_out;
  text.append(WrappedText("  ", fmt::format("{} ({}): {}", held_out ? held_out->protocol : "none",
                                            DefaultOrConfig(!held_out), MeaningOf("held_out"))));
  if (held_out) text.append(ExplainCalibration(*held_out, false));
  return text;
}

}  // namespace daq
