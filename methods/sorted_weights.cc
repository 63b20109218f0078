#include "methods/sorted_weights.h"

#include <algorithm>
#include <array>
#include <bit>
#include <limits>

#include "base/error.h"

namespace daq {
namespace {

// Order by value, then by index: the same order every time.
std::uint64_t SortKey(float value, std::size_t index) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t ordered = (bits >> 31) != 0 ? ~bits : bits | 0x80000000U;
  return std::uint64_t{ordered} << 32 | index;
}

}  // namespace

void SortedWeights::Prepare(std::span<const float> weights) {
  keys_.resize(weights.size());
  for (std::size_t i = 0; i < keys_.size(); ++i) keys_[i] = SortKey(weights[i], i);
  std::sort(keys_.begin(), keys_.end());
  order_.resize(keys_.size());
  values_.assign(keys_.size() + kWalk, std::numeric_limits<double>::infinity());
  for (std::size_t i = 0; i < keys_.size(); ++i) {
    order_[i] = static_cast<Index>(keys_[i] & 0xffffffffU);
    values_[i] = static_cast<double>(weights[static_cast<std::size_t>(order_[i])]);
  }
  DAQ_CHECK(values_[0] < values_[keys_.size() - 1], "weights that are not all equal");
  FillBuckets();
}

void SortedWeights::FillBuckets() {
  const std::size_t count = order_.size();
  const auto buckets = static_cast<std::size_t>(kBucketsPerWeight) * count;
  last_bucket_ = static_cast<double>(buckets - 1);
  lowest_ = values_.front();
  buckets_per_unit_ = static_cast<double>(buckets) / (values_[count - 1] - lowest_);
  bucket_begin_.resize(buckets + 1);
  std::size_t bucket = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const auto of_weight = static_cast<std::size_t>(BucketOf(values_[i]));
    while (bucket <= of_weight) bucket_begin_[bucket++] = static_cast<std::int32_t>(i);
  }
  while (bucket <= buckets) bucket_begin_[bucket++] = static_cast<std::int32_t>(count);
}

Index SortedWeights::SearchBucket(double threshold, std::int32_t bucket) const {
  const double* begin = values_.data() + bucket_begin_[static_cast<std::size_t>(bucket)];
  const double* end = values_.data() + bucket_begin_[static_cast<std::size_t>(bucket) + 1];
  return std::upper_bound(begin, end, threshold) - values_.data();
}

void SortedWeights::CountUpTo(std::span<const double> thresholds, std::span<Index> ends) const {
  std::array<std::int32_t, kMostThresholds> buckets;
  for (std::size_t k = 0; k < ends.size(); ++k) buckets[k] = BucketOf(thresholds[k]);
  bool is_counted = true;
  for (std::size_t k = 0; k < ends.size(); ++k) {
    ends[k] = CountInBucket(thresholds[k], buckets[k]);
    is_counted &= IsCounted(ends[k], buckets[k]);
  }
  if (is_counted) return;
  for (std::size_t k = 0; k < ends.size(); ++k) {
    if (!IsCounted(ends[k], buckets[k])) ends[k] = SearchBucket(thresholds[k], buckets[k]);
  }
}

}  // namespace daq
