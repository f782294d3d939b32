//! Services and their instances.

use quorate::recipes::{
    Instance, InstanceChange, Instances, RecipeError, Registration, ServiceRegistry, Session,
};
use quorate::{Client, Error, LeaseGrantRequest, Node};

use crate::{ANSWERED, open};

fn session(client: &Client) -> Session {
    Session::open(client, 10).wait().expect(ANSWERED)
}

fn register(session: &Session, name: &str, address: &str) -> Registration {
    let instance = Instance::new(name, address);
    ServiceRegistry::new("s").register(session, "web", &instance).wait().expect(ANSWERED)
}

fn next(changes: &mut Instances) -> InstanceChange {
    changes.next().expect(ANSWERED).expect(ANSWERED)
}

fn recipe_error<T: std::fmt::Debug>(result: Result<T, Error>) -> RecipeError {
    match result {
        Err(Error::Recipe(cause)) => cause,
        other => panic!("expected an error of the recipe, got {other:?}"),
    }
}

fn names(node: &Node) -> Vec<String> {
    let instances = ServiceRegistry::new("s").instances(node, "web").wait().expect(ANSWERED);
    instances.into_iter().map(|instance| instance.name).collect()
}

#[test]
fn instances_join_change_and_leave() {
    let node = open();
    let services = ServiceRegistry::new("s");
    let session = session(&node);
    let first = register(&session, "a", "1");
    let mut changes = services.watch(&node, "web").unwrap();
    assert_eq!(next(&mut changes), InstanceChange::Joined(Instance::new("a", "1")));
    let second = register(&session, "b", "2");
    assert_eq!(next(&mut changes), InstanceChange::Joined(Instance::new("b", "2")));
    let moved = Instance::new("a", "3").with("zone", "north");
    first.update(&moved).wait().unwrap();
    assert_eq!(next(&mut changes), InstanceChange::Updated(moved.clone()));
    assert_eq!(
        services.instances(&node, "web").wait().unwrap(),
        [moved.clone(), Instance::new("b", "2")]
    );
    first.deregister().wait().unwrap();
    assert_eq!(next(&mut changes), InstanceChange::Left(moved));
    drop(second);
    assert_eq!(next(&mut changes), InstanceChange::Left(Instance::new("b", "2")));
    // The name is free again for the same session.
    let again = register(&session, "a", "4");
    assert_eq!(next(&mut changes), InstanceChange::Joined(Instance::new("a", "4")));
    assert_eq!(again.key(), "s/web/a");
}

#[test]
fn a_lost_session_takes_its_instances() {
    let node = open();
    let (first, second) = (session(&node), session(&node));
    let mut changes = ServiceRegistry::new("s").watch(&node, "web").unwrap();
    let registered = register(&first, "a", "1");
    let _other = register(&second, "b", "2");
    next(&mut changes);
    next(&mut changes);
    let lost = registered.lost();
    node.lease_revoke(first.lease()).wait().unwrap();
    assert_eq!(next(&mut changes), InstanceChange::Left(Instance::new("a", "1")));
    lost.wait().unwrap();
    assert!(registered.is_lost());
    let lease = first.lease();
    let gone = RecipeError::TakenOver { key: "s/web/a".to_owned(), lease };
    assert_eq!(recipe_error(registered.update(&Instance::new("a", "9")).wait()), gone);
    let instance = Instance::new("c", "3");
    let again = ServiceRegistry::new("s").register(&first, "web", &instance).wait();
    assert_eq!(recipe_error(again), RecipeError::SessionLost { lease });
    // What its owner does about it:
    let third = session(&node);
    let _again = register(&third, "a", "1");
    assert_eq!(next(&mut changes), InstanceChange::Joined(Instance::new("a", "1")));
    assert_eq!(names(&node), ["a", "b"]);
}

#[test]
fn a_session_without_its_lease_registers_nothing() {
    let node = open();
    // Nobody has noticed yet that the lease has ended.
    let lease = node.lease_grant_with(LeaseGrantRequest { ttl: 1_000, id: 77 }).wait().unwrap().id;
    let session = Session::adopt(&node, lease, 1_000);
    node.lease_revoke(lease).wait().unwrap();
    let instance = Instance::new("a", "1");
    let result = ServiceRegistry::new("s").register(&session, "web", &instance).wait();
    assert_eq!(recipe_error(result), RecipeError::SessionLost { lease });
}

#[test]
fn the_newest_registration_of_a_name_holds() {
    let node = open();
    let (first, second) = (session(&node), session(&node));
    let old = register(&first, "a", "1");
    let twice = ServiceRegistry::new("s").register(&first, "web", &Instance::new("a", "1")).wait();
    assert!(matches!(recipe_error(twice), RecipeError::AlreadyHeld { .. }));
    let new = register(&second, "a", "2");
    let error = recipe_error(old.update(&Instance::new("a", "3")).wait());
    assert!(matches!(error, RecipeError::TakenOver { .. }));
    // Neither the end of the old one nor that of its session matters.
    drop(old);
    first.close().wait().unwrap();
    assert_eq!(names(&node), ["a"]);
    new.deregister().wait().unwrap();
    assert_eq!(names(&node), [""; 0]);
}

#[test]
fn names_and_foreign_keys_do_not_mix() {
    let node = open();
    let session = session(&node);
    let services = ServiceRegistry::new("s");
    for (service, name) in [("web", "a/b"), ("web", ""), ("we/b", "a"), ("", "a")] {
        let result = services.register(&session, service, &Instance::new(name, "1")).wait();
        assert!(matches!(recipe_error(result), RecipeError::InvalidName { .. }));
    }
    assert!(services.watch(&node, "a/b").is_err());
    assert!(services.instances(&node, "").wait().is_err());
    let mut changes = services.watch(&node, "web").unwrap();
    let a = register(&session, "a", "1");
    assert_eq!(next(&mut changes), InstanceChange::Joined(Instance::new("a", "1")));
    assert!(matches!(
        recipe_error(a.update(&Instance::new("b", "1")).wait()),
        RecipeError::InvalidName { .. }
    ));
    for key in [&b"s/web/x/y"[..], b"s/web/", b"s/web/\xff", b"s/web2/z"] {
        node.put(key, "").wait().unwrap();
    }
    node.put("s/web/strange", "\u{ff}").wait().unwrap();
    assert_eq!(names(&node), ["a"]);
    node.put("s/web/a", "\u{ff}").wait().unwrap();
    assert_eq!(next(&mut changes), InstanceChange::Left(Instance::new("a", "1")));
}

#[test]
fn a_watch_overtaken_by_a_compaction_lists_anew() {
    let node = open();
    let session = session(&node);
    let [gone, goes_unseen, moved] = ["a", "b", "c"].map(|name| register(&session, name, "1"));
    let mut changes = ServiceRegistry::new("s").watch(&node, "web").unwrap();
    (0..3).for_each(|_| drop(next(&mut changes)));
    gone.deregister().wait().unwrap();
    assert_eq!(next(&mut changes), InstanceChange::Left(Instance::new("a", "1")));
    // Nobody reads while more happens than is kept.
    moved.update(&Instance::new("c", "2")).wait().unwrap();
    let brief = register(&session, "brief", "1");
    brief.deregister().wait().unwrap();
    goes_unseen.deregister().wait().unwrap();
    let revision = node.put("x", "").wait().unwrap().header.unwrap().revision;
    let _new = register(&session, "d", "1");
    node.compact(revision).wait().unwrap();
    assert_eq!(next(&mut changes), InstanceChange::Left(Instance::new("b", "1")));
    assert_eq!(next(&mut changes), InstanceChange::Updated(Instance::new("c", "2")));
    assert_eq!(next(&mut changes), InstanceChange::Joined(Instance::new("d", "1")));
}

#[test]
fn a_watch_ends_with_its_member() {
    let node = open();
    let mut changes = ServiceRegistry::new("s").watch(&node, "web").unwrap();
    let first = register(&session(&node), "a", "1");
    next(&mut changes);
    node.close().unwrap();
    assert!(matches!(changes.next(), Some(Err(Error::Stopped(_)))));
    assert!(changes.next().is_none());
    assert!(first.is_lost());
}
