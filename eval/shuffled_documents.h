#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/matrix.h"

namespace daq {

// The rows of a text in the order of Hugging Face's Dataset.shuffle(seed=seed). The file is read
// once to count its rows and then once more for each batch of rows that are asked for, of which
// only one batch is in memory: the Pile's validation set has 1.3 GB of text, of which a calibration
// needs some hundred rows.
class ShuffledDocuments {
 public:
  // Counts the rows. Throws InputError as CountTextRows does.
  ShuffledDocuments(std::filesystem::path path, std::uint64_t seed);

  // Puts the next document into `text`; false after the last. Throws InputError as PickTextRows
  // does.
  bool Next(std::string* text);

  Index count() const { return static_cast<Index>(order_.size()); }

 private:
  std::filesystem::path path_;
  std::vector<Index> order_;
  std::vector<std::string> batch_;
  std::size_t next_ = 0;       // in batch_
  std::size_t batch_end_ = 0;  // in order_
  std::size_t batch_size_ = 0;
};

}  // namespace daq
