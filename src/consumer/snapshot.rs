//! Pictures in files.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::chart::{Layout, Scene, Size};
use crate::consumer::args::SnapshotFormat;
use crate::plot::{Painter, PlotError, png};
use crate::storage::AtomicFile;

/// Why there is no picture.
#[derive(Debug, Error)]
pub enum SnapshotError {
    /// The file.
    #[error("cannot write {path}: {source}; choose a folder that exists, is writable and has room")]
    Write {
        /// Where to.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The drawing.
    #[error("the chart cannot be drawn")]
    Plot(#[from] PlotError),
}

/// Draws `scene` on `frame` into a file.
pub(super) fn write(
    painter: &mut Painter,
    scene: &Scene,
    frame: &Layout,
    path: &Path,
    format: SnapshotFormat,
) -> Result<(), SnapshotError> {
    match format {
        SnapshotFormat::Svg => write_whole(path, painter.svg(scene, frame)?.as_bytes()),
        SnapshotFormat::Png => {
            let mut pixels = vec![0; frame.size.width as usize * frame.size.height as usize];
            painter.paint(scene, &mut pixels, frame)?;
            write_png(path, &pixels, frame.size)
        }
    }
}

/// Writes pixels as they are on screen.
pub(super) fn write_png(path: &Path, pixels: &[u32], size: Size) -> Result<(), SnapshotError> {
    write_whole(path, &png(pixels, size)?)
}

/// All or nothing: a reader never sees half a picture, and a failure leaves an older one in place.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), SnapshotError> {
    let written = AtomicFile::create(path).and_then(|mut file| {
        file.write_all(bytes)?;
        file.finish()
    });
    written.map_err(|source| SnapshotError::Write { path: path.to_owned(), source })
}
