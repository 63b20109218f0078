"""Makes the goldens of the protocols that score a part of each window: llamacpp-512 and lm-eval-wikitext.

    pip install lm_eval[hf]==0.4.13 torch transformers sentencepiece
    python tests/tools/make_scored_window_goldens.py ../shared windows > tests/golden/protocols/scored_windows.json
    python tests/tools/make_scored_window_goldens.py ../shared pages > tests/golden/protocols/pages.json
    python tests/tools/make_scored_window_goldens.py ../shared losses > tests/golden/perplexity/scored_windows.json

Nothing of daq-bench is used. Of lm-eval-wikitext, everything but the pages is lm-evaluation-harness's own code: its
detokeniser, its rolling windows, its counts of words and bytes, its aggregations and, in `losses`, its HFLM on the demo
model. The pages are EleutherAI's data set `wikitext_document_level`, which cannot be had without a network: `pages_of`
is the loop of the script that the data set was made by (EleutherAI/lm-evaluation-harness 2444412,
lm_eval/datasets/wikitext/wikitext.py). llamacpp-512 is written here as tools/perplexity/perplexity.cpp of llama.cpp
050fc7f has it.

Tokens are SentencePiece's own with one BOS before them, as in ../golden/protocols/make_protocol_goldens.py.
"""

import hashlib
import json
import math
import struct
import sys
from pathlib import Path

import sentencepiece
from lm_eval.api import metrics
from lm_eval.tasks.wikitext import preprocess_wikitext
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

REPOSITORY = Path(__file__).resolve().parents[2]
SHARED = Path(sys.argv[1])
WIKITEXT = "shared:data/wikitext2/wiki.test.raw"
PAGES = "tests/data/pages.raw"
DEMO = "demo/model"


def resolve(name):
    return SHARED / name.removeprefix("shared:") if name.startswith("shared:") else REPOSITORY / name


class Tokenizer:
    def __init__(self, folder):
        self.pieces = sentencepiece.SentencePieceProcessor(model_file=str(resolve(folder) / "tokenizer.model"))
        self.bos = self.pieces.bos_id()

    def __call__(self, text):
        for special in ("<s>", "</s>", "<unk>"):
            assert special not in text, special
        return [self.bos] + self.pieces.encode(text)


def pages_of(path):
    with open(path, encoding="utf-8") as file:
        lines = []
        for line in file.read().split("\n"):
            bare = line.replace("= = =", "===").replace("= =", "==").strip()
            if bare.startswith("= ") and bare.strip().endswith(" ="):
                page = "\n".join(lines)
                if page.strip():
                    yield page
                lines = []
            lines.append(line)
        yield "\n".join(lines)


class Windows:
    """Rows of window_tokens ids, the id that follows each, and the positions scored."""

    def __init__(self, window_tokens):
        self.window_tokens = window_tokens
        self.rows, self.following, self.scored = [], [], []
        self.text = ""
        self.pages = []  # the original text and the number of windows of each

    def golden(self):
        ids = [token for row in self.rows for token in row] + self.following
        ranges = [end for one in self.scored for end in one]
        sha256 = lambda numbers: hashlib.sha256(struct.pack(f"<{len(numbers)}i", *numbers)).hexdigest()
        return {
            "windows": len(self.rows),
            "scored_tokens": sum(end - begin for begin, end in self.scored),
            "text_sha256": hashlib.sha256(self.text.encode("utf-8")).hexdigest(),
            "ids_sha256": sha256(ids),
            "scored_sha256": sha256(ranges),
            "first_ids": ids[:8],
            "last_scored": self.scored[-1],
        }


def llamacpp(file, tokenizer, window_tokens, max_windows):
    windows = Windows(window_tokens)
    windows.text = resolve(file).read_bytes().decode("utf-8")
    if windows.text.endswith("\n"):
        windows.text = windows.text[:-1]
    ids = tokenizer(windows.text)
    assert len(ids) >= 2 * window_tokens
    for begin in range(0, len(ids) - window_tokens + 1, window_tokens)[:max_windows]:
        windows.rows.append([tokenizer.bos] + ids[begin + 1 : begin + window_tokens])
        windows.scored.append((window_tokens // 2, window_tokens - 1))
    return windows


def lm_eval_wikitext(file, tokenizer, window_tokens, max_windows):
    windows = Windows(window_tokens)
    for page in pages_of(resolve(file)):
        text = preprocess_wikitext.wikitext_detokenizer({"page": page})
        rolled = list(map(make_disjoint_window, get_rolling_token_windows(
            token_list=tokenizer(text), prefix_token=tokenizer.bos, max_seq_len=window_tokens, context_len=1)))
        if max_windows is not None and len(windows.rows) + len(rolled) > max_windows:
            break
        for context, continuation in rolled:
            row = context + continuation  # the last token is predicted, not read
            assert len(row) <= window_tokens + 1
            windows.scored.append((len(row) - 1 - len(continuation), len(row) - 1))
            row += [tokenizer.bos] * (window_tokens + 1 - len(row))
            windows.rows.append(row[:-1])
            windows.following.append(row[-1])
        windows.text += text
        windows.pages.append((page, len(rolled)))
    return windows


MAKERS = {"llamacpp-512": llamacpp, "lm-eval-wikitext": lm_eval_wikitext}


def sizes(windows):
    """The denominators, as lm-evaluation-harness's process_results has them."""
    found = [preprocess_wikitext.process_results({"page": page}, (0.0,)) for page, _ in windows.pages]
    return {"words": sum(one["word_perplexity"][1] for one in found),
            "bytes": sum(one["byte_perplexity"][1] for one in found)} if found else {}


def window_cases():
    for tokenizer, file, window_tokens, max_windows in (
        (DEMO, PAGES, 64, None), (DEMO, PAGES, 65, None), (DEMO, PAGES, 3, None), (DEMO, PAGES, 64, 9),
        (DEMO, WIKITEXT, 512, None), (DEMO, WIKITEXT, 2048, 100), ("shared:data/llama", WIKITEXT, 512, None),
        ("shared:data/llama", WIKITEXT, 2048, None),
    ):
        for protocol, make in MAKERS.items():
            windows = make(file, Tokenizer(tokenizer), window_tokens, max_windows)
            yield {"protocol": protocol, "file": file, "tokenizer": tokenizer, "window_tokens": window_tokens,
                   "max_windows": max_windows, **windows.golden(), **sizes(windows)}


def page_cases():
    for page in pages_of(resolve(PAGES)):
        yield {"page": page, "text": preprocess_wikitext.wikitext_detokenizer({"page": page}),
               "words": preprocess_wikitext.process_results({"page": page}, (0.0,))["word_perplexity"][1]}


def load_model():
    import torch
    from transformers import LlamaForCausalLM
    torch.set_num_threads(1)
    return LlamaForCausalLM.from_pretrained(resolve(DEMO), dtype=torch.float32, attn_implementation="eager").eval()


def window_losses(model, windows):
    """The mean loss of each window's scored positions in nats; softmax in double."""
    import torch
    losses = []
    with torch.inference_mode():
        for index, (row, (begin, end)) in enumerate(zip(windows.rows, windows.scored, strict=True)):
            following = windows.following[index:index + 1]
            targets = torch.tensor((row + following)[begin + 1 : end + 1])
            logits = model(torch.tensor([row[:end]]), use_cache=False).logits[0, begin:end].double()
            losses.append(torch.nn.functional.cross_entropy(logits, targets).item())
    return losses


def harness_numbers(model, windows, tokenizer, window_tokens):
    """What lm-evaluation-harness itself makes of the pages: HFLM, process_results and aggregations."""
    import transformers
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    class SlowTokenizer(transformers.LlamaTokenizer):
        """SentencePiece's tokens where HFLM asks for a text's; all else is transformers' own."""
        def encode(self, text, **kwargs):
            assert kwargs.get("add_special_tokens", True)
            return tokenizer(text)

    lm = HFLM(pretrained=model, tokenizer=SlowTokenizer.from_pretrained(resolve(DEMO)), max_length=window_tokens,
              batch_size=1, device="cpu")
    documents = [{"page": page} for page, _ in windows.pages]
    requests = [Instance(request_type="loglikelihood_rolling", doc=document, idx=0,
                         arguments=(preprocess_wikitext.wikitext_detokenizer(document),)) for document in documents]
    likelihoods = lm.loglikelihood_rolling(requests)
    results = [preprocess_wikitext.process_results(document, (found,))
               for document, found in zip(documents, likelihoods, strict=True)]
    return {"word_perplexity": metrics.weighted_perplexity([one["word_perplexity"] for one in results]),
            "byte_perplexity": metrics.weighted_perplexity([one["byte_perplexity"] for one in results]),
            "bits_per_byte": metrics.bits_per_byte([one["bits_per_byte"] for one in results])}


def loss_cases():
    import torch
    import transformers
    model = load_model()
    tokenizer = Tokenizer(DEMO)
    for protocol, file, window_tokens, max_windows in (
        ("llamacpp-512", PAGES, 64, None), ("lm-eval-wikitext", PAGES, 64, None), ("llamacpp-512", WIKITEXT, 512, 32),
        ("lm-eval-wikitext", WIKITEXT, 2048, 40),
    ):
        windows = MAKERS[protocol](file, tokenizer, window_tokens, max_windows)
        losses = window_losses(model, windows)
        counts = [end - begin for begin, end in windows.scored]
        total = math.fsum(loss * count for loss, count in zip(losses, counts, strict=True))
        case = {"protocol": protocol, "model": DEMO, "file": file, "window_tokens": window_tokens,
                "max_windows": max_windows, "perplexity": math.exp(total / sum(counts)), "window_losses": losses,
                **sizes(windows)}
        if windows.pages:
            case |= harness_numbers(model, windows, tokenizer, window_tokens)
            # The two ways to the number must agree, or one of them is not what it says.
            assert abs(math.exp(total / case["words"]) / case["word_perplexity"] - 1) < 1e-5, case["word_perplexity"]
        print(protocol, file, case["perplexity"], case.get("word_perplexity"), file=sys.stderr)
        case["versions"] = {"torch": torch.__version__, "transformers": transformers.__version__}
        yield case


def main():
    cases = {"windows": window_cases, "pages": page_cases, "losses": loss_cases}[sys.argv[2]]()
    print("[\n" + ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases) + "\n]")


main()
