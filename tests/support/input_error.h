#pragma once
#include <filesystem>
#include <string>

#include "base/error.h"

namespace daq {

// What the InputError that `action` throws says, with every mention of `folder` (with its slash)
// left out; "no error" if it throws none. Any other exception passes.
template <typename Action>
std::string InputErrorOf(const std::filesystem::path& folder, const Action& action) {
  std::string message = "no error";
  try {
    action();
  } catch (const InputError& error) {
    message = error.what();
  }
  const std::string prefix = folder.string() + "/";
  for (std::size_t at = message.find(prefix); at != std::string::npos; at = message.find(prefix))
    message.erase(at, prefix.size());
  return message;
}

}  // namespace daq
