//! Where `serve` takes traces: opened before anything runs, and told of in one line.

use std::{io::ErrorKind, net::SocketAddr};

use anyhow::Context;
use tokio::net::TcpListener;

use crate::{
    config::{AccessConfig, TracesConfig},
    tasks::Tasks,
    traces::{Store, Taking, otlp::Receiver},
    web::{self, access::Access},
};

/// Opens the address of the receiver. The usual one may be another program's, which is no reason not to start.
pub(super) async fn open(
    config: &TracesConfig,
    access: &AccessConfig,
) -> anyhow::Result<(Option<TcpListener>, Taking)> {
    let Some((address, is_asked_for)) = config.address(access)? else {
        tracing::info!("traces are not taken: --otlp is off");
        return Ok((None, Taking::Off));
    };
    match TcpListener::bind(address).await {
        Ok(listener) => {
            let address = listener.local_addr().context("asking for the receiver's address")?;
            Ok((Some(listener), Taking::At(address)))
        }
        Err(error) if !is_asked_for && error.kind() == ErrorKind::AddrInUse => {
            tracing::warn!(
                "traces are not taken: another program listens on {address}; give another address with --otlp"
            );
            Ok((None, Taking::Busy(address)))
        }
        Err(error) => Err(error).with_context(|| refused(address)),
    }
}

fn refused(address: SocketAddr) -> String {
    format!("cannot listen on {address} for traces: give another address with --otlp, or --otlp off")
}

/// Takes spans into `store` from those who may send, until the tasks are asked to stop.
pub(super) fn start(listener: TcpListener, taking: Taking, store: &Store, access: Access, tasks: &Tasks) {
    if let Taking::At(address) = taking {
        let megabytes = store.stock().bound / (1_024 * 1_024);
        tracing::info!("traces are taken at http://{address} by OTLP, and kept in {megabytes} MB");
    }
    let router = web::access::guarded(Receiver::new(store.clone()).router(), access);
    tasks.spawn(move |stop| async move {
        if let Err(error) = web::serve(listener, router, stop).await {
            tracing::error!(%error, "the receiver of traces ended");
        }
    });
}
