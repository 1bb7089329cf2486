//! The rows of values while overrides and clamps are put above them: in time that grows with their number, not with its
//! square, because anybody may write tens of thousands of overrides.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use super::{OVERRIDES, Provenance};
use crate::compile::layers::{Decided, Origin};

/// See the module.
pub(super) struct Rows {
    /// In order of path.
    known: Vec<Provenance>,
    /// What is not among them yet, in the order in which it came.
    added: Vec<Provenance>,
    /// Where each path is: among the rows, or, counted on from their number, among what was added.
    places: HashMap<String, usize>,
    /// The first and the last row below each parent.
    parents: HashMap<String, (usize, usize)>,
}

impl Rows {
    /// From what is in order.
    pub(super) fn new(rows: impl Iterator<Item = Provenance>) -> Self {
        let rows: Vec<Provenance> = rows.collect();
        let mut places = HashMap::with_capacity(rows.len());
        let mut parents: HashMap<String, (usize, usize)> = HashMap::new();
        for (index, row) in rows.iter().enumerate() {
            places.insert(row.path.clone(), index);
            for parent in parents_of(&row.path) {
                match parents.get_mut(parent) {
                    Some((_, last)) => *last = index,
                    None => drop(parents.insert(parent.to_owned(), (index, index))),
                }
            }
        }
        Self { known: rows, added: Vec::new(), places, parents }
    }

    /// There is a row below `parent`.
    pub(super) fn has_parent(&self, parent: &str) -> bool {
        self.parents.contains_key(parent)
    }

    /// Puts a value above the one at `path`.
    pub(super) fn put(&mut self, path: String, value: Value, origin: Origin) {
        let count = self.known.len();
        let place = self.places.get(&path).copied();
        let known = place.and_then(|place| match place.checked_sub(count) {
            Some(added) => self.added.get_mut(added),
            None => self.known.get_mut(place),
        });
        if let Some(row) = known {
            let lower = std::mem::replace(&mut row.decided.value, value);
            let decided_by = std::mem::replace(&mut row.decided.origin, origin);
            row.decided.overrode.push((decided_by, lower));
        } else {
            self.places.insert(path.clone(), count + self.added.len());
            self.added.push(Provenance { path, decided: Decided { value, origin, overrode: Vec::new() } });
        }
    }

    /// All of them in order: what was added stands among those of its closest parent, by name; what no spec has is last.
    pub(super) fn finish(self) -> Vec<Provenance> {
        let Self { known: rows, added, parents, .. } = self;
        let (last, added): (Vec<_>, Vec<_>) =
            added.into_iter().partition(|row| row.path.starts_with(OVERRIDES));
        let mut of_parents: BTreeMap<String, Vec<Provenance>> = BTreeMap::new();
        for row in added {
            let parent = parents_of(&row.path).find(|parent| parents.contains_key(*parent));
            of_parents.entry(parent.unwrap_or_default().to_owned()).or_default().push(row);
        }
        let mut placed = Vec::new();
        for (parent, mut added) in of_parents {
            added.sort_by(|one, other| one.path.cmp(&other.path));
            let (first, end) = parents.get(&parent).map_or((0, 0), |(first, last)| (*first, last + 1));
            let there = rows.get(first..end).unwrap_or_default().iter().map(|row| row.path.as_str());
            let anchors = anchors(first, there, added.iter().map(|row| row.path.as_str()));
            placed.extend(anchors.into_iter().zip(added));
        }
        placed.sort_by(|(at, row), (other_at, other)| (at, &row.path).cmp(&(other_at, &other.path)));
        let mut placed = placed.into_iter().peekable();
        let mut all = Vec::with_capacity(rows.len() + placed.len() + last.len());
        for (index, row) in rows.into_iter().enumerate() {
            while let Some((_, added)) = placed.next_if(|(at, _)| *at <= index) {
                all.push(added);
            }
            all.push(row);
        }
        all.extend(placed.map(|(_, row)| row));
        all.extend(last);
        all
    }
}

/// Before which row each of `added` stands, which come by name: the first one of `there`, from `first` on, that is behind
/// it by name. The next one is never before it, so that `there` is gone through once.
fn anchors<'a>(
    first: usize,
    there: impl Iterator<Item = &'a str>,
    added: impl Iterator<Item = &'a str>,
) -> Vec<usize> {
    let (mut at, mut there) = (first, there.peekable());
    added
        .map(|path| {
            while there.next_if(|before| *before <= path).is_some() {
                at += 1;
            }
            at
        })
        .collect()
}

/// What a path lies in, the closest first; everything lies in the empty one.
fn parents_of(path: &str) -> impl Iterator<Item = &str> {
    let ends = path.rmatch_indices(['.', '[']).map(|(end, _)| end);
    ends.chain(std::iter::once(0)).filter_map(|end| path.get(..end))
}

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_set, vec};
    use proptest::prelude::*;

    use super::*;

    fn row(path: &str, value: usize) -> Provenance {
        let decided = Decided { value: value.into(), origin: Origin::Request, overrode: Vec::new() };
        Provenance { path: path.to_owned(), decided }
    }

    fn paths(rows: Vec<Provenance>) -> Vec<String> {
        rows.into_iter().map(|row| row.path).collect()
    }

    #[test]
    fn what_is_added_stands_among_those_of_its_closest_parent() {
        let there = ["containers[z].image", "containers[a].image", "labels.b", "labels.d", "settings.x"];
        let mut rows = Rows::new(there.iter().map(|path| row(path, 0)));
        for path in [
            "overrides.b",
            "labels.c",
            "labels.e",
            "labels.a",
            "nodeSelector.y",
            "nodeSelector.x",
            "overrides.a",
        ] {
            rows.put(path.to_owned(), 1.into(), Origin::Request);
        }
        rows.put("labels.c".to_owned(), 2.into(), Origin::Builtin);
        rows.put("labels.d".to_owned(), 2.into(), Origin::Builtin);
        let rows = rows.finish();
        for path in ["labels.c", "labels.d"] {
            let of_path = rows.iter().find(|row| row.path == path).unwrap();
            assert_eq!((&of_path.decided.value, of_path.decided.overrode.len()), (&2.into(), 1), "{path}");
        }
        let expected = [
            "containers[z].image",
            "containers[a].image",
            "labels.a",
            "labels.b",
            "labels.c",
            "labels.d",
            "labels.e",
            "nodeSelector.x",
            "nodeSelector.y",
            "settings.x",
            "overrides.b",
            "overrides.a",
        ];
        assert_eq!(paths(rows), expected);
    }

    #[test]
    fn rows_are_gone_through_once_however_many_are_added() {
        let path = |index: usize| format!("labels.l{index:05}");
        let there: Vec<String> = (0..100_000).step_by(2).map(path).collect();
        let added: Vec<String> = (1..100_000).step_by(2).map(path).collect();
        let mut seen = 0;
        let counted = there.iter().map(String::as_str).inspect(|_| seen += 1);
        let anchors = anchors(7, counted, added.iter().map(String::as_str));
        assert_eq!((seen, anchors.len()), (50_000, 50_000));
        assert_eq!((anchors.first(), anchors.last()), (Some(&8), Some(&50_007)));
    }

    /// The place of a new path by going through all rows.
    fn position(rows: &[Provenance], path: &str) -> usize {
        for parent in parents_of(path) {
            let is_below = |row: &Provenance| parents_of(&row.path).any(|other| other == parent);
            let mut last = None;
            for (index, row) in rows.iter().enumerate().filter(|(_, row)| is_below(row)) {
                if row.path.as_str() > path {
                    return index;
                }
                last = Some(index);
            }
            if let Some(last) = last {
                return last + 1;
            }
        }
        rows.len()
    }

    proptest! {
        #[test]
        fn each_is_where_going_through_all_rows_puts_it(
            there in btree_set("[ab]\\.[ab]", 0..4),
            added in vec("[abc]\\.[abc]", 0..6),
        ) {
            let mut slow: Vec<Provenance> = there.iter().map(|path| row(path, 0)).collect();
            let mut rows = Rows::new(slow.clone().into_iter());
            for path in added {
                rows.put(path.clone(), 1.into(), Origin::Request);
                if !slow.iter().any(|row| row.path == path) {
                    let at = position(&slow, &path);
                    slow.insert(at, row(&path, 1));
                }
            }
            prop_assert_eq!(paths(rows.finish()), paths(slow));
        }
    }
}
