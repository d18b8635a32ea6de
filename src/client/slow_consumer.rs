//! Detection of subscribers that the server disconnected because they fell behind.
//!
//! A server disconnects a client that exceeds its output buffer limit in the same way as when it is stopped. Each
//! subscription therefore starts with `INFO`, which identifies the run of the server and the number of such
//! disconnections. If that number has grown within a run since the last subscription, that one was disconnected.
//!
//! Servers before Redis 7.4 do not report the number. There the last subscription counts as disconnected if the server
//! still runs and had more to send: a restarted server has another run id, and a connection closed by an operator has
//! nothing left to send unless its reader has fallen behind.

use redis::InfoDict;
use tracing::warn;

use crate::client::Endpoint;

/// Advice to users whose reader falls behind.
const ADVICE: &str = "messages published until now are lost to it. Give it more processor time or fewer channels, or \
                      raise the server's limit (client-output-buffer-limit pubsub)";

/// State that one subscription leaves for the next.
#[derive(Debug, Default)]
pub(super) struct SlowConsumerDetector {
    stats: Option<OutputBufferStats>,
    /// The server closed the last subscription, and had more to send.
    pub(super) was_truncated: bool,
}

impl SlowConsumerDetector {
    /// Compares the statistics at the start of a subscription with those of the one before. Logs a warning, and returns
    /// true, if that one was disconnected as a slow consumer.
    pub(super) fn check(&mut self, server: &Endpoint, stats: Option<OutputBufferStats>) -> bool {
        let verdict = verdict(self.stats.as_ref(), stats.as_ref(), std::mem::take(&mut self.was_truncated));
        self.stats = stats;
        let had = match verdict {
            Verdict::CutOff => "had",
            Verdict::Unknown => "may have",
            Verdict::Other => return false,
        };
        warn!("{server} {had} cut this reader off because it fell too far behind; {ADVICE}");
        verdict == Verdict::CutOff
    }
}

/// Statistics about output buffers in `INFO`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OutputBufferStats {
    /// Identifies this run of the server.
    run: String,
    /// Clients disconnected in this run because of their output buffers; `None` if the server does not report it.
    disconnected: Option<u64>,
}

impl OutputBufferStats {
    /// Reads the statistics; `None` if the run cannot be identified.
    pub(super) fn parse(info: &InfoDict) -> Option<Self> {
        Some(Self { run: run_id(info)?, disconnected: info.get("client_output_buffer_limit_disconnections") })
    }
}

/// Identifies the run of the server. Some servers, as the embedded broker, have no run id; their process id serves as
/// well.
pub(super) fn run_id(info: &InfoDict) -> Option<String> {
    let field = |name| info.get::<String>(name).filter(|value| !value.is_empty());
    field("run_id").or_else(|| field("process_id"))
}

/// Cause of the end of a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// The server disconnected it as a slow consumer.
    CutOff,
    /// Any other cause.
    Other,
    /// The server reports no statistics.
    Unknown,
}

/// Compares the statistics at the start of two consecutive subscriptions; `truncated` is true if the first of them
/// ended while the server had more to send.
fn verdict(before: Option<&OutputBufferStats>, after: Option<&OutputBufferStats>, truncated: bool) -> Verdict {
    let (Some(before), Some(after)) = (before, after) else {
        return if truncated { Verdict::Unknown } else { Verdict::Other };
    };
    let is_cut_off = match (before.disconnected, after.disconnected) {
        (Some(before), Some(after)) => after > before,
        _ => truncated,
    };
    if before.run == after.run && is_cut_off { Verdict::CutOff } else { Verdict::Other }
}

#[cfg(test)]
mod tests {
    use crate::client::slow_consumer::*;

    fn stats(run: &str, disconnected: &str) -> Option<OutputBufferStats> {
        OutputBufferStats::parse(&InfoDict::new(&format!(
            "# Server\r\nprocess_id:7\r\nrun_id:{run}\r\ntcp_port:6379\r\n\r\n# Stats\r\n\
             client_query_buffer_limit_disconnections:5\r\nclient_output_buffer_limit_disconnections:{disconnected}\r\n"
        )))
    }

    #[test]
    fn statistics_are_found_among_other_fields() {
        let expected = |run: &str, disconnected| Some(OutputBufferStats { run: run.to_owned(), disconnected });
        assert_eq!(stats("abc", "12"), expected("abc", Some(12)));
        let broker = InfoDict::new("process_id:7\r\nclient_output_buffer_limit_disconnections:0\r\n");
        assert_eq!(OutputBufferStats::parse(&broker), expected("7", Some(0)));
        for bad in ["", "x", "-1", "99999999999999999999999"] {
            assert_eq!(stats("abc", bad), expected("abc", None), "{bad}");
        }
        assert_eq!(OutputBufferStats::parse(&InfoDict::new("")), None);
    }

    fn compare(before: (&str, &str), after: (&str, &str), truncated: bool) -> Verdict {
        verdict(stats(before.0, before.1).as_ref(), stats(after.0, after.1).as_ref(), truncated)
    }

    #[test]
    fn a_number_that_grew_within_one_run_is_a_cut_off() {
        for truncated in [false, true] {
            assert_eq!(compare(("a", "3"), ("a", "4"), truncated), Verdict::CutOff);
            assert_eq!(compare(("a", "3"), ("a", "3"), truncated), Verdict::Other, "closed by an operator");
            assert_eq!(compare(("a", "3"), ("b", "4"), truncated), Verdict::Other, "restarted");
            assert_eq!(compare(("a", "3"), ("a", "0"), truncated), Verdict::Other, "another broker in one process");
        }
    }

    #[test]
    fn without_the_number_a_truncated_end_within_one_run_is_a_cut_off() {
        assert_eq!(compare(("a", ""), ("a", ""), true), Verdict::CutOff);
        assert_eq!(compare(("a", ""), ("a", ""), false), Verdict::Other);
        assert_eq!(compare(("a", ""), ("b", ""), true), Verdict::Other);
    }

    #[test]
    fn without_statistics_the_cause_is_unknown() {
        assert_eq!(verdict(None, None, true), Verdict::Unknown);
        assert_eq!(verdict(None, stats("a", "1").as_ref(), true), Verdict::Unknown);
        assert_eq!(verdict(None, None, false), Verdict::Other);
    }
}
