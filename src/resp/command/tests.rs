use crate::resp::encode::Encoder;
use proptest::prelude::*;

use crate::resp::command::*;

/// Decodes `stream` in pieces that end at `cuts`, as a connection does.
fn commands(stream: &[u8], cuts: &[usize]) -> (Vec<Vec<Vec<u8>>>, Option<ProtocolError>) {
    let (mut decoder, mut buffer, mut found) = (Decoder::default(), Vec::new(), Vec::new());
    let mut from = 0;
    for to in cuts.iter().copied().chain([stream.len()]) {
        let to = to.clamp(from, stream.len());
        buffer.extend_from_slice(&stream[from..to]);
        from = to;
        loop {
            match decoder.decode(&buffer) {
                Ok(Some(consumed)) => {
                    let args: Vec<_> = decoder.args(&buffer).iter_from(0).map(<[u8]>::to_vec).collect();
                    let (again, bytes) = (&mut Decoder::default(), &buffer[..consumed]);
                    assert_eq!(again.decode(bytes), Ok(Some(consumed)), "a command can be decoded again");
                    assert_eq!(again.args(bytes).iter_from(0).collect::<Vec<_>>(), args);
                    assert!(consumed > 0);
                    if !args.is_empty() {
                        found.push(args);
                    }
                    buffer.drain(..consumed);
                }
                Ok(None) => break,
                Err(error) => return (found, Some(error)),
            }
        }
    }
    (found, None)
}

fn encode(args: &[Vec<u8>]) -> Vec<u8> {
    let mut encoder = Encoder::default();
    encoder.array(args.len());
    for arg in args {
        encoder.bulk(arg);
    }
    encoder.take()
}

fn any_command() -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..6)
}

proptest! {
    #[test]
    fn any_split_of_a_stream_gives_the_same_commands(
        sent in prop::collection::vec(any_command(), 1..8),
        inline in "[a-z]{1,9}( [a-z]{1,9}){0,3}",
        mut cuts in prop::collection::vec(0_usize..2_000, 0..12),
    ) {
        let mut stream: Vec<u8> = sent.iter().flat_map(|args| encode(args)).collect();
        stream.extend_from_slice(inline.as_bytes());
        stream.extend_from_slice(b"\r\n*0\r\n*-1\r\n\r\n");
        let mut expected = sent;
        expected.push(inline.split(' ').map(|word| word.as_bytes().to_vec()).collect());
        cuts.sort_unstable();
        prop_assert_eq!(commands(&stream, &cuts), (expected.clone(), None));
        let every_byte: Vec<usize> = (0..stream.len()).collect();
        prop_assert_eq!(commands(&stream, &every_byte), (expected, None));
    }

    #[test]
    fn garbage_neither_panics_nor_depends_on_its_split(
        stream in prop::collection::vec(prop_oneof![
            Just(b'*'), Just(b'$'), Just(b'\r'), Just(b'\n'), Just(b'1'), Just(b'-'), Just(b'"'), any::<u8>()
        ], 0..200),
        mut cuts in prop::collection::vec(0_usize..200, 0..12),
    ) {
        cuts.sort_unstable();
        prop_assert_eq!(commands(&stream, &cuts), commands(&stream, &[]));
    }

    #[test]
    fn integers_are_read_in_their_one_canonical_form(value in any::<i64>(), text in "[-+0-9 ]{0,22}") {
        prop_assert_eq!(strict_integer(value.to_string().as_bytes()), Some(value));
        let canonical = text.parse::<i64>().ok().filter(|value| value.to_string() == text);
        prop_assert_eq!(strict_integer(text.as_bytes()), canonical);
    }
}

#[test]
fn protocol_errors_have_the_texts_of_redis() {
    let long = |prefix: &[u8]| [prefix, "1".repeat(LINE_BYTES_MAX + 2).as_bytes()].concat();
    for (stream, error) in [
        (b"*abc\r\n".to_vec(), ProtocolError::Malformed("invalid multibulk length")),
        (b"*2147483648\r\n".to_vec(), ProtocolError::Malformed("invalid multibulk length")),
        (b"*01\r\n".to_vec(), ProtocolError::Malformed("invalid multibulk length")),
        (b"*\r\n".to_vec(), ProtocolError::Malformed("invalid multibulk length")),
        (b"*1\r\n:1\r\n".to_vec(), ProtocolError::NotBulk(b':')),
        (b"*1\r\n*1\r\n$4\r\nPING\r\n".to_vec(), ProtocolError::NotBulk(b'*')),
        (b"*1\r\n\r\n".to_vec(), ProtocolError::NotBulk(b'\r')),
        (b"*1\r\n$-1\r\n".to_vec(), ProtocolError::Malformed("invalid bulk length")),
        (b"*1\r\n$99999999999999999999\r\n".to_vec(), ProtocolError::Malformed("invalid bulk length")),
        (format!("*1\r\n${}\r\n", BULK_BYTES_MAX + 1).into_bytes(), ProtocolError::Malformed("invalid bulk length")),
        (long(b""), ProtocolError::Malformed("too big inline request")),
        (long(b"*"), ProtocolError::Malformed("too big mbulk count string")),
        (long(b"*1\r\n$"), ProtocolError::Malformed("too big bulk count string")),
        (b"ECHO \"a\r\n".to_vec(), ProtocolError::Malformed("unbalanced quotes in request")),
    ] {
        let (found, got) = commands(&stream, &[]);
        assert!(found.is_empty());
        assert_eq!(got, Some(error), "{}", String::from_utf8_lossy(&stream[..stream.len().min(40)]));
        let every_kilobyte: Vec<usize> = (0..stream.len()).step_by(1_000).collect();
        assert_eq!(commands(&stream, &every_kilobyte).1, Some(error));
    }
    let text = ProtocolError::Malformed("invalid bulk length").text().unwrap();
    assert_eq!(text, b"ERR Protocol error: invalid bulk length");
    assert_eq!(ProtocolError::NotBulk(b'*').text().unwrap(), b"ERR Protocol error: expected '$', got '*'");
}

#[test]
fn a_command_is_bounded_as_a_whole() {
    let argument = format!("${BULK_BYTES_MAX}\r\n").into_bytes();
    let mut decoder = Decoder::default();
    let mut buffer = b"*3\r\n".to_vec();
    buffer.extend_from_slice(&argument);
    assert_eq!(decoder.decode(&buffer), Ok(None));
    buffer.resize(buffer.len() + BULK_BYTES_MAX, b'x');
    buffer.extend_from_slice(b"\r\n");
    buffer.extend_from_slice(&argument);
    assert_eq!(decoder.decode(&buffer), Err(ProtocolError::CommandTooLong));
}

#[test]
fn announced_lengths_allocate_no_memory() {
    let mut decoder = Decoder::default();
    assert_eq!(decoder.decode(format!("*{ELEMENTS_MAX}\r\n${BULK_BYTES_MAX}\r\n").as_bytes()), Ok(None));
    assert!(decoder.spans.capacity() == 0 && decoder.unescaped.capacity() == 0);
}
