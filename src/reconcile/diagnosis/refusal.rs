//! What refuses a Job or its pods, by the words of the API server: two quotas that refuse a pod may ask for opposite things.
//!
//! They are the words of Kubernetes' own admission: ResourceQuota, LimitRanger, Pod Security, webhooks and policies.

use crate::api::condition::Obstacle;
use crate::compile::quantity::Amount;

/// The obstacle of which the API server says this.
pub(super) fn obstacle_of(message: &str) -> Obstacle {
    let has = |words: &str| message.contains(words);
    if has("exceeded quota") || has("failed quota") {
        return of_quota(message);
    }
    if has("violates PodSecurity") {
        Obstacle::PodSecurity
    } else if has("error looking up service account") {
        Obstacle::ServiceAccountMissing
    } else if has("failed calling webhook") || has("failed to call webhook") {
        Obstacle::WebhookFailed
    } else if has("webhook") || has("ValidatingAdmissionPolicy") {
        Obstacle::Admission
    } else if is_of_limit_range(message) {
        Obstacle::LimitRange
    } else {
        Obstacle::Refused
    }
}

fn of_quota(message: &str) -> Obstacle {
    if message.contains("must specify") {
        Obstacle::AmountsMissing
    } else if never_fits(message) {
        Obstacle::QuotaTooSmall
    } else if message.contains("count/jobs.batch") {
        Obstacle::JobQuota
    } else {
        Obstacle::Quota
    }
}

/// "exceeded quota: NAME, requested: cpu=8,pods=1, used: cpu=0,pods=0, limited: cpu=1,pods=9": of a resource more is
/// requested than there is, whatever is used.
fn never_fits(message: &str) -> bool {
    let after = |text: &str| message.split_once(text).map(|(_, rest)| rest);
    let amounts = |list: &str| -> Vec<(String, Amount)> {
        let pairs = list.split([',', ' ']).filter_map(|pair| pair.split_once('='));
        pairs.filter_map(|(name, text)| Some((name.to_owned(), Amount::parse(text)?))).collect()
    };
    let requested = after("requested: ").and_then(|rest| rest.split_once(", used: "));
    let Some((requested, limited)) = requested.map(|(list, _)| list).zip(after("limited: ")) else {
        return false;
    };
    let limited = amounts(limited);
    amounts(requested)
        .iter()
        .any(|(name, amount)| limited.iter().any(|(limit, most)| limit == name && amount > most))
}

/// "maximum cpu usage per Container is 2, but limit is 4", and its like.
fn is_of_limit_range(message: &str) -> bool {
    ["usage per Container is", "usage per Pod is", "limit to request ratio per"]
        .iter()
        .any(|words| message.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_obstacle_follows_the_words_of_the_refusal() {
        let quota = |said: &str| obstacle_of(&format!("exceeded quota: small, {said}"));
        for (found, wanted) in [
            (
                obstacle_of("failed quota: small: must specify requests.cpu for: main"),
                Obstacle::AmountsMissing,
            ),
            (
                quota("requested: requests.cpu=8, used: requests.cpu=0, limited: requests.cpu=1"),
                Obstacle::QuotaTooSmall,
            ),
            (
                quota(
                    "requested: pods=1,requests.memory=2Gi, used: pods=3,requests.memory=0, limited: pods=9,requests.memory=1Gi",
                ),
                Obstacle::QuotaTooSmall,
            ),
            (
                quota("requested: count/jobs.batch=1, used: count/jobs.batch=5, limited: count/jobs.batch=5"),
                Obstacle::JobQuota,
            ),
            (
                obstacle_of(
                    r#"jobs.batch "a" is forbidden: exceeded quota: none, requested: count/jobs.batch=1, used: count/jobs.batch=0, limited: count/jobs.batch=0"#,
                ),
                Obstacle::QuotaTooSmall,
            ),
            (obstacle_of("maximum cpu usage per Container is 2, but limit is 4"), Obstacle::LimitRange),
            (obstacle_of("[minimum memory usage per Pod is 1Gi, but request is 64Mi]"), Obstacle::LimitRange),
            (
                obstacle_of(r#"admission webhook "deny.example.com" denied the request: no"#),
                Obstacle::Admission,
            ),
            (
                obstacle_of(r#"Internal error occurred: failed calling webhook "x": connection refused"#),
                Obstacle::WebhookFailed,
            ),
            (
                obstacle_of(
                    "ValidatingAdmissionPolicy 'no-latest' with binding 'all' denied request: use a tag",
                ),
                Obstacle::Admission,
            ),
            (obstacle_of("no providers available"), Obstacle::Refused),
        ] {
            assert_eq!(found, wanted);
        }
        for waits in [
            "requested: requests.cpu=1, used: requests.cpu=1, limited: requests.cpu=1",
            "requested: requests.cpu=900m, used: requests.cpu=500m, limited: requests.cpu=1",
            "requested: x, used: y, limited: z",
            "requested: requests.cpu=8",
        ] {
            assert_eq!(quota(waits), Obstacle::Quota, "{waits}");
        }
    }
}
