//! Before the first reconcile: the CRDs must be there.

use std::time::Duration;

use kube::api::ListParams;
use kube::{Api, Client};
use serde::Deserialize;
use tracing::{info, warn};

use super::context::Settings;
use super::error::chain;
use crate::reconcile::CALL_DEADLINE;
use crate::reconcile::StoredRequest;
use crate::reconcile::template_status::{ClusterJobTemplateView, JobTemplateView};

/// Pause between two checks.
const PAUSE: Duration = Duration::from_secs(2);

/// What keeps a kind from being listed.
#[derive(PartialEq, Eq, Clone, Copy)]
enum Obstacle {
    NotInstalled,
    Forbidden,
    Unreachable,
}

/// Returns when all own kinds can be listed: to continue without templates would be to continue without their limits. Logs
/// what is blocking once for each obstacle, and once when it has gone.
pub(super) async fn wait_for_crds(client: &Client, settings: &Settings) {
    let mut said = None;
    loop {
        let looks = [
            look(client, "JobRequest", settings.api::<StoredRequest>(client).resource_url()).await,
            look(client, "JobTemplate", settings.api::<JobTemplateView>(client).resource_url()).await,
            look(
                client,
                "ClusterJobTemplate",
                Api::<ClusterJobTemplateView>::all(client.clone()).resource_url(),
            )
            .await,
        ];
        let Some((obstacle, message)) = looks.into_iter().flatten().next() else {
            if said.is_some() {
                info!("JobRequests and templates can be listed now");
            }
            return;
        };
        if said != Some(obstacle) {
            warn!("waiting: {message}");
            said = Some(obstacle);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// A list of which nothing is read: even the metadata of what is stored may be nested too deeply.
#[derive(Deserialize)]
struct Listed {}

/// What blocks the listing of this kind, and the message about it.
async fn look(client: &Client, kind: &str, url: &str) -> Option<(Obstacle, String)> {
    let list = async {
        let request = kube::core::Request::new(url).list_metadata(&ListParams::default().limit(1));
        client.request::<Listed>(request.map_err(kube::Error::BuildRequest)?).await
    };
    match tokio::time::timeout(CALL_DEADLINE, list).await {
        Ok(Ok(_)) => None,
        Ok(Err(kube::Error::Api(status))) if status.code == 404 => Some((
            Obstacle::NotInstalled,
            format!(
                "the CustomResourceDefinition of {kind} is not installed; install all of them with: jobrequest crds | kubectl apply --server-side -f -"
            ),
        )),
        Ok(Err(kube::Error::Api(status))) if status.code == 403 => Some((
            Obstacle::Forbidden,
            format!("{kind}s may not be listed; grant the operator's account its role: {}", status.message),
        )),
        Ok(Err(error)) => {
            Some((Obstacle::Unreachable, format!("the API server cannot be asked: {}", chain(&error))))
        }
        Err(_) => Some((Obstacle::Unreachable, "the API server does not answer".to_owned())),
    }
}
