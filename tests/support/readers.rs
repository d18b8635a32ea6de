//! Third-party readers and writers of the file formats: pandas, pyarrow and polars, in a virtual environment of the
//! tests.

use std::path::Path;

use super::process::Launch;

/// Command line of a script in `tests/support/python`, run by [`python`].
pub fn reader(script: &str) -> Launch {
    python().args([Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/python").join(script)])
}

/// Python interpreter for which `scripts/test install` installs pandas, pyarrow and polars.
pub fn python() -> Launch {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let named = std::env::var("TICKSCOPE_TEST_READERS").ok();
    let python = named.unwrap_or_else(|| root.join("target/test-readers/bin/python").display().to_string());
    assert!(
        Path::new(&python).exists(),
        "there is no {python}: run `scripts/test install`, or set TICKSCOPE_TEST_READERS to a Python that has pandas, \
         pyarrow and polars"
    );
    Launch::new(python)
}
