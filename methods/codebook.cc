#include "methods/codebook.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <span>
#include <utility>

namespace daq {
namespace {

constexpr CodebookInfo kBooks[] = {
    {"int2", "uniform grid of 4 integers", "GPTQ, llm-awq", false},
    {"int3", "uniform grid of 8 integers", "GPTQ, llm-awq", false},
    {"int4", "uniform grid of 16 integers", "GPTQ, llm-awq", false},
    {"int5", "uniform grid of 32 integers", "as int4, other width", false},
    {"int6", "uniform grid of 64 integers", "as int4, other width", false},
    {"int8", "uniform grid of 256 integers", "GPTQ, llm-awq", false},
    {"nf2", "4 NormalFloat values", "QLoRA's construction with 2 bits; this project", true},
    {"nf3", "8 NormalFloat values", "AFPQ's published NF3 (QLoRA's construction with 3 bits)",
     true},
    {"nf4", "16 NormalFloat values", "QLoRA, bitsandbytes", true},
    {"fp4_e2m1", "15 values: 0 and +-0.5, 1, 1.5, 2, 3, 4, 6",
     "OCP Microscaling Formats 1.0, FP4 E2M1", true},
    {"fp4_e2m1_release", "15 values: as fp4_e2m1 with +-0.0625 for +-0.5", "DAQ's released code",
     true},
    {"fp4_bnb", "15 values: 0 and +-0.0625, 2, 3, 4, 6, 8, 12", "bitsandbytes' FP4", true},
    {"fp8_e4m3", "253 values up to +-448", "OCP 8-bit Floating Point 1.0, E4M3", true},
};

// NormalFloat of k bits (QLoRA, create_normal_map): with offset o, the 2^(k-1) positive values are
// the normal quantiles at 2^(k-1) + 1 equal steps from o to 1/2, the last (0) left out; the 2^(k-1)
// - 1 negative values minus those at 2^(k-1) steps; with 0, and all divided by the largest. QLoRA's
// o = 0.9677083 is, for 4 bits, that of
//     o = 1 - (1 / 2^(k+1) + 1 / (2^(k+1) - 2)) / 2,
// the mean of the half-bin margins on both sides. With k = 3 this formula (o = 0.9330357) gives
// AFPQ's published NF3; k = 2 gives nf2 (no other source). The digits below are the published ones,
// to float32; a test computes all three.
constexpr std::array<float, 4> kNf2 = {-1.0F, 0.0F, 0.4358181655406952F, 1.0F};
constexpr std::array<float, 8> kNf3 = {-1.0F,
                                       -0.5350227355957031F,
                                       -0.2469314038753510F,
                                       0.0F,
                                       0.1833375245332718F,
                                       0.3819939494132996F,
                                       0.6229856610298157F,
                                       1.0F};
constexpr std::array<float, 16> kNf4 = {-1.0F,
                                        -0.6961928009986877F,
                                        -0.5250730514526367F,
                                        -0.39491748809814453F,
                                        -0.28444138169288635F,
                                        -0.18477343022823334F,
                                        -0.09105003625154495F,
                                        0.0F,
                                        0.07958029955625534F,
                                        0.16093020141124725F,
                                        0.24611230194568634F,
                                        0.33791524171829224F,
                                        0.44070982933044434F,
                                        0.5626170039176941F,
                                        0.7229568362236023F,
                                        1.0F};

// The positive halves of books that mirror around 0.
constexpr std::array<float, 7> kFp4 = {0.5F, 1.0F, 1.5F, 2.0F, 3.0F, 4.0F, 6.0F};
constexpr std::array<float, 7> kFp4Release = {0.0625F, 1.0F, 1.5F, 2.0F, 3.0F, 4.0F, 6.0F};
constexpr std::array<float, 7> kFp4Bnb = {0.0625F, 2.0F, 3.0F, 4.0F, 6.0F, 8.0F, 12.0F};

// +0 and -0 are one value, so a mirrored book with m positive values has 2 m + 1.
std::vector<float> Mirrored(std::span<const float> positive) {
  std::vector<float> values;
  for (std::size_t i = positive.size(); i > 0; --i) values.push_back(-positive[i - 1]);
  values.push_back(0.0F);
  values.insert(values.end(), positive.begin(), positive.end());
  return values;
}

// The 126 positive finite values of E4M3: exponent bias 7, three mantissa bits, exponent 0 for
// subnormals. There is no infinity, and of exponent 15 only mantissa 7 is not a number, so the
// largest is 1.75 * 2^8 = 448.
std::vector<float> PositiveE4M3() {
  std::vector<float> values;
  for (int code = 1; code < 127; ++code) {
    const int exponent = code >> 3;
    const auto mantissa = static_cast<float>(code & 7);
    values.push_back(exponent == 0 ? std::ldexp(mantissa / 8.0F, -6)
                                   : std::ldexp(1.0F + mantissa / 8.0F, exponent - 7));
  }
  return values;
}

std::vector<float> Integers(int bits, bool is_signed) {
  const int count = 1 << bits;
  const int first = is_signed ? -count / 2 : 0;
  std::vector<float> values;
  values.reserve(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) values.push_back(static_cast<float>(first + i));
  return values;
}

int BitsFor(std::size_t count) { return static_cast<int>(std::bit_width(count - 1)); }

std::vector<float> FloatValues(std::string_view name) {
  if (name == "nf2") return {kNf2.begin(), kNf2.end()};
  if (name == "nf3") return {kNf3.begin(), kNf3.end()};
  if (name == "nf4") return {kNf4.begin(), kNf4.end()};
  if (name == "fp4_e2m1") return Mirrored(kFp4);
  if (name == "fp4_e2m1_release") return Mirrored(kFp4Release);
  if (name == "fp4_bnb") return Mirrored(kFp4Bnb);
  DAQ_CHECK(name == "fp8_e4m3", "every row of the table has values");
  return Mirrored(PositiveE4M3());
}

}  // namespace

std::span<const CodebookInfo> Codebooks() { return kBooks; }

std::optional<Codebook> FindCodebook(std::string_view name, bool symmetric) {
  const auto* info = std::find_if(std::begin(kBooks), std::end(kBooks),
                                  [&](const CodebookInfo& row) { return row.name == name; });
  if (info == std::end(kBooks)) return std::nullopt;
  Codebook book;
  book.name = name;
  book.integer = name.starts_with("int");
  book.values = book.integer ? Integers(name.back() - '0', symmetric) : FloatValues(name);
  book.bits = BitsFor(book.values.size());
  return book;
}

Codebook CustomCodebook(std::string name, std::span<const double> values, const FileLocation& where,
                        std::string_view key) {
  if (FindCodebook(name, false)) {
    throw InputError(where, key, "a name that no built-in code book has", name);
  }
  if (values.size() < 2 || values.size() > 256) {
    throw InputError(where, key, "2 to 256 values", fmt::format("{}", values.size()));
  }
  Codebook book;
  book.name = std::move(name);
  book.bits = BitsFor(values.size());
  for (const double value : values) {
    const auto stored = static_cast<float>(value);
    if (!std::isfinite(stored))
      throw InputError(where, key, "finite float32 values", fmt::format("{}", value));
    if (!book.values.empty() && stored <= book.values.back()) {
      throw InputError(where, key, "strictly increasing float32 values",
                       fmt::format("{} after {}", value, book.values.back()));
    }
    book.values.push_back(stored);
  }
  return book;
}

bool IsBuiltIn(const Codebook& codebook) {
  return FindCodebook(codebook.name, false) == codebook ||
         FindCodebook(codebook.name, true) == codebook;
}

}  // namespace daq
