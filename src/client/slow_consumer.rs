//! Whether a server has cut a subscriber off because it fell behind, told by the server's own figures.
//!
//! A connection that is cut off just ends, as one does whose server is stopped. So each subscription begins with a look
//! at `INFO`: which run of the server this is, and how often it has run over an output limit. Where the figure has
//! grown within a run since the subscription before, that one was cut off.
//!
//! Servers before Redis 7.4 do not tell the figure. There a subscription was cut off if the server that closed it runs
//! on and still had something to send: a server that stops is another one afterwards, and a connection that is closed
//! by an operator has nothing left to send unless its reader has fallen behind.

use tracing::warn;

use crate::client::Endpoint;

/// What helps a reader that falls behind.
const ADVICE: &str = "what was published until now is lost to it. Give it more of the processor or fewer channels, or \
                      have the server wait longer (client-output-buffer-limit pubsub)";

/// What is known from one subscription to the next.
#[derive(Debug, Default)]
pub(super) struct CutOffs {
    census: Option<OutputBufferStats>,
    torn: bool,
}

impl CutOffs {
    /// A subscription was closed by the server; `torn` says that there was more to send.
    pub(super) fn ended(&mut self, torn: bool) {
        self.torn = torn;
    }

    /// Takes the figures with which the next subscription begins. Whether the one before was cut off, which is told in
    /// the log as well.
    pub(super) fn look(&mut self, server: &Endpoint, census: Option<OutputBufferStats>) -> bool {
        let verdict = verdict(self.census.as_ref(), census.as_ref(), std::mem::take(&mut self.torn));
        self.census = census;
        match verdict {
            Verdict::CutOff => warn!("{server} had cut this reader off because it fell too far behind; {ADVICE}"),
            Verdict::Unknown => warn!("{server} may have cut this reader off because it fell too far behind; {ADVICE}"),
            Verdict::Otherwise => {}
        }
        verdict == Verdict::CutOff
    }
}

/// What `INFO` says about cut-offs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OutputBufferStats {
    /// Tells this run of the server from those before and after.
    run: String,
    /// Clients that were cut off since it was started, where it tells.
    cut_off: Option<u64>,
}

/// What became of the subscription before this one, as far as the server's figures tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// The server cut it off.
    CutOff,
    /// It ended in another way.
    Otherwise,
    /// There are no figures to tell by.
    Unknown,
}

impl OutputBufferStats {
    /// Reads the text of `INFO`, or what surrounds it. `None` when the figures are not in it.
    pub(super) fn read(info: &[u8]) -> Option<Self> {
        // Our own broker has no run id; its process does as well.
        let run = field(info, "run_id").or_else(|| field(info, "process_id"))?;
        let cut_off = field(info, "client_output_buffer_limit_disconnections").and_then(|n| n.parse().ok());
        Some(Self { run: run.to_owned(), cut_off })
    }
}

/// Compares what was read when two subscriptions began, one after the other; `torn` says that the first of them ended
/// while the server had more to send.
fn verdict(before: Option<&OutputBufferStats>, after: Option<&OutputBufferStats>, torn: bool) -> Verdict {
    let (Some(before), Some(after)) = (before, after) else {
        return if torn { Verdict::Unknown } else { Verdict::Otherwise };
    };
    let cut_off = match (before.cut_off, after.cut_off) {
        (Some(before), Some(after)) => after > before,
        _ => torn,
    };
    if before.run == after.run && cut_off { Verdict::CutOff } else { Verdict::Otherwise }
}

/// The value on the line `name:value`.
pub(super) fn field<'a>(info: &'a [u8], name: &str) -> Option<&'a str> {
    let mut lines = info.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
    let value = lines.find_map(|line| line.strip_prefix(name.as_bytes())?.strip_prefix(b":"))?;
    std::str::from_utf8(value).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use crate::client::slow_consumer::*;

    fn info(run: &str, cut_off: &str) -> String {
        format!(
            "$99\r\n# Server\r\nprocess_id:7\r\nrun_id:{run}\r\ntcp_port:6379\r\n\r\n# Stats\r\n\
             client_query_buffer_limit_disconnections:5\r\nclient_output_buffer_limit_disconnections:{cut_off}\r\n\r\n"
        )
    }

    fn census(run: &str, cut_off: &str) -> Option<OutputBufferStats> {
        OutputBufferStats::read(info(run, cut_off).as_bytes())
    }

    #[test]
    fn the_figures_are_found_among_others() {
        assert_eq!(census("abc", "12"), Some(OutputBufferStats { run: "abc".to_owned(), cut_off: Some(12) }));
        let broker = b"process_id:7\r\nclient_output_buffer_limit_disconnections:0\r\n";
        assert_eq!(OutputBufferStats::read(broker), Some(OutputBufferStats { run: "7".to_owned(), cut_off: Some(0) }));
        for bad in ["", "x", "-1", "99999999999999999999999"] {
            assert_eq!(census("abc", bad), Some(OutputBufferStats { run: "abc".to_owned(), cut_off: None }), "{bad}");
        }
        assert_eq!(
            OutputBufferStats::read(b"-NOPERM this user has no permissions to run the 'info' command\r\n"),
            None
        );
        assert_eq!(OutputBufferStats::read(b"run_id:\xff\r\n"), None);
    }

    fn compare(before: (&str, &str), after: (&str, &str), torn: bool) -> Verdict {
        verdict(census(before.0, before.1).as_ref(), census(after.0, after.1).as_ref(), torn)
    }

    #[test]
    fn a_figure_that_grew_within_one_run_is_a_cut_off() {
        for torn in [false, true] {
            assert_eq!(compare(("a", "3"), ("a", "4"), torn), Verdict::CutOff);
            assert_eq!(compare(("a", "3"), ("a", "3"), torn), Verdict::Otherwise, "somebody closed it");
            assert_eq!(compare(("a", "3"), ("b", "4"), torn), Verdict::Otherwise, "killed and started again");
            assert_eq!(compare(("a", "3"), ("a", "0"), torn), Verdict::Otherwise, "another broker in one process");
        }
    }

    #[test]
    fn without_the_figure_a_torn_end_within_one_run_is_a_cut_off() {
        assert_eq!(compare(("a", ""), ("a", ""), true), Verdict::CutOff);
        assert_eq!(compare(("a", ""), ("a", ""), false), Verdict::Otherwise);
        assert_eq!(compare(("a", ""), ("b", ""), true), Verdict::Otherwise);
    }

    #[test]
    fn who_may_not_ask_learns_nothing_for_certain() {
        assert_eq!(verdict(None, None, true), Verdict::Unknown);
        assert_eq!(verdict(None, census("a", "1").as_ref(), true), Verdict::Unknown);
        assert_eq!(verdict(None, None, false), Verdict::Otherwise);
    }
}
