#include "harness/module_errors.h"

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "base/reduce.h"

namespace daq {
namespace {

std::span<const float> Entries(const ConstMatrixView& rows) {
  return {rows.data(), static_cast<std::size_t>(rows.size())};
}

}  // namespace

ModuleErrors::ModuleErrors(Module module, Index windows, Index hidden_size, BlockForward* forward,
                           Index window_tokens, ThreadPool* pool,
                           const std::filesystem::path& scratch_folder)
    : module_(module),
      forward_(forward),
      pool_(pool),
      inputs_(windows, window_tokens, hidden_size, scratch_folder),
      outputs_(windows, window_tokens, hidden_size, scratch_folder),
      scratch_(forward->batch_windows() * window_tokens, hidden_size) {}

LinearInput ModuleErrors::input() const {
  return module_ == Module::kAttention ? LinearInput::kAttention : LinearInput::kMlp;
}

void ModuleErrors::Capture(Index first_window, const ConstMatrixView& rows) {
  if (first_window == 0) outputs_done_ = 0;
  const Index count =
      std::min(rows.rows() / inputs_.window_tokens(), inputs_.windows() - first_window);
  if (count <= 0) return;  // only smaller calibrations need these
  inputs_.rows(first_window, count) = rows.topRows(count * inputs_.window_tokens());
  inputs_.Release(first_window, count);
}

void ModuleErrors::Output(const BlockWeights& weights, Index first, Index count,
                          MatrixView output) {
  const MatrixView input = inputs_.rows(first, count);
  if (module_ == Module::kAttention) {
    forward_->AttentionOutput(weights, input, output);
  } else {
    forward_->MlpOutput(weights, input, output);
  }
  inputs_.Release(first, count);
}

double ModuleErrors::Mean(const BlockWeights& original, const BlockWeights& trial, Index windows) {
  DAQ_CHECK(windows > 0 && windows <= inputs_.windows(), "windows that were captured");
  const Index tokens = inputs_.window_tokens();
  while (outputs_done_ < windows) {
    const Index count = std::min(forward_->batch_windows(), windows - outputs_done_);
    Output(original, outputs_done_, count, outputs_.rows(outputs_done_, count));
    outputs_.Release(outputs_done_, count);
    outputs_done_ += count;
  }
  std::vector<double> sums(static_cast<std::size_t>(windows));
  for (Index first = 0; first < windows; first += forward_->batch_windows()) {
    const Index count = std::min(forward_->batch_windows(), windows - first);
    MatrixView found = scratch_.topRows(count * tokens);
    Output(trial, first, count, found);
    const MatrixView expected = outputs_.rows(first, count);
    pool_->ParallelFor(count, [&](Index window, int) {
      sums[static_cast<std::size_t>(first + window)] =
          SquaredDistance(Entries(found.middleRows(window * tokens, tokens)),
                          Entries(expected.middleRows(window * tokens, tokens)));
    });
    outputs_.Release(first, count);
  }
  return Sum(sums) / (static_cast<double>(windows * tokens) * static_cast<double>(scratch_.cols()));
}

}  // namespace daq
