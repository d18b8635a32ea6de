//! Hash slots of a cluster, and the redirections of its nodes.

/// Number of hash slots in a cluster.
const HASH_SLOTS: u16 = 16_384;

/// Redirection to the node that serves a hash slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Redirect {
    /// Host; empty for the host of the node that sent the redirection.
    pub(super) host: String,
    pub(super) port: u16,
    /// The slot is migrating to that node: each command must be preceded by `ASKING`.
    pub(super) asking: bool,
}

impl Redirect {
    /// Parses an error reply: `MOVED 3999 host:6381` or `ASK 3999 host:6381`.
    pub(super) fn parse(reply: &str) -> Option<Self> {
        let mut words = reply.split(' ');
        let asking = match words.next()? {
            "MOVED" => false,
            "ASK" => true,
            _ => return None,
        };
        let (host, port) = words.nth(1)?.rsplit_once(':')?;
        Some(Self { host: host.to_owned(), port: port.parse().ok()?, asking })
    }
}

/// Hash slot of a key: CRC-16 (XMODEM) of the hash tag between its first braces, or of the whole key.
/// Source: <https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/>.
pub(super) fn hash_slot(key: &[u8]) -> u16 {
    crc16(hash_tag(key)) % HASH_SLOTS
}

fn hash_tag(key: &[u8]) -> &[u8] {
    let Some(open) = key.iter().position(|byte| *byte == b'{') else { return key };
    let rest = &key[open + 1..];
    match rest.iter().position(|byte| *byte == b'}') {
        None | Some(0) => key,
        Some(close) => &rest[..close],
    }
}

/// CRC-16/XMODEM: polynomial 0x1021, not reflected, initial value 0.
pub(super) fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(
            crc ^ (u16::from(*byte) << 8),
            |crc, _| if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 },
        )
    })
}

#[cfg(test)]
mod tests {
    use crate::client::redirect::*;

    #[test]
    fn hash_slots_match_the_specification() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        // Values of `CLUSTER KEYSLOT`.
        for (key, expected) in [("foo", 12_182), ("foo{hash_tag}", 2_515), ("{}foo", 9_500), ("bar", 5_061)] {
            assert_eq!(hash_slot(key.as_bytes()), expected, "{key}");
        }
        assert_eq!(hash_slot(b"stock_ticks:{7}"), hash_slot(b"stock_prices:{7}"));
        assert_eq!(hash_slot(b"a{b"), crc16(b"a{b") % HASH_SLOTS);
    }

    #[test]
    fn only_redirections_are_parsed() {
        let moved = |host: &str, port, asking| Some(Redirect { host: host.to_owned(), port, asking });
        assert_eq!(Redirect::parse("MOVED 3999 127.0.0.1:6381"), moved("127.0.0.1", 6381, false));
        assert_eq!(Redirect::parse("ASK 1 ::1:7000"), moved("::1", 7000, true));
        assert_eq!(Redirect::parse("MOVED 1 :7000"), moved("", 7000, false));
        for other in ["MOVED", "MOVED 1", "MOVED 1 h", "ERR MOVED 1 h:1", "MOVED 1 h:x", ""] {
            assert_eq!(Redirect::parse(other), None, "{other}");
        }
    }
}
