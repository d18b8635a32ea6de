//! Stub.
use thiserror::Error;
/// Stub.
#[derive(Debug, Clone, Copy)]
pub enum Role {
    /// Stub.
    Owner,
    /// Stub.
    Guest,
}
/// Stub.
#[derive(Debug, Error)]
pub enum LocalError {}
/// Stub.
#[derive(Debug)]
pub struct Local(u16);
#[allow(clippy::unused_async, missing_docs)]
impl Local {
    pub fn new(port: u16) -> Self {
        Self(port)
    }
    pub async fn ensure(&mut self) -> Result<Role, LocalError> {
        Ok(Role::Guest)
    }
    pub async fn shutdown(self) {}
}
