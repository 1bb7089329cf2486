//! Before the first reconcile: the CRDs must be there.

use std::fmt::Debug;
use std::time::Duration;

use kube::api::ListParams;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use tracing::{info, warn};

use super::context::Settings;
use super::error::chain;
use crate::reconcile::StoredRequest;
use crate::reconcile::template::{ClusterJobTemplateView, JobTemplateView};

/// Pause between two looks.
const PAUSE: Duration = Duration::from_secs(2);
/// Deadline of one look.
const DEADLINE: Duration = Duration::from_secs(10);

/// Returns when all our kinds can be listed. Going on without templates would go on without their limits.
pub(super) async fn wait_for_crds(client: &Client, settings: &Settings) {
    wait_for("JobRequest", settings.api::<StoredRequest>(client)).await;
    wait_for("JobTemplate", settings.api::<JobTemplateView>(client)).await;
    wait_for("ClusterJobTemplate", Api::<ClusterJobTemplateView>::all(client.clone())).await;
}

/// Returns when objects of this kind can be listed. Says once what is missing, and once when it has come.
async fn wait_for<V: Resource + Clone + Debug + DeserializeOwned>(kind: &str, api: Api<V>) {
    let mut said = String::new();
    loop {
        let look = tokio::time::timeout(DEADLINE, api.list_metadata(&ListParams::default().limit(1))).await;
        let missing = match look {
            Ok(Ok(_)) => {
                if !said.is_empty() {
                    info!("{kind}s can be listed now");
                }
                return;
            }
            Ok(Err(kube::Error::Api(status))) if status.code == 404 => {
                format!(
                    "the CustomResourceDefinition of {kind} is not installed; install it with: jobrequest crds | kubectl apply --server-side -f -"
                )
            }
            Ok(Err(kube::Error::Api(status))) if status.code == 403 => {
                format!(
                    "{kind}s may not be listed; grant the operator's account its role: {}",
                    status.message
                )
            }
            Ok(Err(error)) => format!("the API server cannot be asked: {}", chain(&error)),
            Err(_) => "the API server does not answer".to_owned(),
        };
        if missing != said {
            warn!("waiting: {missing}");
            said = missing;
        }
        tokio::time::sleep(PAUSE).await;
    }
}
