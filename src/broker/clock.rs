//! The wall clock that entries' ids come from.

use tokio::time::Instant;

use crate::model::Timestamp;

const NS_PER_US: i64 = 1_000;
const US_PER_MS: i64 = 1_000;

/// What a broker takes for the time of day: for the ids of entries, for how long they are pending, and for TIME.
#[derive(Debug, Clone, Copy, Default)]
pub struct BrokerClock(Source);

#[derive(Debug, Clone, Copy, Default)]
enum Source {
    #[default]
    System,
    Simulated {
        base_ms: i64,
        start: Instant,
    },
}

impl BrokerClock {
    /// This machine's clock.
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands at `base_ms`, milliseconds since the Unix epoch, and goes on as tokio's own clock does:
    /// the same at every run of a simulation, and still while that clock is paused. Call it within the runtime whose
    /// clock is meant.
    pub fn simulated(base_ms: i64) -> Self {
        Self(Source::Simulated { base_ms, start: Instant::now() })
    }

    /// Microseconds since the Unix epoch.
    pub(super) fn now_us(self) -> i64 {
        match self.0 {
            Source::System => Timestamp::now().as_nanos() / NS_PER_US,
            Source::Simulated { base_ms, start } => {
                base_ms.saturating_mul(US_PER_MS).saturating_add(start.elapsed().as_micros() as i64)
            }
        }
    }

    /// Milliseconds since the Unix epoch.
    pub(super) fn now_ms(self) -> i64 {
        self.now_us() / US_PER_MS
    }
}
