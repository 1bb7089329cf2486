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
//! `observed` is what all of them read, `course` how things stand between them, `planned` what comes out.

mod call;
mod change;
mod clean_up;
mod course;
mod diagnosis;
mod event;
mod judge;
pub mod observed;
mod pass;
mod plan;
mod planned;
mod record;
mod rerun;
mod run;
mod status;
mod stop;
pub mod template;
mod text;

pub use call::{Answer, Call, Step};
pub use event::Event;
pub use observed::{
    Answers, ChangeKey, Clock, Creation, EventView, EventsOf, Inquiry, JobView, Memory, Observed, OwnRun,
    PodView, Refusal, Refused, StoredRequest,
};
pub use pass::Pass;
pub use plan::plan;
pub use planned::{Change, Next, Plan, Propagation, Read};
pub use status::{found_invalid, outdated};
pub use template::StoredTemplate;
