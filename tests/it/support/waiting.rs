//! Waiting for a state, never for time as such.

use std::{
    fmt::Debug,
    time::{Duration, Instant},
};

/// How soon a test asks again: often enough not to be felt, seldom enough to leave the processor to what is waited for.
const ASK_AGAIN: Duration = Duration::from_millis(20);

/// What a question to [`eventually`] may answer with.
pub trait Answer {
    /// What the test goes on with.
    type Found;

    /// What was waited for, or what was seen instead.
    fn found(self) -> Result<Self::Found, String>;
}

impl Answer for bool {
    type Found = ();

    fn found(self) -> Result<(), String> {
        self.then_some(()).ok_or_else(|| "false".to_owned())
    }
}

impl<T> Answer for Option<T> {
    type Found = T;

    fn found(self) -> Result<T, String> {
        self.ok_or_else(|| "nothing".to_owned())
    }
}

impl<T, E: Debug> Answer for Result<T, E> {
    type Found = T;

    fn found(self) -> Result<T, String> {
        self.map_err(|error| format!("{error:?}"))
    }
}

/// Asks until the answer is true, something or `Ok`, and returns what it holds. When `limit` is over the test fails, saying
/// `what` was waited for and what the last answer was.
#[track_caller]
pub fn eventually<A: Answer>(
    limit: Duration,
    what: &str,
    mut ask: impl AsyncFnMut() -> A,
) -> impl Future<Output = A::Found> {
    let caller = std::panic::Location::caller();
    async move {
        let started = Instant::now();
        loop {
            // A question that hangs is no answer either.
            let left = limit.saturating_sub(started.elapsed()).max(ASK_AGAIN);
            let seen = match tokio::time::timeout(left, ask()).await.map(Answer::found) {
                Ok(Ok(found)) => return found,
                Ok(Err(seen)) => seen,
                Err(_) => "no answer".to_owned(),
            };
            assert!(started.elapsed() < limit, "{caller}: waited {limit:?} for this: {what}; last seen: {seen}");
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_comes_in_time_is_returned() {
        let mut asked = 0;
        let found = eventually(Duration::from_secs(5), "the third answer", async || {
            asked += 1;
            (asked == 3).then_some(asked)
        });
        assert_eq!(found.await, 3);
    }

    #[tokio::test]
    #[should_panic(expected = "for this: a miracle; last seen: \"still raining\"")]
    async fn what_never_comes_is_named_with_what_came_instead() {
        eventually(Duration::from_millis(50), "a miracle", async || Err::<(), _>("still raining")).await;
    }

    #[tokio::test]
    #[should_panic(expected = "last seen: no answer")]
    async fn a_question_that_hangs_does_not_hang_the_test() {
        eventually(Duration::from_millis(50), "an answer", async || std::future::pending::<bool>().await).await;
    }
}
