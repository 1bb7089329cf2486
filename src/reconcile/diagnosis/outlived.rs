//! Containers that keep a pod alive after another one has done its work, such as an injected proxy: the Job waits for them.

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use crate::reconcile::observed::{ContainerRole, ContainerState, ContainerView, PodView};

/// How long containers of one pod may end apart before it is worth a word.
const USUAL: SignedDuration = SignedDuration::from_secs(60);

/// A pod some of whose main containers have succeeded, while others run.
pub(super) struct Outlived<'a> {
    /// Name of the pod.
    pub pod: &'a str,
    /// When it is reported.
    pub reported_at: Timestamp,
    running: Vec<&'a str>,
    done: Vec<&'a str>,
    ended_at: Timestamp,
}

impl<'a> Outlived<'a> {
    /// `None`: all of its main containers run, or have ended, or one of them has not succeeded.
    pub(super) fn of(pod: &'a PodView) -> Option<Self> {
        let main = || pod.containers.iter().filter(|container| container.role == ContainerRole::Main);
        let named = |is: fn(&ContainerView) -> bool| -> Vec<&'a str> {
            main().filter(|container| is(container)).map(|container| &*container.name).collect()
        };
        let running = named(|container| matches!(container.state, ContainerState::Running { .. }));
        let done = named(has_succeeded);
        let is_all = running.len() + done.len() == main().count();
        let ended_at = main().filter_map(ContainerView::ended_at).max()?;
        let is_outlived = is_all && !running.is_empty() && !done.is_empty();
        is_outlived.then(|| Self { pod: pod.name(), reported_at: ended_at + USUAL, running, done, ended_at })
    }

    pub(super) fn sentence(&self) -> String {
        let (is, has) = if self.running.len() == 1 { ("container", "runs") } else { ("containers", "run") };
        format!(
            "{is} {} of pod {} still {has} although {} ended at {}: the run ends when all main containers have; make one that only accompanies the others a sidecar (sidecar: true)",
            self.running.join(", "),
            self.pod,
            self.done.join(", "),
            self.ended_at
        )
    }
}

fn has_succeeded(container: &ContainerView) -> bool {
    matches!(&container.state, ContainerState::Ended(end) if end.exit_code == 0)
}
