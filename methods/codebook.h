#pragma once
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace daq {

// The representable values of a number format, in code units. A weight is stored as an index into
// `values` and means (values[index] - zero_point) * scale.
struct Codebook {
  std::string name;      // "int4", "nf4", ..., or the name a config gives its own
  int bits = 0;          // stored bits of one code, 1..8; values.size() <= 2^bits
  bool integer = false;  // a uniform grid of integers: 0 .. 2^bits - 1, or signed, -2^(bits-1) ..
                         // 2^(bits-1) - 1
  std::vector<float> values;  // strictly increasing, 2 to 256 of them

  float first() const { return values.front(); }
  float last() const { return values.back(); }

  bool operator==(const Codebook&) const = default;
};

// A row of the table of formats, as `plan --explain` and the docs print it.
struct CodebookInfo {
  std::string_view name;
  std::string_view summary;
  std::string_view source;
  bool symmetric_by_default;  // integer grids: false, as llm-awq and GPTQ; floating-point books:
                              // true (zero_point 0)
};

// All built-in code books: int2 int3 int4 int5 int6 int8, nf2 nf3 nf4, fp4_e2m1 fp4_e2m1_release
// fp4_bnb, fp8_e4m3.
std::span<const CodebookInfo> Codebooks();

// The named book, or nothing for an unknown name. `symmetric` matters to integers only: it selects
// the signed grid.
std::optional<Codebook> FindCodebook(std::string_view name, bool symmetric);

// A code book given in a config: 2 to 256 finite values, strictly increasing as float32; bits =
// ceil(log2(count)). Throws InputError at `where` and `key` (the key that holds the values)
// otherwise, or if `name` is a built-in one's: a table must not show two different things under one
// name.
Codebook CustomCodebook(std::string name, std::span<const double> values, const FileLocation& where,
                        std::string_view key);

// True if `codebook` is a built-in one, so that its name says all; a config's own is stored with
// its values.
bool IsBuiltIn(const Codebook& codebook);

}  // namespace daq
