#pragma once
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "harness/cell_record.h"

namespace daq {

// True for letters, digits, - and _, from 1 to 64 of them: what can name a cell's files.
bool IsCellId(std::string_view id);

// The finished cells of an experiment, one JSON file each: <folder>/cells/<id>.json, written
// atomically and never changed afterwards; token losses, where they are kept, in a file beside it.
class CellStore {
 public:
  explicit CellStore(const std::filesystem::path& folder) : folder_(folder / "cells") {}

  void Write(const CellRecord& cell) const;

  // The cell's object if it is there, done or failed. A file that is not the program's own JSON is
  // reported as InputError.
  std::optional<nlohmann::ordered_json> Read(const std::string& id) const;

  // True if the cell is there and done; a failed one is tried again.
  bool IsDone(const std::string& id) const;

 private:
  std::filesystem::path File(const std::string& id) const { return folder_ / (id + ".json"); }
  std::filesystem::path folder_;
};

// The window losses of a finished cell's one metric.
std::vector<double> WindowLossesOf(const nlohmann::ordered_json& cell);

// How much each of them counts, as base/statistics.h takes it; none where all count the same.
std::vector<double> WindowWeightsOf(const nlohmann::ordered_json& cell);

}  // namespace daq
