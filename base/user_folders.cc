#include "base/user_folders.h"

#include <cstdlib>
#include <string>

namespace daq {

std::optional<std::filesystem::path> FolderVariable(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr || *value == '\0') return std::nullopt;
  const std::string text = value;
  const char* home = std::getenv("HOME");
  if (home != nullptr && (text == "~" || text.starts_with("~/")))
    return std::filesystem::path(home + text.substr(1));
  return std::filesystem::path(text);
}

std::filesystem::path CacheFolder() {
  if (const auto folder = FolderVariable("XDG_CACHE_HOME")) return *folder;
  return FolderVariable("HOME").value_or("/") / ".cache";
}

}  // namespace daq
