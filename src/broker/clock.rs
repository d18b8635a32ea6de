//! Wall clock of the broker, from which entries get their ids.

use tokio::time::Instant;

use crate::model::Timestamp;

const NS_PER_US: i64 = 1_000;
const US_PER_MS: i64 = 1_000;

/// Source of the time of day: for the ids of entries, for the time since delivery, and for TIME.
#[derive(Debug, Clone, Copy, Default)]
pub struct BrokerClock {
    /// Start of a simulated clock: milliseconds since the Unix epoch, and the moment at which it showed them.
    simulated: Option<(i64, Instant)>,
}

impl BrokerClock {
    /// Returns the clock of this machine.
    pub const fn system() -> Self {
        Self { simulated: None }
    }

    /// Returns a clock that starts at `base_ms`, milliseconds since the Unix epoch, and advances with tokio's clock. It
    /// is the same in every run of a simulation, and stands still while tokio's clock is paused. Must be called within
    /// the runtime whose clock it follows.
    pub fn simulated(base_ms: i64) -> Self {
        Self { simulated: Some((base_ms, Instant::now())) }
    }

    /// Returns microseconds since the Unix epoch.
    pub(super) fn now_us(self) -> i64 {
        match self.simulated {
            None => Timestamp::now().as_nanos() / NS_PER_US,
            Some((base_ms, start)) => {
                base_ms.saturating_mul(US_PER_MS).saturating_add(start.elapsed().as_micros() as i64)
            }
        }
    }

    /// Returns milliseconds since the Unix epoch.
    pub(super) fn now_ms(self) -> i64 {
        self.now_us() / US_PER_MS
    }
}
