//! Streams as the consumer reads them: alone, as a member of a group, over servers that die, freeze and forget.

mod clusters;
mod fixture;
mod groups;
mod reading;
mod sentinels;
mod storage;
