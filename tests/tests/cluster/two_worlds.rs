//! One test of application code, simulated and on durable live members.

use quorate::{Range, create_revision, mod_revision, put};
use quorate_testkit::{Actor, Faults, Live, Sim, Trouble, check, ensure, millis, secs};

const ACCOUNTS: u64 = 4;
const MONEY: u64 = 100;

/// Actors move money between accounts; no fault may make or lose any.
fn bank() -> Sim {
    Sim::new("bank")
        .nodes(3)
        .faults(Faults::swarm())
        .setup(|db| {
            for account in 0..ACCOUNTS {
                let key = account_key(account);
                let open = db.txn().when(create_revision(key.clone()).equals(0));
                open.then(put(key, format!("{MONEY}"))).commit().wait()?;
            }
            Ok(())
        })
        .actors(3, |me| {
            for _ in 0..20 {
                transfer(me)?;
                me.sleep(millis(me.random(0..50)));
            }
            Ok(())
        })
        .check(check::all())
        .check_end(|_, db| {
            let accounts = db.range(Range::prefix("account/")).wait()?.kvs;
            let sum: u64 = accounts.iter().map(|kv| amount(&kv.value)).sum();
            ensure!(sum == ACCOUNTS * MONEY, "there are {sum}: {accounts:?}");
            Ok(())
        })
}

fn account_key(account: u64) -> String {
    format!("account/{account}")
}

fn amount(value: &[u8]) -> u64 {
    std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()).unwrap_or(u64::MAX / 8)
}

/// Moves some money, unless one of the accounts changes meanwhile.
fn transfer(me: &Actor) -> Result<(), Trouble> {
    let db = me.db();
    let (from, to) = (me.random(0..ACCOUNTS), me.random(0..ACCOUNTS));
    let (from, to) = (account_key(from), account_key(to));
    let (Some(giver), Some(taker)) = (db.get(from.clone()).wait()?, db.get(to.clone()).wait()?)
    else {
        return Err(Trouble::broken("an account is missing"));
    };
    let moved = me.random(1..10).min(amount(&giver.value));
    if from == to {
        return Ok(());
    }
    db.txn()
        .when(mod_revision(from.clone()).equals(giver.mod_revision))
        .when(mod_revision(to.clone()).equals(taker.mod_revision))
        .then(put(from, format!("{}", amount(&giver.value) - moved)))
        .then(put(to, format!("{}", amount(&taker.value) + moved)))
        .commit()
        .wait()?;
    Ok(())
}

#[test]
fn no_money_is_lost_in_simulated_runs() {
    bank().run_for(secs(5)).seeds(0..30).run();
}

#[test]
fn no_money_is_lost_on_durable_live_members() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    bank().run_for(secs(3)).seeds(0..2).real(Live::in_folder(folder.path())).run();
    let left = std::fs::read_dir(folder.path()).expect("the folder").count();
    assert_eq!(left, 0, "folders of runs that went well are removed");
}
