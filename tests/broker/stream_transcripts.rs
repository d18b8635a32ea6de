//! Replies of redis-server and of the embedded broker to commands on streams, compared byte by byte.

use super::transcripts::assert_sequence_same;
use crate::support::server::{Embedded, RedisServer};

/// Sequences of commands as in [`transcripts`](super::transcripts), separated by semicolons, each on an empty server.
const SEQUENCES: &[&str] = &[
    // XADD and its ids.
    "XADD; XADD s; XADD s 1-1; XADD s 1-1 f; XADD s 1-1 f v; XADD s 1-1 f v; XADD s 1-0 f v; XLEN s",
    "XADD s 0-0 f v; XADD s 0 f v; XADD s 0-* f v; XADD s 0-* f v; XADD s 0-1 f v; XRANGE s - +",
    "XADD s 5 f v; XADD s 5-* f v; XADD s 5-* f v g w; XADD s 4-* f v; XADD s 6-* f v; XRANGE s - +",
    "XADD s x f v; XADD s - f v; XADD s + f v; XADD s 1- f v; XADD s -1 f v; XADD s 1-x f v; XADD s 1-*x f v",
    "XADD s 007-03 f v; XADD s +8-1 f v; XADD s 18446744073709551616 f v; XRANGE s - +",
    "XADD s 18446744073709551615-18446744073709551615 f v; XADD s * f v; XADD s 1-1 f v; XRANGE s + +",
    "XADD s 18446744073709551615-18446744073709551614 f v; XADD s * f v; XADD s * f v; XRANGE s - +",
    "XADD s 18446744073709551614-18446744073709551615 f v; XADD s * f v; XREVRANGE s + -",
    "XADD s NOMKSTREAM 1-1 f v; EXISTS s; XADD s 1-1 f v; XADD s nomkstream 1-2 f v; XADD s NOMKSTREAM * f",
    "XADD s 1-1 f v f w \\e \\e; XADD s 1-2 a\\r\\nb \\0; XRANGE s - +; XADD \\e 1-1 f v; XLEN \\e; KEYS \\e; DBSIZE",
    "XADD s * f v x; XADD s * f; XADD s *",
    "XADD s MAXLEN; XADD s MAXLEN 1; XADD s MAXLEN x 1-1 f v; XADD s MAXLEN -1 1-1 f v; XADD s MAXLEN ~ 1",
    "XADD s MAXLEN = 2 1-1 f v; XADD s maxlen 2 1-2 f v; XADD s MAXLEN 2 1-3 f v; XADD s MAXLEN = x 1-4 f v",
    "XADD s MAXLEN 0 1-1 f v; XLEN s; XINFO STREAM s; XADD s 1-1 f v; XADD s 1-2 f v; XINFO STREAM s",
    "XADD s 1-1 f v; XADD s 2-1 f v; XADD s MINID 2 3-1 f v; XADD s MINID = 3 4-1 f v; XRANGE s - +",
    "XADD s MINID x 1-1 f v; XADD s MINID - 1-1 f v; XADD s MINID + 1-1 f v; XADD s MINID; XADD s MINID 1-*",
    "XADD s MAXLEN 1 MINID 1 1-1 f v; XADD s MINID 1 MAXLEN 1 1-1 f v; XADD s MAXLEN 1 MAXLEN 1 1-1 f v",
    "XADD s LIMIT 1 1-1 f v; XADD s LIMIT 0 1-1 f v; XADD s MAXLEN 1 LIMIT 1 1-2 f v; XLEN s",
    "XADD s MAXLEN ~ 1 LIMIT x 1-1 f v; XADD s MAXLEN ~ 1 LIMIT -1 1-1 f v; XADD s MAXLEN ~ 1 LIMIT 5 1-1 f v",
    // Reading.
    "XLEN; XLEN a b; XLEN nosuch; XRANGE; XRANGE s -; XRANGE nosuch - +; XRANGE nosuch - + COUNT 0",
    "XADD s 1-1 f a; XADD s 2-1 f b; XADD s 2-2 f c; XADD s 3-1 f d; XRANGE s - +; XREVRANGE s + -",
    "XADD s 1-1 f a; XADD s 2-1 f b; XADD s 2-2 f c; XRANGE s 2 2; XRANGE s (1-1 (2-2; XRANGE s 2-2 1-1",
    "XADD s 1-1 f a; XADD s 2-1 f b; XRANGE s - + COUNT 1; XREVRANGE s + - COUNT 1; XRANGE s - + COUNT 0",
    "XADD s 1-1 f a; XRANGE s - + COUNT -1; XRANGE s - + COUNT x; XRANGE s - + COUNT; XRANGE s - + FOO 1",
    "XADD s 1-1 f a; XRANGE s x +; XRANGE s - x; XRANGE s ( +; XRANGE s (- +; XRANGE s (0-0 (0-0; XREVRANGE s x -",
    "XRANGE s (18446744073709551615-18446744073709551615 +; XRANGE s - (0-0; XREVRANGE s (0-0 -; XRANGE s 1-* +",
    "XADD s 1-1 f a; XRANGE s (0 (1; XRANGE s (1 +; XRANGE s - (1-1; XREVRANGE s (1-1 -; XRANGE s + -",
    "XADD s 1-1 f a; XADD s 2-1 f b; XREAD STREAMS s 0; XREAD STREAMS s 1-1; XREAD STREAMS s 2-1; XREAD STREAMS s $",
    "XADD a 1-1 f a; XADD b 2-1 f b; XADD b 2-2 f c; XREAD STREAMS a b 0 0; XREAD COUNT 1 STREAMS b a c 0 0 0",
    "XADD a 1-1 f a; XREAD COUNT 0 STREAMS a 0; XREAD COUNT -5 STREAMS a 0; XREAD COUNT x STREAMS a 0; \
     XREAD STREAMS a a 0 0",
    "XREAD STREAMS a; XREAD STREAMS a b 0; XREAD COUNT 1 a 0; XREAD FOO STREAMS a 0; XREAD STREAMS; XREAD a b c",
    "XREAD STREAMS a x; XREAD STREAMS a >; XREAD STREAMS a -; XREAD STREAMS a +; XREAD STREAMS nosuch 0; \
     XREAD STREAMS a 1-*",
    "XREAD GROUP g c STREAMS a 0; XREAD NOACK STREAMS a 0; XREAD GROUP g STREAMS a 0; XREAD COUNT; \
     XREAD BLOCK 1 COUNT",
    "XREAD BLOCK x STREAMS a 0; XREAD BLOCK -1 STREAMS a 0; XREAD BLOCK 1 STREAMS a 0; PING; \
     XREAD BLOCK 1 STREAMS a b $ $",
    "XADD s 1-1 f a; XREAD BLOCK 1 STREAMS s $; XREAD BLOCK 1 STREAMS s 0; \
     XREAD BLOCK 1 STREAMS s 18446744073709551615-18446744073709551615",
    // Deleting and trimming.
    "XDEL; XDEL s; XDEL nosuch 1-1; XDEL nosuch x; XADD s 1-1 f a; XDEL s x; XDEL s 1-1 x; XDEL s 1-1 1-1 2-2",
    "XADD s 1-1 f a; XADD s 1-2 f a; XADD s 1-3 f a; XDEL s 1-2; XRANGE s - +; XINFO STREAM s; XDEL s 1-1; \
     XINFO STREAM s",
    "XADD s 1-1 f a; XADD s 1-2 f a; XDEL s 1-2; XREAD STREAMS s 1-1; XADD s 1-2 f a; XDEL s 1-1; XINFO STREAM s; \
     EXISTS s",
    "XTRIM; XTRIM s; XTRIM s MAXLEN; XTRIM s MAXLEN 1; XTRIM s FOO 1; XTRIM s MAXLEN x; XTRIM s MAXLEN -1; \
     XTRIM s LIMIT 1",
    "XTRIM s LIMIT 0 0; XTRIM s LIMIT 0; XTRIM s MAXLEN = 1 LIMIT 1; XTRIM s MAXLEN 1 LIMIT 0; XTRIM s MAXLEN ~; \
     XTRIM s NOMKSTREAM MAXLEN 1",
    "XADD s 1-1 f a; XADD s 1-2 f a; XADD s 1-3 f a; XTRIM s MAXLEN 2; XTRIM s MAXLEN ~ 1; XTRIM s MINID 1-3; \
     XTRIM s MINID = 9; XLEN s",
    "XADD s 1-1 f a; XADD s 1-2 f a; XADD s 1-3 f a; XDEL s 1-3; XTRIM s MINID 1-3; XLEN s; XINFO STREAM s; \
     XADD s 1-4 f a; XTRIM s MAXLEN 0; XINFO STREAM s",
    // Groups.
    "XGROUP; XGROUP FOO; XGROUP CREATE; XGROUP CREATE s g; XGROUP CREATE s g 0; XGROUP CREATE s g x MKSTREAM; \
     EXISTS s",
    "XGROUP CREATE s g $ MKSTREAM; XGROUP CREATE s g 0; XGROUP CREATE s h 0 FOO; XGROUP CREATE s h 0 ENTRIESREAD; \
     XINFO GROUPS s",
    "XADD s 1-1 f v; XGROUP CREATE s g 0 ENTRIESREAD x; XGROUP CREATE s g 0 ENTRIESREAD -2; \
     XGROUP CREATE s g 0 ENTRIESREAD -1; XGROUP CREATE s h 0 ENTRIESREAD 7; XINFO GROUPS s",
    "XGROUP CREATE s g 0 MKSTREAM MKSTREAM MKSTREAM; XGROUP CREATE s g 0 MKSTREAM MKSTREAM MKSTREAM MKSTREAM; \
     XGROUP CREATE s - - MKSTREAM; XGROUP CREATE s h + MKSTREAM",
    "XGROUP SETID s g 0; XADD s 1-1 f v; XGROUP SETID s g 0; XGROUP CREATE s g 0; XGROUP SETID s g $; \
     XGROUP SETID s g +; XGROUP SETID s g -; XINFO GROUPS s",
    "XADD s 1-1 f v; XGROUP CREATE s g 0; XGROUP SETID s g 1-1 ENTRIESREAD 1; XINFO GROUPS s; XGROUP SETID s g x; \
     XGROUP SETID s g 0 MKSTREAM; XGROUP SETID s g 0 ENTRIESREAD 1 ENTRIESREAD 2",
    "XGROUP DESTROY s g; XADD s 1-1 f v; XGROUP DESTROY s g; XGROUP CREATE s g 0; XGROUP DESTROY s g x; \
     XGROUP DESTROY s g; XINFO GROUPS s; XGROUP DESTROY s",
    "XGROUP CREATECONSUMER s g c; XADD s 1-1 f v; XGROUP CREATECONSUMER s g c; XGROUP CREATE s g 0; \
     XGROUP CREATECONSUMER s g c; XGROUP CREATECONSUMER s g c; XINFO CONSUMERS s g; XGROUP CREATECONSUMER s g",
    "XGROUP DELCONSUMER s g c; XADD s 1-1 f v; XGROUP DELCONSUMER s g c; XGROUP CREATE s g 0; \
     XGROUP DELCONSUMER s g c; XREADGROUP GROUP g c STREAMS s >; XGROUP DELCONSUMER s g c; XPENDING s g; \
     XINFO CONSUMERS s g",
    "XGROUP FOO s g; XGROUP CREATE a\\r\\nb g 0; XGROUP SETID a\\r\\nb g 0; XINFO FOO; XINFO; XINFO STREAM",
    "XREADGROUP GROUP g c STREAMS s >; XREADGROUP STREAMS s 0 a b c; XREADGROUP GROUP g c COUNT 1 STREAMS s; \
     XREADGROUP COUNT 1 NOACK STREAMS s >; XREADGROUP GROUP g",
    "XADD s 1-1 f v; XREADGROUP GROUP g c STREAMS s >; XGROUP CREATE s g 0; XREADGROUP GROUP g c STREAMS s $; \
     XREADGROUP GROUP g c STREAMS s x; XREADGROUP GROUP g c STREAMS s nosuch > >",
    "XADD s 1-1 f a; XADD s 1-2 f b; XADD s 1-3 f c; XGROUP CREATE s g 0; XREADGROUP GROUP g c COUNT 1 STREAMS s >; \
     XREADGROUP GROUP g d STREAMS s >; XREADGROUP GROUP g d STREAMS s >; XREADGROUP GROUP g c STREAMS s 0; \
     XREADGROUP GROUP g d COUNT 1 STREAMS s 0; XREADGROUP GROUP g d STREAMS s 1-2; XINFO GROUPS s",
    "XADD s 1-1 f a; XADD s 1-2 f b; XGROUP CREATE s g 0; XREADGROUP GROUP g c STREAMS s >; XDEL s 1-1; \
     XREADGROUP GROUP g c STREAMS s 0; XPENDING s g - + 9; XINFO GROUPS s; XPENDING s g",
    "XADD s 1-1 f a; XGROUP CREATE s g 0; XREADGROUP GROUP g c NOACK STREAMS s >; XPENDING s g; \
     XREADGROUP GROUP g c STREAMS s 0; XREADGROUP GROUP g new STREAMS s 0; XINFO CONSUMERS s g",
    "XADD a 1-1 f a; XADD b 1-1 f b; XGROUP CREATE a g 0; XGROUP CREATE b g 0; XREADGROUP GROUP g c STREAMS a b > >; \
     XREADGROUP GROUP g c STREAMS a b 0 >; XREADGROUP GROUP g c BLOCK 1 STREAMS a b > >; \
     XREADGROUP GROUP g c STREAMS a a > >",
    "XADD a 1-1 f a; XGROUP CREATE a g 0; XREADGROUP GROUP g c STREAMS a a > >; XGROUP SETID a g 0; \
     XREADGROUP GROUP g d STREAMS a >; XPENDING a g; \
     XREADGROUP GROUP g d STREAMS a 18446744073709551615-18446744073709551615",
    "XACK; XACK s g; XACK s g 1-1; XADD s 1-1 f a; XADD s 1-2 f a; XACK s g x; XGROUP CREATE s g 0; XACK s g x; \
     XREADGROUP GROUP g c STREAMS s >; XACK s g 1-1 x; XACK s g 1-1 1-1 9-9; XPENDING s g; XACK s g 1-2; XPENDING s g",
    "XPENDING; XPENDING s; XPENDING s g; XADD s 1-1 f a; XPENDING s g; XPENDING s g -; XPENDING s g - +; \
     XPENDING s g - + 1; XPENDING s g - + x; XPENDING s g x + 1; XPENDING s g - x 1; XPENDING s g IDLE 1; \
     XPENDING s g IDLE x - + 1; XPENDING s g IDLE 1 - + 1 c d",
    "XADD s 1-1 f a; XADD s 1-2 f a; XADD s 1-3 f a; XGROUP CREATE s g 0; XREADGROUP GROUP g c COUNT 2 STREAMS s >; \
     XREADGROUP GROUP g d STREAMS s >; XPENDING s g; XPENDING s g - + 10; XPENDING s g - + 10 d; \
     XPENDING s g - + 10 nobody; XPENDING s g (1-1 (1-3 10; XPENDING s g - + 1; XPENDING s g - + 0; \
     XPENDING s g - + -1; XPENDING s g + - 10; XPENDING s g IDLE 1000000 - + 10; XPENDING s g IDLE 0 - + 10 c; \
     XPENDING s g IDLE -5 - + 1",
    "XCLAIM; XCLAIM s g c 0; XCLAIM s g c 0 1-1; XADD s 1-1 f a; XCLAIM s g c 0 1-1; XGROUP CREATE s g 0; \
     XCLAIM s g c x 1-1; XCLAIM s g c 0 1-1; XCLAIM s g c 0 x; XCLAIM s g c 0 1-1 x; XCLAIM s g c 0 1-1 IDLE x; \
     XCLAIM s g c 0 1-1 TIME x; XCLAIM s g c 0 1-1 RETRYCOUNT x; XCLAIM s g c 0 1-1 LASTID x; \
     XCLAIM s g c 0 1-1 IDLE; XINFO CONSUMERS s g",
    "XADD s 1-1 f a; XADD s 1-2 f b; XGROUP CREATE s g 0; XREADGROUP GROUP g c STREAMS s >; XCLAIM s g d 0 1-1 1-2; \
     XPENDING s g - + 10; XCLAIM s g e 0 1-1 JUSTID; XPENDING s g - + 10; XCLAIM s g e 1000000 1-1; \
     XCLAIM s g f 0 1-2 RETRYCOUNT 7 IDLE 500 LASTID 9-9; XPENDING s g - + 10; XINFO GROUPS s; \
     XCLAIM s g f 0 1-2 RETRYCOUNT -3; XPENDING s g - + 10 f; XINFO CONSUMERS s g",
    "XADD s 1-1 f a; XADD s 1-2 f b; XGROUP CREATE s g 0; XCLAIM s g c 0 1-1; XCLAIM s g c 0 1-1 9-9 FORCE; \
     XPENDING s g - + 10; XCLAIM s g d 999 1-2 FORCE JUSTID; XPENDING s g - + 10; XDEL s 1-1; XCLAIM s g d 0 1-1; \
     XPENDING s g; XCLAIM s g d 0 1-2 TIME 5; XCLAIM s g e 0 FORCE 1-1",
    "XAUTOCLAIM; XAUTOCLAIM s g c 0; XAUTOCLAIM s g c 0 0; XAUTOCLAIM s g c x 0; XAUTOCLAIM s g c 0 x; \
     XAUTOCLAIM s g c 0 0 COUNT 0; XAUTOCLAIM s g c 0 0 COUNT x; XAUTOCLAIM s g c 0 0 FOO; \
     XAUTOCLAIM s g c 0 0 COUNT; XAUTOCLAIM s g c 0 (x; XAUTOCLAIM s g c 0 0 COUNT 576460752303423488",
    "XADD s 1-1 f a; XADD s 1-2 f b; XADD s 1-3 f c; XADD s 1-4 f d; XGROUP CREATE s g 0; \
     XREADGROUP GROUP g c STREAMS s >; XAUTOCLAIM s g d 0 0 COUNT 2; XAUTOCLAIM s g d 0 1-3; \
     XAUTOCLAIM s g d 0 (1-3 JUSTID; XDEL s 1-2; XAUTOCLAIM s g e 0 - COUNT 2; XAUTOCLAIM s g e 0 0; \
     XAUTOCLAIM s g f 1000000 0; XINFO CONSUMERS s g; XPENDING s g - + 10; XAUTOCLAIM s g e 0 9",
    "XADD s 1-1 f a; XADD s 1-2 f b; XGROUP CREATE s g 0; XREADGROUP GROUP g c STREAMS s >; XDEL s 1-1 1-2; \
     XAUTOCLAIM s g d 0 0 COUNT 1; XAUTOCLAIM s g d 0 0 COUNT 1; XAUTOCLAIM s g d 0 0; XINFO CONSUMERS s g",
    // Describing.
    "XINFO STREAM nosuch; XINFO GROUPS nosuch; XINFO CONSUMERS nosuch g; XADD s 1-1 f a; XINFO CONSUMERS s g; \
     XINFO STREAM s FOO; XINFO STREAM s FULL FOO 1; XINFO GROUPS s x; XINFO CONSUMERS s; XINFO STREAM nosuch FOO",
    "XADD s 1-1 f a; XADD s 1-2 f b; XADD s 1-3 f c; XGROUP CREATE s g 0; XGROUP CREATE s h $; \
     XREADGROUP GROUP g c COUNT 2 STREAMS s >; XREADGROUP GROUP g d NOACK STREAMS s >; XINFO GROUPS s; \
     XINFO CONSUMERS s g; XINFO STREAM s",
    "XGROUP CREATE s g 0 MKSTREAM; XINFO STREAM s; XINFO GROUPS s; XADD s 1-1 f a; XINFO GROUPS s; XADD s 1-2 f a; \
     XADD s 1-3 f a; XDEL s 1-2; XINFO GROUPS s; XREADGROUP GROUP g c COUNT 1 STREAMS s >; XINFO GROUPS s; \
     XREADGROUP GROUP g c COUNT 1 STREAMS s >; XINFO GROUPS s; XTRIM s MAXLEN 0; XINFO GROUPS s; \
     XGROUP CREATE s h 0; XINFO GROUPS s; XGROUP CREATE s i 1-2; XINFO GROUPS s",
    // Keys.
    "DEL; EXISTS; TYPE; UNLINK; KEYS; DBSIZE x; DEL nosuch; EXISTS nosuch; TYPE nosuch; UNLINK nosuch; KEYS *; DBSIZE",
    "XADD s 1-1 f a; EXISTS s s nosuch; TYPE s; DBSIZE; KEYS s*; KEYS t*; KEYS ?; KEYS \\e; SCAN 0; SCAN 0 MATCH t*; \
     SCAN 0 TYPE stream; SCAN 0 TYPE STREAM COUNT 100; DEL s s; DBSIZE; XLEN s",
    "SCAN; SCAN x; SCAN 0 COUNT 0; SCAN 0 COUNT x; SCAN 0 FOO; SCAN 0 MATCH; SCAN 0; SCAN 0 COUNT -1; \
     SCAN 99999999999999999999",
    "XADD a 1-1 f a; XADD b 1-1 f a; UNLINK a b c; XADD a 1-1 f a; FLUSHDB; DBSIZE; FLUSHALL ASYNC; FLUSHALL sync; \
     FLUSHDB foo; FLUSHALL a b; TIME x; XADD a 1-1 f a",
    // Within a transaction.
    "MULTI; XADD s 1-1 f v; XADD s 1-1 f v; XLEN s; XREAD BLOCK 0 STREAMS s $; XREAD BLOCK 0 STREAMS s 0; EXEC; \
     XLEN s",
    "MULTI; XADD s; EXEC; MULTI; XGROUP FOO; EXEC; MULTI; XADD s x f v; PUBLISH c x; XADD s 1-1 f v; EXEC; \
     XRANGE s - +",
    "XADD s 1-1 f v; XGROUP CREATE s g $; MULTI; XREADGROUP GROUP g c BLOCK 0 STREAMS s >; XADD s 1-2 f v; \
     XREADGROUP GROUP g c BLOCK 0 STREAMS s >; XACK s g 1-2; DEL s; XREADGROUP GROUP g c STREAMS s >; EXEC",
    "XADD s 1-1 f v; DISCARD; MULTI; FOO; EXEC; DEL s; MULTI; DISCARD; MULTI; DBSIZE; EXEC; MULTI; XDEL s 1-1; RESET; \
     HELLO 2; EXEC",
    // Subscribers.
    "SUBSCRIBE c; XADD s 1-1 f v; XREAD BLOCK 1 STREAMS s 0; XREAD BLOCK 1 STREAMS s $; PUBLISH c x; XLEN s",
];

#[test]
fn commands_on_streams_get_the_replies_of_redis() {
    let (redis, embedded) = (RedisServer::start(), Embedded::start());
    for sequence in SEQUENCES {
        let commands: Vec<&str> = sequence.split("; ").collect();
        assert_sequence_same(&redis, &embedded, &["FLUSHALL"], &commands);
    }
}

/// Approximate trims keep the same entries as Redis, because nodes of a hundred entries end at the same places. Large
/// entries fill nodes earlier, by a measure that differs from Redis's.
#[test]
fn approximate_trims_keep_what_redis_keeps() {
    let (redis, embedded) = (RedisServer::start(), Embedded::start());
    let values = ["v", "127", "128", "-4096", "4096", "-0", "007"];
    let mut commands: Vec<String> = Vec::new();
    for index in 0_usize..1_500 {
        let value = values[(index / 40 + index % 3) % values.len()];
        commands.push(format!("XADD s {}-{} tick {value}", index / 10, index % 10 + 1));
        if index % 100 == 99 {
            commands.push("XINFO STREAM s".to_owned());
        }
    }
    for trim in [
        "MAXLEN ~ 1450",
        "MAXLEN ~ 1200",
        "MINID ~ 40",
        "MAXLEN 1111",
        "MAXLEN ~ 1000 LIMIT 100",
        "MAXLEN ~ 1000 LIMIT 10",
        "MAXLEN ~ 900 LIMIT 0",
        "MINID ~ 90 LIMIT 50",
        "MINID 95-5",
        "MINID ~ 120",
        "MAXLEN ~ 0",
    ] {
        commands.extend([format!("XTRIM s {trim}"), "XLEN s".to_owned(), "XINFO STREAM s".to_owned()]);
    }
    commands.extend(["XADD s MAXLEN ~ 5 200-1 f v".to_owned(), "XLEN s".to_owned()]);
    let commands: Vec<&str> = commands.iter().map(String::as_str).collect();
    assert_sequence_same(&redis, &embedded, &["FLUSHALL"], &commands);
}
