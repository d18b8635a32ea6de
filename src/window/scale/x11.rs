//! Reads the resource database of an X server: one connection, one request.
//!
//! Sources: "X Window System Protocol", X Consortium Standard, Version 11, Appendix B (encoding); `Xau(3)` for the file
//! of access keys; `XGetDefault(3)` for the database.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::X11Display;

/// Longest wait for the server: a display that hangs must not keep the program from starting.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Most access keys tried: a file collects keys of displays that are long gone.
const KEYS_MAX: usize = 16;

/// Longest database read, in units of 4 bytes. Desktops set a few kilobytes.
const RESOURCE_UNITS_MAX: u32 = 1 << 18;

/// Name of the only access method in use.
const COOKIE: &[u8] = b"MIT-MAGIC-COOKIE-1";

/// Returns the server's resource database as text; `None` if the server cannot be asked or has none.
pub(super) fn resources(display: &X11Display) -> Option<String> {
    let (host, number) = address(display.name.as_deref()?)?;
    let file = display.authority.as_ref().and_then(|path| fs::read(path).ok()).unwrap_or_default();
    // The last attempt has no key: a server may accept everyone of this machine.
    let keys = cookies(&file, number).into_iter().take(KEYS_MAX).chain([&[][..]]);
    keys.map(|key| ask(host, number, key)).find_map(Result::ok)
}

/// Returns the value of `Xft.dpi` in a resource database.
pub(super) fn dpi(resources: &str) -> Option<f64> {
    let value = |wanted: &str| {
        let mut entries = resources.lines().filter_map(|line| line.split_once(':'));
        entries.find(|(name, _)| name.trim() == wanted).map(|(_, value)| value.trim())
    };
    ["Xft.dpi", "Xft*dpi", "*dpi"].into_iter().find_map(value)?.parse().ok()
}

/// Splits `[host]:number[.screen]`.
fn address(display: &OsStr) -> Option<(&str, u16)> {
    let (host, rest) = display.to_str()?.rsplit_once(':')?;
    let number = rest.split('.').next()?.parse().ok()?;
    Some((host.trim_start_matches("tcp/").trim_matches(['[', ']']), number))
}

/// Returns the keys for displays of this number. Entries name the host too, but in forms that depend on how the display
/// was set up; a wrong key costs one refused attempt.
fn cookies(mut file: &[u8], number: u16) -> Vec<&[u8]> {
    let mut found = Vec::new();
    // An entry is a family, then address, number, method and key, each after its length.
    while let Some((_family, fields)) = file.split_first_chunk::<2>() {
        file = fields;
        let mut next = || {
            let (len, rest) = file.split_first_chunk()?;
            let (field, rest) = rest.split_at_checked(u16::from_be_bytes(*len).into())?;
            file = rest;
            Some(field)
        };
        let (Some(_address), Some(of), Some(method), Some(key)) = (next(), next(), next(), next()) else { break };
        if method == COOKIE && (of.is_empty() || of == number.to_string().as_bytes()) {
            found.push(key);
        }
    }
    found
}

fn ask(host: &str, number: u16, key: &[u8]) -> io::Result<String> {
    if host.is_empty() || host == "unix" || host.ends_with("/unix") {
        let stream = UnixStream::connect(format!("/tmp/.X11-unix/X{number}"))?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        return exchange(stream, key);
    }
    let port = number.checked_add(6000).ok_or(io::ErrorKind::InvalidInput)?;
    let stream = TcpStream::connect((host, port))?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    exchange(stream, key)
}

/// Sets the connection up and reads the property `RESOURCE_MANAGER` of the first screen's root window.
fn exchange(mut stream: impl Read + Write, key: &[u8]) -> io::Result<String> {
    const GET_PROPERTY: u8 = 20;
    const RESOURCE_MANAGER: u32 = 23;
    const STRING: u32 = 31;
    const SUCCESS: u8 = 1;

    let method = if key.is_empty() { &[][..] } else { COOKIE };
    // Little-endian, protocol 11.0.
    let mut setup = vec![b'l', 0, 11, 0, 0, 0];
    setup.extend((method.len() as u16).to_le_bytes());
    setup.extend((key.len() as u16).to_le_bytes());
    setup.extend([0; 2]);
    for field in [method, key] {
        setup.extend(field);
        setup.resize(setup.len().next_multiple_of(4), 0);
    }
    stream.write_all(&setup)?;
    let head: [u8; 8] = read(&mut stream)?;
    if head[0] != SUCCESS {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let mut body = vec![0; 4 * usize::from(u16::from_le_bytes([head[6], head[7]]))];
    stream.read_exact(&mut body)?;
    // 32 bytes, the vendor's name, 8 bytes a picture format; then the screens, which begin with their root windows.
    let vendor_len = body.get(16..18).map_or(0, |len| usize::from(u16::from_le_bytes([len[0], len[1]])));
    let formats = body.get(21).map_or(0, |count| usize::from(*count));
    let root_at = 32 + vendor_len.next_multiple_of(4) + 8 * formats;
    let root = body.get(root_at..root_at + 4).ok_or(io::ErrorKind::InvalidData)?;

    let mut request = vec![GET_PROPERTY, 0, 6, 0];
    request.extend(root);
    request.extend([RESOURCE_MANAGER, STRING, 0, RESOURCE_UNITS_MAX].into_iter().flat_map(u32::to_le_bytes));
    stream.write_all(&request)?;
    let reply: [u8; 32] = read(&mut stream)?;
    let value_len = u32::from_le_bytes([reply[16], reply[17], reply[18], reply[19]]);
    if reply[0] != SUCCESS || value_len > 4 * RESOURCE_UNITS_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut value = vec![0; value_len as usize];
    stream.read_exact(&mut value)?;
    Ok(String::from_utf8_lossy(&value).into_owned())
}

fn read<const N: usize>(stream: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn display_names_are_split_into_host_and_number() {
        for (name, parts) in [
            (":0", Some(("", 0))),
            (":1.0", Some(("", 1))),
            ("localhost:10.0", Some(("localhost", 10))),
            ("[::1]:2", Some(("::1", 2))),
            ("tcp/there:3", Some(("there", 3))),
            ("wayland-0", None),
            (":x", None),
            ("", None),
        ] {
            assert_eq!(address(OsStr::new(name)), parts, "{name}");
        }
    }

    #[test]
    fn dpi_is_read_by_its_name_or_a_wildcard() {
        assert_eq!(dpi("Xcursor.size:\t24\nXft.dpi:\t192\n*dpi: 96"), Some(192.0));
        assert_eq!(dpi("*dpi: 120"), Some(120.0));
        assert_eq!(dpi("Xft.dpi: much\n"), None);
        assert_eq!(dpi("Xft.antialias: 1"), None);
    }

    fn entry(number: &str, method: &[u8], key: &[u8]) -> Vec<u8> {
        let mut bytes = vec![1, 0];
        for field in [b"host", number.as_bytes(), method, key] {
            bytes.extend((field.len() as u16).to_be_bytes());
            bytes.extend(field);
        }
        bytes
    }

    #[test]
    fn keys_are_those_of_the_display_and_a_torn_file_ends_early() {
        let mut file = [
            entry("1", COOKIE, b"other"),
            entry("0", COOKIE, b"first"),
            entry("", COOKIE, b"any"),
            entry("0", b"XDM", b"no"),
        ]
        .concat();
        assert_eq!(cookies(&file, 0), [&b"first"[..], b"any"]);
        file.truncate(file.len() - 1);
        assert_eq!(cookies(&file, 0), [&b"first"[..], b"any"]);
        assert!(cookies(&file[..20], 0).is_empty());
    }

    /// Answers as a server whose root window is 0x123 and whose database is `resources`.
    fn serve(mut stream: UnixStream, resources: &str) -> Vec<u8> {
        let setup: [u8; 40] = read(&mut stream).unwrap();
        let mut body = vec![0; 32];
        body[16] = 5;
        body[21] = 2;
        body.extend(b"maker\0\0\0");
        body.extend([0; 16]);
        body.extend(0x123_u32.to_le_bytes());
        let mut answer = vec![1, 0, 11, 0, 0, 0, (body.len() / 4) as u8, 0];
        answer.extend(body);
        stream.write_all(&answer).unwrap();
        let request: [u8; 24] = read(&mut stream).unwrap();
        assert_eq!(request[4..8], 0x123_u32.to_le_bytes());
        let mut reply = vec![1, 8];
        reply.resize(32, 0);
        reply[16] = resources.len() as u8;
        reply.extend(resources.as_bytes());
        stream.write_all(&reply).unwrap();
        setup.to_vec()
    }

    #[test]
    fn the_database_is_that_of_the_first_root_window() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let server = thread::spawn(move || serve(theirs, "Xft.dpi: 144\n"));
        assert_eq!(exchange(ours, b"0123456").unwrap(), "Xft.dpi: 144\n");
        let setup = server.join().unwrap();
        assert_eq!(setup[..12], [b'l', 0, 11, 0, 0, 0, 18, 0, 7, 0, 0, 0]);
        assert_eq!(setup[12..], *b"MIT-MAGIC-COOKIE-1\0\x000123456\0");
    }

    #[test]
    fn a_server_that_refuses_is_an_error() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(&[0, 3, 11, 0, 0, 0, 1, 0]).unwrap();
        assert!(exchange(ours, b"").is_err());
    }
}
