#include "eval/shuffled_documents.h"

#include <algorithm>
#include <span>
#include <utility>

#include "base/numpy_random.h"
#include "eval/text_rows.h"

namespace daq {
namespace {

// AWQ's 128 documents of at most 512 tokens are found among some 350 rows of the Pile: one batch. A
// larger need takes ever larger batches, up to about 100 MB of text, so that passes stay few.
constexpr std::size_t kFirstBatch = 512;
constexpr std::size_t kLargestBatch = 16384;

}  // namespace

ShuffledDocuments::ShuffledDocuments(std::filesystem::path path, std::uint64_t seed)
    : path_(std::move(path)),
      order_(NumpyPermutation(seed, CountTextRows(path_))),
      batch_size_(kFirstBatch) {}

bool ShuffledDocuments::Next(std::string* text) {
  if (next_ == batch_.size()) {
    if (batch_end_ == order_.size()) return false;
    const std::size_t size = std::min(batch_size_, order_.size() - batch_end_);
    batch_ = PickTextRows(path_, std::span(order_).subspan(batch_end_, size));
    batch_end_ += size;
    batch_size_ = std::min(batch_size_ * 4, kLargestBatch);
    next_ = 0;
  }
  *text = std::move(batch_[next_++]);
  return true;
}

}  // namespace daq
