"""Reads a file of ticks with pandas and with polars, each as its users do, and tells what both found:
read_stored.py FILE [RECORDING]

Prints one line of JSON: "pandas" and "polars" with the types of the columns, and "rows" as [symbol, time in ns, bits of
the price, bits of the size or null, outlier, source, seq, id]. With a recording (a CSV file with times in ms), it tells
instead of rows whether the file holds the same ticks in order of time, then of arrival, and how many.
"""
import json
import struct
import sys

import pandas
import polars


def read_pandas(path):
    if path.endswith(".parquet"):
        return pandas.read_parquet(path)
    kinds = {"symbol": str, "source": str, "seq": "UInt64", "id": str}
    empty = {name: [""] for name in ["size", "source", "seq", "id"]}
    return pandas.read_csv(path, keep_default_na=False, na_values=empty, float_precision="round_trip", dtype=kinds,
                           parse_dates=["time"])


def read_polars(path):
    if path.endswith(".parquet"):
        return polars.read_parquet(path)
    kinds = {"symbol": polars.String, "source": polars.String, "seq": polars.UInt64, "id": polars.String}
    frame = polars.read_csv(path, schema_overrides=kinds)
    return frame.with_columns(polars.col("time").str.to_datetime(time_unit="ns", time_zone="UTC"))


def bits(number):
    return None if pandas.isna(number) else struct.pack(">d", number).hex()


def whole(number):
    return None if pandas.isna(number) else int(number)


def text(value):
    return None if pandas.isna(value) else value


def rows_of_pandas(frame, path):
    if path.endswith(".parquet"):
        # Unless told otherwise pandas makes doubles of whole numbers among which some are missing.
        frame["seq"] = pandas.read_parquet(path, columns=["seq"], dtype_backend="numpy_nullable")["seq"]
    times = frame["time"].astype("datetime64[ns, UTC]").astype("int64")
    columns = [frame["symbol"], times, frame["price"], frame["size"], frame["outlier"], frame["source"], frame["seq"],
               frame["id"]]
    return [[symbol, time_ns, bits(price), bits(size), outlier, text(source), whole(seq), text(entry)]
            for symbol, time_ns, price, size, outlier, source, seq, entry in zip(*(c.tolist() for c in columns))]


def rows_of_polars(frame):
    frame = frame.with_columns(polars.col("time").cast(polars.Int64))
    columns = ["symbol", "time", "price", "size", "outlier", "source", "seq", "id"]
    none = float("nan")
    return [[symbol, time_ns, bits(price), bits(none if size is None else size), outlier, source, seq, entry]
            for symbol, time_ns, price, size, outlier, source, seq, entry in frame.select(columns).iter_rows()]


def is_recorded(rows, path):
    recording = pandas.read_csv(path, float_precision="round_trip")
    recording = recording.sort_values("timestamp", kind="stable")
    columns = (recording[name].tolist() for name in ["symbol", "timestamp", "price", "size"])
    expected = [[symbol, time_ms * 1_000_000, bits(price), bits(float(size))]
                for symbol, time_ms, price, size in zip(*columns)]
    return [row[:4] for row in rows] == expected and not any(row[4] for row in rows)


def main(path, recording=None):
    pandas_frame, polars_frame = read_pandas(path), read_polars(path)
    found = {
        "pandas": {name: str(kind) for name, kind in pandas_frame.dtypes.items()},
        "polars": {name: str(kind) for name, kind in polars_frame.schema.items()},
    }
    rows = rows_of_pandas(pandas_frame, path)
    assert rows == rows_of_polars(polars_frame), "pandas and polars read the same"
    if recording:
        found |= {"same": is_recorded(rows, recording), "count": len(rows)}
    else:
        found["rows"] = rows
    print(json.dumps(found))


main(*sys.argv[1:])
