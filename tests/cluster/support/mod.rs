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
pub(crate) mod people;
pub(crate) mod proxy;
pub(crate) mod refusing;
mod relay;
pub(crate) mod requests;
pub(crate) mod witness;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::FutureExt;
use futures::future::LocalBoxFuture;
use libtest_mimic::Failed;
use sha2::{Digest, Sha256};

pub(crate) use audit::{Audit, Mark, Request, Requests};
pub(crate) use cluster::{Cluster, Namespace};
pub(crate) use control_plane::{ControlPlane, OPERATOR, RELEASE_NAMESPACE};
pub(crate) use eventually::{Outcome, eventually};
pub(crate) use operator::Operator;

/// How long anything may take before it counts as hung. No test asserts a duration.
pub(crate) const DEADLINE: Duration = Duration::from_secs(180);

/// The end of a test which awaits something that has no deadline of its own.
const TEST_DEADLINE: Duration = Duration::from_secs(300);

/// The SHA-256 digest, in hexadecimal digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |digits, byte| digits + &format!("{byte:02x}"))
}

/// Tests by the names of their functions; `name: function` where the function takes more than a cluster.
macro_rules! tests {
    (@body $name:ident) => { $name };
    (@body $name:ident $body:expr) => { $body };
    ($($name:ident $(: $body:expr)?),+ $(,)?) => {
        vec![$($crate::support::Test::new(stringify!($name), tests!(@body $name $($body)?))),+]
    };
}

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
            let waits = cx.waits_for_its_turn();
            // The body is called inside, so that what it does before its first await has the runtime, too.
            let body = async { (self.body)(cx).await };
            AssertUnwindSafe(within(deadline, body, &waits)).catch_unwind().await
        });
        runtime.shutdown_background();
        match outcome {
            Ok(Some(())) => Ok(()),
            Ok(None) => Err(format!(
                "still running after {deadline:?}
logs: {logs}"
            )
            .into()),
            Err(panic) => {
                let message = (panic.downcast_ref::<String>().map(String::as_str))
                    .or_else(|| panic.downcast_ref::<&str>().copied())
                    .unwrap_or("panicked");
                Err(format!("{message}\nlogs: {logs}").into())
            }
        }
    }
}

/// What `body` returns, or `None` after the deadline. Waiting for a turn takes none of its time.
async fn within<T>(deadline: Duration, body: impl Future<Output = T>, waits: &AtomicBool) -> Option<T> {
    let deadline = async {
        let mut left = deadline.as_secs();
        while left > 0 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            left -= u64::from(!waits.load(Ordering::Relaxed));
        }
    };
    tokio::select! {
        outcome = body => Some(outcome),
        () = deadline => None,
    }
}
