//! Jobs that survive GitOps.
//!
//! Decide in pure functions, perform at the edge:
//!
//! ```text
//!               api               what users write: types, schema, CEL, names of labels, conditions, reasons
//!                |
//!             compile            pure: layers + request -> Job or problems
//!            /       \
//!     reconcile     manifest     pure: what is observed + now -> the next calls and the status
//!            \       /                 texts of YAML or JSON -> documents, Jobs, and what is wrong where
//!     controller  cli  http      edges: the cluster; the terminal; probes and metrics. They await, read clocks, hold a client
//! ```
//!
//! Arrows point up only. [`follow`], pure as well, says from the stored object where a run stands and how it ended; [`logs`],
//! which of its logs are read, and which lines are new; [`mod@convert`] makes JobRequests of native Jobs, and judges them by
//! `manifest` and `compile`. [`form`] makes a JobRequest of answers, and judges it by `manifest`. Below all of them are [`printable`], which makes any text safe to show, [`similar`] and
//! `error_chain`. A line that needs the
//! cluster, a clock, a file or the environment belongs to an edge; a line that decides does not.
//!
//! `docs/architecture.md` has the rooms and the house rules, `docs/decisions` the reasons for what looks odd.

pub mod api;
#[allow(clippy::disallowed_types, clippy::disallowed_methods)] // an edge
pub mod cli;
pub mod compile;
#[allow(clippy::disallowed_types, clippy::disallowed_methods)] // an edge
pub mod controller;
pub mod convert;
mod error_chain;
pub mod follow;
pub mod form;
#[allow(clippy::disallowed_types, clippy::disallowed_methods)] // an edge
pub mod http;
pub mod logs;
pub mod manifest;
pub mod printable;
pub mod reconcile;
pub mod similar;
