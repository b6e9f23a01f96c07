//! What handlers did, in the order they did it, kept outside of all stores under test.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use streamgauge::{
    bus::partition,
    handler::{Context, Outcome},
};

use super::{LIMIT, Measured, PARTITIONS};
use crate::support::eventually;

type Handled = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// Handlers of one message each, that said what they saw.
#[derive(Clone, Default)]
pub struct Story(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    told: Vec<(String, u32)>,
    marks: Vec<Mark>,
    running: HashMap<u32, String>,
}

/// An effect on a partition, by whom and under which fence.
#[derive(Debug, Clone)]
struct Mark {
    by: String,
    partition: u32,
    fence: u64,
}

/// A handler that runs; it ends with its future, however that ends.
struct Running(Story, u32);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.0.lock().unwrap().running.remove(&self.1);
    }
}

impl Story {
    /// A handler that does `work` and then tells.
    pub fn teller(&self, name: &str, work: Duration) -> impl Fn(Context, Measured) -> Handled + use<> {
        let (story, name) = (self.clone(), name.to_owned());
        move |context, measured| {
            let story = story.clone();
            let running = (name != "audit").then(|| story.run(&name, &measured));
            assert!(running.is_none() || context.fence().is_some());
            Box::pin(async move {
                tokio::time::sleep(work).await;
                story.0.lock().unwrap().told.push((measured.gauge.clone(), measured.number));
                drop(running);
                Outcome::Done
            })
        }
    }

    /// A handler that marks its partition again and again for `time`, and once at least.
    pub fn marker(&self, name: &str, time: Duration) -> impl Fn(Context, Measured) -> Handled + use<> {
        let (story, name) = (self.clone(), name.to_owned());
        move |context, measured| {
            let (story, name) = (story.clone(), name.clone());
            Box::pin(async move {
                let began = tokio::time::Instant::now();
                let partition = partition::of(&measured.gauge, PARTITIONS);
                loop {
                    let mark = Mark { by: name.clone(), partition, fence: context.fence().unwrap() };
                    story.0.lock().unwrap().marks.push(mark);
                    if began.elapsed() >= time {
                        return Outcome::Done;
                    }
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            })
        }
    }

    fn run(&self, name: &str, measured: &Measured) -> Running {
        let partition = partition::of(&measured.gauge, PARTITIONS);
        let other = self.0.lock().unwrap().running.insert(partition, name.to_owned());
        assert_eq!(other, None, "{name} began on partition {partition} while another worked there");
        Running(self.clone(), partition)
    }

    pub fn len(&self) -> usize {
        self.0.lock().unwrap().told.len()
    }

    pub fn times(&self, gauge: &str, number: u32) -> usize {
        let story = self.0.lock().unwrap();
        story.told.iter().filter(|told| told.0 == gauge && told.1 == number).count()
    }

    /// Waits until each of `numbers` of each of `gauges` was told.
    pub async fn is_whole(&self, gauges: u32, numbers: u32) {
        eventually(LIMIT, "everything is told", async || {
            let told: BTreeSet<(String, u32)> = self.0.lock().unwrap().told.iter().cloned().collect();
            let all = (gauges * numbers) as usize;
            if told.len() == all { Ok(()) } else { Err(format!("{} of {all}", told.len())) }
        })
        .await;
    }

    /// About each gauge no number was told before the one before it, and none again after the one after it.
    pub fn is_in_order(&self) {
        let story = self.0.lock().unwrap();
        let mut last: BTreeMap<&str, u32> = BTreeMap::new();
        for (gauge, number) in &story.told {
            let before = last.insert(gauge, *number);
            let follows = before.map_or(*number == 0, |before| *number == before || *number == before + 1);
            assert!(follows, "{gauge}: {number} after {before:?}");
        }
    }

    /// The partitions that bear a mark by this member.
    pub fn marked_by(&self, name: &str) -> BTreeSet<u32> {
        let story = self.0.lock().unwrap();
        story.marks.iter().filter(|mark| mark.by == name).map(|mark| mark.partition).collect()
    }

    /// On each partition every mark of `first` was made before any of `then`, under a smaller fence.
    pub fn changed_hands_once(&self, first: &str, then: &str) {
        let story = self.0.lock().unwrap();
        for partition in 0..PARTITIONS {
            let marks: Vec<&Mark> = story.marks.iter().filter(|mark| mark.partition == partition).collect();
            let change = marks.iter().position(|mark| mark.by == then).unwrap();
            assert!(marks[..change].iter().all(|mark| mark.by == first), "partition {partition}");
            assert!(marks[change..].iter().all(|mark| mark.by == then), "partition {partition}: {first} is a zombie");
            assert!(change == 0 || marks[change].fence > marks[change - 1].fence, "partition {partition}");
        }
    }
}
