#include "harness/datasets.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "base/error.h"

namespace daq {
namespace {

template <typename Items>
auto FindByName(const Items& items, std::string_view name) -> const typename Items::value_type* {
  const auto found =
      std::find_if(items.begin(), items.end(), [&](const auto& item) { return item.name == name; });
  return found == items.end() ? nullptr : &*found;
}

template <typename Items>
std::string Names(const Items& items) {
  std::string names;
  for (const auto& item : items) names += (names.empty() ? "" : ", ") + item.name;
  return names;
}

}  // namespace

const DatasetFile* Dataset::FindFile(std::string_view file) const {
  return FindByName(files, file);
}

const DatasetFile& Dataset::RequireFile(std::string_view file) const {
  const DatasetFile* found = FindFile(file);
  if (found == nullptr) {
    throw InputError({"dataset " + name}, "file", "one of " + Names(files),
                     fmt::format("\"{}\"", file));
  }
  return *found;
}

const Dataset* DatasetTable::Find(std::string_view name) const {
  return FindByName(datasets, name);
}

const Dataset& DatasetTable::Require(std::string_view name) const {
  const Dataset* found = Find(name);
  if (found == nullptr) {
    throw InputError({"dataset"}, "name", "one of " + Names(datasets), fmt::format("\"{}\"", name));
  }
  return *found;
}

std::vector<std::filesystem::path> DataFolders(const std::filesystem::path& data_flag) {
  std::vector<std::filesystem::path> folders;
  if (!data_flag.empty()) folders.push_back(data_flag);
  const char* variable = std::getenv("DAQ_BENCH_DATA");
  if (variable != nullptr && *variable != '\0') folders.emplace_back(variable);
  folders.emplace_back("data");
  return folders;
}

std::filesystem::path FindDatasetFile(const DatasetTable& table, std::string_view dataset,
                                      std::string_view file,
                                      std::span<const std::filesystem::path> search_folders) {
  const DatasetFile& wanted = table.Require(dataset).RequireFile(file);
  std::string places;
  for (const std::filesystem::path& folder : search_folders) {
    std::filesystem::path path = folder / wanted.path;
    if (std::filesystem::exists(path)) return path;
    places += (places.empty() ? "" : ", ") + folder.string();
  }
  throw InputError({wanted.path},
                   fmt::format("not found in the data folders ({}); get it by: daq-bench fetch {}",
                               places, dataset));
}

}  // namespace daq
