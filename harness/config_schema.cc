#include "harness/config_schema.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "methods/range.h"
#include "methods/registry.h"
#include "methods/rounding.h"
#include "methods/transform.h"

namespace daq {
namespace {

// clang-format off
constexpr ConfigKey kKeys[] = {
    {"model", true, "the checkpoint: a folder or a Hugging Face id"},
    {"memory_budget", false, "memory the process may use; hidden states beyond it go to a scratch file"},

    {"calibration", true, "the text whose layer inputs methods may look at: none, authors (each method its own authors' protocol) or a map"},
    {"calibration.protocol", true, "how the text becomes windows: an id of docs/protocols.md"},
    {"calibration.file", true, "the text or ids, relative to the config's folder"},
    {"calibration.dataset", true, "an entry of configs/datasets.yaml, in place of the protocol's own"},
    {"calibration.dataset_file", true, "which file of that dataset"},
    {"calibration.windows", true, "how many windows; fewer are the first of more"},
    {"calibration.documents", true, "how many documents make the text"},
    {"calibration.window_tokens", true, "tokens of a window"},
    {"calibration.seed", true, "of the draws or the shuffle"},

    {"held_out", false, "a text that no method sees, on which the layer reports measure output errors too: none or a map as of calibration"},
    {"held_out.protocol", false, "how the text becomes windows: an id of docs/protocols.md"},
    {"held_out.file", false, "the text or ids, relative to the config's folder"},
    {"held_out.dataset", false, "an entry of configs/datasets.yaml, in place of the protocol's own"},
    {"held_out.dataset_file", false, "which file of that dataset"},
    {"held_out.windows", false, "how many windows"},
    {"held_out.documents", false, "how many documents make the text"},
    {"held_out.window_tokens", false, "tokens of a window"},
    {"held_out.seed", false, "of the draws or the shuffle"},

    {"evaluate", false, "what a model is measured on"},
    {"evaluate.protocol", true, "how the text becomes windows; stands beside every number"},
    {"evaluate.name", false, "the table's column"},
    {"evaluate.file", true, "the text or ids, relative to the config's folder"},
    {"evaluate.dataset", true, "an entry of configs/datasets.yaml, in place of the protocol's own"},
    {"evaluate.dataset_file", true, "which file of that dataset"},
    {"evaluate.window_tokens", true, "tokens of a window; which are scored is the protocol's"},
    {"evaluate.max_windows", true, "score only the first so many windows"},
    {"evaluate.stop_when", false, "take windows in a shuffled order, and no more of them than this asks for"},
    {"evaluate.stop_when.loss_vs_fp_stderr", false, "enough once the standard error of the loss against full precision is at most this"},
    {"evaluate.token_metrics", true, "also KL divergence from full precision, top-1 agreement with it, and each token's loss"},

    {"recipes", false, "the quantisers compared"},
    {"recipes.method", true, "a preset: the transform, range and rounding that a name of the literature stands for"},
    {"recipes.transform", true, "how a block is rewritten, function unchanged, before it is quantised"},
    {"recipes.range", true, "which scale and zero-point a channel or group gets"},
    {"recipes.rounding", true, "which code each weight gets"},
    {"recipes.format", true, "which values a weight may take, and how many weights share a scale"},
    {"recipes.format.codebook", true, "the representable values: a built-in book's name, or a book of your own"},
    {"recipes.format.codebook.name", false, "what tables call the book"},
    {"recipes.format.codebook.values", false, "its values in code units, 2 to 256 of them, increasing"},
    {"recipes.format.group", true, "weights along in_features that share a scale, or the whole channel"},
    {"recipes.format.symmetric", true, "whether every zero_point is 0, so that none is stored"},
    {"recipes.propagate", true, "which inputs a block is calibrated on: those of the full-precision model, those behind the blocks quantised so far, or also behind the layers of the block quantised so far (GPTQ's --true-sequential)"},
    {"recipes.calibration", true, "the calibration of this recipe, in place of the one for all"},
    {"recipes.calibration.protocol", true, "how the text becomes windows: an id of docs/protocols.md"},
    {"recipes.calibration.file", true, "the text or ids, relative to the config's folder"},
    {"recipes.calibration.dataset", true, "an entry of configs/datasets.yaml, in place of the protocol's own"},
    {"recipes.calibration.dataset_file", true, "which file of that dataset"},
    {"recipes.calibration.windows", true, "how many windows; fewer are the first of more"},
    {"recipes.calibration.documents", true, "how many documents make the text"},
    {"recipes.calibration.window_tokens", true, "tokens of a window"},
    {"recipes.calibration.seed", true, "of the draws or the shuffle"},

    {"sweep", false, "lists that span a matrix of experiments"},

    {"report", false, "how a report arranges the numbers in one table, in place of a row for each recipe"},
    {"report.rows", false, "what a row stands for: any of model, method, format, symmetry, granularity, calibration, evaluation"},
    {"report.columns", false, "what a column stands for, of the same"},
    {"report.value", false, "the number in the table, or a list of them, a column each"},
    {"report.error", false, "what stands beside a number that has it: none, stderr or interval"},
    {"report.bold", false, "what stands out in a column: none, best, or not_worse: the best and those not significantly worse"},
    {"report.published", false, "also published values of the same protocol, behind the measured ones"},
};
// clang-format on

template <typename Part>
void AppendSettings(std::string_view parent, std::span<const PartEntry<Part>> entries,
                    std::vector<std::string>* paths) {
  for (const PartEntry<Part>& entry : entries) {
    for (const SettingSpec& spec : entry.settings()) {
      std::string path = fmt::format("{}.{}", parent, spec.name);
      if (std::find(paths->begin(), paths->end(), path) != paths->end()) continue;
      paths->push_back(std::move(path));
    }
  }
}

}  // namespace

std::span<const ConfigKey> ConfigKeys() { return kKeys; }

std::vector<std::string_view> KeysBelow(std::string_view parent) {
  std::vector<std::string_view> names;
  for (const ConfigKey& key : kKeys) {
    const std::size_t dot = key.path.rfind('.');
    const std::string_view above = dot == std::string_view::npos ? "" : key.path.substr(0, dot);
    if (above == parent)
      names.push_back(dot == std::string_view::npos ? key.path : key.path.substr(dot + 1));
  }
  return names;
}

std::string_view MeaningOf(std::string_view path) {
  const auto* found = std::find_if(std::begin(kKeys), std::end(kKeys),
                                   [&](const ConfigKey& key) { return key.path == path; });
  DAQ_CHECK(found != std::end(kKeys), path);
  return found->meaning;
}

std::vector<std::string> SweepPaths() {
  std::vector<std::string> paths;
  for (const ConfigKey& key : kKeys) {
    if (key.sweepable) paths.emplace_back(key.path);
  }
  AppendSettings("recipes.transform", Transforms(), &paths);
  AppendSettings("recipes.range", Ranges(), &paths);
  AppendSettings("recipes.rounding", Roundings(), &paths);
  return paths;
}

}  // namespace daq
