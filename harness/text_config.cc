#include "harness/text_config.h"

#include <fmt/format.h>

#include <array>
#include <limits>
#include <map>

#include "eval/protocols.h"
#include "harness/config_schema.h"
#include "harness/datasets.h"
#include "harness/recipe_config.h"

namespace daq {
namespace {

constexpr std::int64_t kMaxWindowTokens = 1'000'000;
constexpr std::int64_t kMaxWindows = 1'000'000'000;
constexpr std::string_view kIds = "ids";
constexpr std::string_view kWhyNotIds = "with protocol ids: its file says it all";

std::vector<std::string_view> DatasetNames() {
  std::vector<std::string_view> names;
  for (const Dataset& dataset : Datasets().datasets) names.push_back(dataset.name);
  return names;
}

std::vector<std::string_view> FileNames(std::string_view dataset) {
  std::vector<std::string_view> names;
  for (const DatasetFile& file : Datasets().Require(dataset).files) names.push_back(file.name);
  return names;
}

TextSource FileSource(const YamlValue& file, std::string_view expected,
                      const std::filesystem::path& folder) {
  return {
      .file = (folder / file.Text(expected)).lexically_normal(), .dataset = {}, .dataset_file = {}};
}

// The text of a protocol: `file`, or a dataset's file; `usual` is the protocol's own, which may be
// none.
TextSource ReadSource(YamlMap* map, const TextSource& usual, const std::filesystem::path& folder) {
  if (const std::optional<YamlValue> file = map->Find("file")) {
    for (const std::string_view key : {"dataset", "dataset_file"}) {
      if (map->Has(key)) map->Get(key, "").Refuse("file or dataset, not both");
    }
    return FileSource(*file, "a file", folder);
  }
  TextSource source = usual;
  if (const std::optional<YamlValue> dataset = map->Find("dataset")) {
    source.dataset = dataset->Name(DatasetNames());
    // Another dataset's file of the same name would be chance.
    if (source.dataset != usual.dataset) source.dataset_file.clear();
  }
  if (source.dataset.empty()) {
    map->Get(map->Has("dataset_file") ? "dataset" : "file",
             "a text: file, or dataset and dataset_file");
  }
  if (source.dataset_file.empty() || map->Has("dataset_file")) {
    source.dataset_file =
        map->Get("dataset_file", "a file of " + source.dataset).Name(FileNames(source.dataset));
  }
  return source;
}

TextSource ReadIdsFile(YamlMap* map, const std::filesystem::path& folder) {
  constexpr std::string_view kExpected = "a file of token ids";
  return FileSource(map->Get("file", kExpected), kExpected, folder);
}

EvaluationRequest FromProtocol(const ProtocolInfo& info) {
  EvaluationRequest request;
  request.name = info.id;
  request.protocol = info.id;
  request.source.dataset = info.dataset;
  request.source.dataset_file = info.dataset_file;
  return request;
}

std::vector<std::string_view> ProtocolIds() {
  std::vector<std::string_view> ids;
  for (const ProtocolInfo& info : EvaluationProtocols()) ids.push_back(info.id);
  return ids;
}

EvaluationRequest ReadEvaluation(const YamlValue& value, const std::filesystem::path& folder) {
  if (value.IsScalar() && value.node().text != kIds) {
    return FromProtocol(*FindEvaluationProtocol(value.Name(ProtocolIds())));
  }
  YamlMap map(value,
              value.IsScalar() ? "a map with a file, such as {protocol: ids, file: windows.json}"
                               : "a protocol's id or a map with protocol",
              KeysBelow("evaluate"));
  const std::string_view protocol = map.Get("protocol", "a protocol's id").Name(ProtocolIds());
  EvaluationRequest request = FromProtocol(*FindEvaluationProtocol(protocol));
  if (const std::optional<YamlValue> name = map.Find("name")) request.name = ReadLabel(*name);
  if (const std::optional<YamlValue> limit = map.Find("max_windows")) {
    request.max_windows = limit->Integer(1, kMaxWindows);
  }
  if (protocol == kIds) {
    request.source = ReadIdsFile(&map, folder);
    map.Finish(kWhyNotIds);
    return request;
  }
  request.source = ReadSource(&map, request.source, folder);
  if (const std::optional<YamlValue> tokens = map.Find("window_tokens")) {
    request.window_tokens = tokens->Integer(2, kMaxWindowTokens);
  }
  map.Finish("in an evaluation");
  return request;
}

}  // namespace

std::optional<CalibrationRequest> ReadCalibration(const YamlValue& value,
                                                  const std::filesystem::path& folder) {
  if (value.IsScalar() && value.node().text == "none") return std::nullopt;
  YamlMap map(value, "none or a map such as {protocol: text, file: F, windows: 4}",
              KeysBelow("calibration"));
  constexpr std::array<std::string_view, 2> kProtocols = {"text", kIds};
  CalibrationRequest request;
  request.protocol = map.Get("protocol", "text or ids").Name(kProtocols);
  if (const std::optional<YamlValue> windows = map.Find("windows")) {
    request.windows = windows->Integer(1, kMaxWindows);
  }
  if (const std::optional<YamlValue> seed = map.Find("seed")) {
    request.seed = seed->Integer(0, std::numeric_limits<std::int64_t>::max());
  }
  if (request.protocol == kIds) {
    request.source = ReadIdsFile(&map, folder);
    map.Finish(kWhyNotIds);
    return request;
  }
  request.source = ReadSource(&map, {}, folder);
  if (const std::optional<YamlValue> tokens = map.Find("window_tokens")) {
    request.window_tokens = tokens->Integer(2, kMaxWindowTokens);
  }
  map.Finish("in a calibration");
  return request;
}

std::vector<EvaluationRequest> ReadEvaluations(const YamlValue& value,
                                               const std::filesystem::path& folder) {
  std::vector<EvaluationRequest> evaluations;
  std::map<std::string, const YamlNode*> names;
  for (const YamlValue& item : value.List("a list of evaluations such as [gptq-wikitext2]")) {
    EvaluationRequest request = ReadEvaluation(item, folder);
    const auto [first, is_new] = names.emplace(request.name, &item.node());
    if (!is_new) {
      throw InputError(item.where(), item.path() + ".name", "a name of its own",
                       fmt::format("\"{}\", as on line {}", request.name, first->second->line));
    }
    evaluations.push_back(std::move(request));
  }
  return evaluations;
}

}  // namespace daq
