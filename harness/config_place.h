#pragma once
#include <fmt/format.h>

#include <string>

#include "base/error.h"

namespace daq {

// Where a config asks for something, and its key in full ("evaluate[0].file"): for messages that
// come after reading. All are equal, so that what two places ask for alike compares equal.
struct ConfigPlace {
  FileLocation where = {};
  std::string path = {};

  bool operator==(const ConfigPlace&) const { return true; }

  // Runs `step`, which does what is asked for here; its InputError is told with the place before
  // it.
  template <typename Step>
  auto Explain(const Step& step) const {
    try {
      return step();
    } catch (const InputError& error) {
      throw Before(error);
    }
  }

  // "x.yaml:4: evaluate[0].file: <error>".
  InputError Before(const InputError& error) const {
    return {where, fmt::format("{}: {}", path, error.what())};
  }
};

}  // namespace daq
