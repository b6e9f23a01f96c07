//! What the mesh declares is what its services do.

use streamgauge::{bus::topology::Plan, mesh::topology::topology};

use super::{LIMIT, Mesh};
use crate::support::eventually;

#[tokio::test]
async fn the_workers_make_the_consumers_that_are_declared() {
    let mesh = Mesh::start().await;
    let jetstream = mesh.connection().await.jetstream;
    let declared = topology();
    let plan: Plan = eventually(LIMIT, "every consumer is there as declared", async || {
        let plan = declared.plan(&jetstream).await.map_err(|error| error.to_string())?;
        if plan.is_same() { Ok(plan) } else { Err(format!("{:?}", plan.steps)) }
    })
    .await;
    assert_eq!(plan.undeclared, [], "a consumer of the mesh is not declared");
}

#[test]
fn every_fact_is_in_the_catalogue() {
    let declared = topology();
    let facts = include_str!("../../../src/mesh/events.rs").lines().filter_map(|line| line.strip_prefix("fact!("));
    // A version of a fact has its fact's name and a number.
    let facts: Vec<&str> =
        facts.filter_map(|fact| fact.split(',').next()).filter(|fact| !fact.ends_with("V1")).collect();
    assert!(facts.len() >= 8, "the facts are told by `fact!`");
    for fact in facts {
        let messages = declared.streams.iter().flat_map(|stream| &stream.messages);
        let said: Vec<_> = messages.filter(|message| message.kind == fact).collect();
        assert!(!said.is_empty(), "{fact}");
        assert!(said.iter().all(|message| !message.published_by.is_empty()), "{fact}");
    }
    assert!(!declared.catalogue().contains("Loose ends"), "{}", declared.catalogue());
}
