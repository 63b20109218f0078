#include "eval/safetensors.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "eval/json_file.h"

namespace daq {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors is little-endian");

constexpr std::size_t kLengthBytes = 8;
constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;  // the format's own limit
constexpr std::int64_t kMaxInteger = std::numeric_limits<std::int64_t>::max();

struct DtypeBits {
  std::string_view name;
  std::uint64_t bits;
};
constexpr std::array kDtypes = {
    DtypeBits{"BOOL", 8},    DtypeBits{"U8", 8},      DtypeBits{"I8", 8},   DtypeBits{"F8_E5M2", 8},
    DtypeBits{"F8_E4M3", 8}, DtypeBits{"F8_E8M0", 8}, DtypeBits{"F4", 4},   DtypeBits{"F6_E2M3", 6},
    DtypeBits{"F6_E3M2", 6}, DtypeBits{"I16", 16},    DtypeBits{"U16", 16}, DtypeBits{"F16", 16},
    DtypeBits{"BF16", 16},   DtypeBits{"I32", 32},    DtypeBits{"U32", 32}, DtypeBits{"F32", 32},
    DtypeBits{"C64", 64},    DtypeBits{"F64", 64},    DtypeBits{"I64", 64}, DtypeBits{"U64", 64}};

// Bytes of a tensor; nothing if the product overflows or does not fill whole bytes.
std::optional<std::uint64_t> TensorBytes(const std::vector<Index>& shape, std::uint64_t bits) {
  std::uint64_t total = bits;
  for (const Index size : shape) {
    if (__builtin_mul_overflow(total, static_cast<std::uint64_t>(size), &total))
      return std::nullopt;
  }
  if (total % 8 != 0) return std::nullopt;
  return total / 8;
}

std::vector<std::int64_t> ReadSizes(const JsonObject& entry, const std::string& key,
                                    std::string_view expected) {
  const nlohmann::json& list = entry.Value(key, expected);
  if (!list.is_array()) entry.Refuse(key, expected);
  std::vector<std::int64_t> sizes;
  for (const nlohmann::json& item : list) {
    // A JSON integer without a sign is stored as unsigned; a negative one is not.
    if (!item.is_number_unsigned() || item.get<std::uint64_t>() > std::uint64_t{kMaxInteger})
      entry.Refuse(key, expected);
    sizes.push_back(static_cast<std::int64_t>(item.get<std::uint64_t>()));
  }
  return sizes;
}

StoredTensor ReadEntry(const JsonObject& entry, std::size_t data_begin, std::size_t file_size) {
  StoredTensor tensor;
  tensor.dtype = entry.String("dtype");
  const auto* dtype = std::find_if(kDtypes.begin(), kDtypes.end(), [&](const DtypeBits& known) {
    return known.name == tensor.dtype;
  });
  if (dtype == kDtypes.end()) entry.Refuse("dtype", "a type of the safetensors format");
  for (const std::int64_t size : ReadSizes(entry, "shape", "a list of sizes"))
    tensor.shape.push_back(size);
  const std::string_view expected_offsets = "[begin, end] with begin <= end";
  const std::vector<std::int64_t> offsets = ReadSizes(entry, "data_offsets", expected_offsets);
  if (offsets.size() != 2 || offsets[0] > offsets[1])
    entry.Refuse("data_offsets", expected_offsets);
  const std::size_t data_bytes = file_size - data_begin;
  if (static_cast<std::uint64_t>(offsets[1]) > data_bytes) {
    entry.Refuse("data_offsets",
                 fmt::format("an end within the file's {} bytes of data (is the file cut short?)",
                             data_bytes));
  }
  const std::optional<std::uint64_t> bytes = TensorBytes(tensor.shape, dtype->bits);
  if (!bytes) entry.Refuse("shape", "a size that fits memory");
  if (static_cast<std::uint64_t>(offsets[1] - offsets[0]) != *bytes) {
    entry.Refuse("data_offsets", fmt::format("{} bytes for {} {}", *bytes, tensor.dtype,
                                             DescribeShape(tensor.shape)));
  }
  tensor.begin = data_begin + static_cast<std::size_t>(offsets[0]);
  tensor.end = data_begin + static_cast<std::size_t>(offsets[1]);
  return tensor;
}

std::string_view ReadHeader(const MappedFile& file) {
  const std::span<const std::byte> bytes = file.bytes();
  const FileLocation where{file.path().string()};
  if (bytes.size() < kLengthBytes) {
    throw InputError(where, "header", "a length of 8 bytes",
                     fmt::format("a file of {} bytes", bytes.size()));
  }
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), kLengthBytes);
  if (length > kMaxHeaderBytes) {
    throw InputError(where, "header", fmt::format("at most {} bytes", kMaxHeaderBytes),
                     fmt::format("a length of {}", length));
  }
  if (length > bytes.size() - kLengthBytes) {
    throw InputError(
        where, "header",
        fmt::format("at most the {} bytes that follow its length", bytes.size() - kLengthBytes),
        fmt::format("a length of {}: the file is cut short or not safetensors", length));
  }
  const std::span<const std::byte> header =
      bytes.subspan(kLengthBytes, static_cast<std::size_t>(length));
  if (header.empty() || header[0] != std::byte{'{'}) {
    throw InputError(where, "header", "a JSON object",
                     "something else: the file is damaged or not safetensors");
  }
  return {reinterpret_cast<const char*>(header.data()), header.size()};
}

// Tensors lie end to end. An overlap would alias two tensors, a hole could hide anything.
void CheckLayout(const std::string& file, const std::map<std::string, StoredTensor>& tensors,
                 std::size_t data_begin, std::size_t file_size) {
  std::vector<std::pair<const StoredTensor*, const std::string*>> order;
  order.reserve(tensors.size());
  for (const auto& [name, tensor] : tensors) order.emplace_back(&tensor, &name);
  std::sort(order.begin(), order.end(), [](const auto& left, const auto& right) {
    return std::tie(left.first->begin, left.first->end, *left.second) <
           std::tie(right.first->begin, right.first->end, *right.second);
  });
  std::size_t end = data_begin;
  for (const auto& [tensor, name] : order) {
    if (tensor->begin != end) {
      throw InputError(
          {file}, DescribeName(*name),
          fmt::format("data from offset {}, where the tensor before it ends", end - data_begin),
          fmt::format(
              "{} {}",
              tensor->begin < end ? "an overlap: data from offset" : "a hole: data from offset",
              tensor->begin - data_begin));
    }
    end = tensor->end;
  }
  if (end != file_size) {
    throw InputError({file}, "header",
                     fmt::format("tensors that fill the {} bytes of data", file_size - data_begin),
                     fmt::format("{} bytes in use", end - data_begin));
  }
}

}  // namespace

std::string DescribeShape(const std::vector<Index>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path) : file_(path) {
  const std::string name = path.string();
  const std::string_view header_text = ReadHeader(file_);
  const nlohmann::json header = ParseJson(header_text, name);
  const std::size_t data_begin = kLengthBytes + header_text.size();
  for (const auto& [key, value] : header.items()) {
    const JsonObject entry(value, name, DescribeName(key));
    if (key == "__metadata__") continue;  // free text of whoever wrote the file
    tensors_.emplace(key, ReadEntry(entry, data_begin, file_.bytes().size()));
  }
  CheckLayout(name, tensors_, data_begin, file_.bytes().size());
}

void SafetensorsFile::Prefetch(std::span<const std::byte> part) const {
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  // The call wants the start of a page; the mapping begins at one, so there is one before `part`.
  const std::size_t lead = reinterpret_cast<std::uintptr_t>(part.data()) % page;
  // Only a hint: without it, the pages come one fault at a time.
  ::madvise(const_cast<std::byte*>(part.data() - lead), part.size() + lead, MADV_WILLNEED);
}

}  // namespace daq
