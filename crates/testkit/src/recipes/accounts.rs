//! Actors that move money between accounts.

use bytes::Bytes;
use quorate::recipes::{RecipeError, Transaction, transact};
use quorate::{Client, Error, Range};

use crate::actors::actor::{Actor, Trouble};
use crate::ensure;
use crate::plan::Faults;
use crate::sim::{Sim, millis, secs};

/// Actors move money in transactions that read first. Whoever looks at all accounts in one finds
/// the same sum at any time, and so does everybody at the end.
pub fn transactions() -> Sim {
    let sim = Sim::new("transactions").nodes(1..=5).run_for(secs(12)).faults(Faults::swarm());
    let sim = sim.setup(|db| {
        for account in 0..ACCOUNTS {
            db.put(key(account), SHARE.to_string()).wait()?;
        }
        Ok(())
    });
    sim.actors(5, move_money).check_end(|_, db: &Client| {
        let accounts = db.range(Range::prefix(PREFIX)).wait()?.kvs;
        let sum = sum(accounts.into_iter().map(|account| account.value))?;
        ensure!(sum == ACCOUNTS * SHARE, "{sum} is left of {}", ACCOUNTS * SHARE);
        Ok(())
    })
}

fn move_money(me: &Actor) -> Result<(), Trouble> {
    while !me.faults_over() {
        let (from, to) = (me.random(0..ACCOUNTS), me.random(0..ACCOUNTS));
        let looks_at_all = me.random(0..3) == 0;
        let moved = transact(&me.db(), |tx| {
            if looks_at_all {
                let all = tx.prefix(PREFIX)?;
                let sum = sum(all.into_iter().map(|(_, value)| value))?;
                ensure!(sum == ACCOUNTS * SHARE, "{sum} instead of {}", ACCOUNTS * SHARE);
            }
            let amount = balance(tx, from)?.min(me.random(1..50));
            me.sleep(millis(me.random(0..30)));
            let left = balance(tx, from)? - amount;
            tx.put(key(from), left.to_string());
            let sum = balance(tx, to)? + amount;
            tx.put(key(to), sum.to_string());
            Ok(())
        });
        match moved {
            Err(Trouble::Request(Error::Recipe(RecipeError::TooManyConflicts { .. }))) => {}
            other => drop(other?),
        }
        me.sleep(millis(me.random(0..100)));
    }
    Ok(())
}

fn key(account: u64) -> String {
    format!("{PREFIX}{account}")
}

fn balance(tx: &mut Transaction, account: u64) -> Result<u64, Trouble> {
    let value = tx.get(key(account))?.unwrap_or_default();
    sum([value])
}

fn sum(values: impl IntoIterator<Item = Bytes>) -> Result<u64, Trouble> {
    let number = |value: Bytes| {
        let number = std::str::from_utf8(&value).ok().and_then(|text| text.parse::<u64>().ok());
        number.ok_or_else(|| Trouble::broken(format!("{value:?} is no balance")))
    };
    values.into_iter().map(number).sum()
}

const PREFIX: &str = "account/";
const ACCOUNTS: u64 = 5;
const SHARE: u64 = 100;
