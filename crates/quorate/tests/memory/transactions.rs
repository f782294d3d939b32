//! Transactions that read, decide and write.

use quorate::recipes::{RecipeError, Transaction, transact, transact_up_to};
use quorate::{Client, Error, KvError, Node, Range};

use crate::{ANSWERED, open};

fn number(tx: &mut Transaction, key: &str) -> Result<i64, Error> {
    let found = tx.get(key.to_owned())?;
    Ok(found.map_or(0, |text| std::str::from_utf8(&text).expect(ANSWERED).parse().expect(ANSWERED)))
}

/// Moves an amount if there is as much; whether it did.
fn transfer(client: &Client, from: &str, to: &str, amount: i64) -> bool {
    let moved = transact(client, |tx| -> Result<bool, Error> {
        let (left, right) = (number(tx, from)?, number(tx, to)?);
        if left < amount {
            return Ok(false);
        }
        tx.put(from.to_owned(), (left - amount).to_string());
        tx.put(to.to_owned(), (right + amount).to_string());
        Ok(true)
    });
    moved.expect(ANSWERED).value
}

fn conflict(attempts: u32) -> RecipeError {
    RecipeError::TooManyConflicts { attempts }
}

#[test]
fn transfers_keep_the_sum() {
    let node = open();
    let accounts = ["account/a", "account/b", "account/c"];
    for account in accounts {
        node.put(account, "100").wait().unwrap();
    }
    let threads = [1, 2].map(|thread| {
        let client = node.client();
        std::thread::spawn(move || {
            let mut moved = 0;
            for i in 0..200 {
                let (from, to) = (accounts[i % 3], accounts[(i + thread) % 3]);
                moved += i64::from(transfer(&client, from, to, 7 + i as i64 % 5));
            }
            moved
        })
    });
    // While they run, every snapshot has the same sum.
    while threads.iter().any(|thread| !thread.is_finished()) {
        let sum = transact(&node, |tx| -> Result<i64, Error> {
            assert_eq!(tx.prefix("account/")?.len(), 3);
            let [a, b, c] = accounts;
            Ok(number(tx, a)? + number(tx, b)? + number(tx, c)?)
        });
        assert_eq!(sum.unwrap().value, 300);
    }
    for thread in threads {
        assert!(thread.join().unwrap() > 0);
    }
    let balances = accounts.map(|account| {
        let found = node.get(account).wait().unwrap().unwrap();
        std::str::from_utf8(&found.value).unwrap().parse::<i64>().unwrap()
    });
    assert_eq!(balances.iter().sum::<i64>(), 300);
    assert!(balances.iter().all(|balance| *balance >= 0));
}

/// Runs a transaction whose body writes `then`, with one attempt, while `between` happens after it
/// has read; whether it was committed.
fn interrupted(
    node: &Node,
    read: impl Fn(&mut Transaction) -> Result<(), Error>,
    between: impl Fn(&Node),
) -> bool {
    let result = transact_up_to(node, 1, |tx| -> Result<(), Error> {
        read(tx)?;
        between(node);
        tx.put("result", "written");
        Ok(())
    });
    match result {
        Ok(done) => {
            let written = node.get("result").wait().expect(ANSWERED).expect(ANSWERED);
            assert_eq!(written.mod_revision, done.revision);
            true
        }
        Err(Error::Recipe(cause)) if cause == conflict(1) => false,
        Err(error) => panic!("{error:?}"),
    }
}

#[test]
fn what_was_read_must_not_change() {
    let node = open();
    for key in ["r/a", "r/b", "r/c", "other"] {
        node.put(key, "0").wait().unwrap();
    }
    let put = |key: &'static str| move |node: &Node| drop(node.put(key, "1").wait().unwrap());
    let delete = |key: &'static str| move |node: &Node| drop(node.delete(key).wait().unwrap());
    let key = |tx: &mut Transaction| tx.get("r/b").map(drop);
    let absent = |tx: &mut Transaction| tx.get("r/x").map(drop);
    let range = |tx: &mut Transaction| tx.prefix("r/").map(drop);

    assert!(interrupted(&node, key, put("other")));
    assert!(!interrupted(&node, key, put("r/b")));
    assert!(!interrupted(&node, key, delete("r/b")));
    assert!(interrupted(&node, absent, put("other")));
    assert!(!interrupted(&node, absent, put("r/x")));
    node.delete("r/x").wait().unwrap();

    assert!(interrupted(&node, range, put("other")), "keys outside do not matter");
    assert!(!interrupted(&node, range, put("r/a")), "a key of the range changed");
    assert!(!interrupted(&node, range, put("r/z")), "a phantom came");
    assert!(!interrupted(&node, range, delete("r/z")), "a key went");
    assert!(!interrupted(&node, range, |node| {
        delete("r/c")(node);
        put("r/c")(node);
    }));
    assert!(interrupted(&node, range, |node| {
        put("r/y")(node);
        delete("r/y")(node);
    }));
    let none = |tx: &mut Transaction| tx.prefix("none/").map(|found| assert!(found.is_empty()));
    assert!(interrupted(&node, none, put("other")));
    assert!(!interrupted(&node, none, put("none/1")), "a phantom in an empty range");
}

#[test]
fn a_conflict_is_tried_again_with_what_is_there_then() {
    let node = open();
    node.put("k", "1").wait().unwrap();
    let mut attempts = 0;
    let done = transact(&node, |tx| -> Result<i64, Error> {
        attempts += 1;
        let found = number(tx, "k")?;
        if attempts < 4 {
            node.put("k", (10 * attempts).to_string()).wait()?;
        }
        tx.put("k", (found + 1).to_string());
        Ok(found)
    });
    assert_eq!((done.unwrap().value, attempts), (30, 4));
    let error = transact_up_to(&node, 3, |tx| -> Result<(), Error> {
        tx.get("k")?;
        node.put("k", "0").wait()?;
        tx.put("k", "1");
        Ok(())
    });
    let Err(Error::Recipe(cause)) = error else { panic!("{error:?}") };
    assert_eq!(cause, conflict(3));
    assert_eq!(&node.get("k").wait().unwrap().unwrap().value[..], b"0");
}

#[test]
fn reads_are_of_one_revision_and_see_own_writes() {
    let node = open();
    for key in ["k/a", "k/b", "k/c"] {
        node.put(key, "old").wait().unwrap();
    }
    let read = transact(&node, |tx| -> Result<_, Error> {
        let first = tx.get("k/a")?.unwrap();
        node.put("k/b", "new").wait()?;
        Ok((first, tx.get("k/b")?.unwrap()))
    });
    let read = read.unwrap();
    assert_eq!(read.value, ("old".into(), "old".into()), "nothing is written: nothing conflicts");
    assert_eq!(read.revision, 4);

    let written = transact(&node, |tx| -> Result<_, Error> {
        tx.put("k/d", "mine");
        tx.put("k/a", "mine");
        tx.delete("k/b");
        tx.put("l", "outside");
        assert_eq!(tx.get("k/a")?.unwrap(), "mine");
        assert_eq!(tx.get("k/b")?, None);
        tx.prefix("k/")
    });
    let written = written.unwrap();
    let expected = [("k/a", "mine"), ("k/c", "old"), ("k/d", "mine")];
    let found = written.value.iter().map(|(key, value)| (&key[..], &value[..]));
    assert!(found.eq(expected.map(|(key, value)| (key.as_bytes(), value.as_bytes()))));
    assert_eq!(written.revision, 6);
    let all = node.range(Range::all().keys_only()).wait().unwrap();
    assert!(all.kvs.iter().map(|kv| &kv.key[..]).eq([b"k/a", b"k/c", b"k/d", &b"l"[..]]));
    assert_eq!(transact(&node, |_| Ok::<_, Error>(())).unwrap().revision, 6);
}

#[test]
fn a_compaction_starts_a_transaction_anew() {
    let node = open();
    node.put("k", "1").wait().unwrap();
    let mut attempts = 0;
    let done = transact(&node, |tx| -> Result<_, Error> {
        attempts += 1;
        tx.get("k")?;
        if attempts == 1 {
            node.put("k", "2").wait()?;
            node.compact(3).wait()?;
        }
        tx.get("other")?;
        Ok(tx.get("k")?.unwrap())
    });
    assert_eq!((&done.unwrap().value[..], attempts), (&b"2"[..], 2));
}

#[test]
fn errors_are_passed_on() {
    let node = open();
    #[derive(Debug)]
    enum Mine {
        TooPoor,
        Failed(Error),
    }
    impl From<Error> for Mine {
        fn from(error: Error) -> Self {
            Self::Failed(error)
        }
    }
    let result = transact(&node, |tx| -> Result<(), Mine> {
        tx.put("k", "never");
        Err(Mine::TooPoor)
    });
    assert!(matches!(result, Err(Mine::TooPoor)));
    assert!(node.get("k").wait().unwrap().is_none());
    for (key, reads, expected) in [
        ("", 0, KvError::EmptyKey),
        ("k", 200, KvError::TooManyOperations { count: 200, limit: 128 }),
    ] {
        let result = transact(&node, |tx| -> Result<(), Mine> {
            for i in 0..reads {
                tx.get(format!("{i}"))?;
            }
            tx.put(key, "never");
            Ok(())
        });
        let Err(Mine::Failed(Error::Refused(cause))) = result else { panic!("{result:?}") };
        assert_eq!(cause, expected);
    }
    let client = node.client();
    node.close().unwrap();
    let result = transact(&client, |tx| tx.get("k").map_err(Mine::Failed));
    assert!(matches!(result, Err(Mine::Failed(Error::Stopped(_)))));
}
