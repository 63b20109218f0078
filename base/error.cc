#include "base/error.h"

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>

namespace daq {
namespace {

std::string Place(const FileLocation& where) {
  return where.line > 0 ? fmt::format("{}:{}", where.file, where.line) : where.file;
}

std::string KeyAt(const FileLocation& where, std::string_view key) {
  return where.file.empty() ? std::string(key) : fmt::format("{}: {}", Place(where), key);
}

}  // namespace

InputError::InputError(const FileLocation& where, std::string_view key, std::string_view expected,
                       std::string_view found)
    : std::runtime_error(
          fmt::format("{}: expected {}, found {}", KeyAt(where, key), expected, found)) {}

InputError::InputError(const FileLocation& where, std::string_view message)
    : std::runtime_error(fmt::format("{}: {}", Place(where), message)) {}

InputError::InputError(const std::string& message) : std::runtime_error(message) {}

Interrupted::Interrupted() : std::runtime_error("interrupted") {}

void CheckFailed(const char* condition, std::string_view note, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: check failed: %s (%.*s)\n", file, line, condition,
               static_cast<int>(note.size()), note.data());
  std::abort();
}

}  // namespace daq
