"""Writes the same ticks as Parquet in the ways in which pandas and polars write them: write_ticks.py FOLDER

Times are whole milliseconds, so that each unit holds them. Prints one line of JSON: for each file, by name, its rows as
[symbol, time in ns, bits of the price, bits of the size or null].
"""
import decimal
import json
import pathlib
import struct
import sys

import pandas
import polars
import pyarrow
import pyarrow.parquet

START_MS = 1_381_152_600_000
COUNT = 10_000
NAMES = ["SPY", "BRK,B", "say \"hi\"", "ünï", "=1+1", "NA"]


def bits(number):
    return None if number is None else struct.pack(">d", number).hex()


def tick(i):
    price = [0.1 + 0.2, -0.0, 5e-324, 1 / 3, 187.2, -37.63][i % 6] * (1 + i)
    return NAMES[i % 7 % 6], START_MS + i * 7, price, None if i % 5 == 0 else float(i % 1000)


def main(folder):
    folder = pathlib.Path(folder)
    ticks = [tick(i) for i in range(COUNT)]
    symbols, times_ms, prices, sizes = (list(column) for column in zip(*ticks))
    expected = {}

    def add(name, rows=None):
        rows = rows or ticks
        expected[name] = [[s, t * 1_000_000, bits(p), bits(v)] for s, t, p, v in rows]
        return folder / name

    frame = pandas.DataFrame({"symbol": symbols, "time": pandas.to_datetime(times_ms, unit="ms", utc=True),
                              "price": prices, "size": sizes})
    frame.to_parquet(add("pandas_default"))
    frame.assign(time=frame["time"].astype("datetime64[ns, UTC]")).to_parquet(add("pandas_ns"))
    frame.assign(time=frame["time"].dt.tz_localize(None)).to_parquet(add("pandas_without_zone"))
    frame.assign(symbol=frame["symbol"].astype("category")).to_parquet(add("pandas_category"), compression="zstd")
    frame.rename(columns={"symbol": "Ticker", "price": "PX", "size": "Volume"}).set_index("time").to_parquet(
        add("pandas_index"))
    frame.assign(time=times_ms).to_parquet(add("pandas_integers"), row_group_size=1_234)
    frame.assign(time=[f"{t // 1000}.{t % 1000:03d}" for t in times_ms]).to_parquet(add("pandas_texts"))
    frame.assign(time=[t / 1000 for t in times_ms]).to_parquet(add("pandas_seconds"), compression=None)
    frame.assign(size=None).to_parquet(add("pandas_no_sizes", [(s, t, p, None) for s, t, p, _ in ticks]))
    table = pyarrow.Table.from_pandas(frame.assign(time=frame["time"].astype("datetime64[ns, UTC]")))
    pyarrow.parquet.write_table(table, add("arrow_int96"), use_deprecated_int96_timestamps=True)
    pyarrow.parquet.write_table(table, add("arrow_plain"), use_dictionary=False, data_page_version="2.0")
    large = table.set_column(0, "symbol", table["symbol"].cast(pyarrow.large_string()))
    pyarrow.parquet.write_table(large, add("arrow_large"), version="1.0", coerce_timestamps="ms")
    cents = [(s, t, float(decimal.Decimal(i) / 100), v) for i, (s, t, _, v) in enumerate(ticks)]
    decimals = table.set_column(2, "price", pyarrow.array([decimal.Decimal(i) / 100 for i in range(COUNT)],
                                                          pyarrow.decimal128(12, 2)))
    pyarrow.parquet.write_table(decimals, add("arrow_decimals", cents))
    pyarrow.parquet.write_table(decimals, add("arrow_whole_decimals", cents), store_decimal_as_integer=True)

    frame = polars.DataFrame({"symbol": symbols, "time": polars.Series(times_ms).cast(polars.Datetime("ms")),
                              "price": prices, "size": sizes})
    frame.write_parquet(add("polars_default"))
    for unit in ["us", "ns"]:
        times = polars.col("time").cast(polars.Datetime(unit)).dt.replace_time_zone("UTC")
        frame.with_columns(times).write_parquet(add(f"polars_{unit}"), row_group_size=999)
    frame.with_columns(polars.col("symbol").cast(polars.Categorical)).write_parquet(add("polars_categorical"))
    frame.with_columns(polars.col("symbol").cast(polars.Enum(sorted(NAMES)))).write_parquet(
        add("polars_enum"), compression="snappy")
    counted = frame.with_columns(polars.col("size").cast(polars.UInt32), price=polars.int_range(-5, COUNT - 5))
    rows = [(s, t, float(i - 5), v) for i, (s, t, _, v) in enumerate(ticks)]
    counted.write_parquet(add("polars_integers", rows), compression="uncompressed")
    singles = [struct.unpack("f", struct.pack("f", float(i) / 3))[0] for i in range(COUNT)]
    rows = [(s, t, p, v) for (s, t, _, v), p in zip(ticks, singles)]
    frame.with_columns(price=polars.Series(singles, dtype=polars.Float32)).write_parquet(add("polars_singles", rows))
    # polars has a number that is none beside its null.
    frame.with_columns(polars.col("size").fill_null(float("nan"))).write_parquet(add("polars_nan"))
    print(json.dumps(expected))


main(*sys.argv[1:])
