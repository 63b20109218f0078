#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/matrix.h"
#include "base/thread_pool.h"
#include "methods/format.h"

namespace daq {

// One scale and zero-point for each group of each row: w' = (codebook value - zero_point) * scale.
struct Grid {
  MatrixF scale;       // [out_features, groups], all > 0 and finite
  MatrixF zero_point;  // same shape, in code units, finite; all 0 for a symmetric format
  // Every zero_point is a whole number in 0 .. 2^bits - 1, so it is stored in as many bits as a
  // code; otherwise it takes 32. True for an unsigned integer format with rounded zero-points, for
  // example.
  bool integer_zero_point = false;
};

// A quantised weight matrix as it is stored: codes packed to their true bits, with its grid.
struct QuantizedMatrix {
  Format format;
  Index out_features = 0;
  Index in_features = 0;
  Grid grid;
  std::vector<std::uint8_t>
      packed_codes;  // codebook.bits a code, row-major, lowest bits first; rows begin on a byte
  // Position p of every row's codes belongs to input feature column_order[p], so groups are of
  // consecutive positions, not features: GPTQ's act-order. A permutation; empty: p is feature p.
  std::vector<std::int32_t> column_order = {};
};

// codes: out_features * in_features indices into the code book, row-major. The grid has the shape
// of the format.
QuantizedMatrix Pack(const Format& format, Index out_features, Index in_features,
                     std::span<const std::uint8_t> codes, Grid grid);

// The inverse of Pack for the codes, in stored order.
std::vector<std::uint8_t> UnpackCodes(const QuantizedMatrix& matrix);

// The codes of one row in stored order; codes has in_features elements.
void UnpackRow(const QuantizedMatrix& matrix, Index row, std::span<std::uint8_t> codes);

// w'[r, c] = (values[code[r, p]] - zero_point[r, g]) * scale[r, g], computed in double and rounded
// once; p is the position of input feature c, g its group. weight: [out_features, in_features].
// Rows are shared out over `pool` where one is given (not from inside a loop of that pool); the
// bits are the same.
void Dequantize(const QuantizedMatrix& matrix, MatrixView weight, ThreadPool* pool = nullptr);

// Rows [first_row, first_row + weight.rows()) of the same.
void DequantizeRows(const QuantizedMatrix& matrix, Index first_row, MatrixView weight);

// Bits of everything that is stored: codes with each row padded to bytes, 32-bit scales,
// zero-points (none for a symmetric format, as many bits as a code where whole, else 32), a
// config's own code book (32 bits a value), and a column order (BitsOfPosition each, padded to a
// byte).
std::int64_t StoredBits(const QuantizedMatrix& matrix);

// The same, of a matrix without a column order that need not exist yet.
std::int64_t StoredBits(const Format& format, Index out_features, Index in_features,
                        bool integer_zero_point);

// Bits of one entry of a column order: ceil(log2(in_features)).
int BitsOfPosition(Index in_features);

// A self-describing binary form (docs/formats.md), with a SHA-256 over it. Parse throws InputError
// naming `source` on a truncated, altered or inconsistent one: wrong digest, sizes that disagree, a
// code outside the book, a scale that is not positive and finite, a column order that is no
// permutation.
std::string Serialize(const QuantizedMatrix& matrix);
QuantizedMatrix Parse(std::string_view bytes, const std::string& source);

}  // namespace daq
