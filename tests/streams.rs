//! Streams read by the consumer, alone and as a member of a group, from servers that crash, freeze and lose data.

mod clusters;
mod fixture;
mod groups;
mod reading;
mod sentinels;
mod storage;
