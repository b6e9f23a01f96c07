//! Where `serve` takes traces: opened before anything runs, and told of in one line.

use std::{io::ErrorKind, net::SocketAddr};

use anyhow::{Context, bail};
use tokio::{net::TcpListener, sync::watch};

use crate::{
    broker::{self, Source},
    clock::Clock,
    config::{AccessConfig, TraceEvents, TracesConfig},
    tasks::Tasks,
    traces::{Receiver, Store, Taking, Traces, forward, otlp},
    web::{self, access::Access},
};

/// Opens the addresses of the receiver. The usual ones may be another program's, which is no reason not to start.
pub(super) async fn open(config: &TracesConfig, access: &AccessConfig) -> anyhow::Result<(Vec<TcpListener>, Taking)> {
    let (addresses, is_asked_for) = config.addresses(access)?;
    let mut listeners = Vec::new();
    for address in &addresses {
        match TcpListener::bind(address).await {
            Ok(listener) => listeners.push(listener),
            Err(error) if !is_asked_for && error.kind() == ErrorKind::AddrInUse => {
                tracing::warn!(
                    "no traces are taken at {address}: another program listens there; give other addresses with --otlp"
                );
            }
            Err(error) => return Err(error).with_context(|| refused(*address)),
        }
    }
    let opened: Result<Vec<SocketAddr>, _> = listeners.iter().map(TcpListener::local_addr).collect();
    let opened = opened.context("asking for the receiver's addresses")?;
    if let Some(to) = config.forward.otlp_forward.as_ref().filter(|to| to.is_at(&opened)) {
        bail!("--otlp-forward is {}, where traces are taken here: they would go round for ever", to.url());
    }
    let taking = match addresses.first() {
        None => Taking::Off,
        Some(first) if opened.is_empty() => Taking::Busy(*first),
        Some(_) => Taking::At(opened.into()),
    };
    Ok((listeners, taking))
}

fn refused(address: SocketAddr) -> String {
    format!("cannot listen on {address} for traces: give another address with --otlp, or --otlp off")
}

/// What takes spans into a store as large as `config` says, and lets them go on from there until the tasks are asked to stop.
pub(super) fn taking(config: &TracesConfig, taking: Taking, clock: &Clock, tasks: &Tasks) -> anyhow::Result<Traces> {
    let store = Store::new(config.bytes(), clock.clone());
    let forward = forward::forwarder(&config.forward).context("letting traces go on")?;
    let (forwarder, forwarding) = forward.unzip();
    if let Some(forwarding) = forwarding {
        tasks.spawn(move |stop| forwarding.run(stop));
    }
    Ok(Traces { receiver: Receiver::forwarding(store, forwarder), taking })
}

/// Takes spans from those who may send, until the tasks are asked to stop.
pub(super) fn start(listeners: Vec<TcpListener>, traces: &Traces, access: &Access, tasks: &Tasks) {
    let router = traces.receiver.router();
    let router = otlp::answering_calls(web::access::guarded(router, access.clone()));
    for listener in listeners {
        let router = router.clone();
        tasks.spawn(move |stop| async move {
            if let Err(error) = web::serve(listener, router, stop).await {
                tracing::error!(%error, "the receiver of traces ended");
            }
        });
    }
}

/// Takes what brokers tell of messages on their way, wherever traces are taken, until the tasks are asked to stop.
pub(super) fn hear(on: TraceEvents, sources: watch::Receiver<Vec<Source>>, traces: &Traces, tasks: &Tasks) {
    let (TraceEvents::On(subject), Taking::At(_)) = (on, &traces.taking) else { return };
    let receiver = traces.receiver.clone();
    tasks.spawn(move |stop| broker::hear(sources, subject, move |event| receiver.take_event(event), stop));
}

/// The line at start.
pub(super) fn tell_where(traces: &Traces) {
    match &traces.taking {
        Taking::Off => tracing::info!("traces are not taken: --otlp is off"),
        Taking::Busy(_) => {}
        Taking::At(_) => {
            let intake = traces.receiver.intake();
            let megabytes = intake.stock.bound / 1_000_000;
            tracing::info!("traces are taken at {} by OTLP, and kept in {megabytes} MB", traces.taking);
            if let Some(forwarded) = intake.forwarded {
                tracing::info!("traces go on to {}, and logs to {}", forwarded.spans.to, forwarded.logs.to);
            }
        }
    }
}
