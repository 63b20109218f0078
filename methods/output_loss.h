#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "methods/codebook.h"
#include "methods/encode.h"
#include "methods/input_factor.h"

namespace daq {

// A scale and zero-point while they are searched for; RangeResult rounds them to float.
struct GridPoint {
  double scale = 1;
  double zero_point = 0;

  bool operator==(const GridPoint&) const = default;
};

// True if a grid can be stored: rounded to float its scale is a positive normal number and all its
// values are finite.
bool IsStorable(const GridPoint& point, const Codebook& book);

// What an OutputLoss may weigh beside the outputs, both empty or a number a weight:
// sum of square[i] (w'_i - w_i)^2 + 2 linear[i] (w'_i - w_i).
struct WeightTerms {
  std::span<const double> square = {};  // >= 0
  std::span<const double> linear = {};
};

// The output error of one group of weights w as a function of its scale and zero-point:
//     loss(s, z) = |R (w' - w)|^2 + the WeightTerms,  w' = the nearest grid values
//     (methods/encode.h)
// where R factors the group's inputs (InputFactor), so that |R e|^2 is the mean over tokens of the
// squared output error. In double; equal to multiplying the inputs with w' - w up to rounding, but
// far cheaper (docs/daq.md): weights are sorted and R's columns summed up in that order, once; then
// the output of all weights with codes up to k is one of those sums, and a loss takes as many rows
// as there are codes, not weights.
//
// Keeps a current point, from which near points cost less still: fewer rows where few weights
// change their code, none where no weight does. Reused from group to group; one thread's.
class OutputLoss {
 public:
  explicit OutputLoss(const Codebook& book);

  // Turns to another group. `weights`, not all equal and finite, and `factor` and `terms`
  // must stay as they are until the next call. There is no current point yet.
  void Prepare(std::span<const float> weights, const InputFactor& factor,
               const WeightTerms& terms = {});

  // Makes `point`, which IsStorable, the current one.
  void MoveTo(const GridPoint& point);

  const GridPoint& point() const { return point_; }
  double loss() const { return loss_; }  // at point()

  // The loss at `point`, or any number > bound where it is greater than bound: infinite where
  // `point` is not storable. Never a number > bound where the loss is not. Needs a current point.
  double At(const GridPoint& point, double bound);

 private:
  static constexpr Index kBlock = InputFactor::kBlock;
  static constexpr std::size_t kMostEnds = 255;

  // Summed-up rows and their factors.
  struct Term {
    Index end;
    double factor;
  };
  struct Terms {
    std::array<Term, 2 * kMostEnds + 4> terms;
    std::size_t count = 0;

    // Row 0 of the sums is all zeros.
    void FillUpToFour() {
      while (count % 4 != 0) terms[count++] = {.end = 0, .factor = 0};
    }
  };

  // The Encoder's thresholds at `point` into thresholds_, in double: w <= t_k is the same question.
  void FindThresholds(const GridPoint& point);
  // counts[k] = the number of weights <= thresholds[k].
  void CountUpTo(std::span<const double> thresholds, std::span<std::int32_t> counts) const;
  std::int32_t CountInBucket(double threshold, std::int32_t bucket) const;
  std::int32_t BucketOf(double value) const;
  void FindSafeInterval();
  bool IsSafe(const GridPoint& point) const;
  double TermsAt(const GridPoint& point, std::span<const Index> ends) const;
  // Fills moved_ with the ends that thresholds_ put elsewhere than point_ does; returns how many.
  std::size_t FindMovedEnds();
  double FromCodes(const GridPoint& point, double bound, double start);
  double FromDifferences(const GridPoint& point, double bound, double start) const;
  double WithSameCodes(const GridPoint& point) const;
  // Fills sum_: how much lower than the highest all weights' code values are; returns the highest.
  double CollectTerms(std::span<const Index> ends);
  void SortWeights();
  void FillBuckets();
  void SumColumns();
  void SumWeightTerms();

  const double* Prefix(Index block, Index end) const {
    return prefix_.data() + (block * (count_ + 1) + end) * kBlock;  // Eigen's storage is aligned
  }

  Encoder encoder_;
  Codebook book_;
  std::vector<double> values_;
  std::size_t end_count_;                // codes - 1
  std::array<double, kMostEnds> steps_;  // from each code's value down from the next one's

  // The group.
  const InputFactor* factor_ = nullptr;
  WeightTerms terms_;
  std::span<const float> weights_;
  Index count_ = 0;
  Index blocks_ = 0;
  std::vector<std::uint64_t> keys_;  // for sorting
  std::vector<Index> order_;         // of the sorted weights
  std::vector<double> sorted_;       // the weights, then kWalk times infinity
  // Weights fall into equally wide buckets: bucket_begin_[b] of them lie in buckets before b.
  std::vector<std::int32_t> bucket_begin_;
  double lowest_weight_ = 0;
  double buckets_per_weight_ = 0;  // of weight's unit
  MatrixD prefix_;  // [blocks * (count + 1), kBlock]: row e of a block sums R's first e columns
  MatrixD target_;  // R w, [blocks, kBlock]
  double ones_ones_ = 0;  // |R 1|^2
  bool has_terms_ = false;
  std::vector<std::array<double, 4>> term_prefix_;  // sums of square * {1, w, w^2} and linear
  double linear_target_ = 0;                        // sum of linear * w

  // The current point: R q and R (w' - w) with q the code values, and their products.
  GridPoint point_;
  double loss_ = 0;
  double output_loss_ = 0;             // loss_ without the WeightTerms
  std::array<Index, kMostEnds> ends_;  // ends_[k]: the number of weights with codes up to k
  // The weights before and behind each end: it stays as it is while its threshold is >= the one and
  // < the other.
  std::array<double, kMostEnds> weight_before_;
  std::array<double, kMostEnds> weight_behind_;
  // Between these, exclusive, no end moves if the scale alone or the zero-point alone changes.
  double safe_scale_low_ = 0;
  double safe_scale_high_ = 0;
  double safe_zero_point_low_ = 0;
  double safe_zero_point_high_ = 0;
  MatrixD codes_;  // [blocks, kBlock]
  MatrixD error_;  // [blocks, kBlock]
  double error_codes_ = 0;
  double error_ones_ = 0;
  double codes_codes_ = 0;
  double codes_ones_ = 0;

  // The point that is looked at.
  std::array<double, kMostEnds> thresholds_;
  std::array<Index, kMostEnds> probe_ends_;
  std::array<std::int64_t, kMostEnds> is_moved_;
  std::array<std::size_t, kMostEnds> moved_;
  std::array<double, kMostEnds> moved_thresholds_;
  std::array<std::int32_t, kMostEnds> counts_;
  Terms sum_;
  Terms changes_;
};

}  // namespace daq
