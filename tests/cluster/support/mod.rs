//! The harness: what a test of the cluster is given, and what it may ask for.
//!
//! A test is an `async fn(cx: Arc<Cluster>)`; it fails by panicking.

// Not every test module uses every part.
#![allow(dead_code, unused_imports)]

mod audit;
mod cluster;
mod control_plane;
mod eventually;
mod operator;
pub(crate) mod proxy;
pub(crate) mod requests;
pub(crate) mod witness;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::LocalBoxFuture;
use libtest_mimic::Failed;

pub(crate) use audit::{Audit, Mark, Request, Requests};
pub(crate) use cluster::{Cluster, Namespace};
pub(crate) use control_plane::ControlPlane;
pub(crate) use eventually::{Outcome, eventually};
pub(crate) use operator::Operator;

/// How long anything may take before it counts as hung. No test asserts a duration.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// The end of a test which awaits something that has no deadline of its own.
const TEST_DEADLINE: Duration = Duration::from_secs(300);

type Body = Box<dyn FnOnce(Arc<Cluster>) -> LocalBoxFuture<'static, ()> + Send>;

/// The same, of a slow one.
const SLOW_DEADLINE: Duration = Duration::from_secs(3600);

/// A named test.
pub(crate) struct Test {
    name: &'static str,
    is_slow: bool,
    deadline: Duration,
    body: Body,
}

impl Test {
    /// `name` is what a filter matches, after the module's name.
    pub(crate) fn new<F>(name: &'static str, body: impl FnOnce(Arc<Cluster>) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + 'static,
    {
        Self { name, is_slow: false, deadline: TEST_DEADLINE, body: Box::new(|cx| body(cx).boxed_local()) }
    }

    /// One that runs only when it is asked for, by `--ignored`.
    pub(crate) fn slow<F>(name: &'static str, body: impl FnOnce(Arc<Cluster>) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + 'static,
    {
        Self { is_slow: true, deadline: SLOW_DEADLINE, ..Self::new(name, body) }
    }

    /// The same with another deadline, for one that takes long because it has much to do.
    pub(crate) fn within(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    pub(crate) fn is_slow(&self) -> bool {
        self.is_slow
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Runs it on a runtime of its own, so that nothing it left behind outlives it.
    pub(crate) fn run(self, name: &str, control_plane: Arc<ControlPlane>) -> Result<(), Failed> {
        let cx = Arc::new(Cluster::new(name, control_plane));
        let logs = cx.logs().display().to_string();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let deadline = self.deadline;
        let outcome = runtime.block_on(async {
            // The body is called inside, so that what it does before its first await has the runtime, too.
            let body = async { (self.body)(cx).await };
            AssertUnwindSafe(tokio::time::timeout(deadline, body)).catch_unwind().await
        });
        runtime.shutdown_background();
        match outcome {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(format!("still running after {deadline:?}\nlogs: {logs}").into()),
            Err(panic) => {
                let message = (panic.downcast_ref::<String>().map(String::as_str))
                    .or_else(|| panic.downcast_ref::<&str>().copied())
                    .unwrap_or("panicked");
                Err(format!("{message}\nlogs: {logs}").into())
            }
        }
    }
}
