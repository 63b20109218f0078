#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace daq {

// A reader of outside bytes, and what is needed to feed it wrong ones. One file each,
// <name>_fuzz.cc; targets.cc lists them.
struct FuzzTarget {
  std::string_view name;

  // Reads `bytes` as the program would a file of that content, and uses what it gave as far as the
  // program would without computing. Throws InputError for what is refused; any other exception,
  // a crash or a hang is a defect.
  void (*run)(std::string_view bytes);

  // Inputs that are read without an error, made by the writers themselves. Mutations start there.
  std::vector<std::string> seeds;

  // Words of the format that mutations put in, beside those of all text formats.
  std::vector<std::string_view> words = {};
};

// A target that is made when it is asked for: only then are its seeds needed.
struct FuzzTargetEntry {
  std::string_view name;
  FuzzTarget (*make)();  // may write files that the target reads beside its input
};
std::span<const FuzzTargetEntry> FuzzTargets();

}  // namespace daq
