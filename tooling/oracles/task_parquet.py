"""Two tasks as their Parquet copies have them, written by pyarrow: int64 labels, lists, structs.

    python tooling/oracles/task_parquet.py packages/data/src/tasks/golden

Needs pyarrow.
"""

import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

folder = Path(sys.argv[1])
label = pa.array([2, -1], pa.int64())
index = pa.array([0, 1], pa.int32())
mnli = pa.table({"premise": ["A", "C"], "hypothesis": ["B", "D"], "label": label, "idx": index})
pq.write_table(mnli, folder / "mnli-train.parquet", compression="snappy")
record = pa.table(
    {
        "passage": ["Ann met Bob."],
        "query": ["@placeholder was met"],
        "entities": pa.array([["Ann", "Bob"]], pa.list_(pa.string())),
        "answers": pa.array([["Bob"]], pa.list_(pa.string())),
        "idx": pa.array(
            [{"passage": 3, "query": 7}], pa.struct([("passage", pa.int32()), ("query", pa.int32())])
        ),
    }
)
pq.write_table(record, folder / "record-train.parquet", compression="snappy")
