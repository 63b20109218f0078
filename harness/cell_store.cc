#include "harness/cell_store.h"

#include <fmt/format.h>

#include <bit>

#include "base/error.h"
#include "base/file.h"
#include "base/name_letters.h"
#include "eval/json_file.h"
#include "harness/cell_shape.h"

namespace daq {

using Json = nlohmann::ordered_json;

namespace {

const Json& MetricOf(const Json& cell) {
  const Json& metrics = cell.at("metrics");
  DAQ_CHECK(metrics.size() == 1, "a cell holds one metric");
  return *metrics.begin();
}

}  // namespace

bool IsCellId(std::string_view id) {
  constexpr std::size_t kMostLetters = 64;
  return !id.empty() && id.size() <= kMostLetters && HasOnlyNameLetters(id);
}

void CellStore::Write(const CellRecord& cell) const {
  // First what the cell's file names: a cell that is there is whole.
  if (const std::vector<float>& losses = cell.evaluation.token_losses; !losses.empty()) {
    static_assert(std::endian::native == std::endian::little);
    WriteFileAtomically(
        folder_ / TokenLossesFileName(cell.id),
        {reinterpret_cast<const char*>(losses.data()), losses.size() * sizeof(float)});
  }
  WriteFileAtomically(File(cell.id), ToJson(cell).dump(1) + "\n");
}

std::optional<Json> CellStore::Read(const std::string& id) const {
  const std::filesystem::path file = File(id);
  if (!std::filesystem::exists(file)) return std::nullopt;
  Json json;
  std::string problem;
  try {
    json = ParseOrderedJson(ReadFile(file), file.string());
    problem = CellProblem(json);
  } catch (const InputError& error) {
    problem = error.what();
  }
  if (problem.empty() && json.at("id") != id) problem = "id is another cell's";
  if (!problem.empty()) {
    throw InputError({file.string()},
                     fmt::format("this is not a result of daq-bench, or it is damaged ({}): delete "
                                 "it and run again",
                                 problem));
  }
  return json;
}

bool CellStore::IsDone(const std::string& id) const {
  const std::optional<Json> cell = Read(id);
  return cell && cell->value("status", "") == "done";
}

std::vector<double> WindowLossesOf(const Json& cell) {
  return MetricOf(cell).at("window_losses").get<std::vector<double>>();
}

std::vector<double> WindowWeightsOf(const Json& cell) {
  return MetricOf(cell).value("window_tokens_scored", std::vector<double>());
}

}  // namespace daq
