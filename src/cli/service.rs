//! `streamgauge service NAME`: one service of the order mesh, alone.

use clap::{Args, Subcommand};

use crate::{config, mesh};

/// Settings of `streamgauge service`.
#[derive(Debug, Args)]
pub(super) struct ServiceCommand {
    #[command(subcommand)]
    name: Name,
}

#[derive(Debug, Subcommand)]
enum Name {
    /// Takes orders over HTTP
    Storefront(config::ServiceConfig),
    /// Quotes prices by request and reply
    Pricing(config::ServiceConfig),
    /// Follows every order to its end
    Orders(config::ServiceConfig),
    /// Reserves stock and releases it
    Inventory(config::ServiceConfig),
    /// Charges customers at the payment provider
    Payments(config::PaymentsConfig),
    /// Tells customers how their orders ended
    Notifications(config::NotificationsConfig),
    /// Sends parcels on their way and follows them
    Shipping(config::ServiceConfig),
    /// The payment provider, which knows nothing of NATS
    Provider(config::ProviderConfig),
    /// Places orders at a rate
    Load(config::LoadConfig),
}

impl ServiceCommand {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self.name {
            Name::Storefront(config) => mesh::storefront::run(config).await?,
            Name::Pricing(config) => mesh::pricing::run(config).await?,
            Name::Orders(config) => mesh::orders::run(config).await?,
            Name::Inventory(config) => mesh::inventory::run(config).await?,
            Name::Payments(config) => mesh::payments::run(config).await?,
            Name::Notifications(config) => mesh::notifications::run(config).await?,
            Name::Shipping(config) => mesh::shipping::run(config).await?,
            Name::Provider(config) => mesh::provider::run(config).await?,
            Name::Load(config) => mesh::load::run(config).await?,
        }
        Ok(())
    }
}
