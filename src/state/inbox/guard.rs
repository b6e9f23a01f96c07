//! A handler behind an inbox.

use std::{
    panic::{AssertUnwindSafe, resume_unwind},
    time::Duration,
};

use futures_util::FutureExt;
use uuid::Uuid;

use super::{
    Inbox, State,
    claim::{Claim, Claimed},
};
use crate::{
    clock::Age,
    errors::ErrorChain,
    handler::{Context, Handler, Outcome, class},
    name::token_of,
    telemetry::events::Duplicate,
};

/// How soon a message whose key is held is looked at again at the latest: most holders are done long before their hold ends.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// Runs its handler once for each key.
pub(super) struct Guarded<H, K> {
    pub(super) inbox: Inbox,
    pub(super) key: K,
    pub(super) handler: H,
}

impl<T, H, K> Handler<T> for Guarded<H, K>
where
    T: Send + 'static,
    H: Handler<T>,
    K: Fn(&Context, &T) -> Option<String> + Send + Sync + 'static,
{
    async fn handle(&self, context: Context, payload: T) -> Outcome {
        let Some(key) = (self.key)(&context, &payload) else {
            return Outcome::reject("the message has no id by which it could be known again");
        };
        let scope = self.inbox.scope_of(&context);
        let key = entry_key(&scope, &key);
        match self.inbox.claim(&key).await {
            Ok(Claimed::Ours(claim)) => run(&self.handler, claim, context, payload).await,
            Ok(Claimed::Busy(left)) => Outcome::Retry {
                reason: format!("another process handles the message, for {} at least", Age(left)),
                class: class::CLAIMED,
                after: Some(left.min(LOOK_AGAIN)),
            },
            Ok(Claimed::Duplicate) => {
                Duplicate { consumer: &scope, key: &key }.emit(self.inbox.telemetry.metrics());
                Outcome::Done
            }
            Err(error) => Outcome::retry(ErrorChain(&error)),
        }
    }
}

impl Inbox {
    /// Consumers of one stream each have the effect of their own.
    fn scope_of(&self, context: &Context) -> String {
        let durable = || context.delivery().map_or("none", |delivery| delivery.consumer.as_str());
        token_of(self.scope.as_deref().unwrap_or_else(durable))
    }
}

/// A text that is no token of a key is named by its digest (UUID version 5, RFC 9562).
fn entry_key(scope: &str, key: &str) -> String {
    let is_token = !key.is_empty() && key.len() <= 64 && token_of(key) == key;
    let digest = || Uuid::new_v5(&Uuid::NAMESPACE_OID, key.as_bytes()).to_string();
    format!("{scope}.{}", if is_token { key.to_owned() } else { digest() })
}

/// Handles a claimed message.
async fn run<T: Send, H: Handler<T>>(handler: &H, mut claim: Claim, context: Context, payload: T) -> Outcome {
    let context = context.fenced(claim.fence());
    let handled = AssertUnwindSafe(handler.handle(context, payload)).catch_unwind();
    let ended = tokio::select! {
        ended = handled => ended,
        _ = claim.keep() => return lost(),
    };
    let state = if matches!(ended, Ok(Outcome::Done)) { State::Done } else { State::Free };
    let noted = claim.end(state).await;
    let outcome = ended.unwrap_or_else(|panic| resume_unwind(panic));
    match noted {
        Ok(Err(_)) if outcome == Outcome::Done => lost(),
        Err(error) if outcome == Outcome::Done => {
            let why = ErrorChain(&error);
            Outcome::retry(format!("the handler is done and the inbox could not note it: {why}"))
        }
        // What failed is tried again or rejected as the handler said; a claim that could not be freed only delays it.
        Ok(_) | Err(_) => outcome,
    }
}

fn lost() -> Outcome {
    Outcome::retry("another process took the message over while it was handled here").classed(class::CLAIMED)
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc, Mutex,
            atomic::{AtomicU32, Ordering},
        },
        time::Duration,
    };

    use super::*;
    use crate::handler::{
        proving::Duplicator,
        testing::{context, context_of},
    };

    #[test]
    fn an_entry_has_the_key_of_its_message() {
        assert_eq!(entry_key("w", "018f-1"), "w.018f-1");
        let odd = entry_key("w", "a b.c>");
        assert_eq!((odd.len(), odd.contains(' ')), (38, false), "{odd}");
        assert_ne!(odd, entry_key("w", "a_b_c_"));
    }

    /// A handler that counts its effects, and a look at them.
    fn effects() -> (Arc<AtomicU32>, impl Handler<u32>) {
        let effects = Arc::new(AtomicU32::new(0));
        let counted = effects.clone();
        let handler = move |_: Context, _: u32| {
            counted.fetch_add(1, Ordering::SeqCst);
            async {}
        };
        (effects, handler)
    }

    #[tokio::test]
    async fn a_duplicate_is_done_unrun_and_counted() {
        let (effects, handler) = effects();
        let inbox = Inbox::in_memory();
        let twice = Duplicator(inbox.guard(handler));
        assert_eq!(twice.handle(context_of("a"), 1).await, Outcome::Done);
        assert_eq!(twice.handle(context_of("b"), 1).await, Outcome::Done);
        assert_eq!(effects.load(Ordering::SeqCst), 2);
        let told = inbox.telemetry.metrics().exposition();
        assert!(told.contains("streamgauge_inbox_duplicates_total{consumer=\"none\"} 2"), "{told}");
    }

    #[tokio::test]
    async fn a_failure_frees_the_message_for_the_next_try() {
        let tries = Arc::new(AtomicU32::new(0));
        let counted = tries.clone();
        let fails_twice = move |_: Context, _: u32| {
            let tried = counted.fetch_add(1, Ordering::SeqCst);
            async move { if tried < 2 { Outcome::retry("not yet") } else { Outcome::Done } }
        };
        let guarded = Inbox::in_memory().guard(fails_twice);
        for expected in ["retry", "retry", "done", "done"] {
            assert_eq!(guarded.handle(context(), 1).await.name(), expected);
        }
        assert_eq!(tries.load(Ordering::SeqCst), 3, "what is done runs no more");
    }

    #[tokio::test]
    async fn a_panic_frees_the_message_too() {
        let panics = AtomicU32::new(1);
        let handler = move |_: Context, _: u32| {
            assert_eq!(panics.swap(0, Ordering::SeqCst), 0, "a handler may be wrong");
            async {}
        };
        let guarded = Inbox::in_memory().guard(handler);
        assert!(AssertUnwindSafe(guarded.handle(context(), 1)).catch_unwind().await.is_err());
        assert_eq!(guarded.handle(context(), 1).await, Outcome::Done);
    }

    #[tokio::test]
    async fn a_handler_that_is_given_up_frees_the_message_behind_the_scenes() {
        let inbox = Inbox::in_memory();
        let hangs = inbox.guard(|_: Context, _: u32| std::future::pending::<()>());
        let given_up = tokio::time::timeout(Duration::from_millis(10), hangs.handle(context(), 1)).await;
        assert!(given_up.is_err());
        assert!(inbox.releases.ended(Duration::from_secs(5)).await);
        let next = inbox.guard(|_: Context, _: u32| async {});
        assert_eq!(next.handle(context(), 1).await, Outcome::Done);
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_in_work_is_tried_again_when_its_claim_may_be_over_and_a_long_handler_keeps_it() {
        let fences = Arc::new(Mutex::new(Vec::new()));
        let noted = fences.clone();
        let slow = move |context: Context, _: u32| {
            noted.lock().unwrap().push(context.fence());
            tokio::time::sleep(Duration::from_secs(100))
        };
        let inbox = Inbox::in_memory().hold(Duration::from_secs(30));
        let (guarded, again) = (inbox.guard(slow), inbox.guard(|_: Context, _: u32| async {}));
        let second = async {
            tokio::time::sleep(Duration::from_secs(90)).await;
            again.handle(context(), 1).await
        };
        let (first, second) = tokio::join!(guarded.handle(context(), 1), second);
        assert_eq!(first, Outcome::Done);
        assert_eq!((second.name(), second.class()), ("retry", class::CLAIMED));
        assert_eq!(*fences.lock().unwrap(), [Some(1)]);
    }
}
