#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/matrix.h"
#include "base/thread_pool.h"
#include "methods/diagnostics.h"
#include "methods/layer_size.h"
#include "methods/layer_statistics.h"
#include "methods/quantized_matrix.h"

namespace daq {

// What a part is told of the layer at hand.
struct LayerContext {
  std::string name;  // "model.layers.3.self_attn.q_proj": for messages and rules by layer
  const LayerStatistics* statistics = nullptr;  // null without calibration data
  ThreadPool* pool = nullptr;                   // never null
  // Where a part sees only some of a layer's columns, or in another order (GPTQ's groups and
  // act-order): columns[c] is the input feature, a column of the statistics, that column c of the
  // weight belongs to. Empty: column c is c.
  std::span<const Index> columns = {};
};

// What a range decided.
struct RangeResult {
  Grid grid;
  // The code of each weight, row-major, where the search settled them too: a search ends where many
  // weights lie on the edge between two codes, and deriving codes again from the rounded grid would
  // undo part of it. Empty: each weight takes the code nearest to it.
  std::vector<std::uint8_t> codes;
  Diagnostics diagnostics = {};
};

// Chooses the scale and zero-point of each group.
class Range {
 public:
  virtual ~Range() = default;

  // Throws InputError if this range cannot serve `format`. Called once where the config is read, so
  // that a run never fails on it hours later.
  virtual void CheckFormat(const Format& format) const = 0;

  // One line on what the settings come to for `format`, for `plan --explain`: a setting may concern
  // only some formats.
  virtual std::string Explain(const Format& format) const = 0;

  // True if Find needs layer.statistics.
  virtual bool needs_statistics() const = 0;

  // The diagnostics that a RangeResult may hold; they outlive this object.
  virtual std::span<const DiagnosticSpec> diagnostics() const { return {}; }

  // Rough work and memory of Find, for forecasts only.
  virtual Work Cost(const LayerSize&) const { return {}; }
  virtual Footprint Memory(const LayerSize&, int /*threads*/) const { return {}; }

  // The grid of `weight`, [rows, columns], all finite, columns a multiple of the group size (or
  // any, by channel). Rows are independent of each other. Deterministic for any thread count.
  // Throws InputError, naming the layer, if group_size does not divide the columns or a grid's
  // values exceed float32.
  virtual RangeResult Find(const ConstMatrixView& weight, const Format& format,
                           const LayerContext& layer) const = 0;
};

}  // namespace daq
