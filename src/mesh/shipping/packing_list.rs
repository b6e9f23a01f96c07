//! The list that lies in a parcel: pure.

use crate::mesh::events::{OrderPlaced, PackingListPrinted};

/// The list of an order.
pub(super) fn of(order: &OrderPlaced) -> PackingListPrinted {
    let mut text = format!("Order {}\nfor {}\n\n", order.order_id, order.customer);
    for line in &order.lines {
        text.push_str(&format!("{:>5} x {}\n", line.quantity, line.sku));
    }
    PackingListPrinted { order_id: order.order_id.clone(), text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mesh::events::PricedLine;

    #[test]
    fn it_says_whose_it_is_and_what_is_in_the_parcel() {
        let line = |sku: &str, quantity| PricedLine { sku: sku.to_owned(), quantity, unit_cents: 450 };
        let lines = vec![line("tea", 2), line("pencil", 12)];
        let order = OrderPlaced { order_id: "7".into(), customer: "ada".into(), lines, total_cents: 6_300 };
        assert_eq!(of(&order).text, "Order 7\nfor ada\n\n    2 x tea\n   12 x pencil\n");
    }
}
