// The binary form of a QuantizedMatrix; docs/formats.md has the layout. All numbers are
// little-endian.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "base/error.h"
#include "base/sha256.h"
#include "methods/bit_packing.h"
#include "methods/quantized_matrix.h"

namespace daq {
namespace {

constexpr std::string_view kMagic = "daq-bench matrix 1\n";
constexpr std::size_t kDigestBytes = 64;
constexpr std::int64_t kLargestDimension = std::int64_t{1} << 31;  // products of two fit in 63 bits
constexpr std::uint64_t kLongestName = 256;

enum Flag : std::uint8_t { kInteger = 1, kSymmetric = 2, kIntegerZeroPoint = 4, kColumnOrder = 8 };

class Writer {
 public:
  explicit Writer(std::string* bytes) : bytes_(bytes) {}

  template <typename Number>
  void Put(Number number) {
    Put(&number, sizeof(number));
  }
  void Put(const void* data, std::size_t size) {
    bytes_->append(static_cast<const char*>(data), size);
  }

 private:
  std::string* bytes_;
};

class Reader {
 public:
  Reader(std::string_view bytes, const std::string& source) : rest_(bytes), source_(source) {}

  template <typename Number>
  Number Take() {
    Number number{};
    std::memcpy(&number, TakeBytes(sizeof(number)).data(), sizeof(number));
    return number;
  }

  std::string_view TakeBytes(std::uint64_t size) {
    Require(size <= rest_.size(), "it ends too early");
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }

  // The room is checked before the vector is made, so that a damaged count cannot ask for all
  // memory.
  template <typename Number>
  std::vector<Number> TakeMany(std::uint64_t count) {
    Require(count <= rest_.size() / sizeof(Number), "it ends too early");
    std::vector<Number> numbers(count);
    const std::string_view taken = TakeBytes(count * sizeof(Number));
    if (count > 0) std::memcpy(numbers.data(), taken.data(), taken.size());
    return numbers;
  }

  bool AtEnd() const { return rest_.empty(); }

  void Require(bool condition, std::string_view problem) const {
    if (!condition)
      throw InputError({source_}, fmt::format("this quantised matrix is damaged: {}", problem));
  }

 private:
  std::string_view rest_;
  const std::string& source_;
};

std::vector<std::uint8_t> PackZeroPoints(const QuantizedMatrix& matrix) {
  const MatrixF& zero_point = matrix.grid.zero_point;
  std::vector<std::uint8_t> whole(static_cast<std::size_t>(zero_point.size()));
  std::transform(
      zero_point.data(), zero_point.data() + zero_point.size(), whole.begin(), [&](float value) {
        DAQ_CHECK(value >= 0.0F && value < std::ldexp(1.0F, matrix.format.codebook.bits) &&
                      value == std::trunc(value),
                  "an integer zero-point fits in the bits of a code");
        return static_cast<std::uint8_t>(value);
      });
  std::vector<std::uint8_t> packed(PackedBytes(whole.size(), matrix.format.codebook.bits));
  PackBits(whole, matrix.format.codebook.bits, packed);
  return packed;
}

Format TakeFormat(Reader* in, std::uint8_t flags) {
  Format format;
  format.symmetric = (flags & kSymmetric) != 0;
  format.codebook.integer = (flags & kInteger) != 0;
  format.codebook.bits = in->Take<std::uint8_t>();
  in->Require(format.codebook.bits >= 1 && format.codebook.bits <= 8, "the bits of a code");
  const auto name_bytes = in->Take<std::uint16_t>();
  in->Require(name_bytes <= kLongestName, "the name of its code book");
  format.codebook.name = std::string(in->TakeBytes(name_bytes));
  const auto count = in->Take<std::uint16_t>();
  in->Require(count >= 2 && count <= 1U << format.codebook.bits, "the size of its code book");
  format.codebook.values = in->TakeMany<float>(count);
  const std::vector<float>& values = format.codebook.values;
  for (std::size_t i = 0; i < values.size(); ++i) {
    in->Require(std::isfinite(values[i]) && (i == 0 || values[i - 1] < values[i]),
                "the values of its code book");
  }
  format.group_size = in->Take<std::int64_t>();
  return format;
}

MatrixF TakeMatrix(Reader* in, Index rows, Index columns) {
  const std::vector<float> numbers =
      in->TakeMany<float>(static_cast<std::uint64_t>(rows * columns));
  MatrixF matrix(rows, columns);
  std::copy(numbers.begin(), numbers.end(), matrix.data());
  return matrix;
}

Grid TakeGrid(Reader* in, const Format& format, Index rows, Index groups, bool integer_zero_point) {
  Grid grid{.scale = TakeMatrix(in, rows, groups),
            .zero_point = {},
            .integer_zero_point = integer_zero_point};
  in->Require(std::all_of(grid.scale.data(), grid.scale.data() + grid.scale.size(),
                          [](float scale) { return std::isfinite(scale) && scale > 0.0F; }),
              "a scale that is not positive and finite");
  if (format.symmetric) {
    in->Require(!integer_zero_point, "zero-points of a symmetric format");
    grid.zero_point = MatrixF::Zero(rows, groups);
  } else if (integer_zero_point) {
    const auto count = static_cast<std::size_t>(rows * groups);
    const auto packed = in->TakeMany<std::uint8_t>(PackedBytes(count, format.codebook.bits));
    std::vector<std::uint8_t> whole(count);
    UnpackBits(packed, format.codebook.bits, whole);
    grid.zero_point.resize(rows, groups);
    std::copy(whole.begin(), whole.end(), grid.zero_point.data());
  } else {
    grid.zero_point = TakeMatrix(in, rows, groups);
    in->Require(std::all_of(grid.zero_point.data(), grid.zero_point.data() + grid.zero_point.size(),
                            [](float value) { return std::isfinite(value); }),
                "a zero-point that is not finite");
  }
  return grid;
}

// In as many bits an entry as positions need, the same whoever writes it.
std::vector<std::uint8_t> PackColumnOrder(const QuantizedMatrix& matrix) {
  const std::vector<std::uint32_t> positions(matrix.column_order.begin(),
                                             matrix.column_order.end());
  const int bits = BitsOfPosition(matrix.in_features);
  std::vector<std::uint8_t> packed(PackedBytes(positions.size(), bits));
  PackNumbers(positions, bits, packed);
  return packed;
}

std::vector<std::int32_t> TakeColumnOrder(Reader* in, Index in_features) {
  const int bits = BitsOfPosition(in_features);
  const auto count = static_cast<std::size_t>(in_features);
  const auto packed = in->TakeMany<std::uint8_t>(PackedBytes(count, bits));
  std::vector<std::uint32_t> positions(count);
  UnpackNumbers(packed, bits, positions);
  std::vector<bool> seen(count, false);
  for (const std::uint32_t feature : positions) {
    in->Require(feature < count && !seen[feature], "its column order");
    seen[feature] = true;
  }
  return {positions.begin(), positions.end()};
}

// A code that no value belongs to would read past the book. Only books that fill their bits cannot
// have one.
void RequireCodesInBook(const Reader& in, const QuantizedMatrix& matrix) {
  const std::size_t count = matrix.format.codebook.values.size();
  if (count == std::size_t{1} << matrix.format.codebook.bits) return;
  std::vector<std::uint8_t> codes(static_cast<std::size_t>(matrix.in_features));
  for (Index row = 0; row < matrix.out_features; ++row) {
    UnpackRow(matrix, row, codes);
    in.Require(
        std::all_of(codes.begin(), codes.end(), [&](std::uint8_t code) { return code < count; }),
        "a code outside its code book");
  }
}

}  // namespace

std::string Serialize(const QuantizedMatrix& matrix) {
  const Format& format = matrix.format;
  const Codebook& book = format.codebook;
  DAQ_CHECK(book.name.size() <= kLongestName, "a code book's name is short");
  const std::size_t start = kMagic.size() + kDigestBytes;
  std::string bytes(kMagic);
  bytes.reserve(start + 4096 + matrix.packed_codes.size() +
                static_cast<std::size_t>(matrix.grid.scale.size()) * 8);
  bytes.resize(start);
  Writer out(&bytes);
  const bool integer_zero_point = matrix.grid.integer_zero_point && !format.symmetric;
  out.Put(static_cast<std::uint8_t>((book.integer ? kInteger : 0) |
                                    (format.symmetric ? kSymmetric : 0) |
                                    (integer_zero_point ? kIntegerZeroPoint : 0) |
                                    (matrix.column_order.empty() ? 0 : kColumnOrder)));
  out.Put(static_cast<std::uint8_t>(book.bits));
  out.Put(static_cast<std::uint16_t>(book.name.size()));
  out.Put(book.name.data(), book.name.size());
  out.Put(static_cast<std::uint16_t>(book.values.size()));
  out.Put(book.values.data(), book.values.size() * sizeof(float));
  out.Put(static_cast<std::int64_t>(format.group_size));
  out.Put(static_cast<std::int64_t>(matrix.out_features));
  out.Put(static_cast<std::int64_t>(matrix.in_features));
  out.Put(matrix.grid.scale.data(),
          static_cast<std::size_t>(matrix.grid.scale.size()) * sizeof(float));
  if (integer_zero_point) {
    const std::vector<std::uint8_t> packed = PackZeroPoints(matrix);
    out.Put(packed.data(), packed.size());
  } else if (!format.symmetric) {
    out.Put(matrix.grid.zero_point.data(),
            static_cast<std::size_t>(matrix.grid.zero_point.size()) * sizeof(float));
  }
  if (!matrix.column_order.empty()) {
    DAQ_CHECK(matrix.column_order.size() == static_cast<std::size_t>(matrix.in_features),
              "a column order names every input feature");
    const std::vector<std::uint8_t> packed = PackColumnOrder(matrix);
    out.Put(packed.data(), packed.size());
  }
  out.Put(matrix.packed_codes.data(), matrix.packed_codes.size());
  bytes.replace(kMagic.size(), kDigestBytes, Sha256Hex(std::string_view(bytes).substr(start)));
  return bytes;
}

QuantizedMatrix Parse(std::string_view bytes, const std::string& source) {
  Reader in(bytes, source);
  in.Require(bytes.starts_with(kMagic), "it does not begin as one of this version");
  in.TakeBytes(kMagic.size());
  const std::string_view digest = in.TakeBytes(kDigestBytes);
  in.Require(digest == Sha256Hex(bytes.substr(kMagic.size() + kDigestBytes)),
             "its SHA-256 differs");
  QuantizedMatrix matrix;
  const auto flags = in.Take<std::uint8_t>();
  in.Require(flags <= (kInteger | kSymmetric | kIntegerZeroPoint | kColumnOrder), "unknown flags");
  matrix.format = TakeFormat(&in, flags);
  matrix.out_features = in.Take<std::int64_t>();
  matrix.in_features = in.Take<std::int64_t>();
  in.Require(matrix.out_features >= 1 && matrix.out_features <= kLargestDimension &&
                 matrix.in_features >= 1 && matrix.in_features <= kLargestDimension,
             "its shape");
  const Index group_size = matrix.format.group_size;
  in.Require(group_size >= 0 && (group_size == 0 || matrix.in_features % group_size == 0),
             "its group size");
  const Index groups = group_size == 0 ? 1 : matrix.in_features / group_size;
  matrix.grid =
      TakeGrid(&in, matrix.format, matrix.out_features, groups, (flags & kIntegerZeroPoint) != 0);
  if ((flags & kColumnOrder) != 0) matrix.column_order = TakeColumnOrder(&in, matrix.in_features);
  const std::size_t row_bytes =
      PackedBytes(static_cast<std::size_t>(matrix.in_features), matrix.format.codebook.bits);
  matrix.packed_codes =
      in.TakeMany<std::uint8_t>(static_cast<std::size_t>(matrix.out_features) * row_bytes);
  in.Require(in.AtEnd(), "more follows its end");
  RequireCodesInBook(in, matrix);
  return matrix;
}

}  // namespace daq
