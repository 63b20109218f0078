#include "harness/fetch_download.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string_view>

#include "base/error.h"
#include "base/interrupt.h"

namespace daq {
namespace {

// A part on disk, held by one process at a time.
class PartFile {
 public:
  explicit PartFile(const std::filesystem::path& path) : path_(path) {
    file_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (file_ < 0) Throw("cannot create");
    if (::flock(file_, LOCK_EX | LOCK_NB) != 0) {
      ::close(file_);
      throw std::runtime_error(
          fmt::format("{}: another daq-bench is fetching this file", path.string()));
    }
  }
  ~PartFile() { ::close(file_); }
  PartFile(const PartFile&) = delete;
  PartFile& operator=(const PartFile&) = delete;

  std::int64_t size() const {
    struct stat status = {};
    if (::fstat(file_, &status) != 0) Throw("cannot look at");
    return status.st_size;
  }
  void Clear() const {
    if (::ftruncate(file_, 0) != 0) Throw("cannot empty");
  }
  void Append(std::string_view bytes) const {
    while (!bytes.empty()) {
      const ssize_t written = ::write(file_, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) Throw("cannot write");
      bytes.remove_prefix(static_cast<std::size_t>(written));
    }
  }
  void Sync() const {
    if (::fsync(file_) != 0) Throw("cannot sync");
  }

 private:
  [[noreturn]] void Throw(std::string_view action) const {
    throw std::runtime_error(
        fmt::format("{}: {}: {}", path_.string(), action, std::strerror(errno)));
  }

  std::filesystem::path path_;
  int file_;
};

// One HTTP exchange. libcurl calls back into C++ through C, so exceptions are kept here and thrown
// afterwards.
struct Transfer {
  CURL* curl = nullptr;
  const DownloadRequest* request = nullptr;
  const PartFile* part = nullptr;
  const DownloadCallback* progress = nullptr;
  std::int64_t offset = 0;  // where the range that was asked for begins
  std::int64_t range_begin =
      -1;                 // where the server says that its answer begins; -1: it sends the whole
  bool answered = false;  // the first bytes of the body came
  std::exception_ptr error;

  std::int64_t Total() const {
    curl_off_t length = -1;
    curl_easy_getinfo(curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    if (length < 0) return request->bytes;
    return length + (range_begin > 0 ? range_begin : 0);
  }

  // Decides, when the body begins, whether it continues the part or replaces it.
  void BeginBody() {
    answered = true;
    if (request->bytes > 0 && Total() != request->bytes) {
      throw InputError({request->url}, fmt::format("expected {} bytes, the server offers {}",
                                                   request->bytes, Total()));
    }
    if (range_begin >= 0 && range_begin != offset) {
      throw std::runtime_error(
          fmt::format("{}: asked for the bytes from {} on, the server sends those from {} on",
                      request->url, offset, range_begin));
    }
    if (range_begin < 0) part->Clear();
  }

  void OnBody(std::string_view bytes) {
    if (!answered) BeginBody();
    part->Append(bytes);
  }

  void OnHeader(std::string_view line) {
    constexpr std::string_view kName = "content-range: bytes ";
    // The head of a redirect comes first: each answer starts anew.
    if (line.starts_with("HTTP/")) range_begin = -1;
    const auto lower = [](char c) {
      return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    };
    const bool named =
        line.size() > kName.size() && std::equal(kName.begin(), kName.end(), line.begin(),
                                                 [&](char a, char b) { return a == lower(b); });
    if (named) std::from_chars(line.data() + kName.size(), line.data() + line.size(), range_begin);
  }

  void OnProgress() {
    ThrowIfInterrupted();
    if (answered) (*progress)(part->size(), Total());
  }
};

template <typename Action>
bool Guarded(Transfer& transfer, const Action& action) noexcept {
  try {
    action();
    return true;
  } catch (...) {
    transfer.error = std::current_exception();
    return false;
  }
}

std::size_t BodyCallback(char* data, std::size_t size, std::size_t count, void* user) noexcept {
  auto& transfer = *static_cast<Transfer*>(user);
  return Guarded(transfer,
                 [&] {
                   transfer.OnBody({data, size * count});
                 })
             ? size * count
             : CURL_WRITEFUNC_ERROR;
}

std::size_t HeaderCallback(char* data, std::size_t size, std::size_t count, void* user) noexcept {
  auto& transfer = *static_cast<Transfer*>(user);
  return Guarded(transfer, [&] { transfer.OnHeader({data, size * count}); }) ? size * count : 0;
}

int ProgressCallback(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) noexcept {
  auto& transfer = *static_cast<Transfer*>(user);
  return Guarded(transfer, [&] { transfer.OnProgress(); }) ? 0 : 1;
}

void SetOptions(Transfer& transfer, char* reason) {
  CURL* const curl = transfer.curl;
  const DownloadRequest& request = *transfer.request;
  curl_easy_setopt(curl, CURLOPT_URL, request.url.c_str());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_USERAGENT, "daq-bench");
  curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
  curl_easy_setopt(curl, CURLOPT_MAXREDIRS, 10L);
  curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT,
                   static_cast<long>(request.connect_timeout_seconds));
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, static_cast<long>(request.stall_timeout_seconds));
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, reason);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, BodyCallback);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, HeaderCallback);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, ProgressCallback);
  curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
  // A plain range, not CURLOPT_RESUME_FROM: with that libcurl fails where a server ignores ranges.
  if (transfer.offset > 0)
    curl_easy_setopt(curl, CURLOPT_RANGE, fmt::format("{}-", transfer.offset).c_str());
}

bool ConnectionBroke(CURLcode code) {
  constexpr std::array kBroken = {CURLE_PARTIAL_FILE, CURLE_RECV_ERROR, CURLE_OPERATION_TIMEDOUT,
                                  CURLE_GOT_NOTHING};
  return std::find(kBroken.begin(), kBroken.end(), code) != kBroken.end();
}

struct Outcome {
  bool done = false;
  bool again = false;  // worth another attempt
  std::string reason;
};

// Asks once for what `part` lacks.
Outcome Attempt(const DownloadRequest& request, const PartFile& part,
                const DownloadCallback& progress) {
  const std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> curl(curl_easy_init(),
                                                                 curl_easy_cleanup);
  if (curl == nullptr) throw std::runtime_error("libcurl cannot start");
  Transfer transfer;
  transfer.curl = curl.get();
  transfer.request = &request;
  transfer.part = &part;
  transfer.progress = &progress;
  transfer.offset = part.size();
  std::array<char, CURL_ERROR_SIZE> reason = {};
  SetOptions(transfer, reason.data());
  const CURLcode code = curl_easy_perform(curl.get());
  if (transfer.error) std::rethrow_exception(transfer.error);
  if (code == CURLE_OK) {
    if (!transfer.answered) part.Clear();  // an empty body
    progress(part.size(), part.size());
    return {.done = true, .reason = {}};
  }
  long status = 0;
  curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &status);
  constexpr long kRangeNotSatisfiable = 416;
  if (code == CURLE_HTTP_RETURNED_ERROR && status == kRangeNotSatisfiable && transfer.offset > 0) {
    part.Clear();  // the file became shorter than the part: it is another file
    return {.again = true, .reason = "the server refuses to go on where the part ends"};
  }
  if (code == CURLE_HTTP_RETURNED_ERROR)
    return {.reason = fmt::format("the server answers with HTTP status {}", status)};
  const std::string_view text(reason.data());
  return {.again = ConnectionBroke(code) && part.size() > transfer.offset,
          .reason = text.empty() ? curl_easy_strerror(code) : std::string(text)};
}

}  // namespace

void Download(const DownloadRequest& request, const DownloadCallback& progress) {
  const PartFile part(request.part);
  const bool too_long = request.bytes > 0 && part.size() > request.bytes;
  if (!request.resume || too_long) part.Clear();
  if (request.bytes > 0 && part.size() == request.bytes) return;
  for (int attempt = 1;; ++attempt) {
    const Outcome outcome = Attempt(request, part, progress);
    if (outcome.done) break;
    if (!outcome.again || attempt >= request.attempts) {
      throw std::runtime_error(fmt::format("{}: {}", request.url, outcome.reason));
    }
  }
  part.Sync();
}

}  // namespace daq
