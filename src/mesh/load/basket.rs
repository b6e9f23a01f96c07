//! What a customer comes to the counter with.

use fastrand::Rng;
use serde::Serialize;

use crate::mesh::{
    catalogue::{ARTICLES, LIMITED},
    events::Line,
};

const NAMES: [&str; 12] =
    ["ada", "grace", "edsger", "barbara", "alan", "hedy", "emmy", "radia", "donald", "frances", "john", "katherine"];

/// One in so many customers has a bank that says no, and as many want the limited edition.
const RARE: u32 = 50;

/// One order to be.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Basket {
    customer: String,
    lines: Vec<Line>,
}

impl Basket {
    /// One to four lines, most of one to three articles each.
    pub(super) fn filled(dice: &mut Rng) -> Self {
        let name = NAMES[dice.usize(..NAMES.len())];
        let customer = if one_in(RARE, dice) { format!("declined-{name}") } else { name.to_owned() };
        let mut lines: Vec<Line> = (0..dice.usize(1..=4)).map(|_| line(dice)).collect();
        if one_in(RARE, dice) {
            lines.push(Line { sku: LIMITED.to_owned(), quantity: 1 });
        }
        Self { customer, lines }
    }
}

fn line(dice: &mut Rng) -> Line {
    let plenty: Vec<_> = ARTICLES.iter().filter(|article| article.sku != LIMITED).collect();
    let quantity = if one_in(RARE, dice) { dice.u32(10..=40) } else { dice.u32(1..=3) };
    Line { sku: plenty[dice.usize(..plenty.len())].sku.to_owned(), quantity }
}

fn one_in(many: u32, dice: &mut Rng) -> bool {
    dice.u32(..many) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_baskets_are_plain_and_some_are_not() {
        let mut dice = Rng::with_seed(7);
        let baskets: Vec<_> = (0..1_000).map(|_| Basket::filled(&mut dice)).collect();
        let share = |is_it: fn(&Basket) -> bool| baskets.iter().filter(|basket| is_it(basket)).count();
        assert!((5..50).contains(&share(|basket| basket.customer.starts_with("declined"))));
        assert!((5..50).contains(&share(|basket| basket.lines.iter().any(|line| line.sku == LIMITED))));
        assert!(share(|basket| basket.lines.iter().all(|line| (1..=3).contains(&line.quantity))) > 900);
        assert!(baskets.iter().all(|basket| (1..=5).contains(&basket.lines.len())));
    }
}
