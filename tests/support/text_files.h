#pragma once
#include <exception>
#include <filesystem>
#include <string>
#include <string_view>

namespace daq {

// Writes `content` to folder/name and returns that path.
std::filesystem::path WriteText(const std::filesystem::path& folder, const std::string& name,
                                std::string_view content);

// What the InputError (or other std::exception) that `action` throws says; "no exception" if it
// throws none.
template <typename Action>
std::string MessageOf(const Action& action) {
  try {
    action();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "no exception";
}

}  // namespace daq
