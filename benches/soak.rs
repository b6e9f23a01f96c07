//! The mesh under load while its services are killed at random: every order that was accepted ends once, and the payment provider's
//! own ledger says so.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use fastrand::Rng;
use serde::Deserialize;
use serde_json::{Value, json};
use streamgauge::record::Phase;
use tokio::{
    runtime::Runtime,
    task::JoinSet,
    time::{interval, sleep},
};

use crate::{
    report::{Bar, Figure, Report},
    running_demo::RunningDemo,
    shop::Shop,
    support::process_tree::{arguments, kill_all, tree},
};

/// How long, how hard, and by which dice.
#[derive(Debug, clap::Args)]
pub struct Soak {
    /// Minutes of load and killing
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// Orders placed each second
    #[arg(long, default_value_t = 20.0)]
    rate: f64,
    /// Decides who orders what and who is killed when [default: drawn and printed]
    #[arg(long)]
    seed: Option<u64>,
}

/// As the demo bench gives it.
const START_LIMIT: Duration = Duration::from_secs(60);

/// How long a customer keeps coming back. A storefront that is killed is up again within the supervisor's longest wait, 10 s.
const PLACE_LIMIT: Duration = Duration::from_secs(60);
const COME_BACK: Duration = Duration::from_millis(300);

/// How long the last orders may take when the killing is over: a message that a dead worker held is delivered again after its
/// ack_wait, and a retry waits longer each time.
const END_LIMIT: Duration = Duration::from_secs(180);

/// Between two kills: often enough that services die in the midst of starting, too.
const KILL_AFTER: std::ops::Range<u64> = 500..6_000;

/// Runs the soak.
pub fn run(settings: &Soak, report: &mut Report) -> anyhow::Result<()> {
    let seed = settings.seed.unwrap_or_else(|| fastrand::u64(..));
    println!("soak: {} minutes, {} orders/s, seed {seed}", settings.minutes, settings.rate);
    let mut demo = RunningDemo::start("--no-load")?;
    let shop = Shop::at(&demo.urls(START_LIMIT)?.storefront)?;
    let root = demo.root();
    let until = Instant::now() + Duration::from_secs_f64(settings.minutes * 60.0);

    let runtime = Runtime::new()?;
    let (accepted, kills) = runtime.block_on(async {
        let placing = place_until(until, settings.rate, Rng::with_seed(seed), &shop);
        tokio::join!(placing, kill_until(until, Rng::with_seed(!seed), root))
    });
    let accepted = accepted?;
    let killing_over = Instant::now();
    let ends = runtime.block_on(all_ended(&accepted, &shop))?;
    let took = killing_over.elapsed();

    let charges = charges(&demo.ledger())?;
    let wrong = wrong_charges(&ends, &charges);
    wrong.iter().for_each(|sentence| println!("soak: {sentence}"));
    let count = |name, value: usize, bar| Figure { name, value: value as f64, unit: "", against: None, bar };
    report.take(count("orders accepted", accepted.len(), None))?;
    report.take(count("orders completed", ends.values().filter(|end| **end == Phase::Succeeded).count(), None))?;
    report.take(count("services killed", kills, None))?;
    report.take(count("orders that did not end", accepted.len() - ends.len(), Some(Bar::AtMost(0.0))))?;
    report.take(count("orders charged wrongly", wrong.len(), Some(Bar::AtMost(0.0))))?;
    let limit = Some(Bar::AtMost(END_LIMIT.as_secs_f64()));
    report.take(Figure {
        name: "until the last order ended",
        value: took.as_secs_f64(),
        unit: "s",
        against: None,
        bar: limit,
    })?;
    demo.stop()?;
    Ok(())
}

/// Places orders at the rate, and returns the ids of those that were accepted: all of them, or it fails.
async fn place_until(until: Instant, rate: f64, mut dice: Rng, shop: &Shop) -> anyhow::Result<Vec<String>> {
    let mut tick = interval(Duration::from_secs_f64(1.0 / rate));
    let mut customers = JoinSet::new();
    while Instant::now() < until {
        tick.tick().await;
        let (shop, order, key) = (shop.clone(), any_order(&mut dice), format!("soak-{:016x}", dice.u64(..)));
        customers.spawn(async move { place(&shop, &key, &order).await });
    }
    customers.join_all().await.into_iter().collect()
}

/// A customer comes back with the same key until there is an answer.
async fn place(shop: &Shop, key: &str, order: &Value) -> anyhow::Result<String> {
    let begun = Instant::now();
    while begun.elapsed() < PLACE_LIMIT {
        if let Some(id) = shop.place(key, order).await? {
            return Ok(id);
        }
        sleep(COME_BACK).await;
    }
    bail!("order {key} was not accepted within {PLACE_LIMIT:?}")
}

/// One in ten is declined by the provider, some want what runs out.
fn any_order(dice: &mut Rng) -> Value {
    const ARTICLES: [&str; 8] = ["pencil", "tea", "notebook", "mug", "lamp", "kettle", "backpack", "signed-print"];
    let customer = if dice.u8(..10) == 0 { "declined-dora" } else { "ada" };
    let lines: Vec<Value> = (0..dice.usize(1..=3))
        .map(|_| json!({ "sku": ARTICLES[dice.usize(..ARTICLES.len())], "quantity": dice.u32(1..=3) }))
        .collect();
    json!({ "customer": customer, "lines": lines })
}

/// Kills one service after the other; how many.
async fn kill_until(until: Instant, mut dice: Rng, root: u32) -> usize {
    let mut kills = 0;
    loop {
        sleep(Duration::from_millis(dice.u64(KILL_AFTER))).await;
        if Instant::now() >= until {
            return kills;
        }
        let services: Vec<u32> = tree(root).into_iter().filter(|pid| is_service(*pid)).collect();
        if let Some(victim) = dice.choice(&services) {
            kill_all(&[*victim]);
            kills += 1;
        }
    }
}

/// `streamgauge service NAME …`
fn is_service(pid: u32) -> bool {
    arguments(pid).get(1).is_some_and(|command| command == "service")
}

/// How each order ended; one that has not after the limit is left out.
async fn all_ended(accepted: &[String], shop: &Shop) -> anyhow::Result<BTreeMap<String, Phase>> {
    let begun = Instant::now();
    let mut ends = BTreeMap::new();
    for id in accepted {
        loop {
            let phase = shop.order(id).await.map(|order| order.phase);
            match phase {
                Ok(Phase::Open) | Err(_) if begun.elapsed() < END_LIMIT => sleep(COME_BACK).await,
                Ok(Phase::Open) | Err(_) => break,
                Ok(end) => {
                    ends.insert(id.clone(), end);
                    break;
                }
            }
        }
    }
    Ok(ends)
}

#[derive(Deserialize)]
struct Entry {
    order: String,
    decision: String,
}

/// How often each order was charged, by the provider's own book.
fn charges(ledger: &Path) -> anyhow::Result<BTreeMap<String, usize>> {
    let mut charges = BTreeMap::new();
    for line in fs::read_to_string(ledger).with_context(|| format!("reading {}", ledger.display()))?.lines() {
        let entry: Entry = serde_json::from_str(line).with_context(|| format!("reading {line:?} in the ledger"))?;
        *charges.entry(entry.order).or_default() += usize::from(entry.decision == "charged");
    }
    Ok(charges)
}

/// A completed order was charged once, any other never.
fn wrong_charges(ends: &BTreeMap<String, Phase>, charges: &BTreeMap<String, usize>) -> Vec<String> {
    let of = |id: &String| charges.get(id).copied().unwrap_or(0);
    let is_wrong = |(id, end): &(&String, &Phase)| of(id) != usize::from(**end == Phase::Succeeded);
    let ended =
        ends.iter().filter(is_wrong).map(|(id, end)| format!("order {id} ended {end:?}, charged {} times", of(id)));
    let strange = charges.iter().filter(|(id, count)| **count > 0 && !ends.contains_key(*id));
    ended.chain(strange.map(|(id, count)| format!("order {id} did not end, charged {count} times"))).collect()
}
