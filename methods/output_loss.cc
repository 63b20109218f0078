#include "methods/output_loss.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/reduce.h"
#include "methods/minmax_grid.h"

namespace daq {
namespace {

constexpr Index kBlock = InputFactor::kBlock;
constexpr std::size_t kBlockSize = static_cast<std::size_t>(kBlock);
using Block = std::array<double, kBlockSize>;

constexpr Index kPrefetchAhead = 8;  // columns of R, whose order the processor cannot foresee

// Order by value, then by index: the same order every time.
std::uint64_t SortKey(float value, std::size_t index) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t ordered = (bits >> 31) != 0 ? ~bits : bits | 0x80000000U;
  return std::uint64_t{ordered} << 32 | index;
}

// In lanes, as base/reduce.h.
double SquaredSum(const Block& block) {
  return LaneSum(kBlockSize, [&](std::size_t i) { return block[i] * block[i]; });
}

double Product(const double* a, const double* b) {
  return LaneSum(kBlockSize, [&](std::size_t i) { return a[i] * b[i]; });
}

// sum += the terms' rows of a block, times their factors. Four at a time, to read and write sum
// less often: the number of terms is a multiple of four.
template <typename Terms, typename Row>
void AddRows(const Terms& terms, const Row& row, Block* sum) {
  for (std::size_t k = 0; k < terms.size(); k += 4) {
    const double* row0 = row(terms[k].end);
    const double* row1 = row(terms[k + 1].end);
    const double* row2 = row(terms[k + 2].end);
    const double* row3 = row(terms[k + 3].end);
    const double f0 = terms[k].factor;
    const double f1 = terms[k + 1].factor;
    const double f2 = terms[k + 2].factor;
    const double f3 = terms[k + 3].factor;
    for (std::size_t i = 0; i < kBlockSize; ++i) {
      (*sum)[i] += (f0 * row0[i] + f1 * row1[i]) + (f2 * row2[i] + f3 * row3[i]);
    }
  }
}

// Row 0 of the sums is all zeros.
template <typename Terms>
void FillUpToFour(Terms* terms) {
  while (terms->size() % 4 != 0) terms->push_back({.end = 0, .factor = 0});
}

}  // namespace

bool IsStorable(const GridPoint& point, const Codebook& book) {
  const GroupGrid grid{.scale = static_cast<float>(point.scale),
                       .zero_point = static_cast<float>(point.zero_point)};
  return grid.scale >= std::numeric_limits<float>::min() && FitsInFloat32(grid, book);
}

OutputLoss::OutputLoss(const Codebook& book)
    : encoder_(book),
      book_(book),
      values_(book.values.begin(), book.values.end()),
      end_count_(book.values.size() - 1) {}

void OutputLoss::Prepare(std::span<const float> weights, const InputFactor& factor,
                         const WeightTerms& terms) {
  DAQ_CHECK(static_cast<Index>(weights.size()) == factor.inputs(), "a weight an input");
  DAQ_CHECK((terms.square.empty() && terms.linear.empty()) ||
                (terms.square.size() == weights.size() && terms.linear.size() == weights.size()),
            "both terms of every weight or none");
  factor_ = &factor;
  terms_ = terms;
  weights_ = weights;
  count_ = factor.inputs();
  blocks_ = factor.blocks();
  SortWeights();
  SumColumns();
  SumWeightTerms();
  point_ = {};
}

void OutputLoss::SortWeights() {
  keys_.resize(weights_.size());
  for (std::size_t i = 0; i < keys_.size(); ++i) keys_[i] = SortKey(weights_[i], i);
  std::sort(keys_.begin(), keys_.end());
  order_.resize(keys_.size());
  sorted_.resize(keys_.size());
  for (std::size_t i = 0; i < keys_.size(); ++i) {
    order_[i] = static_cast<Index>(keys_[i] & 0xffffffffU);
    sorted_[i] = weights_[static_cast<std::size_t>(order_[i])];
  }
  DAQ_CHECK(sorted_.front() < sorted_.back(), "weights that are not all equal");
}

void OutputLoss::SumColumns() {
  const Index rows = blocks_ * (count_ + 1);
  if (prefix_.rows() < rows) prefix_.resize(rows, kBlock);
  target_.resize(blocks_, kBlock);
  codes_.resize(blocks_, kBlock);
  error_.resize(blocks_, kBlock);
  for (Index block = 0; block < blocks_; ++block) {
    Block sum{};
    Block target{};
    double* out = prefix_.data() + block * (count_ + 1) * kBlock;
    std::copy(sum.begin(), sum.end(), out);
    for (Index i = 0; i < count_; ++i) {
      const Index ahead =
          order_[static_cast<std::size_t>(std::min(i + kPrefetchAhead, count_ - 1))];
      const double* next = factor_->Column(block, ahead);
      for (Index line = 0; line < kBlock; line += 8) __builtin_prefetch(next + line);
      const double* column = factor_->Column(block, order_[static_cast<std::size_t>(i)]);
      const auto weight = static_cast<double>(sorted_[static_cast<std::size_t>(i)]);
      out += kBlock;
      for (std::size_t k = 0; k < kBlockSize; ++k) {
        sum[k] += column[k];
        target[k] += weight * column[k];
        out[k] = sum[k];
      }
    }
    std::copy(target.begin(), target.end(), target_.row(block).data());
  }
}

void OutputLoss::SumWeightTerms() {
  has_terms_ = !terms_.square.empty();
  if (!has_terms_) return;
  term_prefix_.resize(static_cast<std::size_t>(count_) + 1);
  std::array<double, 4> sum{};
  linear_target_ = 0;
  term_prefix_[0] = sum;
  for (std::size_t i = 0; i < static_cast<std::size_t>(count_); ++i) {
    const auto index = static_cast<std::size_t>(order_[i]);
    const auto weight = static_cast<double>(sorted_[i]);
    const double square = terms_.square[index];
    const double linear = terms_.linear[index];
    sum[0] += square;
    sum[1] += square * weight;
    sum[2] += square * weight * weight;
    sum[3] += linear;
    linear_target_ += linear * weight;
    term_prefix_[i + 1] = sum;
  }
}

// Bisection of all thresholds in step, without a branch: none could be foreseen, and side by side
// the look-ups need not wait for each other.
void OutputLoss::CountUpTo(std::span<const float> thresholds,
                           std::span<std::int32_t> counts) const {
  std::fill(counts.begin(), counts.end(), 0);
  const float* sorted = sorted_.data();
  auto left = static_cast<std::int32_t>(count_);
  while (left > 1) {
    const std::int32_t half = left / 2;
    for (std::size_t k = 0; k < counts.size(); ++k) {
      const auto at_most = static_cast<std::int32_t>(sorted[counts[k] + half - 1] <= thresholds[k]);
      counts[k] += half & -at_most;
    }
    left -= half;
  }
  for (std::size_t k = 0; k < counts.size(); ++k)
    counts[k] += static_cast<std::int32_t>(sorted[counts[k]] <= thresholds[k]);
}

void OutputLoss::FindThresholds(const GridPoint& point) {
  encoder_.Thresholds(point.scale, point.zero_point,
                      std::span<float>(thresholds_.data(), end_count_));
}

// Most steps of a search move few ends or none. This is a short loop without a branch; finding an
// end anew is a search with several.
bool OutputLoss::SameCodes() {
  std::int32_t moved = 0;
  for (std::size_t k = 0; k < end_count_; ++k) {
    is_moved_[k] = static_cast<std::int32_t>(thresholds_[k] < weight_before_[k]) |
                   static_cast<std::int32_t>(thresholds_[k] >= weight_behind_[k]);
    moved |= is_moved_[k];
  }
  return moved == 0;
}

double OutputLoss::TermsAt(const GridPoint& point, std::span<const Index> ends) const {
  double sum = 0;
  std::size_t begin = 0;
  for (std::size_t code = 0; code <= end_count_; ++code) {
    const std::size_t end = static_cast<std::size_t>(code < end_count_ ? ends[code] : count_);
    if (end == begin) continue;
    const std::array<double, 4>& low = term_prefix_[begin];
    const std::array<double, 4>& high = term_prefix_[end];
    const double value = (values_[code] - point.zero_point) * point.scale;
    sum += value * (value * (high[0] - low[0]) - 2 * (high[1] - low[1]) + 2 * (high[3] - low[3])) +
           (high[2] - low[2]);
    begin = end;
  }
  return sum - 2 * linear_target_;
}

double OutputLoss::CollectTerms(std::span<const Index> ends) {
  // Codes are c_last - sum of the steps (c_k+1 - c_k) whose threshold is not below the weight.
  double whole = values_.back();
  sum_.clear();
  for (std::size_t k = 0; k < end_count_; ++k) {
    const double step = values_[k] - values_[k + 1];
    if (ends[k] == 0) continue;
    if (ends[k] == count_) {
      whole += step;
    } else if (!sum_.empty() && sum_.back().end == ends[k]) {
      sum_.back().factor += step;
    } else {
      sum_.push_back({.end = ends[k], .factor = step});
    }
  }
  FillUpToFour(&sum_);
  return whole;
}

void OutputLoss::MoveTo(const GridPoint& point) {
  DAQ_CHECK(IsStorable(point, book_), "a grid that can be stored");
  point_ = point;
  FindThresholds(point);
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  CountUpTo(std::span(thresholds_).first(end_count_), std::span(counts_).first(end_count_));
  for (std::size_t k = 0; k < end_count_; ++k) {
    ends_[k] = counts_[k];
    const auto end = static_cast<std::size_t>(ends_[k]);
    weight_before_[k] = end == 0 ? -kInfinity : sorted_[end - 1];
    weight_behind_[k] = ends_[k] == count_ ? kInfinity : sorted_[end];
  }
  const double whole = CollectTerms(std::span(ends_).first(end_count_));
  const double offset = point.scale * point.zero_point;
  output_loss_ = error_codes_ = error_ones_ = codes_codes_ = codes_ones_ = ones_ones_ = 0;
  for (Index block = 0; block < blocks_; ++block) {
    Block codes{};
    AddRows(
        sum_, [&](Index end) { return Prefix(block, end); }, &codes);
    const double* ones = Prefix(block, count_);
    const double* target = target_.row(block).data();
    Block error;
    for (std::size_t i = 0; i < kBlockSize; ++i) {
      codes[i] += whole * ones[i];
      error[i] = point.scale * codes[i] - offset * ones[i] - target[i];
    }
    std::copy(codes.begin(), codes.end(), codes_.row(block).data());
    std::copy(error.begin(), error.end(), error_.row(block).data());
    output_loss_ += SquaredSum(error);
    error_codes_ += Product(error.data(), codes.data());
    error_ones_ += Product(error.data(), ones);
    codes_codes_ += SquaredSum(codes);
    codes_ones_ += Product(codes.data(), ones);
    ones_ones_ += Product(ones, ones);
  }
  loss_ = output_loss_;
  if (has_terms_) loss_ += TermsAt(point, std::span(ends_).first(end_count_));
}

double OutputLoss::At(const GridPoint& point, double bound) {
  if (!IsStorable(point, book_)) return std::numeric_limits<double>::infinity();
  FindThresholds(point);
  if (SameCodes()) {
    const double start = has_terms_ ? TermsAt(point, std::span(ends_).first(end_count_)) : 0;
    return start + WithSameCodes(point);
  }
  // The thresholds that pass a weight, gathered at the front.
  std::size_t moved = 0;
  for (std::size_t k = 0; k < end_count_; ++k) {
    thresholds_[moved] = thresholds_[k];
    moved += static_cast<std::size_t>(is_moved_[k]);
  }
  CountUpTo(std::span(thresholds_).first(moved), std::span(counts_).first(moved));
  changes_.clear();
  moved = 0;
  for (std::size_t k = 0; k < end_count_; ++k) {
    probe_ends_[k] = ends_[k];
    if (is_moved_[k] == 0) continue;
    probe_ends_[k] = counts_[moved++];
    const double step = values_[k] - values_[k + 1];
    changes_.push_back({.end = probe_ends_[k], .factor = step});
    changes_.push_back({.end = ends_[k], .factor = -step});
  }
  const double start = has_terms_ ? TermsAt(point, std::span(probe_ends_).first(end_count_)) : 0;
  // A difference reads two rows a change and three vectors of the current point.
  if (changes_.size() < end_count_) {
    FillUpToFour(&changes_);
    return FromDifferences(point, bound, start);
  }
  return FromCodes(point, bound, start);
}

double OutputLoss::FromCodes(const GridPoint& point, double bound, double start) {
  const double whole = CollectTerms(std::span(probe_ends_).first(end_count_));
  const double offset = point.scale * whole - point.scale * point.zero_point;
  double loss = start;
  for (Index block = 0; block < blocks_ && loss <= bound; ++block) {
    Block sum{};
    AddRows(
        sum_, [&](Index end) { return Prefix(block, end); }, &sum);
    const double* ones = Prefix(block, count_);
    const double* target = target_.row(block).data();
    for (std::size_t i = 0; i < kBlockSize; ++i) {
      sum[i] = point.scale * sum[i] + (offset * ones[i] - target[i]);
    }
    loss += SquaredSum(sum);
  }
  return loss;
}

double OutputLoss::FromDifferences(const GridPoint& point, double bound, double start) const {
  const double scale_step = point.scale - point_.scale;
  const double offset_step = point.scale * point.zero_point - point_.scale * point_.zero_point;
  double loss = start;
  for (Index block = 0; block < blocks_ && loss <= bound; ++block) {
    Block sum{};
    AddRows(
        changes_, [&](Index end) { return Prefix(block, end); }, &sum);
    const double* ones = Prefix(block, count_);
    const double* codes = codes_.row(block).data();
    const double* error = error_.row(block).data();
    for (std::size_t i = 0; i < kBlockSize; ++i) {
      sum[i] = point.scale * sum[i] + (scale_step * codes[i] - offset_step * ones[i]) + error[i];
    }
    loss += SquaredSum(sum);
  }
  return loss;
}

// |error + a codes - b ones|^2 in six products.
double OutputLoss::WithSameCodes(const GridPoint& point) const {
  const double a = point.scale - point_.scale;
  const double b = point.scale * point.zero_point - point_.scale * point_.zero_point;
  return output_loss_ + 2 * (a * error_codes_ - b * error_ones_) +
         (a * a * codes_codes_ - 2 * a * b * codes_ones_ + b * b * ones_ones_);
}

}  // namespace daq
