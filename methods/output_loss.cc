#include "methods/output_loss.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/lanes.h"
#include "methods/minmax_grid.h"

namespace daq {
namespace {

constexpr Index kBlock = InputFactor::kBlock;
constexpr std::size_t kBlockLanes = static_cast<std::size_t>(kBlock) / kLaneCount;
using Block = std::array<Lanes, kBlockLanes>;

constexpr Index kBucketsPerWeight = 4;
constexpr std::int32_t kWalk = 4;    // weights of a bucket that are counted without a search
constexpr Index kPrefetchAhead = 8;  // columns of R, whose order the processor cannot foresee

// Order by value, then by index: the same order every time.
std::uint64_t SortKey(float value, std::size_t index) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t ordered = (bits >> 31) != 0 ? ~bits : bits | 0x80000000U;
  return std::uint64_t{ordered} << 32 | index;
}

// A block at hand is read as one in memory is.
using daq::LanesAt;
const Lanes& LanesAt(const Block& block, std::size_t i) { return block[i]; }

template <typename A, typename B>
double Product(const A& a, const B& b) {
  Lanes even = LanesAt(a, 0) * LanesAt(b, 0);
  Lanes odd = LanesAt(a, 1) * LanesAt(b, 1);
  for (std::size_t i = 2; i < kBlockLanes; i += 2) {
    even += LanesAt(a, i) * LanesAt(b, i);
    odd += LanesAt(a, i + 1) * LanesAt(b, i + 1);
  }
  return SumOf(even, odd);
}

// sum += the terms' rows of a block, times their factors; the number of terms is a multiple of
// four.
template <typename Terms, typename Row>
void AddRows(const Terms& terms, const Row& row, Block* sum) {
  Block added = *sum;
  for (std::size_t k = 0; k < terms.count; k += 4) {
    const double* row0 = row(terms.terms[k].end);
    const double* row1 = row(terms.terms[k + 1].end);
    const double* row2 = row(terms.terms[k + 2].end);
    const double* row3 = row(terms.terms[k + 3].end);
    const double f0 = terms.terms[k].factor;
    const double f1 = terms.terms[k + 1].factor;
    const double f2 = terms.terms[k + 2].factor;
    const double f3 = terms.terms[k + 3].factor;
    for (std::size_t i = 0; i < kBlockLanes; ++i) {
      added[i] += (f0 * LanesAt(row0, i) + f1 * LanesAt(row1, i)) +
                  (f2 * LanesAt(row2, i) + f3 * LanesAt(row3, i));
    }
  }
  *sum = added;
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
      end_count_(book.values.size() - 1) {
  for (std::size_t k = 0; k < end_count_; ++k) steps_[k] = values_[k] - values_[k + 1];
}

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
  sorted_.assign(keys_.size() + kWalk, std::numeric_limits<double>::infinity());
  for (std::size_t i = 0; i < keys_.size(); ++i) {
    order_[i] = static_cast<Index>(keys_[i] & 0xffffffffU);
    sorted_[i] = static_cast<double>(weights_[static_cast<std::size_t>(order_[i])]);
  }
  DAQ_CHECK(sorted_[0] < sorted_[keys_.size() - 1], "weights that are not all equal");
  FillBuckets();
}

void OutputLoss::SumColumns() {
  const Index rows = blocks_ * (count_ + 1);
  if (prefix_.rows() < rows) prefix_.resize(rows, kBlock);
  target_.resize(blocks_, kBlock);
  codes_.resize(blocks_, kBlock);
  error_.resize(blocks_, kBlock);
  ones_ones_ = 0;
  for (Index block = 0; block < blocks_; ++block) {
    Block sum{};
    Block target{};
    double* out = prefix_.data() + block * (count_ + 1) * kBlock;
    for (std::size_t k = 0; k < kBlockLanes; ++k) LanesAt(out, k) = sum[k];
    for (Index i = 0; i < count_; ++i) {
      const Index ahead =
          order_[static_cast<std::size_t>(std::min(i + kPrefetchAhead, count_ - 1))];
      const double* next = factor_->Column(block, ahead);
      for (Index line = 0; line < kBlock; line += 8) __builtin_prefetch(next + line);
      const double* column = factor_->Column(block, order_[static_cast<std::size_t>(i)]);
      const double weight = sorted_[static_cast<std::size_t>(i)];
      out += kBlock;
      for (std::size_t k = 0; k < kBlockLanes; ++k) {
        sum[k] += LanesAt(column, k);
        target[k] += weight * LanesAt(column, k);
        LanesAt(out, k) = sum[k];
      }
    }
    for (std::size_t k = 0; k < kBlockLanes; ++k) LanesAt(target_.row(block).data(), k) = target[k];
    ones_ones_ += Product(sum, sum);
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
    const double weight = sorted_[i];
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

// Monotone: of two values the larger never lies in an earlier bucket.
std::int32_t OutputLoss::BucketOf(double value) const {
  const double position = (value - lowest_weight_) * buckets_per_weight_;
  const auto last = static_cast<double>(kBucketsPerWeight * count_ - 1);
  return static_cast<std::int32_t>(std::min(std::max(position, 0.0), last));
}

void OutputLoss::FillBuckets() {
  const auto buckets = static_cast<std::size_t>(kBucketsPerWeight * count_);
  lowest_weight_ = sorted_.front();
  buckets_per_weight_ = static_cast<double>(buckets) /
                        (sorted_[static_cast<std::size_t>(count_) - 1] - lowest_weight_);
  bucket_begin_.resize(buckets + 1);
  std::size_t bucket = 0;
  for (Index i = 0; i < count_; ++i) {
    const auto of_weight = static_cast<std::size_t>(BucketOf(sorted_[static_cast<std::size_t>(i)]));
    while (bucket <= of_weight) bucket_begin_[bucket++] = static_cast<std::int32_t>(i);
  }
  while (bucket <= buckets) bucket_begin_[bucket++] = static_cast<std::int32_t>(count_);
}

// Most buckets hold less than kWalk weights: those are counted without a branch, which could not be
// foreseen.
std::int32_t OutputLoss::CountInBucket(double threshold, std::int32_t bucket) const {
  const std::int32_t begin = bucket_begin_[static_cast<std::size_t>(bucket)];
  const double* weights = sorted_.data() + begin;
  std::int32_t count = 0;
  for (std::int32_t i = 0; i < kWalk; ++i) count += weights[i] <= threshold ? 1 : 0;
  if (count < kWalk) return begin + count;
  const double* end = sorted_.data() + bucket_begin_[static_cast<std::size_t>(bucket) + 1];
  return static_cast<std::int32_t>(std::upper_bound(weights + kWalk, end, threshold) -
                                   sorted_.data());
}

void OutputLoss::CountUpTo(std::span<const double> thresholds,
                           std::span<std::int32_t> counts) const {
  for (std::size_t k = 0; k < counts.size(); ++k) counts[k] = BucketOf(thresholds[k]);
  for (std::size_t k = 0; k < counts.size(); ++k)
    counts[k] = CountInBucket(thresholds[k], counts[k]);
}

void OutputLoss::FindThresholds(const GridPoint& point) {
  const double* midpoints = encoder_.midpoints().data();
  for (std::size_t k = 0; k < end_count_; ++k)
    thresholds_[k] = (midpoints[k] - point.zero_point) * point.scale;
}

// Most steps of a search move few ends or none. These are short loops without a branch; finding an
// end anew is a search with several.
std::size_t OutputLoss::FindMovedEnds() {
  std::int64_t any = 0;
  for (std::size_t k = 0; k < end_count_; ++k) {
    is_moved_[k] = static_cast<std::int64_t>(thresholds_[k] < weight_before_[k]) |
                   static_cast<std::int64_t>(thresholds_[k] >= weight_behind_[k]);
    any |= is_moved_[k];
  }
  if (any == 0) return 0;
  std::size_t moved = 0;
  for (std::size_t k = 0; k < end_count_; ++k) {
    moved_[moved] = k;
    moved += static_cast<std::size_t>(is_moved_[k]);
  }
  return moved;
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

// Codes are the highest that a weight has minus the sum of the steps (c_k+1 - c_k) whose threshold
// is not below the weight. Equal ends make one term. Without a branch: which ends are equal could
// not be foreseen.
double OutputLoss::CollectTerms(std::span<const Index> ends) {
  std::size_t highest = end_count_;
  while (highest > 0 && ends[highest - 1] == count_) --highest;
  std::size_t count = 0;
  Index last_end = ends[0];
  double factor = 0;
  for (std::size_t k = 0; k < highest; ++k) {
    const bool is_new = ends[k] != last_end;
    count += is_new ? 1 : 0;
    factor = (is_new ? 0 : factor) + steps_[k];
    last_end = ends[k];
    sum_.terms[count] = {.end = last_end, .factor = factor};
  }
  if (highest > 0) ++count;
  sum_.count = count;
  sum_.FillUpToFour();
  return values_[highest];
}

void OutputLoss::MoveTo(const GridPoint& point) {
  DAQ_CHECK(IsStorable(point, book_), "a grid that can be stored");
  point_ = point;
  FindThresholds(point);
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  CountUpTo(std::span(thresholds_).first(end_count_), std::span(counts_).first(end_count_));
  for (std::size_t k = 0; k < end_count_; ++k) {
    ends_[k] = counts_[k];
    const auto end = static_cast<std::size_t>(ends_[k]);
    weight_before_[k] = end == 0 ? -kInfinity : sorted_[end - 1];
    weight_behind_[k] = ends_[k] == count_ ? kInfinity : sorted_[end];
  }
  FindSafeInterval();
  const double whole = CollectTerms(std::span(ends_).first(end_count_));
  const double offset = point.scale * point.zero_point;
  output_loss_ = error_codes_ = error_ones_ = codes_codes_ = codes_ones_ = 0;
  for (Index block = 0; block < blocks_; ++block) {
    Block sum{};
    AddRows(
        sum_, [&](Index end) { return Prefix(block, end); }, &sum);
    const double* ones = Prefix(block, count_);
    const double* target = target_.row(block).data();
    double* codes = codes_.row(block).data();
    double* error = error_.row(block).data();
    for (std::size_t i = 0; i < kBlockLanes; ++i) {
      const Lanes all = sum[i] + whole * LanesAt(ones, i);
      LanesAt(codes, i) = all;
      LanesAt(error, i) = point.scale * all - offset * LanesAt(ones, i) - LanesAt(target, i);
    }
    output_loss_ += Product(error, error);
    error_codes_ += Product(error, codes);
    error_ones_ += Product(error, ones);
    codes_codes_ += Product(codes, codes);
    codes_ones_ += Product(codes, ones);
  }
  loss_ = output_loss_;
  if (has_terms_) loss_ += TermsAt(point, std::span(ends_).first(end_count_));
}

// An end stays while weight_before_ <= (mid - z) s < weight_behind_. Solved for s and for z, with a
// margin for the roundings of either side: a few times 2^-53.
void OutputLoss::FindSafeInterval() {
  constexpr double kMargin = 0x1p-48;
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  safe_scale_low_ = safe_zero_point_low_ = -kInfinity;
  safe_scale_high_ = safe_zero_point_high_ = kInfinity;
  const double inverse_scale = 1 / point_.scale;
  const std::span<const double> midpoints = encoder_.midpoints();
  for (std::size_t k = 0; k < end_count_; ++k) {
    const double middle = midpoints[k];
    const double factor = middle - point_.zero_point;
    const double inverse_factor = 1 / factor;  // a division takes as long as all the rest
    for (const bool is_before : {true, false}) {
      const double weight = is_before ? weight_before_[k] : weight_behind_[k];
      if (std::isinf(weight)) continue;
      // A factor that has no inverse lets no scale that can be stored reach the weight.
      if (std::isfinite(inverse_factor)) {
        const double scale = weight * inverse_factor;
        const double margin = kMargin * std::abs(scale);
        if (is_before == (factor > 0)) {
          safe_scale_low_ = std::max(safe_scale_low_, scale + margin);
        } else {
          safe_scale_high_ = std::min(safe_scale_high_, scale - margin);
        }
      }
      const double in_code_units = weight * inverse_scale;
      const double margin = kMargin * (std::abs(middle) + std::abs(in_code_units));
      if (is_before) {
        safe_zero_point_high_ = std::min(safe_zero_point_high_, middle - in_code_units - margin);
      } else {
        safe_zero_point_low_ = std::max(safe_zero_point_low_, middle - in_code_units + margin);
      }
    }
  }
}

bool OutputLoss::IsSafe(const GridPoint& point) const {
  if (point.scale == point_.scale)
    return point.zero_point > safe_zero_point_low_ && point.zero_point < safe_zero_point_high_;
  return point.zero_point == point_.zero_point && point.scale > safe_scale_low_ &&
         point.scale < safe_scale_high_;
}

double OutputLoss::At(const GridPoint& point, double bound) {
  if (!IsStorable(point, book_)) return std::numeric_limits<double>::infinity();
  std::size_t moved = 0;
  if (!IsSafe(point)) {
    FindThresholds(point);
    moved = FindMovedEnds();
  }
  if (moved == 0) {
    const double start = has_terms_ ? TermsAt(point, std::span(ends_).first(end_count_)) : 0;
    return start + WithSameCodes(point);
  }
  for (std::size_t i = 0; i < moved; ++i) moved_thresholds_[i] = thresholds_[moved_[i]];
  CountUpTo(std::span(moved_thresholds_).first(moved), std::span(counts_).first(moved));
  // A difference reads two rows a change and three vectors of the current point.
  const bool by_difference = 2 * moved < end_count_;
  if (!by_difference || has_terms_) {
    std::copy_n(ends_.begin(), end_count_, probe_ends_.begin());
    for (std::size_t i = 0; i < moved; ++i) probe_ends_[moved_[i]] = counts_[i];
  }
  const double start = has_terms_ ? TermsAt(point, std::span(probe_ends_).first(end_count_)) : 0;
  if (!by_difference) return FromCodes(point, bound, start);
  for (std::size_t i = 0; i < moved; ++i) {
    const double step = steps_[moved_[i]];
    changes_.terms[2 * i] = {.end = counts_[i], .factor = step};
    changes_.terms[2 * i + 1] = {.end = ends_[moved_[i]], .factor = -step};
  }
  changes_.count = 2 * moved;
  changes_.FillUpToFour();
  return FromDifferences(point, bound, start);
}

double OutputLoss::FromCodes(const GridPoint& point, double bound, double start) {
  const double whole = CollectTerms(std::span(probe_ends_).first(end_count_));
  const double offset = point.scale * (whole - point.zero_point);
  double loss = start;
  for (Index block = 0; block < blocks_ && loss <= bound; ++block) {
    Block sum{};
    AddRows(
        sum_, [&](Index end) { return Prefix(block, end); }, &sum);
    const double* ones = Prefix(block, count_);
    const double* target = target_.row(block).data();
    for (std::size_t i = 0; i < kBlockLanes; ++i) {
      sum[i] = point.scale * sum[i] + (offset * LanesAt(ones, i) - LanesAt(target, i));
    }
    loss += Product(sum, sum);
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
    for (std::size_t i = 0; i < kBlockLanes; ++i) {
      sum[i] = point.scale * sum[i] +
               (scale_step * LanesAt(codes, i) - offset_step * LanesAt(ones, i)) +
               LanesAt(error, i);
    }
    loss += Product(sum, sum);
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
