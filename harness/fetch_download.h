#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

namespace daq {

// One file to bring over HTTP.
struct DownloadRequest {
  std::string url;             // http or https; redirects are followed
  std::filesystem::path part;  // written here
  std::int64_t bytes = 0;      // expected; 0: not known
  bool resume = false;         // go on after the bytes that `part` has; else they are dropped
  int connect_timeout_seconds = 30;
  int stall_timeout_seconds = 60;
  int attempts = 5;
};

// Bytes done and in all (0: not known). May throw.
using DownloadCallback = std::function<void(std::int64_t, std::int64_t)>;

// Brings all of `url` into `part`; does not check its hash. On any failure `part` keeps what came.
// Throws InputError if the server offers another size than expected, std::runtime_error "url:
// reason" if the network or the disk fails or another process holds `part`, Interrupted after
// Ctrl-C.
void Download(const DownloadRequest& request, const DownloadCallback& progress);

}  // namespace daq
