//! X11 requests for which xdotool has no command, sent over the socket of the display: closing a window as the button
//! of its frame does, a plain window for tests of the test support, and the contents of the screen.
//!
//! Sources: "X Window System Protocol", X Consortium Standard, Version 11, Appendix B (encoding); ICCCM 4.2.8.1; "The
//! DAMAGE Extension", Protocol Version 1.1.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// Longest wait for a reply of the server, which is immediate on an idle machine.
const ANSWER_MAX: Duration = super::wait::GUARD;

const CREATE_WINDOW: u8 = 1;
const MAP_WINDOW: u8 = 8;
const GET_GEOMETRY: u8 = 14;
const QUERY_TREE: u8 = 15;
const INTERN_ATOM: u8 = 16;
const CHANGE_PROPERTY: u8 = 18;
const SEND_EVENT: u8 = 25;
const GET_INPUT_FOCUS: u8 = 43;
const PUT_IMAGE: u8 = 72;
const GET_IMAGE: u8 = 73;
const QUERY_EXTENSION: u8 = 98;

/// Image format with complete pixels.
const Z_PIXMAP: u8 = 2;

const ATOM_STRING: u32 = 31;
const ATOM_WM_NAME: u32 = 39;

/// Event from the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A key was pressed: its code.
    KeyPress(u8),
    /// A mouse button was pressed: its number, and the position in the window.
    ButtonPress(u8, i16, i16),
    /// Request to close the window, from the window manager or [`Connection::close_window`].
    ClientMessage,
    /// Any other event: its code.
    Other(u8),
}

/// A rectangle of the screen: left, top, width, height.
type Rectangle = (i32, i32, i32, i32);

/// A client of one display.
pub struct Connection {
    socket: UnixStream,
    root: u32,
    /// Colour depth of the screen in bits.
    depth: u8,
    size: (u16, u16),
    id_base: u32,
    /// Code of damage events, once they have been requested.
    damage_event: Option<u8>,
    /// Rectangle of the newest damage event.
    drawn: Option<Rectangle>,
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
        let (root, depth, id_base) = (u32_at(screen, 0), screen[38], u32_at(&setup, 4));
        Self { socket, root, depth, size, id_base, damage_event: None, drawn: None }
    }

    /// Opens a window of one colour (`0xRRGGBB`) that receives keys and mouse buttons, and returns its id.
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

    /// Requests damage events for all drawing by any client.
    pub fn watch_drawing(&mut self) {
        const QUERY_VERSION: u8 = 0;
        const CREATE: u8 = 1;
        const EACH_RECTANGLE: u32 = 0;
        let name = b"DAMAGE";
        let mut body = (name.len() as u32).to_le_bytes().to_vec();
        body.extend(name);
        self.request(QUERY_EXTENSION, 0, &body);
        let told = self.reply();
        let (present, opcode, event) = (told[8] == 1, told[9], told[10]);
        assert!(present, "the display has no DAMAGE extension");
        let version = [1_u32, 1].map(u32::to_le_bytes).concat();
        self.request(opcode, QUERY_VERSION, &version);
        self.reply();
        let body = [self.id_base | 2, self.root, EACH_RECTANGLE].map(u32::to_le_bytes).concat();
        self.request(opcode, CREATE, &body);
        self.damage_event = Some(event);
        self.sync();
    }

    /// Returns the screen: width, height, and four bytes per pixel (blue, green, red, unused), row by row from the top.
    /// `None` while a frame is incomplete: Xlib sends a large picture in several requests, from the top down, and the
    /// server may process requests of other clients in between. Requires [`Self::watch_drawing`].
    pub fn screen(&mut self) -> Option<(u16, u16, Vec<u8>)> {
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
        // Damage events that precede the reply describe drawing that the reply includes.
        let drawn = self.drawn;
        drawn.is_none_or(|rectangle| self.ends_a_frame(rectangle)).then_some((width, height, bytes))
    }

    /// Returns `true` if the rectangle reaches the lower edge of every window that contains it.
    fn ends_a_frame(&mut self, (left, top, width, height): Rectangle) -> bool {
        let bottom = i32::from(self.size.1);
        self.windows().into_iter().all(|(x, y, w, h)| {
            let lies_within = left >= x && left + width <= x + w && top >= y && top + height <= y + h;
            !lies_within || top + height >= bottom.min(y + h)
        })
    }

    /// Rectangles of the windows on the screen.
    fn windows(&mut self) -> Vec<Rectangle> {
        self.request(QUERY_TREE, 0, &self.root.to_le_bytes());
        let head = self.reply();
        let mut ids = vec![0; u32_at(&head, 4) as usize * 4];
        self.socket.read_exact(&mut ids).expect("the display answers");
        let ids: Vec<u32> = ids.chunks_exact(4).map(|id| u32_at(id, 0)).collect();
        let mut found = Vec::new();
        for id in ids {
            self.request(GET_GEOMETRY, 0, &id.to_le_bytes());
            // A window may have been closed in the meantime.
            if let Some(told) = self.reply_or_error() {
                found.push(rectangle_at(&told, 12));
            }
        }
        found
    }

    /// Draws rows of one colour into a window, from row `top` on.
    pub fn put_rows(&mut self, window: u32, top: u16, (width, height): (u16, u16), rgb: u32) {
        const CREATE_GC: u8 = 55;
        const FREE_GC: u8 = 60;
        let context = self.id_base | 3;
        let no_values = 0;
        self.request(CREATE_GC, 0, &[context, window, no_values].map(u32::to_le_bytes).concat());
        let mut body = [window, context].map(u32::to_le_bytes).concat();
        for value in [width, height, 0, top] {
            body.extend(value.to_le_bytes());
        }
        body.extend([0, self.depth, 0, 0]);
        body.extend(rgb.to_le_bytes().repeat(usize::from(width) * usize::from(height)));
        self.request(PUT_IMAGE, Z_PIXMAP, &body);
        self.request(FREE_GC, 0, &context.to_le_bytes());
        self.sync();
    }

    /// Waits for the next event.
    pub fn next_event(&mut self) -> Event {
        let message = self.message();
        // The highest bit marks events sent by another client.
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

    /// Waits until the server has processed all earlier requests.
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

    /// Returns the next reply. Events before it are discarded.
    fn reply(&mut self) -> [u8; 32] {
        self.reply_or_error().unwrap_or_else(|| panic!("the display reports an error"))
    }

    fn reply_or_error(&mut self) -> Option<[u8; 32]> {
        loop {
            let message = self.message_or_error();
            match message[0] {
                0 => return None,
                1 => return Some(message),
                _ => {}
            }
        }
    }

    fn message(&mut self) -> [u8; 32] {
        let message = self.message_or_error();
        assert_ne!(message[0], 0, "the display reports error {}", message[1]);
        message
    }

    fn message_or_error(&mut self) -> [u8; 32] {
        let mut message = [0; 32];
        self.socket.read_exact(&mut message).expect("the display answers");
        if self.damage_event == Some(message[0]) {
            self.drawn = Some(rectangle_at(&message, 16));
        }
        message
    }
}

/// Decodes a rectangle: left and top, signed, then width and height.
fn rectangle_at(bytes: &[u8], at: usize) -> Rectangle {
    let signed = |at: usize| i32::from(u16_at(bytes, at) as i16);
    (signed(at), signed(at + 2), i32::from(u16_at(bytes, at + 4)), i32::from(u16_at(bytes, at + 6)))
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
