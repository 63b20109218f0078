#pragma once
#include <filesystem>
#include <optional>

namespace daq {

// The folder that a variable of the environment names; one that is set to nothing counts as unset.
// A leading ~ is the home folder.
std::optional<std::filesystem::path> FolderVariable(const char* name);

// Where programs keep what they can make again: XDG_CACHE_HOME, else ~/.cache.
std::filesystem::path CacheFolder();

}  // namespace daq
