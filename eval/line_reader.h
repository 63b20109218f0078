#pragma once
#include <filesystem>
#include <memory>
#include <string_view>

#include "eval/byte_source.h"

namespace daq {

// Reads a text file line by line, unpacking it on the way. Holds one line at a time.
class LineReader {
 public:
  // Throws InputError if the file cannot be opened.
  LineReader(const std::filesystem::path& path, Packing packing);
  ~LineReader();
  LineReader(const LineReader&) = delete;
  LineReader& operator=(const LineReader&) = delete;

  // Puts the next line with its line feed (the last may have none) into `line`, valid until the
  // next call; false at the end. Throws InputError naming the line at a read error and at packed
  // data that is damaged or ends early, and for a file that is not packed as `packing` says.
  bool Next(std::string_view& line);

  // The number of the line that Next gave last, from 1.
  int line_number() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace daq
