#include "methods/output_loss.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "base/error.h"
#include "base/lanes.h"
#include "methods/minmax_grid.h"

namespace daq {
namespace {

constexpr Index kBlock = InputFactor::kBlock;
constexpr Index kPrefetchAhead = 8;  // columns of R, whose order the processor cannot foresee

// Up to here the sums in double and in float fit into a core's cache together.
constexpr Index kMostCoarse = 128;
constexpr double kFloatRounding = 0x1p-24;
// Beyond it squares might overflow in float.
constexpr double kMostInFloat = 1e30;

template <typename Number>
using LanesOf = std::conditional_t<std::is_same_v<Number, float>, FloatLanes, Lanes>;
template <typename Number>
constexpr std::size_t kBlockLanes = static_cast<std::size_t>(kBlock) * sizeof(Number) /
                                    sizeof(LanesOf<Number>);
template <typename Number>
using Block = std::array<LanesOf<Number>, kBlockLanes<Number>>;

// A block at hand is read as one in memory is.
using daq::LanesAt;
const Lanes& LanesAt(const Block<double>& block, std::size_t i) { return block[i]; }
const FloatLanes& LanesAt(const Block<float>& block, std::size_t i) { return block[i]; }

template <typename Number = double, typename A, typename B>
double Product(const A& a, const B& b) {
  LanesOf<Number> even = LanesAt(a, 0) * LanesAt(b, 0);
  LanesOf<Number> odd = LanesAt(a, 1) * LanesAt(b, 1);
  for (std::size_t i = 2; i < kBlockLanes<Number>; i += 2) {
    AddProduct(LanesAt(a, i), LanesAt(b, i), &even);
    AddProduct(LanesAt(a, i + 1), LanesAt(b, i + 1), &odd);
  }
  return static_cast<double>(SumOf(even, odd));
}

// sum += the terms' rows of a block, times their factors.
template <typename Number, typename Terms, typename Row>
void AddRows(const Terms& terms, const Row& row, Block<Number>* sum) {
  Block<Number> added = *sum;
  for (std::size_t k = 0; k < terms.count; k += 4) {
    const Number* row0 = row(terms.ends[k]);
    const Number* row1 = row(terms.ends[k + 1]);
    const Number* row2 = row(terms.ends[k + 2]);
    const Number* row3 = row(terms.ends[k + 3]);
    const auto f0 = LanesOf<Number>{} + static_cast<Number>(terms.factors[k]);
    const auto f1 = LanesOf<Number>{} + static_cast<Number>(terms.factors[k + 1]);
    const auto f2 = LanesOf<Number>{} + static_cast<Number>(terms.factors[k + 2]);
    const auto f3 = LanesOf<Number>{} + static_cast<Number>(terms.factors[k + 3]);
#pragma GCC unroll 8
    for (std::size_t i = 0; i < kBlockLanes<Number>; ++i) {
      LanesOf<Number> low = f0 * LanesAt(row0, i);
      LanesOf<Number> high = f2 * LanesAt(row2, i);
      AddProduct(f1, LanesAt(row1, i), &low);
      AddProduct(f3, LanesAt(row3, i), &high);
      added[i] += low + high;
    }
  }
  *sum = added;
}

template <typename Terms>
void FillUpToFour(Terms* terms) {
  for (; terms->count % 4 != 0; ++terms->count) {
    terms->ends[terms->count] = 0;
    terms->factors[terms->count] = 0;
  }
}

double Highest(const Lanes& a) { return std::max(std::max(a[0], a[1]), std::max(a[2], a[3])); }

}  // namespace

bool IsStorable(const GridPoint& point, const Codebook& book) {
  const GroupGrid grid{.scale = static_cast<float>(point.scale),
                       .zero_point = static_cast<float>(point.zero_point)};
  return grid.scale >= std::numeric_limits<float>::min() && FitsInFloat32(grid, book);
}

OutputLoss::OutputLoss(const Codebook& book)
    : book_(book),
      values_(book.values.begin(), book.values.end()),
      end_count_(book.values.size() - 1),
      padded_end_count_((end_count_ + kLaneCount - 1) / kLaneCount * kLaneCount) {
  midpoints_.fill(std::numeric_limits<double>::quiet_NaN());
  const Encoder encoder(book);
  std::copy(encoder.midpoints().begin(), encoder.midpoints().end(), midpoints_.begin());
}

void OutputLoss::Prepare(std::span<const float> weights, const InputFactor& factor,
                         const WeightTerms& terms) {
  DAQ_CHECK(static_cast<Index>(weights.size()) == factor.inputs(), "a weight an input");
  DAQ_CHECK((terms.square.empty() && terms.linear.empty()) ||
                (terms.square.size() == weights.size() && terms.linear.size() == weights.size()),
            "both terms of every weight or none");
  factor_ = &factor;
  terms_ = terms;
  weights_.Prepare(weights);
  count_ = factor.inputs();
  blocks_ = factor.blocks();
  SumColumns();
  has_coarse_ = count_ <= kMostCoarse;
  if (has_coarse_) CopyToCoarse();
  SumWeightTerms();
  has_point_ = false;
}

template <typename Number>
void OutputLoss::Sums<Number>::Resize(Index blocks, Index rows) {
  if (prefix.rows() < rows) prefix.resize(rows, kBlock);
  for (Rows* sums : {&target, &codes}) sums->resize(blocks, kBlock);
}

void OutputLoss::SumColumns() {
  const std::span<const Index> order = weights_.order();
  sums_.Resize(blocks_, blocks_ * (count_ + 1));
  ones_ones_ = 0;
  for (Index block = 0; block < blocks_; ++block) {
    Block<double> sum{};
    Block<double> target{};
    double* out = sums_.prefix.data() + block * (count_ + 1) * kBlock;
    for (std::size_t k = 0; k < kBlockLanes<double>; ++k) LanesAt(out, k) = sum[k];
    for (Index i = 0; i < count_; ++i) {
      const Index ahead = order[static_cast<std::size_t>(std::min(i + kPrefetchAhead, count_ - 1))];
      const double* next = factor_->Column(block, ahead);
      for (Index line = 0; line < kBlock; line += 8) __builtin_prefetch(next + line);
      const double* column = factor_->Column(block, order[static_cast<std::size_t>(i)]);
      const double weight = weights_.values()[i];
      out += kBlock;
      for (std::size_t k = 0; k < kBlockLanes<double>; ++k) {
        sum[k] += LanesAt(column, k);
        target[k] += weight * LanesAt(column, k);
        LanesAt(out, k) = sum[k];
      }
    }
    double* target_out = sums_.target.row(block).data();
    for (std::size_t k = 0; k < kBlockLanes<double>; ++k) LanesAt(target_out, k) = target[k];
    ones_ones_ += Product(sum, sum);
  }
}

void OutputLoss::CopyToCoarse() {
  const Index rows = blocks_ * (count_ + 1);
  coarse_.Resize(blocks_, rows);
  coarse_.prefix.topRows(rows) = sums_.prefix.topRows(rows).cast<float>();
  coarse_.target = sums_.target.cast<float>();
  length_ = target_length_ = 0;
  for (Index i = 0; i < count_; ++i) {
    const double length = factor_->Length(weights_.order()[static_cast<std::size_t>(i)]);
    length_ += length;
    target_length_ += length * std::abs(weights_.values()[i]);
  }
}

void OutputLoss::SumWeightTerms() {
  has_terms_ = !terms_.square.empty();
  if (!has_terms_) return;
  const auto count = static_cast<std::size_t>(count_);
  term_prefix_.resize(count + 1);
  std::array<double, 4> sum{};
  linear_target_ = 0;
  term_prefix_[0] = sum;
  for (std::size_t i = 0; i < count; ++i) {
    const auto index = static_cast<std::size_t>(weights_.order()[i]);
    const double weight = weights_.values()[i];
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

void OutputLoss::FindThresholds(const GridPoint& point) {
  for (std::size_t k = 0; k < padded_end_count_; ++k)
    thresholds_[k] = (midpoints_[k] - point.zero_point) * point.scale;
}

// Most steps of a search move few ends or none, which short loops without a branch find out; to
// find an end anew takes as long as all of that.
std::size_t OutputLoss::FindEnds() {
  std::int64_t moved = 0;
  for (std::size_t k = 0; k < padded_end_count_; ++k) {
    is_moved_[k] = static_cast<std::int64_t>(thresholds_[k] < weight_before_[k]) |
                   static_cast<std::int64_t>(thresholds_[k] >= weight_behind_[k]);
    moved += is_moved_[k];
  }
  const auto count = static_cast<std::size_t>(moved);
  if (IsFew(count)) {
    CollectChanges(count);
  } else {
    weights_.CountUpTo(std::span(thresholds_).first(end_count_),
                       std::span(probe_ends_).first(end_count_));
  }
  return count;
}

void OutputLoss::CollectChanges(std::size_t moved) {
  std::copy_n(ends_.begin(), end_count_, probe_ends_.begin());
  std::array<std::size_t, kMostTerms> which;
  std::size_t at = 0;
  for (std::size_t k = 0; at < moved; ++k) {
    which[at] = k;
    at += static_cast<std::size_t>(is_moved_[k]);
  }
  changes_.count = 0;
  for (std::size_t i = 0; i < moved; ++i) {
    const std::size_t k = which[i];
    probe_ends_[k] = weights_.CountUpTo(thresholds_[k]);
    const double step = values_[k] - values_[k + 1];
    changes_.ends[changes_.count] = probe_ends_[k];
    changes_.factors[changes_.count++] = step;
    changes_.ends[changes_.count] = ends_[k];
    changes_.factors[changes_.count++] = -step;
  }
  FillUpToFour(&changes_);
}

// Equal ends make one term, and ends that all weights lie before make none: many such terms would
// cancel digits. Without a branch: which ends are equal could not be foreseen.
double OutputLoss::CollectCodes(const Ends& ends) {
  std::size_t highest = 0;
  for (std::size_t k = 0; k < end_count_; ++k) highest += ends[k] < count_ ? 1U : 0U;
  std::size_t count = 0;
  double first_value = values_[0];  // of codes with the same end
  for (std::size_t k = 0; k < highest; ++k) {
    const bool is_new = k > 0 && ends[k] != ends[k - 1];
    count += is_new ? 1 : 0;
    first_value = is_new ? values_[k] : first_value;
    codes_.ends[count] = ends[k];
    codes_.factors[count] = first_value - values_[k + 1];
  }
  codes_.count = highest > 0 ? count + 1 : 0;
  FillUpToFour(&codes_);
  return values_[highest];
}

double OutputLoss::TermsAt(const GridPoint& point, const Ends& ends) const {
  double sum = 0;
  std::size_t begin = 0;
  for (std::size_t code = 0; code <= end_count_; ++code) {
    const auto end = static_cast<std::size_t>(code < end_count_ ? ends[code] : count_);
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

void OutputLoss::MoveTo(const GridPoint& point) {
  DAQ_CHECK(IsStorable(point, book_), "a grid that can be stored");
  const std::size_t moved = has_point_ ? CountMoved(point) : end_count_;
  // Where no weight changes its code the products change by a formula, whose roundings are of the
  // size of the losses it begins with: once those are left behind they are computed anew.
  if (moved > 0) {
    SumCodes(point, has_point_ && IsFew(moved));
    SumProducts(point);
  } else if (const double loss = WithSameCodes(point); loss < largest_loss_ / 2) {
    SumProducts(point);
  } else {
    MoveProducts(point, loss);
  }
  has_point_ = true;
  point_ = point;
  FindSafeInterval();
  loss_ = output_loss_;
  if (has_terms_) loss_ += TermsAt(point, ends_);
}

std::size_t OutputLoss::CountMoved(const GridPoint& point) {
  if (IsSafe(point)) return 0;
  FindThresholds(point);
  return FindEnds();
}

// A step that few weights follow changes the sums, which rounds them once more: thousands of such
// steps are far below what decides a search.
void OutputLoss::SumCodes(const GridPoint& point, bool by_changes) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (has_point_) {
    std::copy_n(probe_ends_.begin(), end_count_, ends_.begin());
  } else {
    FindThresholds(point);
    weights_.CountUpTo(std::span(thresholds_).first(end_count_),
                       std::span(ends_).first(end_count_));
  }
  for (std::size_t k = 0; k < end_count_; ++k) {
    const Index end = ends_[k];
    weight_before_[k] = end == 0 ? -kInfinity : weights_.values()[end - 1];
    weight_behind_[k] = weights_.values()[end];
  }
  const double highest = by_changes ? 0 : CollectCodes(ends_);
  for (Index block = 0; block < blocks_; ++block) {
    const double* ones = Prefix(sums_, block, count_);
    double* codes = sums_.codes.row(block).data();
    Block<double> sum;
    for (std::size_t i = 0; i < kBlockLanes<double>; ++i)
      sum[i] = by_changes ? Lanes(LanesAt(codes, i)) : highest * LanesAt(ones, i);
    AddRows<double>(
        by_changes ? changes_ : codes_, [&](Index end) { return Prefix(sums_, block, end); }, &sum);
    for (std::size_t i = 0; i < kBlockLanes<double>; ++i) LanesAt(codes, i) = sum[i];
  }
  if (has_coarse_) coarse_.codes = sums_.codes.cast<float>();
}

void OutputLoss::SumProducts(const GridPoint& point) {
  const double offset = point.scale * point.zero_point;
  output_loss_ = error_codes_ = error_ones_ = codes_codes_ = codes_ones_ = 0;
  for (Index block = 0; block < blocks_; ++block) {
    const double* ones = Prefix(sums_, block, count_);
    const double* target = sums_.target.row(block).data();
    const double* codes = sums_.codes.row(block).data();
    Block<double> error;
    for (std::size_t i = 0; i < kBlockLanes<double>; ++i)
      error[i] = point.scale * LanesAt(codes, i) - offset * LanesAt(ones, i) - LanesAt(target, i);
    output_loss_ += Product(error, error);
    error_codes_ += Product(error, codes);
    error_ones_ += Product(error, ones);
    codes_codes_ += Product(codes, codes);
    codes_ones_ += Product(codes, ones);
  }
  largest_loss_ = output_loss_;
}

void OutputLoss::MoveProducts(const GridPoint& point, double loss) {
  output_loss_ = loss;
  largest_loss_ = std::max(largest_loss_, loss);
  const Step step = StepTo(point);
  error_codes_ += step.codes * codes_codes_ - step.ones * codes_ones_;
  error_ones_ += step.codes * codes_ones_ - step.ones * ones_ones_;
}

// An end stays while weight_before_ <= (mid - z) s < weight_behind_. Solved for s and for z, with a
// margin for the roundings of either side: a few times 2^-53. A bound that is no number, of a
// weight that does not exist or an end behind the last, is none.
void OutputLoss::FindSafeInterval() {
  constexpr double kMargin = 0x1p-48;
  const Lanes infinity = Lanes{} + std::numeric_limits<double>::infinity();
  const Lanes larger = Lanes{} + (1 + kMargin);
  const Lanes smaller = Lanes{} + (1 - kMargin);
  Lanes scale_low = -infinity;
  Lanes scale_high = infinity;
  Lanes zero_point_low = -infinity;
  Lanes zero_point_high = infinity;
  const double inverse_scale = 1 / point_.scale;
  for (std::size_t i = 0; i < padded_end_count_ / kLaneCount; ++i) {
    const Lanes middle = LanesAt(midpoints_.data(), i);
    const Lanes before = LanesAt(weight_before_.data(), i);
    const Lanes behind = LanesAt(weight_behind_.data(), i);
    const Lanes factor = middle - point_.zero_point;
    const Lanes inverse_factor = 1 / factor;
    Lanes low = (factor > 0 ? before : behind) * inverse_factor;
    Lanes high = (factor > 0 ? behind : before) * inverse_factor;
    low *= low > 0 ? larger : smaller;
    high *= high > 0 ? smaller : larger;
    // A factor that has no inverse lets no scale that can be stored reach the weight.
    const auto has_inverse = inverse_factor < infinity && inverse_factor > -infinity;
    scale_low = has_inverse && low > scale_low ? low : scale_low;
    scale_high = has_inverse && high < scale_high ? high : scale_high;
    low = behind * inverse_scale;
    high = before * inverse_scale;
    const Lanes size = middle > 0 ? middle : -middle;
    low = middle - low + kMargin * (size + (low > 0 ? low : -low));
    high = middle - high - kMargin * (size + (high > 0 ? high : -high));
    zero_point_low = low > zero_point_low ? low : zero_point_low;
    zero_point_high = high < zero_point_high ? high : zero_point_high;
  }
  safe_scale_low_ = Highest(scale_low);
  safe_scale_high_ = -Highest(-scale_high);
  safe_zero_point_low_ = Highest(zero_point_low);
  safe_zero_point_high_ = -Highest(-zero_point_high);
}

bool OutputLoss::IsSafe(const GridPoint& point) const {
  if (point.scale == point_.scale)
    return point.zero_point > safe_zero_point_low_ && point.zero_point < safe_zero_point_high_;
  return point.zero_point == point_.zero_point && point.scale > safe_scale_low_ &&
         point.scale < safe_scale_high_;
}

double OutputLoss::At(const GridPoint& point, double bound) {
  if (!IsStorable(point, book_)) return std::numeric_limits<double>::infinity();
  const std::size_t moved = CountMoved(point);
  const double start = has_terms_ ? TermsAt(point, moved == 0 ? ends_ : probe_ends_) : 0;
  if (moved == 0) return start + WithSameCodes(point);
  const bool few = IsFew(moved);
  const double highest = few ? 0 : CollectCodes(probe_ends_);
  const auto loss = [&](const auto& sums, double most) {
    return FromTerms(sums, few ? changes_ : codes_, few, point, highest, most);
  };
  if (has_coarse_) {
    const double most = CoarseBound(point, bound - start);
    if (most < kMostInFloat && loss(coarse_, most) > most)
      return std::numeric_limits<double>::infinity();
  }
  return start + loss(sums_, bound - start);
}

template <typename Number>
double OutputLoss::FromTerms(const Sums<Number>& sums, const Terms& terms, bool are_changes,
                             const GridPoint& point, double highest, double bound) const {
  const auto scale = static_cast<Number>(point.scale);
  const auto offset = static_cast<Number>(point.scale * (highest - point.zero_point));
  double loss = 0;
  for (Index block = 0; block < blocks_ && loss <= bound; ++block) {
    // Row 0 is all zeros.
    const Number* codes = are_changes ? sums.codes.row(block).data() : Prefix(sums, block, 0);
    const Number* ones = Prefix(sums, block, count_);
    const Number* target = sums.target.row(block).data();
    Block<Number> sum;
    for (std::size_t i = 0; i < kBlockLanes<Number>; ++i) sum[i] = LanesAt(codes, i);
    AddRows<Number>(
        terms, [&](Index end) { return Prefix(sums, block, end); }, &sum);
    for (std::size_t i = 0; i < kBlockLanes<Number>; ++i)
      sum[i] = scale * sum[i] + (offset * LanesAt(ones, i) - LanesAt(target, i));
    loss += Product<Number>(sum, sum);
  }
  return loss;
}

// An output adds up parts: rows of the sums, of the current point and of the target, each times a
// factor. A part is rounded when it becomes float, when it is multiplied and with each addition on
// its way, fewer than `roundings` times. Over all rows, parts that sum up columns are together at
// most `parts` times as long as the columns one by one: changes, two rows each, at most twice the
// book's width, and the current codes, its width and its last value. So rounding moves the outputs
// by at most `error`. Their squares and the sum of these add some more roundings of what they come
// to.
double OutputLoss::CoarseBound(const GridPoint& point, double bound) const {
  const double roundings = static_cast<double>(padded_end_count_ / 4) + 12;
  const double width = 3 * (values_.back() - values_.front()) + std::abs(values_.back());
  const double parts = point.scale * width + std::abs(point.scale * point.zero_point);
  const double error = kFloatRounding * roundings * (parts * length_ + target_length_);
  const double root = std::sqrt(std::max(bound, 0.0)) + error;
  return (1 + 32 * kFloatRounding) * root * root;
}

OutputLoss::Step OutputLoss::StepTo(const GridPoint& point) const {
  return {.codes = point.scale - point_.scale,
          .ones = point.scale * point.zero_point - point_.scale * point_.zero_point};
}

// |error + a codes - b ones|^2 in six products.
double OutputLoss::WithSameCodes(const GridPoint& point) const {
  const auto [a, b] = StepTo(point);
  return output_loss_ + 2 * (a * error_codes_ - b * error_ones_) +
         (a * a * codes_codes_ - 2 * a * b * codes_ones_ + b * b * ones_ones_);
}

}  // namespace daq
