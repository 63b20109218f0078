#pragma once
#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "base/matrix.h"

namespace daq {

// A group's weights in their order, for questions of how many lie up to a threshold: answered in a
// few steps that do not depend on their number, whatever their distribution is. Reused from group
// to group; one thread's.
class SortedWeights {
 public:
  // Turns to another group: `weights` not all equal and finite.
  void Prepare(std::span<const float> weights);

  Index count() const { return static_cast<Index>(order_.size()); }

  // The weights, not decreasing, then infinity at [count()].
  const double* values() const { return values_.data(); }

  // order()[i] is the position of values()[i] among the weights as they came.
  std::span<const Index> order() const { return order_; }

  // The number of weights <= threshold, which is not NaN.
  Index CountUpTo(double threshold) const {
    const std::int32_t bucket = BucketOf(threshold);
    const Index end = CountInBucket(threshold, bucket);
    return IsCounted(end, bucket) ? end : SearchBucket(threshold, bucket);
  }

  // ends[k] = CountUpTo(thresholds[k]). Same lengths, at most kMostThresholds.
  static constexpr std::size_t kMostThresholds = 256;
  void CountUpTo(std::span<const double> thresholds, std::span<Index> ends) const;

 private:
  // Weights of a bucket that are counted without a search. Most buckets hold fewer.
  static constexpr std::int32_t kWalk = 4;
  static constexpr Index kBucketsPerWeight = 4;

  // Monotone: of two values the larger never lies in an earlier bucket.
  std::int32_t BucketOf(double value) const {
    const double position = (value - lowest_) * buckets_per_unit_;
    return static_cast<std::int32_t>(std::min(std::max(position, 0.0), last_bucket_));
  }

  // Without a branch, which could not be foreseen.
  Index CountInBucket(double threshold, std::int32_t bucket) const {
    const std::int32_t begin = bucket_begin_[static_cast<std::size_t>(bucket)];
    const double* values = values_.data() + begin;
    std::int32_t count = 0;
    for (std::int32_t i = 0; i < kWalk; ++i) count += values[i] <= threshold ? 1 : 0;
    return begin + count;
  }

  bool IsCounted(Index end, std::int32_t bucket) const {
    return end - bucket_begin_[static_cast<std::size_t>(bucket)] < kWalk;
  }

  Index SearchBucket(double threshold, std::int32_t bucket) const;
  void FillBuckets();

  std::vector<std::uint64_t> keys_;  // for sorting
  std::vector<Index> order_;
  std::vector<double> values_;  // then kWalk times infinity
  // Weights fall into equally wide buckets: bucket_begin_[b] of them lie in buckets before b.
  std::vector<std::int32_t> bucket_begin_;
  double last_bucket_ = 0;
  double lowest_ = 0;
  double buckets_per_unit_ = 0;  // of the weights
};

}  // namespace daq
