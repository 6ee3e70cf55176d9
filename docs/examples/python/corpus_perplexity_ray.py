"""The perplexity of a corpus, measured by the workers of a Ray cluster.

    python corpus_perplexity_ray.py MODEL OUTPUT corpus/*.jsonl

Each line of a file is a JSON object with an "id" and a "text". OUTPUT gets the numbers of each
text. A text that was under way on a worker that died is measured again, with the same result.
"""

from __future__ import annotations

import argparse

import ray
from bit_axon import batch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="a model folder that every machine sees, or a hub id")
    parser.add_argument("output", help="a folder for the numbers of each text")
    parser.add_argument("files", nargs="+", help="JSON lines with an id and a text")
    parser.add_argument("--cpus", type=int, default=1, help="cores of one worker")
    wanted = parser.parse_args()

    measure = batch.Perplexity(wanted.model, load_options={"threads": wanted.cpus})
    texts = ray.data.read_json(wanted.files)
    measured = texts.map_batches(measure, batch_size=16, num_cpus=wanted.cpus)
    numbers = measured.drop_columns(["text"]).materialize()
    numbers.write_parquet(wanted.output)
    perplexity, error = batch.corpus_perplexity(numbers.iter_rows())
    print(f"perplexity {perplexity:.4f} +- {error:.4f} over {numbers.count()} texts")


if __name__ == "__main__":
    main()
