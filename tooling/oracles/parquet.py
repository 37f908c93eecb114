"""Small Parquet files of preference rows, as pyarrow writes them: python tooling/oracles/parquet.py"""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

folder = Path(__file__).parents[2] / "packages" / "data" / "src" / "golden"
folder.mkdir(parents=True, exist_ok=True)


def said(role, content):
    return {"role": role, "content": content}


rows = 5
table = pa.table(
    {
        "prompt": [[said("user", f"Question {i}, été?")] for i in range(rows)],
        "chosen": [[said("assistant", f"Yes {i}.")] for i in range(rows)],
        "rejected": [[said("assistant", f"No {i}.")] for i in range(rows)],
        "score": pa.array(range(rows), pa.int64()),
        "note": pa.array(["a", None, "b", "b", "b"]),
    }
)
for compression in ("snappy", "zstd"):
    # Two row groups, a dictionary, nested lists: what data sets on the hub have.
    pq.write_table(table, folder / f"pairs-{compression}.parquet", compression=compression, row_group_size=3)
