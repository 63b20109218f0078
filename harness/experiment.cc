#include "harness/experiment.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <utility>

#include "base/file.h"
#include "harness/authors_calibration.h"
#include "harness/config_schema.h"
#include "harness/parse_experiment.h"
#include "harness/recipe_config.h"
#include "harness/recipe_json.h"
#include "harness/recipe_label.h"
#include "harness/report_config.h"
#include "harness/sweep.h"
#include "harness/text_config.h"
#include "harness/yaml_value.h"

namespace daq {
namespace {

// The same quantiser twice would be one row of the table and not the two that were meant. A recipe
// that reads layer inputs is another one on another calibration.
class SeenRecipes {
 public:
  void Add(const YamlValue& value, const RecipeRequest& request) {
    const auto [first, is_new] = seen_.emplace(KeyOf(request), value);
    if (!is_new) {
      throw InputError(value.where(), value.path(), "every quantiser once",
                       fmt::format("{}, which is {} on line {}", RecipeLabel(request.recipe),
                                   first->second.path(), first->second.where().line));
    }
  }

 private:
  // Texts of the config end before a NUL, which YAML does not allow in one.
  static std::string KeyOf(const RecipeRequest& request) {
    std::string key = RecipeContent(request.recipe).dump();
    if (!request.calibration || !NeedsCalibration(request.recipe)) return key;
    const CalibrationRequest& calibration = *request.calibration;
    for (const std::string& text : {calibration.protocol, calibration.source.file.string(),
                                    calibration.source.dataset, calibration.source.dataset_file}) {
      key.append(text).push_back('\0');
    }
    return key.append(fmt::format("{} {} {} {}", calibration.windows.value_or(0),
                                  calibration.documents.value_or(0), calibration.window_tokens,
                                  calibration.seed.value_or(0)));
  }

  std::map<std::string, YamlValue> seen_;
};

// What `choice` means for a recipe that stands at `value`.
std::optional<CalibrationRequest> CalibrationOf(const YamlValue& value, const Recipe& recipe,
                                                const CalibrationChoice& choice) {
  if (recipe.full_precision) return std::nullopt;
  std::optional<CalibrationRequest> request = choice.request;
  if (choice.authors) {
    if (FindPreset(recipe.method) == nullptr) {
      throw InputError(value.where(), value.path() + ".calibration",
                       "a map or none, because a recipe without method has no authors",
                       "\"authors\"");
    }
    request = FindAuthorsCalibration(recipe.method);
    if (request) request->source.place = request->windows_place = choice.place;
  }
  if (!request && NeedsCalibration(recipe)) {
    throw InputError(
        value.where(), value.path(),
        fmt::format("a calibration, because {} looks at layer inputs", MethodLabel(recipe)),
        "calibration: none");
  }
  return request;
}

std::vector<RecipeRequest> ReadRecipes(YamlMap* map, const CalibrationChoice& for_all,
                                       const std::filesystem::path& folder) {
  constexpr std::string_view kRecipes =
      "a list of recipes such as [fp16, {method: rtn, format: nf4}]";
  std::vector<RecipeRequest> requests;
  SeenRecipes seen;
  for (const YamlValue& value : map->Get("recipes", kRecipes).List(kRecipes)) {
    RecipeRequest request{.recipe = ReadRecipe(value)};
    if (const std::optional<YamlValue> format = value.Child("format"))
      request.format_place = format->place();
    const std::optional<YamlValue> own = value.Child("calibration");
    request.calibration =
        CalibrationOf(value, request.recipe, own ? ReadCalibration(*own, folder) : for_all);
    seen.Add(value, request);
    requests.push_back(std::move(request));
  }
  return requests;
}

// Full precision's losses are what a stop_when looks at.
void CheckStopRules(const YamlValue& evaluate, const Experiment& point) {
  const bool has_full_precision =
      std::any_of(point.recipes.begin(), point.recipes.end(),
                  [](const RecipeRequest& request) { return request.recipe.full_precision; });
  if (has_full_precision) return;
  for (const YamlValue& item : evaluate.List("")) {
    if (const std::optional<YamlValue> rule = item.Child("stop_when"))
      throw InputError(rule->where(), rule->path(),
                       "fp16 among the recipes, whose losses the others are compared with", "none");
  }
}

Experiment ReadPoint(const YamlDocument& document, const std::filesystem::path& folder) {
  YamlMap map(YamlValue(document), "a map with model, evaluate and recipes", KeysBelow(""));
  Experiment point;
  const YamlValue model = map.Get("model", "a folder or a Hugging Face id");
  point.model = model.FileName("a folder or a Hugging Face id");
  point.model_place = model.place();
  CalibrationChoice calibration;
  if (const std::optional<YamlValue> value = map.Find("calibration")) {
    calibration = ReadCalibration(*value, folder);
  }
  const YamlValue evaluate = map.Get("evaluate", "a list of evaluations such as [gptq-wikitext2]");
  point.evaluations = ReadEvaluations(evaluate, folder);
  point.recipes = ReadRecipes(&map, calibration, folder);
  CheckStopRules(evaluate, point);
  if (const std::optional<YamlValue> value = map.Find("held_out")) {
    point.held_out = ReadHeldOut(*value, folder);
  }
  map.Find("memory_budget");  // of the file, not of a point
  map.Find("sweep");
  map.Find("report");
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

// A name stands for one code book, for tables and derived values tell books apart by their names.
// Built-in books cannot be others: a config's own must not have their names.
void CheckCodebookNames(const std::vector<Experiment>& points) {
  std::map<std::string, const RecipeRequest*> seen;
  for (const Experiment& point : points) {
    for (const RecipeRequest& request : point.recipes) {
      if (request.recipe.full_precision) continue;
      const Codebook& book = request.recipe.format.codebook;
      if (IsBuiltIn(book)) continue;
      const auto [first, is_new] = seen.emplace(book.name, &request);
      const Codebook& named = first->second->recipe.format.codebook;
      if (is_new || named == book) continue;
      throw InputError(
          request.format_place.where, request.format_place.path + ".codebook",
          fmt::format("another name than \"{}\", which line {} gives to [{}]", book.name,
                      first->second->format_place.where.line, fmt::join(named.values, ", ")),
          fmt::format("[{}]", fmt::join(book.values, ", ")));
    }
  }
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
  CheckCodebookNames(file.points);
  if (const std::optional<YamlValue> budget = YamlValue(document).Child("memory_budget")) {
    file.memory_budget_bytes = budget->Bytes();
  }
  if (const std::optional<YamlValue> report = YamlValue(document).Child("report")) {
    file.report = ReadReportLayout(*report);
    RequireValues(*file.report, file.points);
  }
  return file;
}

ExperimentFile ReadExperimentFile(const std::filesystem::path& path) {
  return ParseExperiment(ReadFile(path), path);
}

}  // namespace daq
