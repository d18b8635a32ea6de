//! Comparison of a drawn picture with the accepted one.

use std::fs;
use std::path::{Path, PathBuf};

use tickscope::chart::{Layout, Scene, Size};
use tickscope::plot::Painter;

/// Directory of the accepted pictures.
pub const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");

/// Maximum difference of a channel, of 255. Sines, powers and logarithms come from the platform's C library, whose last
/// digits vary, which can change the coverage of a pixel by a step or two. On one platform nothing differs.
const TOLERANCE: u8 = 2;

/// If set to 1, the drawn pictures are accepted.
const ACCEPT: &str = "TICKSCOPE_ACCEPT";

/// A scene and its layout.
pub struct View {
    pub scene: Scene,
    pub frame: Layout,
}

fn accepts() -> bool {
    std::env::var(ACCEPT).is_ok_and(|value| value == "1")
}

/// Encodes a picture as small as possible, because it stays in the repository.
fn encode(pixels: &[u32], size: Size) -> Vec<u8> {
    let bytes: Vec<u8> = pixels.iter().flat_map(|pixel| pixel.to_be_bytes().into_iter().skip(1)).collect();
    let mut file = Vec::new();
    let mut encoder = ::png::Encoder::new(&mut file, size.width, size.height);
    encoder.set_color(::png::ColorType::Rgb);
    encoder.set_compression(::png::Compression::High);
    encoder.set_filter(::png::Filter::NoFilter);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&bytes).unwrap();
    writer.finish().unwrap();
    file
}

fn rejected(file: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("golden");
    fs::create_dir_all(&folder).unwrap();
    folder.join(file)
}

fn decode(file: &[u8]) -> (Size, Vec<u32>) {
    let mut reader = ::png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
    let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut bytes).unwrap();
    assert_eq!(info.color_type, ::png::ColorType::Rgb);
    let pixels = bytes.chunks_exact(3).map(|c| u32::from_be_bytes([0, c[0], c[1], c[2]])).collect();
    (Size { width: info.width, height: info.height }, pixels)
}

/// Maximum difference of two pixels in a channel.
fn distance(a: u32, b: u32) -> u8 {
    [16, 8, 0].into_iter().map(|shift| ((a >> shift) as u8).abs_diff((b >> shift) as u8)).max().unwrap_or_default()
}

/// Draws `view` and compares it with the accepted picture `name`.
#[track_caller]
pub fn picture(name: &str, view: &View) {
    let View { scene, frame } = view;
    let size = frame.size;
    let mut drawn = vec![0x00ff_00ff; size.width as usize * size.height as usize];
    Painter::new().unwrap().paint(scene, &mut drawn, frame).unwrap();
    let accepted = Path::new(FOLDER).join(format!("{name}.png"));
    let file = encode(&drawn, size);
    let known = fs::read(&accepted).ok().map(|file| decode(&file));
    let same = known.as_ref().is_some_and(|(was, pixels)| {
        *was == size && pixels.iter().zip(&drawn).all(|(a, b)| distance(*a, *b) <= TOLERANCE)
    });
    if same {
        return;
    }
    if accepts() {
        fs::write(&accepted, file).unwrap();
        return;
    }
    let actual = rejected(&format!("{name}.actual.png"));
    fs::write(&actual, file).unwrap();
    let hint = "look at both; `scripts/golden accept` accepts what is drawn now";
    match known {
        None => panic!("there is no {} yet; what is drawn is in {}; {hint}", accepted.display(), actual.display()),
        Some((was, _)) if was != size => {
            panic!("{name} is {was:?}, drawn is {size:?}, in {}; {hint}", actual.display())
        }
        Some((_, pixels)) => {
            // Equal pixels are faint, different ones red.
            let mark = |(a, b): (&u32, &u32)| {
                if distance(*a, *b) > TOLERANCE { 0x00ff_0000 } else { (a >> 2) & 0x003f_3f3f }
            };
            let marked: Vec<u32> = pixels.iter().zip(&drawn).map(mark).collect();
            let count = marked.iter().filter(|pixel| **pixel == 0x00ff_0000).count();
            let difference = rejected(&format!("{name}.difference.png"));
            fs::write(&difference, encode(&marked, size)).unwrap();
            panic!(
                "{count} pixels of {name} differ; drawn is {}, where it differs {}; {hint}",
                actual.display(),
                difference.display()
            );
        }
    }
}

/// Compares `view` as an SVG document, character by character.
#[track_caller]
pub fn document(name: &str, view: &View) {
    let drawn = Painter::new().unwrap().svg(&view.scene, &view.frame).unwrap();
    let accepted = Path::new(FOLDER).join(format!("{name}.svg"));
    if fs::read_to_string(&accepted).is_ok_and(|text| text == drawn) {
        return;
    }
    if accepts() {
        fs::write(&accepted, drawn).unwrap();
        return;
    }
    let actual = rejected(&format!("{name}.actual.svg"));
    fs::write(&actual, drawn).unwrap();
    panic!("{} differs from {}; `scripts/golden accept` accepts it", actual.display(), accepted.display());
}
