//! How fast runs follow an edited template: a bounded number at once for each template.
//!
//! Takes who asks for a turn because a template changed, and what becomes of the runs that had one; returns who may
//! start. A turn lasts until the run that it started has ended, so a run that hangs keeps its turn. Namespaces take
//! turns, see [`Turns`]. Nothing here is stored: [`followed`] reads from the status of a request whose turn is under way.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::Arc;

use super::observed::StoredRequest;
use super::template_status::{TemplateKey, scoped};
use super::turns::Turns;
use crate::api::condition::Trigger;
use crate::api::status::{JobRequestStatus, TemplatePin};
use crate::api::template::Reruns;
use crate::api::template_ref::TemplateRef;

/// See the module. `W` is who asks: a request.
#[derive(Debug)]
pub struct Rollouts<W> {
    limit: usize,
    turns: BTreeMap<TemplateKey, Turns<W>>,
    /// Who has a turn, or waits for one.
    of: HashMap<W, Place>,
    version: u64,
}

#[derive(Clone, Debug)]
struct Place {
    template: TemplateKey,
    namespace: Arc<str>,
    is_active: bool,
}

impl<W: Clone + Eq + Hash> Rollouts<W> {
    /// At most `limit` turns at once for each template.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { limit, turns: BTreeMap::new(), of: HashMap::new(), version: 0 }
    }

    /// `who` asks for a turn of `template`; returns whether it has one, and who else has one now. If it has none, it
    /// waits, and is returned by a later call once it has one. It gives up what it had of another template.
    pub fn ask(&mut self, who: &W, namespace: &Arc<str>, template: &TemplateKey) -> (bool, Vec<W>) {
        let mut begun = Vec::new();
        if self.of.get(who).is_some_and(|place| place.template != *template) {
            begun = self.end(who);
        }
        if !self.of.contains_key(who) {
            let place =
                Place { template: template.clone(), namespace: Arc::clone(namespace), is_active: false };
            self.of.insert(who.clone(), place);
            self.turns_of(template).join(namespace, who.clone());
            begun.extend(self.begin(template));
        }
        begun.retain(|other| other != who);
        (self.of.get(who).is_some_and(|place| place.is_active), begun)
    }

    /// A run of `who` that follows `template` is found under way: it has a turn, also beyond the limit.
    pub fn resume(&mut self, who: &W, namespace: &Arc<str>, template: &TemplateKey) {
        if self.of.get(who).is_some_and(|place| place.is_active) {
            return;
        }
        self.leave(who);
        self.turns_of(template).resume(namespace);
        let place = Place { template: template.clone(), namespace: Arc::clone(namespace), is_active: true };
        self.of.insert(who.clone(), place);
    }

    /// `who` neither has a turn nor waits any more; returns who has one now.
    pub fn end(&mut self, who: &W) -> Vec<W> {
        self.leave(who).map(|template| self.begin(&template)).unwrap_or_default()
    }

    /// Only those that `exist` keep what they have; returns who has a turn now.
    pub fn retain(&mut self, exist: impl Fn(&W) -> bool) -> Vec<W> {
        let gone: Vec<W> = self.of.keys().filter(|who| !exist(who)).cloned().collect();
        let mut begun: Vec<W> = gone.iter().flat_map(|who| self.end(who)).collect();
        begun.retain(exist);
        begun
    }

    /// How many runs follow `template` now, and how many wait; `None`: none.
    #[must_use]
    pub fn reruns(&self, template: &TemplateKey) -> Option<Reruns> {
        let turns = self.turns.get(template)?;
        let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        Some(Reruns { active: count(turns.active()), waiting: count(turns.waiting()) })
    }

    /// Nobody has a turn, and nobody waits.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.of.is_empty()
    }

    /// Counts the changes of what [`Rollouts::reruns`] returns.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    fn turns_of(&mut self, template: &TemplateKey) -> &mut Turns<W> {
        self.version = self.version.wrapping_add(1);
        let limit = self.limit;
        self.turns.entry(template.clone()).or_insert_with(|| Turns::new(limit))
    }

    fn leave(&mut self, who: &W) -> Option<TemplateKey> {
        let place = self.of.remove(who)?;
        self.version = self.version.wrapping_add(1);
        let turns = self.turns.get_mut(&place.template)?;
        if place.is_active {
            turns.end(&place.namespace);
        } else {
            turns.leave(&place.namespace, who);
        }
        if turns.active() + turns.waiting() == 0 {
            self.turns.remove(&place.template);
        }
        Some(place.template)
    }

    fn begin(&mut self, template: &TemplateKey) -> Vec<W> {
        let mut begun = Vec::new();
        let Some(turns) = self.turns.get_mut(template) else { return begun };
        while let Some((_, who)) = turns.begin() {
            if let Some(place) = self.of.get_mut(&who) {
                place.is_active = true;
            }
            begun.push(who);
        }
        begun
    }
}

/// The template whose change the newest run of `request` follows, while that run is open.
#[must_use]
pub fn followed(request: &StoredRequest) -> Option<TemplateKey> {
    let status: &JobRequestStatus = request.status.0.as_ref().ok()?;
    let newest = status.runs.first().filter(|run| run.is_open() && run.trigger == Trigger::TemplateChange)?;
    let before: &[TemplatePin] = status.runs.get(1).map_or(&[], |run| &run.templates);
    Some(scoped(request.namespace(), &changed(before, &newest.templates)?))
}

/// The first template by which `now` differs from `then`.
fn changed(then: &[TemplatePin], now: &[TemplatePin]) -> Option<TemplateRef> {
    let differs = now.iter().find(|pin| !then.contains(pin));
    let gone = || then.iter().find(|pin| !now.contains(pin));
    let pin = differs.or_else(gone).or_else(|| now.first())?;
    Some(TemplateRef { kind: pin.kind, name: pin.name.clone() })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::api::template_ref::TemplateKind;

    fn key(name: &str) -> TemplateKey {
        (None, TemplateRef { kind: TemplateKind::ClusterJobTemplate, name: name.to_owned() })
    }

    #[test]
    fn ten_start_and_the_others_wait_in_fair_order() {
        let [big, small] = ["big", "small"].map(Arc::<str>::from);
        let mut rollouts = Rollouts::new(10);
        let started = (0..60).filter(|who| rollouts.ask(who, &big, &key("t")).0).count();
        assert_eq!(started, 10);
        assert!(!rollouts.ask(&100, &small, &key("t")).0);
        assert!(rollouts.ask(&200, &small, &key("other")).0, "each template has turns of its own");
        assert_eq!(rollouts.reruns(&key("t")), Some(Reruns { active: 10, waiting: 51 }));
        assert_eq!(rollouts.end(&3), [100], "the other namespace is next");
        assert_eq!(rollouts.end(&4), [10]);
        // Asked again, the answer is the same, and nobody has two turns.
        assert!(rollouts.ask(&100, &small, &key("t")).0 && !rollouts.ask(&20, &big, &key("t")).0);
        assert_eq!(rollouts.reruns(&key("t")), Some(Reruns { active: 10, waiting: 49 }));
        assert_eq!(rollouts.end(&200), [0; 0]);
        assert_eq!(rollouts.reruns(&key("other")), None);
    }

    #[test]
    fn what_is_found_under_way_has_its_turn() {
        let a = Arc::<str>::from("a");
        let mut rollouts = Rollouts::new(1);
        rollouts.resume(&1, &a, &key("t"));
        rollouts.resume(&2, &a, &key("t"));
        rollouts.resume(&2, &a, &key("t"));
        assert!(rollouts.ask(&2, &a, &key("t")).0 && !rollouts.ask(&3, &a, &key("t")).0);
        assert_eq!(rollouts.end(&1), [0; 0]);
        assert_eq!(rollouts.end(&2), [3]);
        assert_eq!(rollouts.end(&3), [0; 0]);
        assert!(rollouts.turns.is_empty() && rollouts.of.is_empty(), "nothing stays");
    }

    #[test]
    fn who_does_not_exist_any_more_keeps_no_turn() {
        let a = Arc::<str>::from("a");
        let mut rollouts = Rollouts::new(2);
        for who in 0..6 {
            rollouts.ask(&who, &a, &key("t"));
        }
        // One with a turn, and one that waits, are gone.
        let mut begun = rollouts.retain(|who| ![0, 2].contains(who));
        begun.sort_unstable();
        assert_eq!(begun, [3]);
        assert_eq!(rollouts.reruns(&key("t")), Some(Reruns { active: 2, waiting: 2 }));
        assert_eq!(rollouts.retain(|_| false), [0; 0]);
        assert!(rollouts.is_idle() && rollouts.turns.is_empty());
    }

    proptest! {
        #[test]
        fn nobody_is_lost_and_the_limit_holds(
            limit in 1..4_usize,
            steps in proptest::collection::vec((0..12_u32, 0..3_usize, any::<bool>()), 0..150),
        ) {
            let mut rollouts = Rollouts::new(limit);
            let mut has_turn = std::collections::BTreeMap::new();
            for (who, template, asks) in steps {
                let template = key(["x", "y", "z"][template]);
                let begun = if asks {
                    let namespace: Arc<str> = (who % 3).to_string().into();
                    if has_turn.get(&who).is_some_and(|of| *of != template) {
                        has_turn.remove(&who);
                    }
                    let (granted, begun) = rollouts.ask(&who, &namespace, &template);
                    if granted {
                        has_turn.insert(who, template);
                    }
                    begun
                } else {
                    has_turn.remove(&who);
                    rollouts.end(&who)
                };
                for who in begun {
                    let template = rollouts.of[&who].template.clone();
                    has_turn.insert(who, template);
                }
                for name in ["x", "y", "z"] {
                    let active = has_turn.values().filter(|template| **template == key(name)).count();
                    let shown = rollouts.reruns(&key(name)).unwrap_or(Reruns { active: 0, waiting: 0 });
                    prop_assert_eq!(usize::try_from(shown.active).unwrap(), active);
                    prop_assert!(active <= limit);
                    prop_assert!(shown.waiting == 0 || active == limit, "a free turn while somebody waits");
                }
            }
            while let Some(who) = has_turn.keys().next().copied() {
                has_turn.remove(&who);
                for who in rollouts.end(&who) {
                    let template = rollouts.of[&who].template.clone();
                    has_turn.insert(who, template);
                }
            }
            prop_assert!(rollouts.of.is_empty() && rollouts.turns.is_empty(), "nobody waits forever");
        }
    }
}
