//! From what is observed to what is done: the rules of runs and the words of the status. Pure.
//!
//! [`plan`] takes everything that was [`Observed`] and the time; it returns a [`Plan`]. [`Pass`] drives plans through
//! one reconcile without performing anything itself: it says which [`Call`] comes next and is told the answer. The
//! controller performs the calls against an API server; the tests perform them against a model of one.

mod change;
mod clean_up;
mod diagnosis;
mod event;
pub mod observed;
mod pass;
mod plan;
mod record;
mod rerun;
mod run;
mod status;
mod stop;
pub mod template;
mod text;

pub use event::Event;
pub use observed::{
    Answers, Clock, Creation, EventView, EventsOf, JobView, Memory, Observed, OwnRun, PodView, StoredRequest,
};
pub use pass::{Answer, Call, Pass, Rest, Step};
pub use plan::{Change, Next, Plan, Propagation, Read, plan};
pub use status::{found_invalid, outdated};
pub use template::StoredTemplate;
