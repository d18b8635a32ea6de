//! Images of the chart in files.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::chart::{Layout, Scene, Size};
use crate::consumer::args::SnapshotFormat;
use crate::plot::{Painter, PlotError, png};
use crate::storage::AtomicFile;

/// Error while writing an image.
#[derive(Debug, Error)]
pub enum SnapshotError {
    /// The file cannot be written.
    #[error("cannot write {path}: {source}; choose a folder that exists, is writable and has room")]
    Write {
        /// Path of the file.
        path: PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// The chart cannot be rendered.
    #[error("the chart cannot be drawn")]
    Plot(#[from] PlotError),
}

/// Renders `scene` with `layout` into a file.
pub(super) fn write(
    painter: &mut Painter,
    scene: &Scene,
    layout: &Layout,
    path: &Path,
    format: SnapshotFormat,
) -> Result<(), SnapshotError> {
    match format {
        SnapshotFormat::Svg => write_file(path, painter.svg(scene, layout)?.as_bytes()),
        SnapshotFormat::Png => {
            let mut pixels = vec![0; layout.size.width as usize * layout.size.height as usize];
            painter.paint(scene, &mut pixels, layout)?;
            write_png(path, &pixels, layout.size)
        }
    }
}

/// Writes rendered pixels, 0RGB in rows, as a PNG file.
pub(super) fn write_png(path: &Path, pixels: &[u32], size: Size) -> Result<(), SnapshotError> {
    write_file(path, &png(pixels, size)?)
}

fn write_file(path: &Path, bytes: &[u8]) -> Result<(), SnapshotError> {
    let written = AtomicFile::create(path).and_then(|mut file| {
        file.write_all(bytes)?;
        file.finish()
    });
    written.map_err(|source| SnapshotError::Write { path: path.to_owned(), source })
}
