//! Who is next: a bounded number at once, in fair order over namespaces.
//!
//! Takes who joins, who ends and who leaves; returns who begins. Within a namespace the first to join begins first. Of
//! the namespaces in which somebody waits, the one with the fewest turns under way is next, and of those alike the one
//! that has waited longest: a namespace with thousands that wait, or with some that take long, holds up no other one.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

/// See the module. `T` is who waits, beside their namespace.
#[derive(Clone, Debug)]
pub struct Turns<T> {
    limit: usize,
    active: usize,
    waiting: usize,
    lanes: HashMap<Arc<str>, Lane<T>>,
    /// The namespaces in which somebody waits, the next one first: by turns under way, then by ticket.
    order: BTreeMap<(usize, u64), Arc<str>>,
    next_ticket: u64,
}

/// One namespace.
#[derive(Clone, Debug)]
struct Lane<T> {
    active: usize,
    waiting: VecDeque<T>,
    /// Drawn when it begins to wait, and after each turn.
    ticket: u64,
}

impl<T> Default for Lane<T> {
    fn default() -> Self {
        Self { active: 0, waiting: VecDeque::new(), ticket: 0 }
    }
}

impl<T: PartialEq> Turns<T> {
    /// At most `limit` turns at once.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { limit, active: 0, waiting: 0, lanes: HashMap::new(), order: BTreeMap::new(), next_ticket: 0 }
    }

    /// How many turns are under way.
    #[must_use]
    pub const fn active(&self) -> usize {
        self.active
    }

    /// How many wait.
    #[must_use]
    pub const fn waiting(&self) -> usize {
        self.waiting
    }

    /// Waits, behind all others of this namespace. Nobody is to join twice.
    pub fn join(&mut self, namespace: &Arc<str>, who: T) {
        let lane = self.lanes.entry(Arc::clone(namespace)).or_default();
        lane.waiting.push_back(who);
        self.waiting += 1;
        if lane.waiting.len() == 1 {
            lane.ticket = self.next_ticket;
            self.next_ticket += 1;
            self.order.insert((lane.active, lane.ticket), Arc::clone(namespace));
        }
    }

    /// Begins the next turn, if there is a free one and somebody who waits.
    pub fn begin(&mut self) -> Option<(Arc<str>, T)> {
        if self.active >= self.limit {
            return None;
        }
        let (_, namespace) = self.order.pop_first()?;
        let lane = self.lanes.get_mut(&namespace)?;
        let who = lane.waiting.pop_front()?;
        lane.active += 1;
        self.active += 1;
        self.waiting -= 1;
        if !lane.waiting.is_empty() {
            lane.ticket = self.next_ticket;
            self.next_ticket += 1;
            self.order.insert((lane.active, lane.ticket), Arc::clone(&namespace));
        }
        Some((namespace, who))
    }

    /// Takes a turn without waiting for it, also beyond the limit: one that is found under way.
    pub fn resume(&mut self, namespace: &Arc<str>) {
        self.lanes.entry(Arc::clone(namespace)).or_default();
        self.active += 1;
        self.recount(namespace, 1);
    }

    /// Ends a turn of this namespace.
    pub fn end(&mut self, namespace: &Arc<str>) {
        if self.lanes.get(namespace).is_some_and(|lane| lane.active > 0) {
            self.active -= 1;
            self.recount(namespace, -1);
        }
    }

    /// Waits no longer.
    pub fn leave(&mut self, namespace: &Arc<str>, who: &T) {
        let Some(lane) = self.lanes.get_mut(namespace) else { return };
        let Some(place) = lane.waiting.iter().position(|other| other == who) else { return };
        lane.waiting.remove(place);
        self.waiting -= 1;
        if lane.waiting.is_empty() {
            self.order.remove(&(lane.active, lane.ticket));
        }
        self.forget(namespace);
    }

    /// Changes how many turns of a namespace are under way.
    fn recount(&mut self, namespace: &Arc<str>, change: isize) {
        let Some(lane) = self.lanes.get_mut(namespace) else { return };
        let before = lane.active;
        lane.active = lane.active.saturating_add_signed(change);
        if !lane.waiting.is_empty() {
            self.order.remove(&(before, lane.ticket));
            self.order.insert((lane.active, lane.ticket), Arc::clone(namespace));
        }
        self.forget(namespace);
    }

    /// Keeps nothing of a namespace in which nothing is under way and nobody waits.
    fn forget(&mut self, namespace: &Arc<str>) {
        if self.lanes.get(namespace).is_some_and(|lane| lane.active == 0 && lane.waiting.is_empty()) {
            self.lanes.remove(namespace);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    fn names(turns: &mut Turns<u32>) -> Vec<String> {
        std::iter::from_fn(|| turns.begin()).map(|(namespace, who)| format!("{namespace}{who}")).collect()
    }

    #[test]
    fn a_single_one_waits_for_one_turn_of_each_other_namespace() {
        let [a, b, c] = ["a", "b", "c"].map(Arc::from);
        let mut turns = Turns::new(2);
        for who in 0..3000 {
            turns.join(&a, who);
        }
        assert_eq!(names(&mut turns), ["a0", "a1"]);
        turns.join(&b, 0);
        turns.join(&c, 0);
        turns.end(&a);
        assert_eq!(names(&mut turns), ["b0"]);
        turns.end(&a);
        assert_eq!(names(&mut turns), ["a2"], "it has waited longer than c");
        turns.end(&b);
        assert_eq!(names(&mut turns), ["c0"]);
        turns.end(&c);
        assert_eq!(names(&mut turns), ["a3"]);
        assert_eq!((turns.active(), turns.waiting()), (2, 2996));
    }

    #[test]
    fn a_namespace_whose_turns_take_long_leaves_free_ones_to_others() {
        let [slow, quick] = ["slow", "quick"].map(Arc::from);
        let mut turns = Turns::new(4);
        for who in 0..10 {
            turns.join(&slow, who);
        }
        assert_eq!(names(&mut turns).len(), 4);
        for who in 0..10 {
            turns.join(&quick, who);
        }
        // A single turn becomes free: all of the quick ones take it, one by one.
        turns.end(&slow);
        for who in 0..10 {
            assert_eq!(names(&mut turns), [format!("quick{who}")]);
            turns.end(&quick);
        }
        assert_eq!(names(&mut turns), ["slow4"]);
    }

    #[test]
    fn what_is_found_under_way_counts_also_beyond_the_limit() {
        let a = Arc::from("a");
        let mut turns = Turns::new(2);
        for _ in 0..3 {
            turns.resume(&a);
        }
        turns.join(&a, 1);
        assert_eq!(names(&mut turns), [""; 0]);
        turns.end(&a);
        assert_eq!(names(&mut turns), [""; 0]);
        turns.end(&a);
        assert_eq!(names(&mut turns), ["a1"]);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Join(usize),
        Begin,
        End(usize),
        Leave(usize),
        Resume(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0..4_usize).prop_map(Step::Join),
            4 => Just(Step::Begin),
            3 => any::<usize>().prop_map(Step::End),
            1 => any::<usize>().prop_map(Step::Leave),
            1 => (0..4_usize).prop_map(Step::Resume),
        ]
    }

    proptest! {
        #[test]
        fn turns_are_bounded_fair_and_lose_nobody(
            limit in 1..5_usize,
            steps in proptest::collection::vec(step(), 0..200),
        ) {
            let namespaces: Vec<Arc<str>> = ["a", "b", "c", "d"].map(Arc::from).to_vec();
            let mut turns = Turns::new(limit);
            let mut number = 0;
            let mut resumed = 0;
            let mut active: Vec<Arc<str>> = Vec::new();
            let mut waiting: Vec<(Arc<str>, u32)> = Vec::new();
            // Turns that others began since a namespace without one began to wait.
            let mut overtaken: BTreeMap<Arc<str>, BTreeSet<Arc<str>>> = BTreeMap::new();
            let has = |active: &[Arc<str>], namespace: &Arc<str>| active.contains(namespace);
            for step in steps {
                match step {
                    Step::Join(index) => {
                        number += 1;
                        let namespace = &namespaces[index];
                        turns.join(namespace, number);
                        waiting.push((Arc::clone(namespace), number));
                    }
                    Step::Begin => {
                        let free = active.len() < limit;
                        let begun = turns.begin();
                        prop_assert_eq!(begun.is_some(), free && !waiting.is_empty());
                        let Some((namespace, who)) = begun else { continue };
                        let first = waiting.iter().position(|(other, _)| *other == namespace).unwrap();
                        prop_assert_eq!(waiting.remove(first).1, who, "in the order in which they joined");
                        overtaken.remove(&namespace);
                        for (other, by) in &mut overtaken {
                            prop_assert!(by.insert(Arc::clone(&namespace)), "{namespace} overtakes {other} twice");
                        }
                        active.push(namespace);
                    }
                    Step::End(index) if !active.is_empty() => {
                        let namespace = active.swap_remove(index % active.len());
                        turns.end(&namespace);
                    }
                    Step::Leave(index) if !waiting.is_empty() => {
                        let (namespace, who) = waiting.remove(index % waiting.len());
                        turns.leave(&namespace, &who);
                    }
                    Step::Resume(index) if resumed < 3 => {
                        resumed += 1;
                        turns.resume(&namespaces[index]);
                        active.push(Arc::clone(&namespaces[index]));
                    }
                    Step::End(_) | Step::Leave(_) | Step::Resume(_) => {}
                }
                overtaken.retain(|namespace, _| {
                    waiting.iter().any(|(other, _)| other == namespace) && !has(&active, namespace)
                });
                for (namespace, _) in waiting.iter().filter(|(namespace, _)| !has(&active, namespace)) {
                    overtaken.entry(Arc::clone(namespace)).or_default();
                }
                prop_assert_eq!((turns.active(), turns.waiting()), (active.len(), waiting.len()));
            }
            // Nobody is lost.
            while !waiting.is_empty() {
                if let Some((namespace, who)) = turns.begin() {
                    waiting.retain(|waiting| *waiting != (Arc::clone(&namespace), who));
                    active.push(namespace);
                } else {
                    turns.end(&active.pop().unwrap());
                }
            }
            for namespace in &active {
                turns.end(namespace);
            }
            prop_assert!(turns.lanes.is_empty() && turns.order.is_empty(), "nothing stays");
        }
    }
}
