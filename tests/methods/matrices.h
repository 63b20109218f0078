#pragma once
#include <cstdint>
#include <random>
#include <vector>

#include "base/matrix.h"
#include "methods/format.h"
#include "methods/layer_statistics.h"

// Deterministic weights and the list of formats that the tests of methods/ share.
namespace daq {

// Uniform in [-1, 1), from the generator's bits alone: standard distributions differ between
// libraries.
inline double Uniform(std::mt19937_64* generator) {
  return static_cast<double>((*generator)() >> 11) * 0x1p-52 - 1.0;
}

// Roughly normal with standard deviation `deviation` (a sum of twelve uniforms), as weights of a
// linear layer are.
inline MatrixF NormalMatrix(Index rows, Index columns, double deviation, std::uint64_t seed) {
  std::mt19937_64 generator(seed);
  return MatrixF::NullaryExpr(rows, columns, [&]() {
    double sum = 0;
    for (int i = 0; i < 12; ++i) sum += Uniform(&generator);
    return static_cast<float>(sum * 0.5 * deviation);
  });
}

// The same with the tails of outlier channels: the fifth power of a uniform.
inline MatrixF HeavyTailedMatrix(Index rows, Index columns, double largest, std::uint64_t seed) {
  std::mt19937_64 generator(seed);
  return MatrixF::NullaryExpr(rows, columns, [&]() {
    const double u = Uniform(&generator);
    return static_cast<float>(u * u * u * u * u * largest);
  });
}

// Inputs of which neighbours are alike, as those of a model are: each feature is a mix of the
// feature before it and something of its own, some features are ten times as large.
inline MatrixF CorrelatedInputs(Index tokens, Index features, std::uint64_t seed) {
  MatrixF inputs = NormalMatrix(tokens, features, 1.0, seed);
  for (Index column = 1; column < features; ++column)
    inputs.col(column) = 0.8F * inputs.col(column - 1) + 0.6F * inputs.col(column);
  for (Index column = 5; column < features; column += 37) inputs.col(column) *= 10.0F;
  return inputs;
}

// The statistics of these inputs, [tokens, in_features].
inline LayerStatistics StatisticsOf(const ConstMatrixView& inputs) {
  ThreadPool pool(1);
  return {inputs, &pool};
}

inline Codebook BuiltIn(std::string_view name, bool symmetric) {
  return FindCodebook(name, symmetric).value();
}

// Every built-in book, symmetric and not, and one of a config's own, with the given group size.
inline std::vector<Format> AllFormats(Index group_size) {
  std::vector<Format> formats;
  for (const bool symmetric : {false, true}) {
    for (const CodebookInfo& info : Codebooks()) {
      formats.push_back({.codebook = BuiltIn(info.name, symmetric),
                         .symmetric = symmetric,
                         .group_size = group_size});
    }
    const std::vector<double> values = {-3, -1.5, -0.5, 0, 0.25, 1, 2};
    formats.push_back({.codebook = CustomCodebook("seven", values, {"test"}, "values"),
                       .symmetric = symmetric,
                       .group_size = group_size});
  }
  return formats;
}

}  // namespace daq
