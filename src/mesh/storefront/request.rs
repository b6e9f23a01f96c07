//! What a customer may send, checked before anything is asked or stored.

use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};

use crate::mesh::{events::Line, http::Fault};

/// The header by which a repeated request is known again.
pub(super) const IDEMPOTENCY_KEY: &str = "idempotency-key";

const CUSTOMER_MAX: usize = 200;
const LINES_MAX: usize = 2_000;
const QUANTITY_MAX: u32 = 1_000;
const SKU_MAX: usize = 64;
const KEY_MAX: usize = 255;

/// An order as it is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct NewOrder {
    pub(super) customer: String,
    pub(super) lines: Vec<Line>,
}

impl NewOrder {
    /// The order, if it makes sense so far; whether its articles exist is for pricing to say.
    pub(super) fn checked(self) -> Result<Self, Fault> {
        let is_name = !self.customer.trim().is_empty() && !self.customer.contains(char::is_control);
        if !is_name || self.customer.chars().count() > CUSTOMER_MAX {
            return Err(Fault::senseless(format!("`customer` must be a name of 1 to {CUSTOMER_MAX} characters")));
        }
        if self.lines.is_empty() || self.lines.len() > LINES_MAX {
            let found = self.lines.len();
            return Err(Fault::senseless(format!("`lines` must hold 1 to {LINES_MAX} lines, it holds {found}")));
        }
        match self.lines.iter().enumerate().find_map(|(at, line)| Some((at, fault_of(line)?))) {
            Some((at, fault)) => Err(Fault::senseless(format!("`lines[{at}]` {fault}"))),
            None => Ok(self),
        }
    }
}

fn fault_of(line: &Line) -> Option<String> {
    if line.sku.is_empty() || line.sku.len() > SKU_MAX || !line.sku.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Some(format!("has no article: `sku` is 1 to {SKU_MAX} visible ASCII characters"));
    }
    let is_wanted = (1..=QUANTITY_MAX).contains(&line.quantity);
    (!is_wanted).then(|| format!("asks for {} of {}: `quantity` is 1 to {QUANTITY_MAX}", line.quantity, line.sku))
}

/// The request's `Idempotency-Key`, if it has one.
pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Fault> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let key = value.to_str().ok().filter(|key| (1..=KEY_MAX).contains(&key.len()) && values.next().is_none());
    match key.filter(|key| key.bytes().all(|byte| byte.is_ascii_graphic())) {
        Some(key) => Ok(Some(key.to_owned())),
        None => Err(Fault::senseless(format!(
            "`Idempotency-Key` must be sent once, as 1 to {KEY_MAX} visible ASCII characters"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn order(customer: &str, lines: &[(&str, u32)]) -> NewOrder {
        let line = |(sku, quantity): &(&str, u32)| Line { sku: (*sku).to_owned(), quantity: *quantity };
        NewOrder { customer: customer.to_owned(), lines: lines.iter().map(line).collect() }
    }

    fn check(order: NewOrder, expected: &str) {
        let said = order
            .checked()
            .map_or_else(|Fault(status, sentence)| format!("{} {sentence}", status.as_u16()), |_| "fine".into());
        assert!(said.starts_with(expected), "{said} should begin with {expected}");
    }

    #[test]
    fn an_order_makes_sense_or_the_fault_is_named() {
        check(order("ada", &[("tea", 2), ("mug", 1_000)]), "fine");
        check(order("", &[("tea", 1)]), "422 `customer`");
        check(order("  ", &[("tea", 1)]), "422 `customer`");
        check(order("a\nb", &[("tea", 1)]), "422 `customer`");
        check(order(&"é".repeat(200), &[("tea", 1)]), "fine");
        check(order(&"a".repeat(201), &[("tea", 1)]), "422 `customer`");
        check(order("ada", &[]), "422 `lines` must hold 1 to 2000 lines, it holds 0");
        check(order("ada", &[("tea", 1); 2_000]), "fine");
        check(order("ada", &[("tea", 1); 2_001]), "422 `lines`");
        check(order("ada", &[("tea", 1), ("tea", 0)]), "422 `lines[1]` asks for 0 of tea");
        check(order("ada", &[("tea", 1_000_000_000)]), "422 `lines[0]` asks for 1000000000 of tea");
        check(order("ada", &[("", 1)]), "422 `lines[0]` has no article");
        check(order("ada", &[("tea\r\nx: y", 1)]), "422 `lines[0]` has no article");
    }

    fn check_key(values: &[&[u8]], expected: Result<Option<&str>, ()>) {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(IDEMPOTENCY_KEY, HeaderValue::from_bytes(value).unwrap());
        }
        let found = idempotency_key(&headers).map_err(drop);
        assert_eq!(found.as_ref().map(Option::as_deref), expected.as_ref().map(|key| *key), "{values:?}");
    }

    #[test]
    fn an_idempotency_key_is_short_visible_and_one() {
        check_key(&[], Ok(None));
        check_key(&[b"7f-31"], Ok(Some("7f-31")));
        check_key(&[b""], Err(()));
        check_key(&[b"a b"], Err(()));
        check_key(&["ключ".as_bytes()], Err(()));
        check_key(&[b"a", b"b"], Err(()));
        check_key(&[&[b'x'; 255]], Ok(Some(&"x".repeat(255))));
        check_key(&[&[b'x'; 256]], Err(()));
    }
}
