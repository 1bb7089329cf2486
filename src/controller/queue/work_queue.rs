//! Which JobRequests are to be reconciled, and when. Takes triggers, ends of passes and the time; returns which pass
//! begins. Pure.
//!
//! A request is passed over by one pass at a time. Any number of triggers before a pass begins make one pass; a trigger
//! while a pass is under way makes one more after it. What waits is a name: the pass reads the newest object when its
//! turn has come.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use crate::controller::trigger::Key;
use crate::reconcile::Turns;

/// What is known of a request; one without is not to be reconciled.
#[derive(Clone, Copy, Debug)]
enum State {
    /// It waits for its turn.
    Due,
    /// Its pass is under way.
    Active { was_triggered: bool },
    /// It is due at this time.
    Later(Instant),
}

/// See the module.
#[derive(Debug)]
pub(super) struct WorkQueue {
    turns: Turns<Arc<str>>,
    states: HashMap<Key, State>,
    later: BTreeSet<(Instant, Key)>,
}

impl WorkQueue {
    /// At most `concurrency` passes at once.
    pub(super) fn new(concurrency: usize) -> Self {
        Self { turns: Turns::new(concurrency), states: HashMap::new(), later: BTreeSet::new() }
    }

    /// The request is to be reconciled.
    pub(super) fn trigger(&mut self, key: Key) {
        match self.states.get_mut(&key) {
            Some(State::Due) => {}
            Some(State::Active { was_triggered }) => *was_triggered = true,
            Some(State::Later(at)) => {
                self.later.remove(&(*at, key.clone()));
                self.is_due(key);
            }
            None => self.is_due(key),
        }
    }

    /// Begins the next pass, if there is one to begin.
    pub(super) fn begin(&mut self, now: Instant) -> Option<Key> {
        while let Some((_, key)) = self.later.first().filter(|(at, _)| *at <= now).cloned() {
            self.trigger(key);
        }
        let (namespace, name) = self.turns.begin()?;
        let key = Key { namespace, name };
        self.states.insert(key.clone(), State::Active { was_triggered: false });
        Some(key)
    }

    /// The pass over this request has ended; the next one is due at `again`, or on a trigger.
    pub(super) fn end(&mut self, key: Key, again: Option<Instant>) {
        let Some(State::Active { was_triggered }) = self.states.get(&key).copied() else { return };
        self.turns.end(&key.namespace);
        match again {
            _ if was_triggered => self.is_due(key),
            Some(at) => {
                self.later.insert((at, key.clone()));
                self.states.insert(key, State::Later(at));
            }
            None => drop(self.states.remove(&key)),
        }
    }

    /// When the next request is due without a trigger.
    pub(super) fn next_at(&self) -> Option<Instant> {
        self.later.first().map(|(at, _)| *at)
    }

    /// How many requests wait for their turn.
    pub(super) const fn waiting(&self) -> usize {
        self.turns.waiting()
    }

    fn is_due(&mut self, key: Key) {
        self.turns.join(&key.namespace, Arc::clone(&key.name));
        self.states.insert(key, State::Due);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn key(number: usize) -> Key {
        Key::new(["a", "b", "c"][number % 3], ["x", "y", "z"][number / 3 % 3])
    }

    #[test]
    fn triggers_before_a_pass_make_one_and_during_it_one_more() {
        let now = Instant::now();
        let mut queue = WorkQueue::new(2);
        queue.trigger(key(0));
        queue.trigger(key(0));
        assert_eq!(queue.begin(now), Some(key(0)));
        assert_eq!(queue.begin(now), None);
        queue.trigger(key(0));
        queue.trigger(key(0));
        assert_eq!(queue.begin(now), None, "one pass at a time over one request");
        queue.end(key(0), None);
        assert_eq!(queue.begin(now), Some(key(0)));
        queue.end(key(0), None);
        assert_eq!(queue.begin(now), None);
        assert!(queue.states.is_empty(), "nothing is kept of what is at rest");
    }

    #[test]
    fn a_pause_ends_by_itself_or_by_a_trigger() {
        let now = Instant::now();
        let later = now + Duration::from_secs(5);
        let mut queue = WorkQueue::new(2);
        for number in [0, 1] {
            queue.trigger(key(number));
            assert_eq!(queue.begin(now), Some(key(number)));
            queue.end(key(number), Some(later));
        }
        assert_eq!((queue.begin(now), queue.next_at()), (None, Some(later)));
        queue.trigger(key(0));
        assert_eq!(queue.begin(now), Some(key(0)));
        queue.end(key(0), None);
        assert_eq!(queue.begin(later), Some(key(1)), "and the other one is not due again");
        assert_eq!((queue.begin(later), queue.next_at()), (None, None));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Trigger(usize),
        Begin,
        End(usize, Option<u8>),
        Wait(u8),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..9_usize).prop_map(Step::Trigger),
            Just(Step::Begin),
            (any::<usize>(), proptest::option::of(0..9_u8))
                .prop_map(|(index, again)| Step::End(index, again)),
            (0..9_u8).prop_map(Step::Wait),
        ]
    }

    proptest! {
        #[test]
        fn no_trigger_is_lost_and_no_pass_runs_beside_another(
            concurrency in 1..4_usize,
            steps in proptest::collection::vec(step(), 0..200),
        ) {
            let mut now = Instant::now();
            let mut queue = WorkQueue::new(concurrency);
            let mut active: Vec<Key> = Vec::new();
            // What must still be passed over, and from when on.
            let mut owed: HashMap<Key, Instant> = HashMap::new();
            for step in steps {
                match step {
                    Step::Trigger(number) => {
                        queue.trigger(key(number));
                        owed.insert(key(number), now);
                    }
                    Step::Begin => if let Some(begun) = queue.begin(now) {
                        prop_assert!(!active.contains(&begun), "two passes over one request");
                        let due = owed.remove(&begun);
                        prop_assert!(due.is_some_and(|due| due <= now), "nobody asked for a pass");
                        active.push(begun);
                        prop_assert!(active.len() <= concurrency);
                    },
                    Step::End(index, again) if !active.is_empty() => {
                        let ended = active.swap_remove(index % active.len());
                        let again = again.map(|seconds| now + Duration::from_secs(seconds.into()));
                        queue.end(ended.clone(), again);
                        if let Some(at) = again {
                            owed.entry(ended).or_insert(at);
                        }
                    }
                    Step::End(..) => {}
                    Step::Wait(seconds) => now += Duration::from_secs(seconds.into()),
                }
            }
            now += Duration::from_secs(10);
            while !owed.is_empty() {
                match queue.begin(now) {
                    Some(begun) => {
                        owed.remove(&begun);
                        active.push(begun);
                    }
                    None => queue.end(active.pop().expect("a trigger is lost"), None),
                }
            }
            prop_assert_eq!(queue.waiting(), 0);
        }
    }
}
