//! From what is observed to what is done: the rules of runs and the words of the status. Pure.
//!
//! [`plan`] takes everything that was [`Observed`] and the time; it returns a [`Plan`]. [`Pass`] drives plans through
//! one reconcile without performing anything itself: it says which [`Call`] comes next and is told the answer. The
//! controller performs the calls against an API server; the tests perform them against a model of one.
//!
//! ```text
//! plan      judge (can the spec become a Job?)
//!           run   (reserve, create, record the newest run)   <- change (what is asked for?), rerun, record, stop
//!           clean_up (strays, time to live, history)
//!           status   (phase, conditions, counts)             <- diagnosis (why is it stuck, why did it fail?)
//! ```
//!
//! `observed` is what all of them read, `course` how things stand between them, `plan` what comes out.

mod call;
mod trigger;
mod clean_up;
mod state;
mod diagnosis;
mod event;
mod acceptance;
pub mod observed;
mod reconciler;
mod planner;
mod plan;
mod history;
mod rerun;
mod run;
mod status;
mod stop;
pub mod template_status;
mod format;

pub use call::{Answer, Call, Step};
pub use event::Event;
pub use observed::{
    Answers, ChangeKey, Clock, Creation, EventView, EventsOf, Inquiry, JobView, Memory, Observed, OwnRun,
    PodView, Refusal, Refused, StoredRequest,
};
pub use reconciler::Reconciler;
pub use planner::plan;
pub use plan::{Change, Next, Plan, Propagation, Read};
pub use status::{found_invalid, outdated};
pub use template_status::StoredTemplate;
