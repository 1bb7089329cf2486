//! Decides what to do from what was observed: run lifecycle rules and status messages. Pure.
//!
//! [`plan`] takes everything that was [`Observed`] and the time; it returns a [`Plan`]. A [`Reconciler`] drives plans
//! through one reconcile without performing anything itself: it says which [`Call`] comes next and takes in the
//! [`Answer`]. The controller performs the calls against an API server; the tests perform them against a model of one.
//!
//! ```text
//! reconciler    planner   acceptance (can the spec become a Job?)
//!                         run        (next, reserved, recorded, stop)   <- trigger, rerun, history, patch, rescale
//!                         clean_up   (strays, time to live, history limits)
//!                         status     (phase, conditions, counts)        <- diagnosis (why is it stuck, why did it fail?)
//! ```
//!
//! `observed` is what all of them read, `state` the facts and the decision about the newest run, `plan` and `call` what
//! comes out.
//!
//! `foresee` drives a pass in which nothing is done: what an edit would come to.
//!
//! `turns` says who is next when many wait; it orders the passes.

mod acceptance;
mod call;
mod cancel;
mod clean_up;
mod diagnosis;
mod event;
pub mod foresee;
mod format;
mod history;
pub mod observed;
mod patch;
mod plan;
mod planner;
mod reconciler;
mod rerun;
mod rescale;
mod rollouts;
mod run;
mod state;
mod status;
pub mod template_status;
mod trigger;
mod turns;

pub use call::{Answer, CALL_DEADLINE, Call, Step};
pub use event::Event;
pub use observed::{
    Answers, ChangeKey, Clock, Creation, EventView, EventsOf, JobView, Memory, Observed, OwnRun, PodView,
    QueryPause, Refusal, Refused, StoredRequest,
};
pub use plan::{Change, Next, Plan, Propagation, Read};
pub use planner::plan;
pub use reconciler::Reconciler;
pub use rollouts::{Rollouts, followed};
pub use status::outdated;
pub use template_status::StoredTemplate;
pub use turns::Turns;
