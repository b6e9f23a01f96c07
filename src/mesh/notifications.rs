//! Notifications: tells each customer, once, how an order ended.
//!
//! A mail cannot be taken back, and a mail server takes no key by which it would know a repeated one. So an inbox stands before the handler:
//! a message that is delivered again after its mail went out is done without another. What is left is a process that is killed after the
//! mail and before the note of it; the outbox, which is the mail server's own log here, is asked about that.
//!
//! A mail server that takes nothing is out, or full, for minutes or hours. Its mails wait as scheduled messages, which hold no place among
//! those that can be sent, and are sent on the day of the order or not at all.

mod outbox;

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Context as _;

use super::{
    events::{OrderCancelled, OrderCompleted, OrderCompletedV1, OrderPlaced},
    faults::Switch,
    service, worker,
};
use crate::{
    bus::{Bus, Payload, codec, topology::INBOX},
    config::NotificationsConfig,
    consumer::Worker,
    errors::ErrorChain,
    handler::{Context, Outcome, with},
    resilience::RetryPolicy,
    state::Inbox,
};
use outbox::{Mail, Outbox};

/// The kind of failure that says nothing of the order: the mail server takes no mail.
const MAIL_SERVER_DOWN: &str = "mail_server_down";

/// How long a mail waits for its server: not at all for a hiccup, then longer and longer.
const MAIL_AGAIN: &[Duration] = &[
    Duration::from_secs(1),
    Duration::from_secs(15),
    Duration::from_secs(2 * 60),
    Duration::from_secs(10 * 60),
    Duration::from_secs(30 * 60),
];

/// A mail that comes later than this tells its customer what they know.
const PATIENCE: Duration = Duration::from_secs(12 * 3_600);

/// What the handlers work with.
#[derive(Debug, Clone)]
struct Notifications {
    bus: Bus,
    outbox: Arc<Mutex<Outbox>>,
}

/// How an order ended, in words for its customer.
trait End: Payload {
    fn in_words(&self) -> String;
}

/// Runs until the process is asked to end.
///
/// # Errors
/// When the service cannot start, or the outbox cannot be read or written.
pub async fn run(config: NotificationsConfig) -> anyhow::Result<()> {
    let (service, switch) = Switch::of(service("notifications", config.service).start().await?, "notifications");
    let notifications = Notifications::new(service.bus(), &config.outbox)?;
    let inbox = service.inbox(INBOX).await?.hold(super::ACK_WAIT);
    Ok(service.worker(telling(&notifications, &inbox, &switch))?.run().await?)
}

/// The first version of `OrderCompleted` is told of beside the second: an older `orders` may run beside a newer one.
fn telling(notifications: &Notifications, inbox: &Inbox, switch: &Switch) -> Worker {
    worker("notifications-orders")
        .retry(retry())
        .on(switch.over(inbox.guard(with(notifications, Notifications::tell::<OrderCompleted>))))
        .on(switch.over(inbox.guard(with(notifications, Notifications::tell::<OrderCompletedV1>))))
        .on(switch.over(inbox.guard(with(notifications, Notifications::tell::<OrderCancelled>))))
}

/// What else may fail is NATS, which comes back soon.
fn retry() -> RetryPolicy {
    RetryPolicy::new().class(MAIL_SERVER_DOWN, RetryPolicy::new().then(MAIL_AGAIN).within(PATIENCE))
}

impl Notifications {
    fn new(bus: &Bus, outbox: &Path) -> anyhow::Result<Self> {
        let opened = Outbox::open(outbox).with_context(|| format!("opening the outbox {}", outbox.display()))?;
        Ok(Self { bus: bus.clone(), outbox: Arc::new(Mutex::new(opened)) })
    }

    async fn tell<E: End>(self, _: Context, end: E) -> anyhow::Result<Outcome> {
        let order_id = end.key();
        // The fact names the order only; who placed it is on the stream.
        let Some(mut placed) = self.bus.last::<OrderPlaced>(&order_id).await? else {
            return Ok(Outcome::reject("nobody placed this order, or it is gone from its stream"));
        };
        self.bus.redeem(&mut placed).await?;
        let to = codec::decode::<OrderPlaced>(&placed)?.customer;
        let mail = Mail { order_id, to, text: end.in_words() };
        match tokio::task::spawn_blocking(move || self.send(&mail)).await? {
            Ok(is_new) => {
                tracing::info!(is_new, "customer told");
                Ok(Outcome::Done)
            }
            Err(error) => {
                Ok(Outcome::retry(format!("sending the mail: {}", ErrorChain(&error))).classed(MAIL_SERVER_DOWN))
            }
        }
    }

    fn send(&self, mail: &Mail) -> std::io::Result<bool> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner).send(mail)
    }
}

impl End for OrderCompleted {
    fn in_words(&self) -> String {
        format!("Your order is on its way. You paid {}.{:02} EUR.", self.cents / 100, self.cents % 100)
    }
}

impl End for OrderCompletedV1 {
    fn in_words(&self) -> String {
        "Your order is paid and on its way.".to_owned()
    }
}

impl End for OrderCancelled {
    fn in_words(&self) -> String {
        format!("Your order was cancelled: {}.", self.reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        mesh::{events::PricedLine, testing::delivered},
        resilience::{Decision, Failure},
    };

    async fn check(end: impl End + Clone, text: &str) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("outbox");
        let notifications = Notifications::new(&Bus::in_memory(), &path).unwrap();
        let line = PricedLine { sku: "tea".into(), quantity: 1, unit_cents: 450 };
        let placed = OrderPlaced { order_id: "7".into(), customer: "ada".into(), lines: vec![line], total_cents: 450 };
        notifications.bus.publish(&placed).await.unwrap();
        for _ in 0..2 {
            let outcome = notifications.clone().tell(delivered(&end).await, end.clone()).await.unwrap();
            assert_eq!(outcome, Outcome::Done);
        }
        let said = std::fs::read_to_string(&path).unwrap();
        assert_eq!(said, format!("{{\"order_id\":\"7\",\"to\":\"ada\",\"text\":\"{text}\"}}\n"));
    }

    #[tokio::test]
    async fn each_end_of_an_order_is_told_once_in_its_words() {
        let (order_id, reason) = ("7".to_owned(), "out of stock: tea".to_owned());
        let completed = OrderCompleted { order_id: order_id.clone(), cents: 450 };
        check(completed, "Your order is on its way. You paid 4.50 EUR.").await;
        check(OrderCompletedV1 { order_id: order_id.clone() }, "Your order is paid and on its way.").await;
        check(OrderCancelled { order_id, reason }, "Your order was cancelled: out of stock: tea.").await;
    }

    #[test]
    fn mails_wait_for_their_server_for_half_a_day_and_most_of_that_as_scheduled_messages() {
        let check = |attempts: u32, hours: u64, class, expected: &str| {
            let failure = Failure { attempts, since_first: Duration::from_secs(hours * 3_600), class, after: None };
            let said = match retry().decide(&failure, 0.0) {
                Decision::After(wait) if wait >= Duration::from_secs(60) => "scheduled",
                Decision::GiveUp(_) => "given up",
                _ => "soon",
            };
            assert_eq!(said, expected, "attempt {attempts}, {hours} h, {class}");
        };
        check(1, 0, MAIL_SERVER_DOWN, "soon");
        check(2, 0, MAIL_SERVER_DOWN, "soon");
        check(3, 0, MAIL_SERVER_DOWN, "scheduled");
        check(20, 11, MAIL_SERVER_DOWN, "scheduled");
        check(30, 12, MAIL_SERVER_DOWN, "given up");
        check(30, 12, "error", "soon");
    }

    #[tokio::test]
    async fn an_order_that_nobody_placed_is_told_to_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let notifications = Notifications::new(&Bus::in_memory(), &folder.path().join("outbox")).unwrap();
        let completed = OrderCompletedV1 { order_id: "7".into() };
        let outcome = notifications.tell(delivered(&completed).await, completed).await.unwrap();
        assert_eq!(outcome.name(), "reject");
    }
}
