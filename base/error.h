#pragma once
#include <stdexcept>
#include <string>
#include <string_view>

namespace daq {

// Where in a user-supplied file a problem was found. line is 1-based; 0 = the whole file.
struct FileLocation {
  std::string file;
  int line = 0;

  bool operator==(const FileLocation&) const = default;
};

// What the user gave is wrong: a config, a checkpoint, a text, a flag. Never a bug in daq-bench.
// The command line prints what() and exits with code 2.
class InputError : public std::runtime_error {
 public:
  // what() reads "file:line: key: expected <expected>, found <found>", as far as file and line are.
  InputError(const FileLocation& where, std::string_view key, std::string_view expected,
             std::string_view found);

  // what() reads "file:line: message", for problems that have no key.
  InputError(const FileLocation& where, std::string_view message);

  // what() reads `message`: several problems told at once, each already with its place.
  explicit InputError(const std::string& message);
};

// The user asked to stop (Ctrl-C or SIGTERM). Thrown between pieces of work; exit code 130.
class Interrupted : public std::runtime_error {
 public:
  Interrupted();
};

[[noreturn]] void CheckFailed(const char* condition, std::string_view note, const char* file,
                              int line);

}  // namespace daq

// A broken invariant, i.e. a bug here: prints and aborts. Active in every build type.
#define DAQ_CHECK(cond, note) \
  ((cond) ? void() : ::daq::CheckFailed(#cond, (note), __FILE__, __LINE__))
