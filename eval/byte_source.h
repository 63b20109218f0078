#pragma once
#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

namespace daq {

// How a file's bytes are packed.
enum class Packing { kNone, kGzip, kZstd };

// The unpacked bytes of a file, piece by piece.
class ByteSource {
 public:
  // What one read gave. An error comes with the bytes that could be unpacked before it.
  struct Piece {
    std::size_t bytes = 0;   // 0: the end, unless an error says otherwise
    std::string damage;      // the data is damaged or ends early, or reading failed
    std::string wrong_kind;  // the file is not packed as it should be
  };

  virtual ~ByteSource() = default;
  // Fills `to` from its beginning, as far as one read goes.
  virtual Piece Read(std::span<char> to) = 0;
};

// Throws InputError if the file cannot be opened. A gzip file may have several members and a zstd
// file several frames, which are read on to the end. A zstd frame whose window is over 128 MiB
// counts as damaged, so that no file can ask for more memory than that.
std::unique_ptr<ByteSource> OpenBytes(const std::filesystem::path& path, Packing packing);

}  // namespace daq
