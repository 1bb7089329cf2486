//! Before the first reconcile: the CRDs must be there.

use std::time::Duration;

use kube::Client;
use kube::api::ListParams;
use tracing::{info, warn};

use super::context::Settings;
use super::error::chain;
use crate::reconcile::StoredRequest;

/// Pause between two looks.
const PAUSE: Duration = Duration::from_secs(2);
/// Deadline of one look.
const DEADLINE: Duration = Duration::from_secs(10);

/// Returns when JobRequests can be listed. Says once what is missing, and once when it has come.
pub(super) async fn wait_for_crds(client: &Client, settings: &Settings) {
    let api = settings.api::<StoredRequest>(client);
    let mut said = String::new();
    loop {
        let look = tokio::time::timeout(DEADLINE, api.list_metadata(&ListParams::default().limit(1))).await;
        let missing = match look {
            Ok(Ok(_)) => {
                if !said.is_empty() {
                    info!("JobRequests can be listed now");
                }
                return;
            }
            Ok(Err(kube::Error::Api(status))) if status.code == 404 => {
                "the CustomResourceDefinition of JobRequest is not installed; install it with: jobrequest crds | kubectl apply --server-side -f -".to_owned()
            }
            Ok(Err(kube::Error::Api(status))) if status.code == 403 => {
                format!("JobRequests may not be listed; grant the operator's account its role: {}", status.message)
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
