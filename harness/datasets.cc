#include "harness/datasets.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "base/error.h"
#include "harness/nearest_name.h"

namespace daq {
namespace {

template <typename Items>
auto FindByName(const Items& items, std::string_view name) -> const typename Items::value_type* {
  const auto found =
      std::find_if(items.begin(), items.end(), [&](const auto& item) { return item.name == name; });
  return found == items.end() ? nullptr : &*found;
}

template <typename Items>
std::vector<std::string_view> Names(const Items& items) {
  std::vector<std::string_view> names;
  for (const auto& item : items) names.push_back(item.name);
  return names;
}

std::string Found(std::string_view name, const std::vector<std::string_view>& names) {
  return fmt::format("\"{}\"{}", name, DidYouMean(name, names));
}

}  // namespace

const DatasetFile* Dataset::FindFile(std::string_view file) const {
  return FindByName(files, file);
}

const DatasetFile& Dataset::RequireFile(std::string_view file) const {
  const DatasetFile* found = FindFile(file);
  if (found == nullptr) {
    throw InputError({"dataset " + name}, "file", OneOf(Names(files)), Found(file, Names(files)));
  }
  return *found;
}

const Dataset* DatasetTable::Find(std::string_view name) const {
  return FindByName(datasets, name);
}

const Dataset& DatasetTable::Require(std::string_view name) const {
  const Dataset* found = Find(name);
  if (found == nullptr) {
    throw InputError({}, "dataset", OneOf(Names(datasets)), Found(name, Names(datasets)));
  }
  return *found;
}

std::filesystem::path DataFolder(const std::filesystem::path& data_flag) {
  if (!data_flag.empty()) return data_flag;
  const char* variable = std::getenv("DAQ_BENCH_DATA");
  return variable != nullptr && *variable != '\0' ? variable : "data";
}

std::filesystem::path FindDatasetFile(const DatasetTable& table, std::string_view dataset,
                                      std::string_view file, const std::filesystem::path& folder) {
  const DatasetFile& wanted = table.Require(dataset).RequireFile(file);
  std::filesystem::path path = folder / wanted.path;
  if (std::filesystem::exists(path)) return path;
  throw InputError(
      {wanted.path},
      fmt::format("not found in the data folder {0}; get it by: daq-bench fetch {1} --data {0}",
                  folder.string(), dataset));
}

}  // namespace daq
