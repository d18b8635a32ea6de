//! Stub until the broker and producer land.
use crate::bus::Target;
use crate::consumer::Config;
use std::time::Duration;
use thiserror::Error;
use tokio::sync::watch;
pub(super) const SPAN: Duration = Duration::from_secs(2_700);
/// Why.
#[derive(Debug, Error)]
pub enum DemoError {
    /// x
    #[error("x")]
    X,
}
pub(super) struct Demo {}
impl Demo {
    pub(super) fn target(&self) -> Target {
        Target::Local { port: 6379 }
    }
    pub(super) async fn end(self) {}
}
pub(super) async fn start(_: &Config, _: watch::Receiver<bool>) -> Result<Demo, DemoError> {
    Ok(Demo {})
}
