#include "harness/experiment.h"

#include <fmt/format.h>

#include <map>

#include "base/file.h"
#include "harness/config_schema.h"
#include "harness/parse_experiment.h"
#include "harness/recipe_config.h"
#include "harness/recipe_json.h"
#include "harness/recipe_label.h"
#include "harness/sweep.h"
#include "harness/text_config.h"
#include "harness/yaml_value.h"

namespace daq {
namespace {

// Refuses what only shows beside the rest of the config: a method without the data it looks at, and
// the same quantiser twice, which would be one row of the table and not the two that were meant.
class RecipeChecks {
 public:
  explicit RecipeChecks(bool has_calibration) : has_calibration_(has_calibration) {}

  void Check(const YamlValue& value, const Recipe& recipe) {
    if (!has_calibration_ && NeedsCalibration(recipe)) {
      throw InputError(
          value.where(), value.path(),
          fmt::format("a calibration, because {} looks at layer inputs", MethodLabel(recipe)),
          "calibration: none");
    }
    const auto [first, is_new] = seen_.emplace(RecipeContent(recipe).dump(), value);
    if (!is_new) {
      throw InputError(value.where(), value.path(), "every quantiser once",
                       fmt::format("{}, which is {} on line {}", RecipeLabel(recipe),
                                   first->second.path(), first->second.where().line));
    }
  }

 private:
  bool has_calibration_;
  std::map<std::string, YamlValue> seen_;
};

Experiment ReadPoint(const YamlDocument& document, const std::filesystem::path& folder) {
  YamlMap map(YamlValue(document), "a map with model, evaluate and recipes", KeysBelow(""));
  Experiment point;
  const YamlValue model = map.Get("model", "a folder or a Hugging Face id");
  point.model = model.Text("a folder or a Hugging Face id");
  point.model_where = model.where();
  if (const std::optional<YamlValue> calibration = map.Find("calibration")) {
    point.calibration = ReadCalibration(*calibration, folder);
  }
  point.evaluations = ReadEvaluations(
      map.Get("evaluate", "a list of evaluations such as [gptq-wikitext2]"), folder);
  RecipeChecks checks(point.calibration.has_value());
  constexpr std::string_view kRecipes =
      "a list of recipes such as [fp16, {method: rtn, format: nf4}]";
  for (const YamlValue& value : map.Get("recipes", kRecipes).List(kRecipes)) {
    point.recipes.push_back({.recipe = ReadRecipe(value), .where = value.where()});
    checks.Check(value, point.recipes.back().recipe);
  }
  map.Find("memory_budget");  // of the file, not of a point
  map.Find("sweep");
  map.Finish("in a config");
  return point;
}

// Adds which point of the sweep has the mistake, unless the config has it without the sweep too.
InputError AtPoint(const InputError& error, const YamlDocument& document,
                   const std::filesystem::path& folder, const Sweep& sweep, std::size_t point) {
  if (sweep.line() == 0) return error;
  try {
    ReadPoint(document, folder);
  } catch (const InputError& without_sweep) {
    if (std::string_view(without_sweep.what()) == error.what()) return error;
  }
  std::string label;
  for (const auto& [key, value] : sweep.Label(point)) {
    label.append(fmt::format("{}{}: {}", label.empty() ? "" : ", ", key, ShortText(value)));
  }
  return InputError(
      fmt::format("{} (in the sweep of line {}, at {})", error.what(), sweep.line(), label));
}

}  // namespace

ExperimentFile ParseExperiment(std::string_view text, const std::filesystem::path& path) {
  const YamlDocument document = ParseYaml(text, path.string());
  ExperimentFile file{
      .name = path.stem().string(), .path = path, .memory_budget_bytes = {}, .points = {}};
  const Sweep sweep(document);
  for (std::size_t i = 0; i < sweep.points(); ++i) {
    const YamlDocument at_point = sweep.Document(i);
    try {
      file.points.push_back(ReadPoint(at_point, path.parent_path()));
    } catch (const InputError& error) {
      throw AtPoint(error, document, path.parent_path(), sweep, i);
    }
    file.points.back().sweep_point = sweep.Label(i);
  }
  if (const std::optional<YamlValue> budget = YamlValue(document).Child("memory_budget")) {
    file.memory_budget_bytes = budget->Bytes();
  }
  return file;
}

ExperimentFile ReadExperimentFile(const std::filesystem::path& path) {
  return ParseExperiment(ReadFile(path), path);
}

}  // namespace daq
