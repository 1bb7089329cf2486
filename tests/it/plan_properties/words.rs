//! What the words of a status must keep: the table of the product contract, section 5, written a second time, and the
//! schema by which the API server takes or refuses a status.

use jobrequest::api::JobRequestStatus;
use jobrequest::api::condition::{ConditionType, Phase};
use jobrequest::api::failure::Failure;
use jobrequest::compile::Layers;
use jobrequest::reconcile::{Clock, Observed, Plan, plan};
use serde_json::Value;

use super::kstatus::Kstatus;

/// What kstatus is to say of a status with this phase.
pub fn kstatus_of(status: &Value) -> Kstatus {
    match status["phase"].as_str().unwrap() {
        "Completed" => Kstatus::Current,
        "Suspended" if find(status, "Ready").is_some_and(|ready| ready["status"] == "True") => {
            Kstatus::Current
        }
        "Failed" | "Rejected" => Kstatus::Failed,
        _ if needs_a_change(status) => Kstatus::Failed,
        _ => Kstatus::InProgress,
    }
}

/// The run cannot start as long as nobody changes something.
fn needs_a_change(status: &Value) -> bool {
    let obstacles = [
        "ImageName",
        "RunsAsRoot",
        "AmountsMissing",
        "QuotaTooSmall",
        "LimitRange",
        "PodSecurity",
        "Admission",
    ];
    let is_ended = |type_: &str| find(status, type_).is_some_and(|condition| condition["status"] == "True");
    let is_stopped = find(status, "Ready").is_some_and(|ready| {
        ["Replacing", "LimitsExceeded"].contains(&ready["reason"].as_str().unwrap_or_default())
    });
    matches!(status["phase"].as_str(), Some("Waiting" | "Updating"))
        && !["SuccessCriteriaMet", "FailureTarget"].into_iter().any(is_ended)
        && !is_stopped
        && find(status, "Reconciling").is_none()
        && obstacles.contains(&status["failure"]["obstacle"].as_str().unwrap_or_default())
}

fn find<'a>(status: &'a Value, type_: &str) -> Option<&'a Value> {
    status["conditions"].as_array()?.iter().find(|condition| condition["type"] == type_)
}

/// Phase and conditions are one row of the table.
pub fn agree(status: &Value) -> Result<(), String> {
    if matches!(status["phase"].as_str(), Some("Completed" | "Pending" | "Suspended"))
        && !status["failure"].is_null()
    {
        return Err(format!("a failure is shown of a run that did not fail: {status:#}"));
    }
    let phase = status["phase"].as_str().ok_or("no phase")?;
    let word =
        |type_: &str| find(status, type_).map_or("-", |condition| condition["status"].as_str().unwrap());
    let reason =
        |type_: &str| find(status, type_).map_or("-", |condition| condition["reason"].as_str().unwrap());
    let shown = (word("Accepted"), word("Ready"), word("Reconciling"), word("Stalled"), word("Finished"));
    let is_queued = reason("Ready") == "Queued";
    let row = match phase {
        _ if needs_a_change(status) => ("True", "False", "-", "True", "False"),
        "Pending" | "Waiting" | "Updating" | "Running" => ("True", "False", "True", "-", "False"),
        "Suspended" if is_queued => ("True", "False", "True", "-", "False"),
        "Suspended" => ("True", "True", "-", "-", "False"),
        "Completed" => ("True", "True", "-", "-", "True"),
        "Failed" => ("True", "False", "-", "True", "True"),
        // An older run may still be active.
        "Rejected" if reason("Finished") == "NotFinished" => ("False", "False", "-", "True", "False"),
        "Rejected" => ("False", "False", "-", "True", "True"),
        other => return Err(format!("phase {other:?}")),
    };
    if shown != row {
        return Err(format!("{phase}: {shown:?} is shown, not {row:?}: {status:#}"));
    }
    for summary in ["Reconciling", "Stalled"] {
        if word(summary) != "-" && reason(summary) != reason("Ready") {
            return Err(format!("{summary} has another reason than Ready: {status:#}"));
        }
    }
    let is_ended = matches!(phase, "Completed" | "Failed");
    let shown = |run: &&Value| run["number"] == status["run"];
    let newest = status["runs"].as_array().and_then(|runs| runs.iter().find(shown)).unwrap_or(&Value::Null);
    let is_active = !newest["jobUid"].is_null() && newest["result"].is_null();
    if phase == "Rejected" && (reason("Finished") == "NotFinished") != is_active {
        return Err(format!("Rejected, and Finished does not say whether a run is active: {status:#}"));
    }
    if phase == "Rejected" && !is_active && !(status["completions"].is_null() && word("Complete") == "-") {
        return Err(format!("Rejected, with the end of an older run: {status:#}"));
    }
    if is_ended && newest["result"].is_null() {
        return Err(format!("{phase}, and the newest run has no result: {status:#}"));
    }
    if phase == "Failed" && reason("Ready") != newest["reason"] {
        return Err(format!("the reason of Ready is not that of the run: {status:#}"));
    }
    if matches!(phase, "Pending" | "Waiting" | "Updating" | "Running")
        && (word("Complete") == "True" || word("Failed") == "True")
    {
        return Err(format!("{phase}, with the terminal conditions of another run: {status:#}"));
    }
    Ok(())
}

/// The API server takes it: what the CRD demands of conditions, and what the contract bounds.
pub fn fits_schema(status: &Value) -> Result<(), String> {
    let mut types = std::collections::BTreeSet::new();
    for condition in status["conditions"].as_array().ok_or("no conditions")? {
        let text = |field: &str| condition[field].as_str().unwrap_or_default();
        let is_valid = ["True", "False", "Unknown"].contains(&text("status"))
            && (1..=1024).contains(&text("reason").chars().count())
            && text("message").chars().count() <= 32_768
            && is_judged(condition, status)
            && !text("lastTransitionTime").contains('.');
        if !is_valid || !types.insert(text("type")) {
            return Err(format!("the API server refuses {condition:#}"));
        }
    }
    let runs = status["runs"].as_array().map(Vec::as_slice).unwrap_or_default();
    let numbers: Vec<_> = runs.iter().map(|run| run["number"].as_i64().unwrap()).collect();
    if numbers.len() > 25 || !numbers.windows(2).all(|pair| pair[0] > pair[1]) {
        return Err(format!("runs are numbered {numbers:?}"));
    }
    for (place, run) in runs.iter().enumerate() {
        let length = run["message"].as_str().unwrap_or_default().len();
        if length > if place == 0 { 1024 } else { 256 } {
            return Err(format!("the message of run {} has {length} bytes", run["number"]));
        }
        is_bounded(&run["failure"])?;
    }
    let bytes = status["runs"].to_string().len();
    if bytes > 32 * 1024 {
        return Err(format!("the records have {bytes} bytes"));
    }
    is_bounded(&status["failure"])
}

/// A condition is of the generation that the status is of; what is mirrored from a Job may be of the one which its run was
/// created from.
fn is_judged(condition: &Value, status: &Value) -> bool {
    let (judged, observed) =
        (condition["observedGeneration"].as_i64(), status["observedGeneration"].as_i64());
    let mirrored = ["Suspended", "SuccessCriteriaMet", "FailureTarget", "Complete", "Failed"];
    let is_mirrored = condition["type"].as_str().is_some_and(|type_| mirrored.contains(&type_));
    judged == observed || (is_mirrored && judged < observed)
}

/// Nothing of a failure is longer than the contract has it, and no control character of a program gets through.
fn is_bounded(failure: &Value) -> Result<(), String> {
    let bounds =
        [("message", 1024), ("hint", 640), ("reason", 64), ("pod", 253), ("node", 253), ("container", 64)];
    for (field, bound) in bounds {
        let text = failure[field].as_str().unwrap_or_default();
        if text.len() > bound {
            return Err(format!("{field} has {} bytes: {failure:#}", text.len()));
        }
        if text.chars().any(|character| character.is_control() && !"\n\t".contains(character)) {
            return Err(format!("{field} has control characters: {failure:#}"));
        }
    }
    Ok(())
}

/// Orders of `conditions`: every one of those that kstatus reads, and one of the whole list, drawn from `seed`.
pub fn orders(conditions: &[Value], seed: u64) -> Vec<Vec<Value>> {
    let is_read = |condition: &&Value| {
        ["Ready", "Reconciling", "Stalled"].contains(&condition["type"].as_str().unwrap())
    };
    let (read, rest): (Vec<&Value>, Vec<&Value>) = conditions.iter().partition(is_read);
    let mut orders = Vec::new();
    permute(&read, &mut Vec::new(), &mut |order| {
        // The others stand before, behind and between.
        let place = usize::try_from(seed % (rest.len() as u64 + 1)).unwrap();
        let (before, behind) = rest.split_at(place);
        orders.push(before.iter().chain(order).chain(behind).map(|condition| (*condition).clone()).collect());
    });
    let mut whole = conditions.to_vec();
    whole.sort_by_key(|condition| {
        condition["type"]
            .as_str()
            .unwrap()
            .bytes()
            .fold(seed, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3).rotate_left(17))
    });
    orders.push(whole);
    orders
}

fn permute<'a>(rest: &[&'a Value], order: &mut Vec<&'a Value>, take: &mut impl FnMut(&[&'a Value])) {
    if rest.is_empty() {
        take(order);
    }
    for place in 0..rest.len() {
        let mut others = rest.to_vec();
        order.push(others.remove(place));
        permute(&others, order, take);
        order.pop();
    }
}

/// The status with every message, hint and phase replaced by another one, drawn from `seed`: what is for people only.
pub fn reworded(mut status: JobRequestStatus, seed: u64) -> JobRequestStatus {
    let other = |text: &mut String| *text = format!("{seed} {}", text.len());
    let reword = |failure: &mut Failure| {
        failure.message.as_mut().map(other);
        failure.hint.as_mut().map(other);
    };
    status.conditions.iter_mut().for_each(|condition| other(&mut condition.message));
    status.failure.iter_mut().for_each(reword);
    for run in &mut status.runs {
        run.message.as_mut().map(other);
        run.failure.iter_mut().for_each(reword);
    }
    status.phase = status.phase.map(|phase| {
        let place = usize::try_from(seed % (Phase::ALL.len() as u64 - 1)).unwrap();
        *Phase::ALL.iter().filter(|other| **other != phase).nth(place).unwrap()
    });
    status
}

/// The status without any message or hint, and without what is written only together with something else.
pub fn wordless(mut status: JobRequestStatus) -> JobRequestStatus {
    let silence = |failure: &mut Failure| {
        failure.message = failure.message.take().map(|_| String::new());
        failure.hint = failure.hint.take().map(|_| String::new());
    };
    status.conditions.retain(|condition| condition.type_ != ConditionType::TemplateOutdated.as_str());
    status.conditions.iter_mut().for_each(|condition| condition.message.clear());
    status.failure.iter_mut().for_each(silence);
    for run in &mut status.runs {
        run.message = run.message.take().map(|_| String::new());
        run.failure.iter_mut().for_each(silence);
    }
    status
}

/// Planned on a status with other words for people, everything but those words is the same.
pub fn are_never_read(observed: &Observed, clock: Clock, seed: u64) -> Result<(), String> {
    let mut observed = observed.clone();
    // A write that only brings counts up to date may be put off; one that changes words as well is not.
    observed.memory.written_at = None;
    let Some(Ok(stored)) = observed.request.as_ref().map(|request| request.status.0.clone()) else {
        return Ok(());
    };
    let mut other = observed.clone();
    other.request.as_mut().unwrap().status.0 = Ok(reworded(stored.clone(), seed));
    let [one, two] = [&observed, &other].map(|observed| plan(observed, &Layers::default(), clock));
    let reasons = |plan: &Plan| plan.events.iter().map(|event| event.reason).collect::<Vec<_>>();
    let acts = |plan: &Plan| (plan.read.clone(), plan.changes.clone(), plan.next, reasons(plan));
    if acts(&one) != acts(&two) {
        return Err(format!("with other words\n{two:#?}\nis done instead of\n{one:#?}"));
    }
    if one.read.is_some() || !one.changes.is_empty() || observed.request.as_ref().unwrap().is_deleting() {
        return Ok(());
    }
    let described = |plan: &Plan| wordless(plan.status.as_deref().unwrap_or(&stored).clone());
    if described(&one) == described(&two) {
        return Ok(());
    }
    Err(format!("with other words\n{:#?}\nis written instead of\n{:#?}", described(&two), described(&one)))
}
