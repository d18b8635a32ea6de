//! The few requests of the X11 protocol that xdotool has no command for, spoken over the display's socket: closing a
//! window as its frame's button would, a plain window for the tests of the harness itself, and what the screen shows.
//!
//! Source: "X Window System Protocol", X Consortium Standard, Version 11, Appendix B (encoding); ICCCM 4.2.8.1.

#![allow(dead_code, unreachable_pub, reason = "each test program uses its own part of this file")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// How long the server may take to answer: on an idle machine it does so at once.
const ANSWER_MAX: Duration = Duration::from_secs(30);

const CREATE_WINDOW: u8 = 1;
const MAP_WINDOW: u8 = 8;
const INTERN_ATOM: u8 = 16;
const CHANGE_PROPERTY: u8 = 18;
const SEND_EVENT: u8 = 25;
const GET_INPUT_FOCUS: u8 = 43;
const GET_IMAGE: u8 = 73;

const ATOM_STRING: u32 = 31;
const ATOM_WM_NAME: u32 = 39;

/// What came from the server unasked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A key went down: its code.
    KeyPress(u8),
    /// A mouse button went down: its number, and where in the window.
    ButtonPress(u8, i16, i16),
    /// The window's manager, or [`Connection::close_window`], asks it to go.
    ClientMessage,
    /// Anything else: its code.
    Other(u8),
}

/// A client of one display.
pub struct Connection {
    socket: UnixStream,
    root: u32,
    /// Of the screen, pixels.
    size: (u16, u16),
    id_base: u32,
}

impl Connection {
    /// Connects to `:number` on this machine, without authorisation.
    pub fn open(number: u32) -> Self {
        let path = format!("/tmp/.X11-unix/X{number}");
        let mut socket = UnixStream::connect(&path).unwrap_or_else(|error| panic!("no display at {path}: {error}"));
        socket.set_read_timeout(Some(ANSWER_MAX)).unwrap();
        // Byte order (little endian), protocol 11.0, no authorisation.
        socket.write_all(&[b'l', 0, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0]).unwrap();
        let mut head = [0; 8];
        socket.read_exact(&mut head).unwrap();
        assert_eq!(head[0], 1, "display :{number} refused the connection");
        let mut setup = vec![0; usize::from(u16_at(&head, 6)) * 4];
        socket.read_exact(&mut setup).unwrap();
        let vendor_len = usize::from(u16_at(&setup, 16)).next_multiple_of(4);
        let formats_len = usize::from(setup[21]) * 8;
        let screen = &setup[32 + vendor_len + formats_len..];
        let size = (u16_at(screen, 20), u16_at(screen, 22));
        Self { socket, root: u32_at(screen, 0), size, id_base: u32_at(&setup, 4) }
    }

    /// Shows a window of one colour (`0xRRGGBB`) that listens to keys and mouse buttons. Returns its id.
    pub fn create_window(&mut self, title: &str, (x, y): (u16, u16), (width, height): (u16, u16), rgb: u32) -> u32 {
        const BACKGROUND_AND_EVENTS: u32 = 0x2 | 0x800;
        const KEY_AND_BUTTON_PRESS: u32 = 0x1 | 0x4;
        let window = self.id_base | 1;
        let mut body = Vec::new();
        for value in [window, self.root] {
            body.extend(value.to_le_bytes());
        }
        let (no_border, input_output) = (0, 1);
        for value in [x, y, width, height, no_border, input_output] {
            body.extend(value.to_le_bytes());
        }
        let visual_of_parent = 0;
        for value in [visual_of_parent, BACKGROUND_AND_EVENTS, rgb, KEY_AND_BUTTON_PRESS] {
            body.extend(value.to_le_bytes());
        }
        self.request(CREATE_WINDOW, 0, &body);
        let mut name = Vec::new();
        for value in [window, ATOM_WM_NAME, ATOM_STRING, 8, title.len() as u32] {
            name.extend(value.to_le_bytes());
        }
        name.extend(title.as_bytes());
        self.request(CHANGE_PROPERTY, 0, &name);
        self.request(MAP_WINDOW, 0, &window.to_le_bytes());
        self.sync();
        window
    }

    /// Asks a window to close, as the button of its frame does (`WM_DELETE_WINDOW`).
    pub fn close_window(&mut self, window: u32) {
        const CLIENT_MESSAGE: u8 = 33;
        let (protocols, delete) = (self.atom("WM_PROTOCOLS"), self.atom("WM_DELETE_WINDOW"));
        let mut body = Vec::new();
        let no_mask = 0;
        for value in [window, no_mask, u32::from_le_bytes([CLIENT_MESSAGE, 32, 0, 0]), window, protocols, delete] {
            body.extend(value.to_le_bytes());
        }
        body.resize(40, 0);
        self.request(SEND_EVENT, 0, &body);
        self.sync();
    }

    /// What the screen shows: its width and height, and four bytes a pixel (blue, green, red, and one of no meaning),
    /// row by row from the top. The server does one request after the other, so this is never half of a picture that a
    /// program is just handing over.
    pub fn screen(&mut self) -> (u16, u16, Vec<u8>) {
        const Z_PIXMAP: u8 = 2;
        let (width, height) = self.size;
        let mut body = self.root.to_le_bytes().to_vec();
        for value in [0, 0, width, height] {
            body.extend(value.to_le_bytes());
        }
        let all_planes = u32::MAX;
        body.extend(all_planes.to_le_bytes());
        self.request(GET_IMAGE, Z_PIXMAP, &body);
        let head = self.reply();
        let mut bytes = vec![0; u32_at(&head, 4) as usize * 4];
        self.socket.read_exact(&mut bytes).expect("the display answers");
        assert_eq!(bytes.len(), usize::from(width) * usize::from(height) * 4, "an unknown form of picture");
        (width, height, bytes)
    }

    /// The next event; waits for it.
    pub fn next_event(&mut self) -> Event {
        let message = self.message();
        // The highest bit tells that another client sent it.
        match message[0] & 0x7f {
            2 => Event::KeyPress(message[1]),
            4 => Event::ButtonPress(message[1], u16_at(&message, 24) as i16, u16_at(&message, 26) as i16),
            33 => Event::ClientMessage,
            code => Event::Other(code),
        }
    }

    fn atom(&mut self, name: &str) -> u32 {
        let mut body = (name.len() as u32).to_le_bytes().to_vec();
        body.extend(name.as_bytes());
        self.request(INTERN_ATOM, 0, &body);
        u32_at(&self.reply(), 8)
    }

    /// Returns when the server has done all that was asked before.
    fn sync(&mut self) {
        self.request(GET_INPUT_FOCUS, 0, &[]);
        self.reply();
    }

    fn request(&mut self, opcode: u8, detail: u8, body: &[u8]) {
        let length = 4 + body.len().next_multiple_of(4);
        let mut request = vec![opcode, detail];
        request.extend(((length / 4) as u16).to_le_bytes());
        request.extend(body);
        request.resize(length, 0);
        self.socket.write_all(&request).unwrap();
    }

    /// The next reply; events before it are of no interest to whoever asks.
    fn reply(&mut self) -> [u8; 32] {
        loop {
            let message = self.message();
            if message[0] == 1 {
                return message;
            }
        }
    }

    fn message(&mut self) -> [u8; 32] {
        let mut message = [0; 32];
        self.socket.read_exact(&mut message).expect("the display answers");
        assert_ne!(message[0], 0, "the display reports error {}", message[1]);
        message
    }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
