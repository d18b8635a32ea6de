//! Where a cluster says that a key is to be found: its slot, and the words with which a node sends one elsewhere.

/// Slots of a cluster.
pub(super) const SLOTS: u16 = 16_384;

/// A node's word that another one serves a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Redirect {
    /// Empty for the host that said so.
    pub(super) host: String,
    pub(super) port: u16,
    /// The slot is on its way there: each command has to be announced with `ASKING`.
    pub(super) asking: bool,
}

impl Redirect {
    /// Reads an error reply: `MOVED 3999 host:6381`, or `ASK` likewise.
    pub(super) fn read(reply: &str) -> Option<Self> {
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

/// The slot of a key: CRC-16 (XMODEM) of what stands between its first braces, or of all of it.
/// Source: <https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/>.
pub(super) fn slot(key: &[u8]) -> u16 {
    crc16(tag(key)) % SLOTS
}

fn tag(key: &[u8]) -> &[u8] {
    let Some(open) = key.iter().position(|byte| *byte == b'{') else { return key };
    let rest = &key[open + 1..];
    match rest.iter().position(|byte| *byte == b'}') {
        None | Some(0) => key,
        Some(close) => &rest[..close],
    }
}

/// Polynomial 0x1021, nothing reflected, starting from zero.
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
    fn slots_are_those_of_the_specification() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        // As `CLUSTER KEYSLOT` answers.
        for (key, expected) in [("foo", 12_182), ("foo{hash_tag}", 2_515), ("{}foo", 9_500), ("bar", 5_061)] {
            assert_eq!(slot(key.as_bytes()), expected, "{key}");
        }
        assert_eq!(slot(b"stock_ticks:{7}"), slot(b"stock_prices:{7}"));
        assert_eq!(slot(b"a{b"), crc16(b"a{b") % SLOTS);
    }

    #[test]
    fn redirections_are_read_and_nothing_else() {
        let moved = |host: &str, port, asking| Some(Redirect { host: host.to_owned(), port, asking });
        assert_eq!(Redirect::read("MOVED 3999 127.0.0.1:6381"), moved("127.0.0.1", 6381, false));
        assert_eq!(Redirect::read("ASK 1 ::1:7000"), moved("::1", 7000, true));
        assert_eq!(Redirect::read("MOVED 1 :7000"), moved("", 7000, false));
        for other in ["MOVED", "MOVED 1", "MOVED 1 h", "ERR MOVED 1 h:1", "MOVED 1 h:x", ""] {
            assert_eq!(Redirect::read(other), None, "{other}");
        }
    }
}
