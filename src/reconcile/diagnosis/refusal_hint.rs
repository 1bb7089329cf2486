//! What to do about a refusal of the API server, by its words: two quotas that refuse a pod may ask for opposite things.
//!
//! They are the words of Kubernetes' own admission plugins, ResourceQuota and LimitRanger.

use super::hint;
use crate::api::condition::Obstacle;
use crate::compile::quantity::Amount;

const MUST_SPECIFY: &str = "the namespace's ResourceQuota demands amounts that the containers do not have: set resources, or choose a size preset with quota";
const NEVER_FITS: &str = "it asks for more than the namespace's ResourceQuota has in all, so waiting does not help: ask for less, or have the quota raised";
const ENDED_JOBS: &str = "ended Jobs count against this ResourceQuota, too: lower the history limits or set a TTL, or have it raised; it is tried again automatically";
const LIMIT_RANGE: &str = "a LimitRange of the namespace forbids these amounts: change resources to what the message allows, or have the LimitRange changed";

/// What to do about the `obstacle` of which the API server says this.
pub(super) fn of(obstacle: Obstacle, message: &str) -> String {
    let special = match obstacle {
        Obstacle::Quota if message.contains("must specify") => Some(MUST_SPECIFY),
        Obstacle::Quota if never_fits(message) => Some(NEVER_FITS),
        Obstacle::Quota if message.contains("count/jobs.batch") => Some(ENDED_JOBS),
        Obstacle::Refused if is_of_limit_range(message) => Some(LIMIT_RANGE),
        _ => None,
    };
    special.map_or_else(|| hint::of(obstacle), ToOwned::to_owned)
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
    fn hints_follow_the_words_of_the_refusal() {
        let quota = |said: &str| of(Obstacle::Quota, &format!("exceeded quota: small, {said}"));
        for (hint, wanted) in [
            (of(Obstacle::Quota, "failed quota: small: must specify requests.cpu for: main"), MUST_SPECIFY),
            (quota("requested: requests.cpu=8, used: requests.cpu=0, limited: requests.cpu=1"), NEVER_FITS),
            (
                quota(
                    "requested: pods=1,requests.memory=2Gi, used: pods=3,requests.memory=0, limited: pods=9,requests.memory=1Gi",
                ),
                NEVER_FITS,
            ),
            (
                quota("requested: count/jobs.batch=1, used: count/jobs.batch=5, limited: count/jobs.batch=5"),
                ENDED_JOBS,
            ),
            (of(Obstacle::Refused, "maximum cpu usage per Container is 2, but limit is 4"), LIMIT_RANGE),
            (
                of(Obstacle::Refused, "[minimum memory usage per Pod is 1Gi, but request is 64Mi]"),
                LIMIT_RANGE,
            ),
        ] {
            assert_eq!(hint, wanted);
        }
        let usual = hint::of(Obstacle::Quota);
        for waits in [
            "requested: requests.cpu=1, used: requests.cpu=1, limited: requests.cpu=1",
            "requested: requests.cpu=900m, used: requests.cpu=500m, limited: requests.cpu=1",
            "requested: x, used: y, limited: z",
            "requested: requests.cpu=8",
        ] {
            assert_eq!(quota(waits), usual, "{waits}");
        }
        assert_eq!(of(Obstacle::Refused, "no providers available"), hint::of(Obstacle::Refused));
    }
}
