//! Out again: what a store holds as files that pandas and polars read, and files and stores played again.

mod errors;
mod export;
mod fixture;
mod from_store;
mod round_trip;
