#include "harness/published.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <map>
#include <string_view>

#include "base/error.h"
#include "eval/protocols.h"

namespace daq {

std::string PublishedCsv();  // written by CMake from results/published.csv

namespace {

// The records of a CSV text (RFC 4180), each with the line that it starts on.
class CsvRecords {
 public:
  explicit CsvRecords(std::string_view text) : text_(text) {}

  bool Next(std::vector<std::string>* fields, int* line) {
    if (at_ >= text_.size()) return false;
    *line = line_;
    fields->assign(1, "");
    bool quoted = false;
    for (; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (c == '\n') ++line_;
      if (quoted) {
        if (c != '"')
          fields->back().push_back(c);
        else if (at_ + 1 < text_.size() && text_[at_ + 1] == '"')
          fields->back().push_back(text_[at_++]);
        else
          quoted = false;
      } else if (c == '"') {
        quoted = true;
      } else if (c == ',') {
        fields->emplace_back();
      } else if (c == '\n') {
        ++at_;
        return true;
      } else if (c != '\r') {
        fields->back().push_back(c);
      }
    }
    return true;
  }

 private:
  std::string_view text_;
  std::size_t at_ = 0;
  int line_ = 1;
};

template <typename Number>
bool ReadNumber(const std::string& text, Number* number) {
  const char* end = text.data() + text.size();
  const auto [read, error] = std::from_chars(text.data(), end, *number);
  return error == std::errc() && read == end;
}

Index WindowOrUsual(const std::string& protocol, Index window_tokens) {
  const ProtocolInfo* info = FindEvaluationProtocol(protocol);
  return window_tokens > 0 || info == nullptr ? window_tokens : info->window_tokens;
}

std::string LowerCase(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

}  // namespace

std::vector<PublishedValue> ParsePublished(const std::string& text, const std::string& name) {
  CsvRecords records(text);
  std::vector<std::string> titles;
  int line = 0;
  records.Next(&titles, &line);
  std::map<std::string, std::size_t> column;
  for (std::size_t i = 0; i < titles.size(); ++i) column[titles[i]] = i;
  for (const char* needed : {"model", "method", "format", "granularity", "calibration", "protocol",
                             "metric", "value", "source", "table"}) {
    if (!column.contains(needed))
      throw InputError({name, 1}, "header", fmt::format("a column {}", needed), "none");
  }
  std::vector<PublishedValue> values;
  for (std::vector<std::string> fields; records.Next(&fields, &line);) {
    if (fields.size() != titles.size()) {
      throw InputError({name, line}, "record", fmt::format("{} fields", titles.size()),
                       fmt::format("{}", fields.size()));
    }
    const auto field = [&](const char* title) { return fields[column.at(title)]; };
    if (!field("metric").ends_with("perplexity")) continue;
    PublishedValue value{.model = field("model"),
                         .method = field("method"),
                         .format = field("format"),
                         .granularity = field("granularity"),
                         .calibration = field("calibration"),
                         .protocol = field("protocol"),
                         .metric = field("metric"),
                         .printed = field("value"),
                         .source = field("source"),
                         .table = field("table")};
    // Papers print NaN where a method diverged; from_chars takes "inf" too.
    if (!ReadNumber(value.printed, &value.value) || value.value <= 0 || std::isinf(value.value)) {
      throw InputError({name, line}, "value", "a number above 0 or NaN",
                       fmt::format("\"{}\"", value.printed));
    }
    if (const std::size_t at = value.protocol.find('@'); at != std::string::npos) {
      const std::string window = value.protocol.substr(at + 1);
      value.protocol.erase(at);
      if (!ReadNumber(window, &value.window_tokens))
        throw InputError({name, line}, "protocol", "a number of tokens behind @",
                         fmt::format("\"{}\"", window));
    }
    values.push_back(std::move(value));
  }
  return values;
}

const std::vector<PublishedValue>& PublishedValues() {
  static const std::vector<PublishedValue> values =
      ParsePublished(PublishedCsv(), "results/published.csv");
  return values;
}

std::string PublishedModelName(const std::string& model) {
  std::string name = model;
  while (name.ends_with('/')) name.pop_back();
  name = LowerCase(name.substr(name.find_last_of('/') + 1));
  if (name.starts_with("meta-")) name.erase(0, 5);
  if (name.ends_with("-hf")) name.erase(name.size() - 3);
  return name;
}

std::string PublishedMetric(const std::string& protocol) {
  const ProtocolInfo* info = FindEvaluationProtocol(protocol);
  return std::string(info == nullptr ? ProtocolInfo().published_metric : info->published_metric);
}

bool IsAsPublished(const EvaluationRequest& request) {
  const ProtocolInfo* protocol = FindEvaluationProtocol(request.protocol);
  return protocol != nullptr && !protocol->dataset.empty() && request.source.file.empty() &&
         request.source.dataset == protocol->dataset &&
         request.source.dataset_file == protocol->dataset_file && !request.max_windows;
}

std::vector<const PublishedValue*> FindPublished(const std::vector<PublishedValue>& values,
                                                 const std::string& model,
                                                 const std::string& method,
                                                 const std::string& format,
                                                 const std::string& granularity,
                                                 const std::string& protocol, Index window_tokens) {
  const Index window = WindowOrUsual(protocol, window_tokens);
  const std::string name = PublishedModelName(model);
  const std::string metric = PublishedMetric(protocol);
  std::vector<const PublishedValue*> found;
  for (const PublishedValue& value : values) {
    if (!protocol.empty() && value.protocol == protocol && value.metric == metric &&
        WindowOrUsual(protocol, value.window_tokens) == window && value.method == method &&
        value.format == format && value.granularity == granularity &&
        LowerCase(value.model) == name)
      found.push_back(&value);
  }
  return found;
}

}  // namespace daq
