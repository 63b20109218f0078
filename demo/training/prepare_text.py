"""Writes the demo model's training text: WikiText-2 train without its <unk> marks, and 800 documents of C4 train.

    python demo/training/prepare_text.py --data DATA --out FOLDER

Reads DATA/wikitext2/wiki.train.tokens (the tokenised variant), DATA/wikitext2/wiki.valid.raw and
DATA/c4/train-1000docs.json.gz (the first 1000 documents of C4 en train shard 0). Writes FOLDER/train.txt and
FOLDER/valid.txt (the first 200,000 characters of WikiText-2 validation).
"""
import argparse
import gzip
import json
import pathlib
import re

C4_DOCUMENTS = 800
VALIDATION_CHARACTERS = 200_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    args = parser.parse_args()

    wikitext = (args.data / "wikitext2/wiki.train.tokens").read_text(encoding="utf-8")
    wikitext = re.sub(r" ?<unk>", "", wikitext)
    with gzip.open(args.data / "c4/train-1000docs.json.gz", "rt", encoding="utf-8") as file:
        documents = [json.loads(line)["text"] for line in file]
    train = wikitext + "\n" + "\n\n".join(documents[:C4_DOCUMENTS])
    valid = (args.data / "wikitext2/wiki.valid.raw").read_text(encoding="utf-8")[:VALIDATION_CHARACTERS]

    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "train.txt").write_text(train, encoding="utf-8")
    (args.out / "valid.txt").write_text(valid, encoding="utf-8")
    print(f"train {len(train)} characters, valid {len(valid)}")


if __name__ == "__main__":
    main()
