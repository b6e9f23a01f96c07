//! What the warehouse holds, and what it has decided for orders that are not over: plain data, changed by pure functions.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::mesh::{catalogue::ARTICLES, events::PricedLine};

/// Articles and how many of each.
pub type Quantities = BTreeMap<String, u64>;

/// The warehouse.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stock {
    /// What is free to be reserved.
    pub on_hand: Quantities,
    /// What was decided for orders, until everyone knows.
    pub decided: BTreeMap<String, Decision>,
}

/// What was decided for an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// These are taken from what is on hand, until they are used up or released.
    Reserved(Quantities),
    /// Nothing was taken, for this reason.
    Refused(String),
}

impl Stock {
    /// What the warehouse holds before the first order.
    pub fn opening() -> Self {
        let on_hand = ARTICLES.iter().map(|article| (article.sku.to_owned(), article.on_hand)).collect();
        Self { on_hand, decided: BTreeMap::new() }
    }

    /// Reserves all that an order asks for, or refuses it and takes nothing.
    pub fn decide(&mut self, order_id: &str, lines: &[PricedLine]) -> Decision {
        let wanted = wanted(lines);
        let is_short = |(sku, quantity): &(&String, &u64)| self.on_hand.get(*sku).is_none_or(|held| held < quantity);
        let decision = match wanted.iter().find(is_short) {
            Some((sku, _)) => Decision::Refused(format!("out of stock: {sku}")),
            None => Decision::Reserved(wanted),
        };
        if let Decision::Reserved(taken) = &decision {
            for (sku, quantity) in taken {
                self.on_hand.entry(sku.clone()).and_modify(|held| *held -= quantity);
            }
        }
        self.decided.insert(order_id.to_owned(), decision.clone());
        decision
    }

    /// Puts back what was reserved for an order; `None` if nothing is.
    #[must_use]
    pub fn released(&self, order_id: &str) -> Option<Self> {
        let Decision::Reserved(taken) = self.decided.get(order_id)? else { return None };
        let mut stock = self.forgotten(order_id)?;
        for (sku, quantity) in taken {
            *stock.on_hand.entry(sku.clone()).or_default() += quantity;
        }
        Some(stock)
    }

    /// Forgets what was decided for an order, a reservation with its articles; `None` if nothing was.
    #[must_use]
    pub fn forgotten(&self, order_id: &str) -> Option<Self> {
        let mut stock = self.clone();
        stock.decided.remove(order_id).map(|_| stock)
    }
}

/// How many of each article, over all lines.
fn wanted(lines: &[PricedLine]) -> Quantities {
    let mut wanted = Quantities::new();
    for line in lines {
        *wanted.entry(line.sku.clone()).or_default() += u64::from(line.quantity);
    }
    wanted
}
