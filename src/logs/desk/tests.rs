//! Pods as a run makes them, and what is opened of them.

use super::super::choice::{Containers, Unknown};
use super::super::pod::{ContainerView, Kind};
use super::*;

fn container(name: &str, kind: Kind, state: State) -> ContainerView {
    ContainerView { name: name.to_owned(), kind, state, restarts: 0, previous: None }
}

/// A pod with one main container.
fn pod(name: &str, created: i64, state: State) -> PodView {
    let exit_code = match state {
        State::Ended { exit_code } => Some(exit_code),
        _ => None,
    };
    PodView {
        name: name.to_owned(),
        uid: format!("uid-{name}"),
        owner: Some("job".to_owned()),
        created,
        index: None,
        has_failed: exit_code.is_some_and(|code| code != 0),
        has_ended: exit_code.is_some(),
        containers: vec![container("main", Kind::Main, state)],
    }
}

const DONE: State = State::Ended { exit_code: 0 };
const FAILED: State = State::Ended { exit_code: 1 };

fn waiting() -> State {
    State::Waiting("ContainerCreating".to_owned())
}

/// `pod/container`, with the instance where it is not the first, and `!` for the one before.
fn names(logs: &[Log]) -> Vec<String> {
    let name = |log: &Log| {
        let instance = if log.instance > 0 { format!("#{}", log.instance) } else { String::new() };
        let mark = if log.is_previous { "!" } else { "" };
        format!("{}/{}{instance}{mark}", log.source.pod, log.source.container)
    };
    logs.iter().map(name).collect()
}

fn desk(choice: Choice, is_following: bool, pods: &[PodView]) -> Desk {
    let mut desk = Desk::new(choice, is_following, Some("job".to_owned()));
    desk.replace(pods.to_vec());
    desk
}

#[test]
fn a_log_is_opened_once_the_container_has_started() {
    let mut desk = desk(Choice::default(), true, &[pod("a", 1, waiting())]);
    assert!(desk.open().is_empty());
    assert_eq!(desk.waiting(), [("a".to_owned(), "main".to_owned(), "ContainerCreating".to_owned())]);
    desk.apply(pod("a", 1, State::Running));
    let [log] = desk.open().try_into().unwrap();
    assert!(!log.has_ended);
    assert!(desk.open().is_empty());
    assert_eq!(desk.life(&log.source), Life::default());
    desk.apply(pod("a", 1, DONE));
    assert_eq!(desk.life(&log.source), Life { has_ended: true, is_gone: false });
    desk.close(&log.source);
    assert!(desk.open().is_empty() && desk.is_quiet());
    desk.remove("uid-a");
    assert!(desk.life(&log.source).is_gone);
}

#[test]
fn retries_join_and_pods_of_another_job_do_not() {
    let mut desk = desk(Choice::default(), true, &[pod("a", 1, State::Running)]);
    assert_eq!(names(&desk.open()), ["a/main"]);
    assert!(!desk.is_of_several());
    desk.apply(pod("a", 1, FAILED));
    desk.apply(pod("b", 2, State::Running));
    desk.apply(PodView { owner: Some("other".to_owned()), ..pod("c", 3, State::Running) });
    assert_eq!(names(&desk.open()), ["b/main"]);
    assert!(desk.is_of_several());
}

/// The container of `pod`, as it is after so many restarts.
fn restarted(name: &str, restarts: i32, state: State) -> PodView {
    let mut pod = pod(name, 1, state);
    (pod.has_failed, pod.has_ended) = (false, false);
    pod.containers[0].restarts = restarts;
    pod.containers[0].previous = (restarts > 0).then_some(1);
    pod
}

#[test]
fn a_restarted_container_continues_with_its_next_instance() {
    let mut desk = desk(Choice::default(), true, &[restarted("a", 0, State::Running)]);
    let [log] = desk.open().try_into().unwrap();
    desk.apply(restarted("a", 1, State::Running));
    // The one that is open is read to its end first.
    assert!(desk.open().is_empty());
    assert!(desk.life(&log.source).has_ended);
    desk.close(&log.source);
    assert_eq!(names(&desk.open()), ["a/main#1"]);
    desk.close(&log.source);
    // Unseen, it has ended and started twice: what can still be read is.
    desk.apply(restarted("a", 4, State::Running));
    assert_eq!(names(&desk.open()), ["a/main#3!"]);
    desk.close(&log.source);
    assert_eq!(names(&desk.open()), ["a/main#4"]);
    assert_eq!((desk.take_lost(), desk.take_lost()), (1, 0));
}

#[test]
fn what_restarted_before_reading_began_is_read_from_its_current_instance() {
    let mut desk = desk(Choice::default(), true, &[restarted("a", 2, State::Running)]);
    assert_eq!(names(&desk.open()), ["a/main#2"]);
    // A pod that came later is read from its beginning, as far as it can be.
    desk.apply(restarted("b", 1, State::Running));
    let [log] = desk.open().try_into().unwrap();
    assert_eq!(names(std::slice::from_ref(&log)), ["b/main!"]);
    desk.close(&log.source);
    assert_eq!(names(&desk.open()), ["b/main#1"]);
}

fn many() -> Vec<PodView> {
    let state = |number: i64| match number {
        2 => FAILED,
        5 => State::Running,
        _ => DONE,
    };
    (0..6).map(|number| pod(&number.to_string(), number, state(number))).collect()
}

#[test]
fn of_many_pods_those_that_failed_and_the_newest_are_read() {
    let choice = Choice { max_pods: 3, ..Choice::default() };
    let mut snapshot = desk(choice.clone(), false, &many());
    assert_eq!(names(&snapshot.open()), ["2/main", "5/main", "4/main"]);
    assert_eq!(snapshot.left_out(), 3);
    assert!(snapshot.open().is_empty());
    // Following reads later pods, too, when there is room.
    let mut following = desk(choice, true, &many());
    let logs = following.open();
    assert_eq!(names(&logs), ["2/main", "5/main", "4/main"]);
    following.apply(pod("new", 9, State::Running));
    assert!(following.open().is_empty());
    following.close(&logs[0].source);
    assert_eq!(names(&following.open()), ["new/main"]);
    assert_eq!(following.left_out(), 3);
}

#[test]
fn containers_are_chosen_by_kind_and_name() {
    let mut one = pod("a", 1, State::Running);
    one.containers.insert(0, container("fetch", Kind::Init, DONE));
    one.containers.insert(1, container("proxy", Kind::Sidecar, State::Running));
    for (containers, wanted) in [
        (Containers::Main, ["a/main"].as_slice()),
        (Containers::Init, &["a/fetch"]),
        (Containers::All, &["a/fetch", "a/proxy", "a/main"]),
        (Containers::Named(vec!["proxy".to_owned(), "fetch".to_owned()]), &["a/fetch", "a/proxy"]),
        (Containers::Named(vec!["nope".to_owned()]), &[]),
    ] {
        let choice = Choice { containers: containers.clone(), ..Choice::default() };
        let mut desk = desk(choice.clone(), false, std::slice::from_ref(&one));
        assert_eq!(names(&desk.open()), wanted, "{containers:?}");
        let known = ["fetch", "proxy", "main"].map(str::to_owned).to_vec();
        let unknown = wanted.is_empty().then(|| Unknown::Container { name: "nope".to_owned(), known });
        assert_eq!(choice.unknown(std::slice::from_ref(&one)), unknown);
    }
}

#[test]
fn a_pod_or_an_index_is_chosen_or_is_unknown() {
    let pods = [PodView { index: Some(3), ..pod("a", 1, DONE) }, pod("b", 1, DONE)];
    for (pod, index, wanted, unknown) in [
        (Some("b"), None, ["b/main"].as_slice(), None),
        (None, Some(3), &["a/main"], None),
        (None, Some(4), &[], Some(Unknown::Index(4))),
        (
            Some("c"),
            None,
            &[],
            Some(Unknown::Pod { name: "c".to_owned(), known: vec!["a".to_owned(), "b".to_owned()] }),
        ),
    ] {
        let choice = Choice { pod: pod.map(str::to_owned), index, ..Choice::default() };
        assert_eq!(choice.unknown(&pods), unknown);
        assert_eq!(names(&desk(choice, false, &pods).open()), wanted);
    }
}

#[test]
fn only_what_failed_is_read_where_that_is_asked_for() {
    let choice = Choice { only_failed: true, containers: Containers::All, ..Choice::default() };
    let mut init_failed = pod("init", 1, waiting());
    init_failed.containers.insert(0, container("fetch", Kind::Init, FAILED));
    init_failed.has_failed = true;
    let mut evicted = pod("evicted", 2, DONE);
    evicted.has_failed = true;
    let pods = [
        pod("fine", 1, DONE),
        pod("runs", 1, State::Running),
        restarted("restarted", 1, State::Running),
        init_failed,
        evicted,
        pod("failed", 3, FAILED),
    ];
    let mut desk = desk(choice, false, &pods);
    let mut names = names(&desk.open());
    names.sort();
    assert_eq!(names, ["evicted/main", "failed/main", "init/fetch", "restarted/main!"]);
}

#[test]
fn the_instance_before_is_read_where_there_is_one() {
    let choice = Choice { is_previous: true, ..Choice::default() };
    let pods = [restarted("a", 2, State::Running), pod("b", 1, State::Running)];
    assert_eq!(names(&desk(choice, false, &pods).open()), ["a/main#1!"]);
}
