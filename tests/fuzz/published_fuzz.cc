// The table of published perplexities.
#include "harness/published.h"
#include "tests/fuzz/fuzz_target.h"

namespace daq {

FuzzTarget PublishedTarget();

namespace {

void ReadPublished(std::string_view bytes) {
  const std::vector<PublishedValue> values = ParsePublished(std::string(bytes), "published.csv");
  FindPublished(values, "meta-llama/Llama-2-7b-hf", "gptq", "int4", "group-128", "gptq-wikitext2");
}

}  // namespace

FuzzTarget PublishedTarget() {
  const std::string header =
      "model,method,format,granularity,calibration,protocol,metric,value,source,table,note\n";
  return {.name = "published",
          .run = ReadPublished,
          .seeds = {header + "LLaMA-7B,fp16,f16,none,,gptq-wikitext2,perplexity,5.68,paper,Table "
                             "1,\"ctx 2048, as \"\"printed\"\"\"\n",
                    header + "LLaMA-2-7B,gptq,int4,group-128,c4,gptq-wikitext2,word_perplexity,2.6e"
                             "5,p,t,\"two\nlines\"\r\nm,rtn,int3,channel,,,accuracy,x,s,t,\n"},
          .words = {",\"", "\"\"", "\",", ",,,,,,,,,,", "perplexity", "value,", "\nLLaMA-2-7B,"}};
}

}  // namespace daq
