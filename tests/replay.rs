//! Export of stores to files that pandas and polars read, and replay of files and stores.

mod errors;
mod export;
mod fixture;
mod from_store;
mod round_trip;
