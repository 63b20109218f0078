#include "methods/quantized_matrix.h"

#include <algorithm>
#include <array>
#include <bit>
#include <utility>

#include "base/error.h"
#include "methods/bit_packing.h"

namespace daq {
namespace {

// Rows of one piece of parallel work.
constexpr Index kRowsPerItem = 16;

std::size_t RowBytes(const Format& format, Index in_features) {
  return PackedBytes(static_cast<std::size_t>(in_features), format.codebook.bits);
}

std::span<const std::uint8_t> PackedRow(const QuantizedMatrix& matrix, Index row) {
  const std::size_t row_bytes = RowBytes(matrix.format, matrix.in_features);
  return std::span(matrix.packed_codes)
      .subspan(static_cast<std::size_t>(row) * row_bytes, row_bytes);
}

// One group of a row. `table` has room for every code a byte can hold.
void DequantizeGroup(std::span<const float> values, double scale, double zero_point,
                     std::span<const std::uint8_t> codes, std::span<float> table, float* weight) {
  const auto decode = [&](std::size_t code) {
    return static_cast<float>((static_cast<double>(values[code]) - zero_point) * scale);
  };
  if (codes.size() < values.size()) {  // a table would cost more than it saves
    for (std::size_t i = 0; i < codes.size(); ++i) weight[i] = decode(codes[i]);
    return;
  }
  for (std::size_t code = 0; code < values.size(); ++code) table[code] = decode(code);
  for (std::size_t i = 0; i < codes.size(); ++i) weight[i] = table[codes[i]];
}

}  // namespace

QuantizedMatrix Pack(const Format& format, Index out_features, Index in_features,
                     std::span<const std::uint8_t> codes, Grid grid) {
  const auto columns = static_cast<std::size_t>(in_features);
  const Index groups = format.group_size == 0 ? 1 : in_features / format.group_size;
  DAQ_CHECK(codes.size() == static_cast<std::size_t>(out_features) * columns, "one code a weight");
  DAQ_CHECK(grid.scale.rows() == out_features && grid.scale.cols() == groups, "one scale a group");
  DAQ_CHECK(grid.zero_point.rows() == out_features && grid.zero_point.cols() == groups,
            "one zero-point a group");
  DAQ_CHECK(std::all_of(codes.begin(), codes.end(),
                        [&](std::uint8_t code) { return code < format.codebook.values.size(); }),
            "codes are indices into the book");
  const std::size_t row_bytes = RowBytes(format, in_features);
  QuantizedMatrix matrix{.format = format,
                         .out_features = out_features,
                         .in_features = in_features,
                         .grid = std::move(grid),
                         .packed_codes = std::vector<std::uint8_t>(
                             static_cast<std::size_t>(out_features) * row_bytes)};
  for (std::size_t row = 0; row < static_cast<std::size_t>(out_features); ++row) {
    PackBits(codes.subspan(row * columns, columns), format.codebook.bits,
             std::span(matrix.packed_codes).subspan(row * row_bytes, row_bytes));
  }
  return matrix;
}

void UnpackRow(const QuantizedMatrix& matrix, Index row, std::span<std::uint8_t> codes) {
  UnpackBits(PackedRow(matrix, row), matrix.format.codebook.bits, codes);
}

std::vector<std::uint8_t> UnpackCodes(const QuantizedMatrix& matrix) {
  const auto columns = static_cast<std::size_t>(matrix.in_features);
  std::vector<std::uint8_t> codes(static_cast<std::size_t>(matrix.out_features) * columns);
  for (Index row = 0; row < matrix.out_features; ++row) {
    UnpackRow(matrix, row,
              std::span(codes).subspan(static_cast<std::size_t>(row) * columns, columns));
  }
  return codes;
}

void DequantizeRows(const QuantizedMatrix& matrix, Index first_row, MatrixView weight) {
  const std::vector<std::int32_t>& order = matrix.column_order;
  DAQ_CHECK(weight.cols() == matrix.in_features &&
                first_row + weight.rows() <= matrix.out_features &&
                (order.empty() || order.size() == static_cast<std::size_t>(matrix.in_features)),
            "rows of the matrix");
  const Index groups = matrix.grid.scale.cols();
  const Index length = GroupLength(matrix.format, matrix.in_features);
  std::vector<std::uint8_t> codes(static_cast<std::size_t>(matrix.in_features));
  std::vector<float> stored(order.empty() ? 0 : codes.size());  // a row in stored order
  std::array<float, 256> table;
  for (Index row = 0; row < weight.rows(); ++row) {
    UnpackRow(matrix, first_row + row, codes);
    float* const values = order.empty() ? weight.row(row).data() : stored.data();
    for (Index group = 0; group < groups; ++group) {
      DequantizeGroup(matrix.format.codebook.values,
                      static_cast<double>(matrix.grid.scale(first_row + row, group)),
                      static_cast<double>(matrix.grid.zero_point(first_row + row, group)),
                      std::span(codes).subspan(static_cast<std::size_t>(group * length),
                                               static_cast<std::size_t>(length)),
                      table, values + group * length);
    }
    for (std::size_t p = 0; p < order.size(); ++p) weight(row, order[p]) = stored[p];
  }
}

void Dequantize(const QuantizedMatrix& matrix, MatrixView weight, ThreadPool* pool) {
  DAQ_CHECK(weight.rows() == matrix.out_features, "a weight for every row");
  if (pool == nullptr) {
    DequantizeRows(matrix, 0, weight);
    return;
  }
  pool->ParallelFor((weight.rows() + kRowsPerItem - 1) / kRowsPerItem, [&](Index item, int) {
    const Index first = item * kRowsPerItem;
    DequantizeRows(matrix, first,
                   weight.middleRows(first, std::min(kRowsPerItem, weight.rows() - first)));
  });
}

std::int64_t StoredBits(const Format& format, Index out_features, Index in_features,
                        bool integer_zero_point) {
  const std::int64_t groups =
      out_features * (format.group_size == 0 ? 1 : in_features / format.group_size);
  std::int64_t bits =
      out_features * static_cast<std::int64_t>(RowBytes(format, in_features)) * 8 + groups * 32;
  if (!format.symmetric) {
    bits += integer_zero_point
                ? static_cast<std::int64_t>(
                      PackedBytes(static_cast<std::size_t>(groups), format.codebook.bits) * 8)
                : groups * 32;
  }
  if (!IsBuiltIn(format.codebook))
    bits += static_cast<std::int64_t>(format.codebook.values.size()) * 32;
  return bits;
}

std::int64_t StoredBits(const QuantizedMatrix& matrix) {
  const std::size_t order_bytes =
      PackedBytes(matrix.column_order.size(), BitsOfPosition(matrix.in_features));
  return StoredBits(matrix.format, matrix.out_features, matrix.in_features,
                    matrix.grid.integer_zero_point) +
         static_cast<std::int64_t>(order_bytes * 8);
}

int BitsOfPosition(Index in_features) {
  return static_cast<int>(std::bit_width(static_cast<std::uint64_t>(in_features - 1)));
}

}  // namespace daq
