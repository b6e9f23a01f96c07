//! What an earlier demo left in a data folder, where this one cannot work with it.

use std::path::Path;

use crate::bus::topology::{Action, Kind, Plan, Step};

/// The account of the demo's services, as `deploy/nats/demo.conf` names it.
const ACCOUNT: &str = "APP";

/// # Errors
/// When NATS cannot make of what is there what this demo declares: what differs, and how to go on.
pub(super) fn check(plan: &Plan, folder: &Path) -> anyhow::Result<()> {
    let stuck: Vec<&Step> = plan.steps.iter().filter(|step| step.action == Action::Impossible).collect();
    if stuck.is_empty() {
        return Ok(());
    }
    let differences: Vec<String> = stuck.iter().map(|step| difference(step)).collect();
    let stores: Vec<String> = stuck.iter().map(|step| store(step, folder)).collect();
    anyhow::bail!(
        "the data folder {} is of another version of the demo, and NATS cannot change in place what it made: {}. Give another folder with \
         --data, or let go of that and of the messages in it: rm -r {}",
        folder.display(),
        differences.join("; "),
        stores.join(" ")
    )
}

/// Such as `stream RETRIES has retention limits and is to have workqueue`.
fn difference(step: &Step) -> String {
    let stuck = |field: &str| step.obstacles.iter().any(|obstacle| obstacle.starts_with(&format!("{field} ")));
    let fields = step.changes.iter().filter(|change| stuck(&change.field));
    let fields: Vec<String> =
        fields.map(|change| format!("has {} {} and is to have {}", change.field, change.from, change.to)).collect();
    if fields.is_empty() {
        return format!("{step}: {}", step.obstacles.join("; "));
    }
    format!("{step} {}", fields.join(", "))
}

/// Where nats-server keeps it, as a word for a shell.
fn store(step: &Step, folder: &Path) -> String {
    let stream = folder.join("jetstream/jetstream").join(ACCOUNT).join("streams").join(&step.stream);
    let store = if step.kind == Kind::Consumer { stream.join("obs").join(&step.name) } else { stream };
    format!("'{}'", store.display().to_string().replace('\'', r"'\''"))
}
