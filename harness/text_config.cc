#include "harness/text_config.h"

#include <fmt/format.h>

#include <limits>
#include <map>

#include "eval/calibration.h"
#include "eval/protocols.h"
#include "harness/config_schema.h"
#include "harness/datasets.h"
#include "harness/nearest_name.h"
#include "harness/recipe_config.h"

namespace daq {
namespace {

constexpr std::int64_t kMaxWindowTokens = 1'000'000;
constexpr std::int64_t kMaxWindows = 1'000'000'000;
// Of a perplexity: beyond either, no evaluation means it.
constexpr double kLeastStopError = 1e-6;
constexpr double kMostStopError = 1e6;
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
  return {.file = (folder / file.FileName(expected)).lexically_normal(), .place = file.place()};
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
    source.place = dataset->place();
    source.dataset = dataset->Name(DatasetNames());
    // Another dataset's file of the same name would be chance.
    if (source.dataset != usual.dataset) source.dataset_file.clear();
  }
  if (source.dataset.empty()) {
    map->Get(map->Has("dataset_file") ? "dataset" : "file",
             "a text: file, or dataset and dataset_file");
  }
  if (source.dataset_file.empty() || map->Has("dataset_file")) {
    const YamlValue file = map->Get("dataset_file", "a file of " + source.dataset);
    source.place = file.place();
    source.dataset_file = file.Name(FileNames(source.dataset));
  }
  return source;
}

TextSource ReadIdsFile(YamlMap* map, const std::filesystem::path& folder) {
  constexpr std::string_view kExpected = "a file of token ids";
  return FileSource(map->Get("file", kExpected), kExpected, folder);
}

// As it stands at `value`.
EvaluationRequest FromProtocol(const ProtocolInfo& info, const YamlValue& value) {
  EvaluationRequest request;
  request.source.place = value.place();
  request.name = info.id;
  request.protocol = info.id;
  request.source.dataset = info.dataset;
  request.source.dataset_file = info.dataset_file;
  request.window_tokens = info.window_tokens;
  return request;
}

std::vector<std::string_view> ProtocolIds() {
  std::vector<std::string_view> ids;
  for (const ProtocolInfo& info : EvaluationProtocols()) ids.push_back(info.id);
  return ids;
}

StopRule ReadStopRule(const YamlValue& value) {
  YamlMap map(value, "a map such as {loss_vs_fp_stderr: 0.01}", KeysBelow("evaluate.stop_when"));
  StopRule rule;
  rule.loss_vs_fp_stderr =
      map.Get("loss_vs_fp_stderr", "a standard error").Number(kLeastStopError, kMostStopError);
  map.Finish("in a stop_when");
  return rule;
}

EvaluationRequest ReadEvaluation(const YamlValue& value, const std::filesystem::path& folder) {
  if (value.IsScalar() && value.node().text != kIds) {
    return FromProtocol(*FindEvaluationProtocol(value.Name(ProtocolIds())), value);
  }
  YamlMap map(value,
              value.IsScalar() ? "a map with a file, such as {protocol: ids, file: windows.json}"
                               : "a protocol's id or a map with protocol",
              KeysBelow("evaluate"));
  const std::string_view protocol = map.Get("protocol", "a protocol's id").Name(ProtocolIds());
  EvaluationRequest request = FromProtocol(*FindEvaluationProtocol(protocol), value);
  if (const std::optional<YamlValue> name = map.Find("name")) request.name = ReadLabel(*name);
  if (const std::optional<YamlValue> limit = map.Find("max_windows")) {
    request.max_windows = limit->Integer(1, kMaxWindows);
    request.max_windows_place = limit->place();
  }
  if (const std::optional<YamlValue> asked = map.Find("token_metrics")) {
    request.token_metrics = asked->Bool();
  }
  if (const std::optional<YamlValue> rule = map.Find("stop_when")) {
    request.stop_when = ReadStopRule(*rule);
    if (FindEvaluationProtocol(protocol)->published_metric != "perplexity")
      rule->Refuse(
          fmt::format("no such key with protocol {}: its numbers are of the whole text", protocol));
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

std::vector<std::string_view> CalibrationIds() {
  std::vector<std::string_view> ids;
  for (const CalibrationProtocol& protocol : CalibrationProtocols()) ids.push_back(protocol.id);
  return ids;
}

// As it stands at `value`.
CalibrationRequest FromProtocol(const CalibrationProtocol& protocol, const YamlValue& value) {
  const std::optional<YamlValue> windows = value.Child("windows");
  return {.protocol = std::string(protocol.id),
          .source = {.file = {},
                     .dataset = std::string(protocol.dataset),
                     .dataset_file = std::string(protocol.dataset_file),
                     .place = value.place()},
          .windows = protocol.windows,
          .documents = protocol.documents,
          .window_tokens = protocol.window_tokens.value_or(CalibrationRequest{}.window_tokens),
          .seed = protocol.seed,
          .windows_place = windows ? windows->place() : value.place()};
}

// Overwrites `number` with what `key` holds; the protocol has the key if `number` has its default.
void ReadSize(YamlMap* map, std::string_view key, std::int64_t highest, std::string_view why_not,
              std::optional<std::int64_t>* number, std::int64_t lowest = 1) {
  const std::optional<YamlValue> value = map->Find(key);
  if (!value) return;
  if (!*number) value->Refuse(fmt::format("no such key {}", why_not));
  *number = value->Integer(lowest, highest);
}

CalibrationRequest ReadCalibrationMap(const YamlValue& value, YamlMap* map,
                                      const std::filesystem::path& folder) {
  const std::vector<std::string_view> ids = CalibrationIds();
  const CalibrationProtocol& protocol =
      *FindCalibrationProtocol(map->Get("protocol", OneOf(ids)).Name(ids));
  CalibrationRequest request = FromProtocol(protocol, value);
  if (protocol.id == kIds) {
    ReadSize(map, "windows", kMaxWindows, "", &request.windows);
    request.source = ReadIdsFile(map, folder);
    map->Finish(kWhyNotIds);
    return request;
  }
  const std::string with = fmt::format("with protocol {}: ", protocol.id);
  ReadSize(map, "windows", kMaxWindows, with + "its windows follow from documents",
           &request.windows);
  ReadSize(map, "documents", kMaxWindows, with + "windows says how much text", &request.documents);
  ReadSize(map, "seed", std::numeric_limits<std::int64_t>::max(),
           with + "it draws nothing at random", &request.seed, 0);
  request.source = ReadSource(map, request.source, folder);
  if (const std::optional<YamlValue> tokens = map->Find("window_tokens")) {
    request.window_tokens = tokens->Integer(2, kMaxWindowTokens);
  }
  map->Finish("in a calibration");
  return request;
}

}  // namespace

CalibrationChoice ReadCalibration(const YamlValue& value, const std::filesystem::path& folder) {
  if (value.IsScalar() && value.node().text == "none") return {};
  if (value.IsScalar() && value.node().text == "authors")
    return {.authors = true, .place = value.place()};
  YamlMap map(value, "none, authors or a map such as {protocol: daq, windows: 2}",
              KeysBelow("calibration"));
  return {.request = ReadCalibrationMap(value, &map, folder)};
}

std::optional<CalibrationRequest> ReadHeldOut(const YamlValue& value,
                                              const std::filesystem::path& folder) {
  if (value.IsScalar() && value.node().text == "none") return std::nullopt;
  YamlMap map(value, "none or a map such as {protocol: daq, windows: 8, seed: 1}",
              KeysBelow("held_out"));
  return ReadCalibrationMap(value, &map, folder);
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
