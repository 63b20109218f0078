#pragma once
#include <cstddef>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/matrix.h"

namespace daq {

// Where a tensor lies in its file.
struct StoredTensor {
  std::string dtype;         // as the format names it: "F32", "F16", "BF16", "I64", ...
  std::vector<Index> shape;  // empty for a scalar; a size may be 0
  std::size_t begin = 0;     // bytes from the start of the file
  std::size_t end = 0;
};

// "[32, 48]".
std::string DescribeShape(const std::vector<Index>& shape);

// One memory-mapped safetensors file (https://github.com/huggingface/safetensors): 8 bytes header
// length, a JSON header of {name: {dtype, shape, data_offsets}}, then the tensors end to end.
// Read-only and thread-safe.
class SafetensorsFile {
 public:
  // Reads and checks the header. Throws InputError, naming file and tensor, for a header that is
  // longer than 100 MB or than the file or not JSON, an unknown dtype, sizes that overflow, offsets
  // outside the file, that do not fit dtype and shape, or that overlap or leave a hole, and a name
  // given twice.
  explicit SafetensorsFile(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return file_.path(); }
  const std::map<std::string, StoredTensor>& tensors() const { return tensors_; }

  // The whole file.
  std::span<const std::byte> bytes() const { return file_.bytes(); }

  // Asks the system to read `part` of bytes() ahead.
  void Prefetch(std::span<const std::byte> part) const;

  // As MappedFile::ThrowIfChanged.
  void ThrowIfChanged() const { file_.ThrowIfChanged(); }

  // As MappedFile::Release.
  void Release(std::span<const std::byte> part) const { file_.Release(part); }

 private:
  MappedFile file_;
  std::map<std::string, StoredTensor> tensors_;
};

}  // namespace daq
