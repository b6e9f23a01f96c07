//! What to do about messages that the server gave up: the same step, wherever it is told.

/// The next step, which works on any NATS. `newest` is the sequence in the stream of the last of them, as far as it is known; `keeps_letters`
/// says whether there is a stream of dead letters, without which `streamgauge dlq` has nothing to show.
///
/// An advisory is told once and not kept by the server, so a message counts as given up until it is gone from its stream or acked after all.
pub fn given_up(stream: &str, newest: Option<u64>, keeps_letters: bool) -> String {
    let sequence = newest.map_or_else(|| "SEQUENCE".to_owned(), |sequence| sequence.to_string());
    let letters =
        if keeps_letters { "; `streamgauge dlq list` shows them too, and `dlq replay` tries one again" } else { "" };
    format!(
        "mend the cause, look at each (`nats stream get {stream} {sequence}`), publish it again on its subject if it is still wanted, and \
         delete the old one (`nats stream rmm {stream} {sequence}`): one that is deleted, or acked after all, is not told of any more{letters}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_step_names_what_is_there() {
        let step = given_up("ORDERS", Some(93), false);
        assert!(step.contains("`nats stream get ORDERS 93`") && step.contains("`nats stream rmm ORDERS 93`"), "{step}");
        assert!(!step.contains("dlq"), "there is nothing that it could show: {step}");
        assert!(given_up("ORDERS", None, true).contains("nats stream get ORDERS SEQUENCE"));
        assert!(given_up("ORDERS", Some(93), true).contains("`streamgauge dlq list`"));
    }
}
