//! `streamgauge dlq replay`.

use std::{ops::RangeInclusive, time::Duration};

use clap::Args;
use serde_json::{Value, json};
use tokio::time::{Interval, MissedTickBehavior};

use super::{
    Desk, Output, print,
    which::{Which, limit},
    words,
};
use crate::{
    clock::{Clock, Timestamp},
    config::NatsConfig,
    consumer::dead_letter::{LettersError, Plan, Replay as Earlier, Replayed, Replayer},
    dead_letter::{DeadLetter, Place},
    errors::ErrorChain,
};

/// Messages a second: from one in a quarter of an hour to more than one by one can be.
const RATES: RangeInclusive<f64> = 0.001..=100_000.0;

/// Settings of `streamgauge dlq replay`.
#[derive(Debug, Args)]
pub(super) struct Replay {
    /// Ids of letters, as `list` shows them, such as ORDERS.mailer.42; without any, the flags choose
    #[arg(value_name = "ID")]
    ids: Vec<Place>,
    #[command(flatten)]
    which: Which,
    /// Most letters to replay where the flags choose; the newest are taken, the oldest of them first
    #[arg(long, value_name = "NUMBER", default_value_t = 1_000, value_parser = limit(), help_heading = "How")]
    limit: usize,
    /// Say what would be published and who would see it, and publish nothing
    #[arg(long, conflicts_with = "yes", help_heading = "How")]
    dry_run: bool,
    /// Do it
    #[arg(long, help_heading = "How")]
    yes: bool,
    /// Messages a second at the most
    #[arg(long, value_name = "NUMBER", default_value_t = 10.0, value_parser = rate, help_heading = "How")]
    rate: f64,
    /// Replay letters that were replayed before once more
    #[arg(long, help_heading = "How")]
    again: bool,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    nats: NatsConfig,
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate| RATES.contains(rate));
    rate.ok_or_else(|| format!("give a number from {} to {}", RATES.start(), RATES.end()))
}

/// How it went so far.
#[derive(Debug, Default)]
struct Tally {
    done: usize,
    already: usize,
    failed: usize,
}

impl Replay {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        anyhow::ensure!(
            !self.ids.is_empty() || !self.which.is_everything(),
            "say which letters to replay: ids as `streamgauge dlq list` shows them, or flags such as --stream, --durable or --since"
        );
        let desk = Desk::open(&self.nats).await?;
        let mut tally = Tally::default();
        let letters = self.chosen(&desk, &mut tally).await?;
        let mut replayer = desk.letters.replayer(&desk.bus).await?;
        let mut pace = tokio::time::interval(Duration::from_secs_f64(1.0 / self.rate));
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for letter in letters {
            let place = letter.place.clone();
            let result = self.one(&mut replayer, letter, &mut pace, &mut tally).await;
            if let Err(error) = result {
                tally.failed += 1;
                self.say_failed(&place, &ErrorChain(&error).to_string())?;
            }
        }
        desk.telemetry.shutdown().await;
        self.sum_up(&tally)
    }

    /// The letters, the oldest first.
    async fn chosen(&self, desk: &Desk, tally: &mut Tally) -> anyhow::Result<Vec<DeadLetter>> {
        if self.ids.is_empty() {
            let mut listing = desk.letters.list(&self.which.filter(desk.clock.now()), self.limit).await?;
            if listing.is_cut && !self.output.json {
                print(&format!("More than {} letters fit; the newest {0} are taken (--limit).", self.limit))?;
            }
            listing.letters.reverse();
            return Ok(listing.letters);
        }
        let mut letters = Vec::new();
        for place in &self.ids {
            match desk.letters.find(place).await? {
                Some(letter) => letters.push(letter),
                None => {
                    tally.failed += 1;
                    self.say_failed(place, &words::unknown(place))?;
                }
            }
        }
        Ok(letters)
    }

    async fn one(
        &self,
        replayer: &mut Replayer,
        letter: DeadLetter,
        pace: &mut Interval,
        tally: &mut Tally,
    ) -> Result<(), LettersError> {
        let plan = replayer.plan(letter, self.again).await?;
        let was_done = plan.earlier.as_ref().is_some_and(|replay| replay.published.is_some()) && !self.again;
        if was_done || !self.yes {
            let count = if was_done { &mut tally.already } else { &mut tally.done };
            *count += 1;
            self.say_planned(&plan, was_done, Clock::system().now());
            return Ok(());
        }
        pace.tick().await;
        let replayed = replayer.replay(&plan, self.again).await?;
        let count = match &replayed {
            Replayed::Published(_) => &mut tally.done,
            Replayed::Already(_) => &mut tally.already,
        };
        *count += 1;
        self.say_replayed(&plan, &replayed, Clock::system().now());
        Ok(())
    }

    /// What cannot be written any more is no reason to stop in the middle: the letters are what matters.
    fn say(&self, words: &str, value: &Value) {
        let _written = if self.output.json { print(&value.to_string()) } else { print(words) };
    }

    fn say_planned(&self, plan: &Plan, was_done: bool, now: Timestamp) {
        let place = &plan.letter.place;
        let (message, result) = (&plan.message, if was_done { "already" } else { "would_publish" });
        let id = message.id.as_ref().map_or("", |id| &id.0);
        let mut words = match plan.earlier.as_ref().filter(|_| was_done) {
            Some(replay) => format!("{place}  {}; --again replays it once more", words::replayed(replay, now)),
            None => format!(
                "{place}  would be published on {} as message {id}, {} bytes, for {}",
                message.subject,
                message.payload.len(),
                place.consumer
            ),
        };
        if !was_done {
            words.push_str(&seen_by(plan));
        }
        let value = json!({
            "id": place, "result": result, "subject": message.subject.as_str(), "message_id": id,
            "durable": place.consumer, "headers": message.headers, "size_bytes": message.payload.len(),
            "strangers": plan.strangers, "replay": plan.earlier,
        });
        self.say(&words, &value);
    }

    fn say_replayed(&self, plan: &Plan, replayed: &Replayed, now: Timestamp) {
        let place = &plan.letter.place;
        let (words, value) = match replayed {
            Replayed::Published(replay) => (
                format!("{place}  replayed as message {}{}{}", replay.message_id, at(replay), seen_by(plan)),
                json!({ "id": place, "result": "published", "replay": replay, "strangers": plan.strangers }),
            ),
            Replayed::Already(replay) => (
                format!("{place}  {}; --again replays it once more", words::replayed(replay, now)),
                json!({ "id": place, "result": "already", "replay": replay }),
            ),
        };
        self.say(&words, &value);
    }

    fn say_failed(&self, place: &Place, why: &str) -> anyhow::Result<()> {
        if self.output.json {
            return print(&json!({ "id": place, "result": "failed", "why": why }).to_string());
        }
        print(&format!("{place}  NOT replayed: {why}"))
    }

    /// The last words, and whether all went well.
    fn sum_up(&self, tally: &Tally) -> anyhow::Result<()> {
        let Tally { done, already, failed } = tally;
        let verb = if self.yes { "replayed" } else { "would be replayed" };
        let words = match (done + already + failed, self.yes) {
            (0, _) => "No dead letter fits; nothing was published.".to_owned(),
            (_, true) => format!("\n{done} {verb}, {already} had been before, {failed} failed."),
            (_, false) => {
                format!("\n{done} {verb}, {already} were before, {failed} cannot be. Nothing was published.")
            }
        };
        if !self.output.json {
            print(&words)?;
        }
        anyhow::ensure!(*failed == 0, "{} not replayed; the lines above say why", words::counted(*failed));
        anyhow::ensure!(
            self.yes || self.dry_run || *done == 0,
            "nothing was published: say --yes to replay {}",
            words::counted(*done)
        );
        Ok(())
    }
}

fn at(replay: &Earlier) -> String {
    replay.sequence.map(|sequence| format!(" at sequence {sequence}")).unwrap_or_default()
}

/// Who sees the message beside the worker that it is for.
fn seen_by(plan: &Plan) -> String {
    if plan.strangers.is_empty() {
        return String::new();
    }
    let names: Vec<&str> = plan.strangers.iter().map(AsRef::as_ref).collect();
    format!(
        "\n    seen too by {}: no worker of streamgauge made {}, so the message is processed there once more",
        names.join(", "),
        if names.len() == 1 { "this consumer" } else { "these consumers" }
    )
}
