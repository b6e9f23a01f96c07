//! What the shop sells. Pricing knows what it costs, the warehouse how many it begins with.

/// One article.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Article {
    /// Its name in orders.
    pub sku: &'static str,
    /// The price of one, in cents.
    pub unit_cents: u64,
    /// How many the warehouse holds at its first start.
    pub on_hand: u64,
}

/// The limited edition, which runs out.
pub const LIMITED: &str = "signed-print";

/// Everything.
#[rustfmt::skip]
pub const ARTICLES: [Article; 8] = [
    Article { sku: "pencil",   unit_cents: 120,   on_hand: 1_000_000 },
    Article { sku: "tea",      unit_cents: 450,   on_hand: 1_000_000 },
    Article { sku: "notebook", unit_cents: 590,   on_hand: 1_000_000 },
    Article { sku: "mug",      unit_cents: 1_290, on_hand: 1_000_000 },
    Article { sku: "lamp",     unit_cents: 3_990, on_hand: 1_000_000 },
    Article { sku: "kettle",   unit_cents: 4_990, on_hand: 1_000_000 },
    Article { sku: "backpack", unit_cents: 7_900, on_hand: 1_000_000 },
    Article { sku: LIMITED,    unit_cents: 9_500, on_hand: 40 },
];

/// The article of that name.
pub fn article(sku: &str) -> Option<&'static Article> {
    ARTICLES.iter().find(|article| article.sku == sku)
}
