//! Backoff between attempts to connect.

use std::time::Duration;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// First delay. Short, because most outages are a restart; long enough that refused connections do not spin.
const BASE_MS: u64 = 50;

/// Longest delay. A server that is back is noticed within a second.
const CAP_MS: u64 = 1_000;

/// Endless sequence of delays: exponential and capped, with jitter in the upper half, so that clients that lost the
/// same server do not return in step ("Exponential Backoff and Jitter", AWS Architecture Blog, 2015).
///
/// # Examples
/// ```
/// use rand::SeedableRng;
/// use tickscope::client::Backoff;
///
/// let mut backoff = Backoff::new(rand_chacha::ChaCha8Rng::seed_from_u64(1));
/// assert!(backoff.next().unwrap().as_millis() <= 50);
/// ```
#[derive(Debug, Clone)]
pub struct Backoff {
    /// Longest next delay.
    ceiling_ms: u64,
    rng: ChaCha8Rng,
}

impl Backoff {
    /// Creates the sequence; `rng` supplies the jitter, so a seeded one makes the sequence repeatable.
    pub fn new(rng: ChaCha8Rng) -> Self {
        Self { ceiling_ms: BASE_MS, rng }
    }

    /// Restarts the sequence. Call it when the server has proved healthy, not when a socket merely opened.
    pub fn reset(&mut self) {
        self.ceiling_ms = BASE_MS;
    }
}

impl Iterator for Backoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let ceiling_ms = self.ceiling_ms;
        self.ceiling_ms = (ceiling_ms * 2).min(CAP_MS);
        Some(Duration::from_millis(self.rng.random_range(ceiling_ms / 2..=ceiling_ms)))
    }
}

#[cfg(test)]
mod tests {
    use crate::client::backoff::*;
    use rand::SeedableRng;

    #[test]
    fn delays_double_up_to_the_cap_and_restart_after_a_reset() {
        let mut backoff = Backoff::new(ChaCha8Rng::seed_from_u64(7));
        let ceilings = [50, 100, 200, 400, 800, 1_000, 1_000, 1_000];
        for ceiling in ceilings {
            let delay_ms = backoff.next().unwrap().as_millis();
            assert!((ceiling / 2..=ceiling).contains(&delay_ms), "{delay_ms} ms under a ceiling of {ceiling} ms");
        }
        backoff.reset();
        assert!(backoff.next().unwrap().as_millis() <= 50);
        assert!(backoff.nth(1_000_000).unwrap().as_millis() <= 1_000, "the exponent does not overflow");
    }

    #[test]
    fn clients_with_different_seeds_do_not_wait_in_step() {
        let delays = |seed| Backoff::new(ChaCha8Rng::seed_from_u64(seed)).take(8).collect::<Vec<_>>();
        assert_ne!(delays(1), delays(2));
        assert_eq!(delays(1), delays(1));
    }
}
