//! Who should hold what: pure, so that every member that has seen the same comes to the same plan.
//!
//! Each member gets its fair share, the whole number below or above parts ÷ members. The larger shares go to those who hold most, so that
//! no part moves that need not; a member above its share gives up its highest parts; free parts go in order to those below theirs.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

/// What one member should do next.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// Free parts that are its to take.
    pub(super) take: BTreeSet<u32>,
    /// Parts that it holds and is to give up.
    pub(super) give: BTreeSet<u32>,
}

/// The plan of the member `me`. `takers` are the members that may hold parts; `holders` says of each part, counted from 0, who holds it.
/// A member that is not among the takers, as it leaves, gives up everything.
pub(super) fn plan<'a>(takers: &BTreeSet<&'a str>, holders: &[Option<&'a str>], me: &str) -> Plan {
    let mut held: BTreeMap<&str, BTreeSet<u32>> = takers.iter().map(|taker| (*taker, BTreeSet::new())).collect();
    let mut free = Vec::new();
    for (part, holder) in (0..).zip(holders) {
        match holder {
            Some(holder) => drop(held.entry(holder).or_default().insert(part)),
            None => free.push(part),
        }
    }
    let shares = shares(takers, &held, holders.len());
    let mine = held.get(me).cloned().unwrap_or_default();
    let share = shares.get(me).copied().unwrap_or(0);
    Plan { take: allotted(&shares, &held, &free, me), give: mine.into_iter().skip(share).collect() }
}

fn shares<'a>(
    takers: &BTreeSet<&'a str>,
    held: &BTreeMap<&str, BTreeSet<u32>>,
    parts: usize,
) -> BTreeMap<&'a str, usize> {
    let mut by_holding: Vec<&str> = takers.iter().copied().collect();
    by_holding.sort_by_key(|taker| Reverse(held[taker].len()));
    let members = by_holding.len().max(1);
    let larger = parts % members;
    let share = |at: usize| parts / members + usize::from(at < larger);
    by_holding.into_iter().enumerate().map(|(at, taker)| (taker, share(at))).collect()
}

/// The free parts that fall to `me` when they are dealt out in order.
fn allotted(
    shares: &BTreeMap<&str, usize>,
    held: &BTreeMap<&str, BTreeSet<u32>>,
    free: &[u32],
    me: &str,
) -> BTreeSet<u32> {
    let lacking = |(taker, share): (&&str, &usize)| share.saturating_sub(held[taker].len());
    let before_me = shares.iter().take_while(|(taker, _)| **taker < me).map(lacking).sum();
    let mine = shares.get_key_value(me).map_or(0, lacking);
    free.iter().skip(before_me).take(mine).copied().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `holders` has one letter a part: its holder, or `-`.
    fn check(takers: &str, holders: &str, me: &str, take: &[u32], give: &[u32]) {
        let takers = takers.split_terminator("").filter(|taker| !taker.is_empty()).collect();
        let holders: Vec<Option<&str>> = letters(holders).map(|holder| (holder != "-").then_some(holder)).collect();
        let expected = Plan { take: take.iter().copied().collect(), give: give.iter().copied().collect() };
        assert_eq!(plan(&takers, &holders, me), expected, "{takers:?} {holders:?} {me}");
    }

    fn letters(text: &str) -> impl Iterator<Item = &str> {
        text.split("").filter(|letter| !letter.is_empty())
    }

    #[test]
    fn parts_are_dealt_out_fairly_and_in_order() {
        check("a", "----", "a", &[0, 1, 2, 3], &[]);
        check("ab", "---", "a", &[0, 1], &[]);
        check("ab", "---", "b", &[2], &[]);
        check("abc", "--", "c", &[], &[]);
        check("a", "", "a", &[], &[]);
    }

    #[test]
    fn what_is_fair_stays() {
        check("ab", "abb", "a", &[], &[]);
        check("ab", "abb", "b", &[], &[]);
    }

    #[test]
    fn a_member_that_joins_is_given_the_highest_parts_of_those_who_hold_too_many() {
        check("ab", "aaaa", "a", &[], &[2, 3]);
        check("ab", "aaaa", "b", &[], &[]);
        check("ab", "aaa-", "a", &[], &[2]);
        check("ab", "aaa-", "b", &[3], &[]);
        check("abc", "aab", "a", &[], &[1]);
    }

    #[test]
    fn the_parts_of_a_member_that_is_gone_go_to_the_others_and_nothing_else_moves() {
        check("ab", "ab--", "a", &[2], &[]);
        check("ab", "ab--", "b", &[3], &[]);
        check("ab", "aab-", "b", &[3], &[]);
    }

    #[test]
    fn a_member_that_leaves_gives_up_everything_and_holds_it_until_then() {
        check("b", "aabb", "a", &[], &[0, 1]);
        check("b", "aabb", "b", &[], &[]);
        check("", "aa", "a", &[], &[0, 1]);
    }

    /// What a member saw of the store at some time, and what it works on.
    #[derive(Debug, Clone, Default)]
    struct Model {
        members: BTreeSet<&'static str>,
        /// Of each part its holder and revision.
        parts: Vec<(Option<&'static str>, u64)>,
        revision: u64,
    }

    const NAMES: [&str; 4] = ["a", "b", "c", "d"];

    impl Model {
        fn holders(&self) -> Vec<Option<&'static str>> {
            self.parts.iter().map(|(holder, _)| holder.filter(|holder| self.members.contains(holder))).collect()
        }

        fn plan(&self, me: &str) -> Plan {
            plan(&self.members, &self.holders(), me)
        }

        /// Writes over a part as the store does: only over the revision that was seen.
        fn write(&mut self, seen: &Model, part: u32, holder: Option<&'static str>) -> bool {
            let part = part as usize;
            let is_seen = self.parts[part].1 == seen.parts[part].1;
            if is_seen {
                self.revision += 1;
                self.parts[part] = (holder, self.revision);
            }
            is_seen
        }

        /// `me` acts on what it has `seen`, which may be old; returns how many parts moved.
        fn act(&mut self, seen: &Model, me: &'static str) -> usize {
            let plan = seen.plan(me);
            let given = plan.give.iter().filter(|part| self.write(seen, **part, None)).count();
            given + plan.take.iter().filter(|part| self.write(seen, **part, Some(me))).count()
        }
    }

    #[derive(Debug, Clone)]
    enum Step {
        Join(usize),
        Gone(usize),
        Look(usize),
        Act(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        let who = 0..NAMES.len();
        prop_oneof![
            1 => who.clone().prop_map(Step::Join),
            1 => who.clone().prop_map(Step::Gone),
            4 => who.clone().prop_map(Step::Look),
            4 => who.prop_map(Step::Act),
        ]
    }

    proptest! {
        /// Whatever happens in whatever order, and however old what members act on: once it is quiet every part is held, fairly, and
        /// nothing moves any more.
        #[test]
        fn members_come_to_rest_with_fair_shares(parts in 1_usize..12, steps in prop::collection::vec(step(), 0..120)) {
            let mut store = Model { parts: vec![(None, 0); parts], ..Model::default() };
            let mut seen: BTreeMap<&str, Model> = BTreeMap::new();
            store.members.insert("a");
            for step in steps {
                match step {
                    Step::Join(who) => drop(store.members.insert(NAMES[who])),
                    Step::Gone(who) if store.members.len() > 1 => drop(store.members.remove(NAMES[who])),
                    Step::Gone(_) => {}
                    Step::Look(who) => drop(seen.insert(NAMES[who], store.clone())),
                    Step::Act(who) => {
                        if let Some(seen) = seen.get(NAMES[who]).filter(|seen| seen.members.contains(NAMES[who])) {
                            store.act(seen, NAMES[who]);
                        }
                    }
                }
            }
            for _ in 0..=store.members.len() {
                for me in NAMES.into_iter().filter(|name| store.members.contains(name)).collect::<Vec<_>>() {
                    store.act(&store.clone(), me);
                }
            }
            let held = |name: &str| store.holders().iter().filter(|holder| **holder == Some(name)).count();
            for name in &store.members {
                prop_assert!(held(name) == parts / store.members.len() || held(name) == parts.div_ceil(store.members.len()));
                prop_assert_eq!(store.plan(name), Plan::default());
            }
        }

        /// From rest, one that joins or goes moves no more parts than its share.
        #[test]
        fn no_more_moves_than_must(parts in 1_usize..24, members in 2_usize..=4) {
            let mut store = Model { parts: vec![(None, 0); parts], ..Model::default() };
            let settle = |store: &mut Model| {
                let mut taken = 0;
                for _ in 0..=store.members.len() {
                    let before = store.clone();
                    for me in NAMES.into_iter().filter(|name| before.members.contains(name)) {
                        store.act(&store.clone(), me);
                    }
                    taken += store.parts.iter().zip(&before.parts).filter(|(now, then)| now.0.is_some() && now.0 != then.0).count();
                }
                taken
            };
            for name in &NAMES[..members] {
                store.members.insert(name);
                let moved = settle(&mut store);
                prop_assert!(moved <= parts.div_ceil(store.members.len()), "{} moved when {} joined", moved, name);
            }
            let held = store.holders().iter().filter(|holder| **holder == Some("a")).count();
            store.members.remove("a");
            prop_assert_eq!(settle(&mut store), held);
        }
    }
}
