//! Handlers that misbehave on purpose, around one that is to be proven: what it does has to be right under each of them.
//!
//! Chance comes in as a seed. It is logged at the start and named in every failure that is made, so that a run can be repeated.

use std::sync::{Mutex, PoisonError};

use super::{Context, Handler, Outcome, class};

/// Runs a handler twice on every message, as a redelivery after a lost settlement does. The outcome is the first that is not
/// [`Outcome::Done`].
#[derive(Debug, Clone)]
pub struct Duplicator<H>(pub H);

impl<T: Clone + Send + 'static, H: Handler<T>> Handler<T> for Duplicator<H> {
    async fn handle(&self, context: Context, payload: T) -> Outcome {
        let first = self.0.handle(context.clone(), payload.clone()).await;
        let second = self.0.handle(context, payload).await;
        if first == Outcome::Done { second } else { first }
    }
}

/// Fails by chance, before the handler runs or after it has: the latter is an effect whose message is tried again.
#[derive(Debug)]
pub struct RandomFail<H> {
    handler: H,
    dice: Dice,
}

impl<H> RandomFail<H> {
    /// Fails with a probability of `chance`, from 0 to 1; equal seeds draw the same.
    pub fn new(handler: H, chance: f64, seed: u64) -> Self {
        Self { handler, dice: Dice::new(chance, seed) }
    }
}

impl<T: Send + 'static, H: Handler<T>> Handler<T> for RandomFail<H> {
    async fn handle(&self, context: Context, payload: T) -> Outcome {
        let drawn = self.dice.draw();
        let fail = || Outcome::retry(self.dice.words("failed", drawn)).classed(class::INJECTED);
        if drawn.moment == Moment::Before {
            return fail();
        }
        let outcome = self.handler.handle(context, payload).await;
        if drawn.moment == Moment::After { fail() } else { outcome }
    }
}

/// Panics by chance, before the handler runs or after it has.
#[derive(Debug)]
pub struct RandomPanic<H> {
    handler: H,
    dice: Dice,
}

impl<H> RandomPanic<H> {
    /// Panics with a probability of `chance`, from 0 to 1; equal seeds draw the same.
    pub fn new(handler: H, chance: f64, seed: u64) -> Self {
        Self { handler, dice: Dice::new(chance, seed) }
    }
}

impl<T: Send + 'static, H: Handler<T>> Handler<T> for RandomPanic<H> {
    async fn handle(&self, context: Context, payload: T) -> Outcome {
        let drawn = self.dice.draw();
        assert!(drawn.moment != Moment::Before, "{}", self.dice.words("panicked", drawn));
        let outcome = self.handler.handle(context, payload).await;
        assert!(drawn.moment != Moment::After, "{}", self.dice.words("panicked", drawn));
        outcome
    }
}

/// When to misbehave on one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    Before,
    After,
    Never,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Drawn {
    number: u64,
    moment: Moment,
}

/// One sequence of draws for all messages. Which message gets which draw depends on the order in which they come.
#[derive(Debug)]
struct Dice {
    chance: f64,
    seed: u64,
    state: Mutex<(fastrand::Rng, u64)>,
}

impl Dice {
    fn new(chance: f64, seed: u64) -> Self {
        tracing::info!(seed, chance, "a handler misbehaves by chance");
        Self { chance, seed, state: Mutex::new((fastrand::Rng::with_seed(seed), 0)) }
    }

    fn draw(&self) -> Drawn {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.1 += 1;
        let moment = match state.0.f64() {
            drawn if drawn >= self.chance => Moment::Never,
            drawn if drawn < self.chance / 2.0 => Moment::Before,
            _ => Moment::After,
        };
        Drawn { number: state.1, moment }
    }

    fn words(&self, what: &str, drawn: Drawn) -> String {
        let when = if drawn.moment == Moment::Before { "before" } else { "after" };
        format!("{what} on purpose {when} the handler ran (seed {}, draw {})", self.seed, drawn.number)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        panic::AssertUnwindSafe,
        sync::{
            Arc,
            atomic::{AtomicU32, Ordering},
        },
    };

    use futures_util::FutureExt;

    use super::*;
    use crate::handler::testing::context;

    /// A handler that counts its runs.
    fn counting() -> (Arc<AtomicU32>, impl Handler<u32>) {
        let runs = Arc::new(AtomicU32::new(0));
        let counted = runs.clone();
        let handler = move |_: Context, _: u32| {
            counted.fetch_add(1, Ordering::SeqCst);
            async {}
        };
        (runs, handler)
    }

    #[tokio::test]
    async fn a_duplicator_runs_a_handler_twice_and_tells_the_worse_outcome() {
        let (runs, handler) = counting();
        assert_eq!(Duplicator(handler).handle(context(), 1).await, Outcome::Done);
        assert_eq!(runs.load(Ordering::SeqCst), 2);
        let first = AtomicU32::new(1);
        let fails_once = move |_: Context, _: u32| {
            let fails = first.swap(0, Ordering::SeqCst) == 1;
            async move { if fails { Outcome::retry("once") } else { Outcome::Done } }
        };
        assert_eq!(Duplicator(fails_once).handle(context(), 1).await, Outcome::retry("once"));
    }

    #[tokio::test]
    async fn equal_seeds_fail_alike_and_some_failures_come_after_the_effect() {
        let mut told = Vec::new();
        for _ in 0..2 {
            let (runs, handler) = counting();
            let fails = RandomFail::new(handler, 0.5, 42);
            let mut outcomes = Vec::new();
            for number in 0..40 {
                outcomes.push(fails.handle(context(), number).await);
            }
            let done = outcomes.iter().filter(|outcome| **outcome == Outcome::Done).count();
            told.push((outcomes, runs.load(Ordering::SeqCst)));
            assert!(done > 0 && done < 40, "{done}");
        }
        let (outcomes, runs) = &told[0];
        let done = outcomes.iter().filter(|outcome| **outcome == Outcome::Done).count();
        assert!(usize::try_from(*runs).unwrap() > done, "{runs} runs, {done} done");
        assert_eq!(told[0], told[1]);
        assert!(outcomes.iter().any(|outcome| outcome.reason().contains("seed 42")));
    }

    #[tokio::test]
    async fn a_panic_names_its_seed() {
        let (_, handler) = counting();
        let panics = RandomPanic::new(handler, 1.0, 7);
        let panic = AssertUnwindSafe(panics.handle(context(), 1)).catch_unwind().await.unwrap_err();
        let words = panic.downcast_ref::<String>().unwrap();
        assert!(words.contains("on purpose") && words.contains("seed 7, draw 1"), "{words}");
    }
}
