#pragma once
#include <fmt/format.h>

#include <string>

#include "base/error.h"
#include "base/matrix.h"

namespace daq {

// A `max_windows` that a text, or the protocol, does not have. Who knows where a config asks for it
// says that in place of the text's name.
class MaxWindowsError : public InputError {
 public:
  // what() reads "source: max_windows: expected <expected>, found <found>".
  MaxWindowsError(const std::string& source, const std::string& expected, Index found)
      : InputError({source}, "max_windows", expected, fmt::format("{}", found)),
        expected_(expected) {}

  const std::string& expected() const { return expected_; }

 private:
  std::string expected_;
};

}  // namespace daq
