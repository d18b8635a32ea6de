//! Local server of both programs: the embedded broker, which serves the loopback port while no Redis does.

use std::error::Error;
use std::sync::Arc;

use tokio::sync::Mutex;
use tracing::debug;

use crate::broker::LocalRedis;
use crate::client::{LocalServer, LocalServerFuture, Target};

/// Returns the target for a program without a Redis URL: the server on a loopback port, which is started if there is
/// none.
pub(crate) fn local_target(port: u16) -> Target {
    Target::Local { port, server: Arc::new(LocalBroker { port, local: Mutex::new(LocalRedis::new(port)) }) }
}

/// Embedded broker that is started on demand.
#[derive(Debug)]
struct LocalBroker {
    port: u16,
    local: Mutex<LocalRedis>,
}

impl LocalServer for LocalBroker {
    fn ensure(&self) -> LocalServerFuture<'_, Result<(), Box<dyn Error + Send + Sync>>> {
        Box::pin(async {
            let role = self.local.lock().await.ensure_served().await?;
            debug!(?role, "local server");
            Ok(())
        })
    }

    fn shutdown(&self) -> LocalServerFuture<'_, ()> {
        Box::pin(async {
            let local = std::mem::replace(&mut *self.local.lock().await, LocalRedis::new(self.port));
            local.shutdown().await;
        })
    }
}
