//! Server of both programs. Without a URL it is local: the embedded broker serves the loopback port while no Redis
//! does.

use std::error::Error;
use std::sync::Arc;

use tokio::sync::Mutex;
use tracing::debug;

use crate::broker::LocalRedis;
use crate::cli::TlsArgs;
use crate::client::{EndpointError, LocalServer, LocalServerFuture, Target, TlsFiles};

/// Returns the server at `url`. Without a URL, that is the one on `local_port`, which is started if there is none.
/// Returns `None` for a cluster without a URL.
pub(crate) fn parse_target(
    url: Option<&str>,
    is_cluster: bool,
    tls: &TlsArgs,
    local_port: u16,
) -> Result<Option<Target>, EndpointError> {
    // Scripts unset a variable by making it empty.
    let Some(url) = url.filter(|url| !url.trim().is_empty()) else {
        let server = LocalBroker { port: local_port, local: Mutex::new(LocalRedis::new(local_port)) };
        return Ok((!is_cluster).then(|| Target::Local { port: local_port, server: Arc::new(server) }));
    };
    let [ca, cert, key] = tls.clone().files();
    Target::parse_with(url, is_cluster, &TlsFiles { ca, cert, key }).map(Some)
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
