//! A call whose answer may be of any length, because anybody may have written parts of it: read up to a bound.

use http_body_util::{BodyExt, Limited};
use kube::Client;
use kube::client::Body;
use serde::de::DeserializeOwned;

/// Performs `request`; its answer may have at most `bound` bytes.
///
/// # Errors
/// No answer, a refusal, or an answer that is longer or cannot be read.
pub(super) async fn request<T: DeserializeOwned>(
    client: &Client,
    request: http::Request<Vec<u8>>,
    bound: usize,
) -> Result<T, kube::Error> {
    let response = client.send(request.map(Body::from)).await?;
    let code = response.status();
    let body = Limited::new(response.into_body(), bound).collect().await.map_err(kube::Error::Service)?;
    let bytes = body.to_bytes();
    if code.is_success() {
        return serde_json::from_slice(&bytes).map_err(kube::Error::SerdeError);
    }
    let refusal = serde_json::from_slice(&bytes).map_err(kube::Error::SerdeError)?;
    Err(kube::Error::Api(refusal))
}
