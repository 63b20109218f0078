// No transform: the block's weights are quantised as they are.
#include <memory>

#include "methods/registry.h"
#include "methods/transform.h"

namespace daq {
namespace {

class None final : public Transform {
 public:
  bool is_identity() const override { return true; }
  bool needs_statistics() const override { return false; }
  void CheckFormat(const Format&) const override {}
  std::map<std::string, Diagnostics> Apply(TransformBlock*,
                                           const TransformContext&) const override {
    return {};
  }
};

}  // namespace

std::span<const SettingSpec> NoneSettings();
std::unique_ptr<Transform> MakeNone(const Settings& settings);

std::span<const SettingSpec> NoneSettings() { return {}; }

std::unique_ptr<Transform> MakeNone(const Settings&) { return std::make_unique<None>(); }

}  // namespace daq
