#pragma once
#include <filesystem>
#include <memory>
#include <string_view>

namespace daq {

// Reads a text file line by line, unpacking gzip on the way where `gzip` says so. Holds one line at
// a time.
class LineReader {
 public:
  // Throws InputError if the file cannot be opened.
  LineReader(const std::filesystem::path& path, bool gzip);
  ~LineReader();
  LineReader(const LineReader&) = delete;
  LineReader& operator=(const LineReader&) = delete;

  // Puts the next line with its line feed (the last may have none) into `line`, valid until the
  // next call; false at the end. Throws InputError naming the line at a read error, at gzip data
  // that is damaged or ends early, and at a gzip file that is not one.
  bool Next(std::string_view& line);

  // The number of the line that Next gave last, from 1.
  int line_number() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace daq
