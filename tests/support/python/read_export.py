"""Reads a file of ticks the way its users do, and tells exactly what it found: read_export.py FILE [RECORDING]

Prints one line of JSON: "types" of the columns, and "rows" as [symbol, time in ns, bits of the price, bits of the size
or null]. With a recording (a CSV file with times in ms), it tells instead whether the file holds the same ticks in
order of time, and how many.
"""
import json
import struct
import sys

import pandas
import pyarrow.parquet


def read(path):
    if path.endswith(".parquet"):
        frame = pandas.read_parquet(path, engine="pyarrow")
        schema = pyarrow.parquet.read_schema(path)
        types = {field.name: f"{field.type}{'' if field.nullable else ' not null'}" for field in schema}
        return frame, types
    frame = pandas.read_csv(
        path, keep_default_na=False, na_values={"size": [""]}, float_precision="round_trip", dtype={"symbol": str}
    )
    types = {name: str(kind) for name, kind in frame.dtypes.items()}
    # The readable column says the same as the exact one.
    assert (frame["time"].str.len() == len("2013-10-07T13:30:00.123456789Z")).all()
    frame["time"] = pandas.to_datetime(frame["time"], format="ISO8601", utc=True)
    assert (frame["time"].astype("datetime64[ns, UTC]").astype("int64") == frame["time_ns"]).all()
    return frame, types


def bits(number):
    return None if pandas.isna(number) else struct.pack(">d", number).hex()


def compare(frame, path):
    recording = pandas.read_csv(path, float_precision="round_trip")
    recording["time_ns"] = recording["timestamp"] * 1_000_000
    first = {symbol: place for place, symbol in enumerate(frame["symbol"].unique())}
    legend = recording["symbol"].map(recording.drop_duplicates("symbol").reset_index()["symbol"].pipe(
        lambda names: {name: place for place, name in enumerate(names)}))
    assert set(first) == set(recording["symbol"])
    recording = recording.assign(legend=legend).sort_values(["time_ns", "legend"], kind="stable")
    same = len(frame) == len(recording)
    for ours, theirs in [("symbol", "symbol"), ("time_ns", "time_ns"), ("price", "price"), ("size", "size")]:
        same = same and (frame[ours].to_numpy() == recording[theirs].to_numpy()).all()
    return {"same": bool(same), "count": len(frame)}


def main(path, recording=None):
    frame, types = read(path)
    frame["time_ns"] = frame["time"].astype("datetime64[ns, UTC]").astype("int64")
    if recording:
        print(json.dumps(compare(frame, recording)))
        return
    columns = (frame[name].tolist() for name in ["symbol", "time_ns", "price", "size"])
    rows = [[symbol, time_ns, bits(price), bits(size)] for symbol, time_ns, price, size in zip(*columns)]
    print(json.dumps({"types": types, "rows": rows}))


main(*sys.argv[1:])
