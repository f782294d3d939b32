//! The first steps with Quorate: open a member, write, read.
//!
//! ```text
//! cargo run --release --example first_steps
//! ```

use std::error::Error;

use quorate::{Config, Node, Range, put, value};

fn main() -> Result<(), Box<dyn Error>> {
    // An application passes a folder of its own and finds its data there the next time.
    let folder = tempfile::tempdir()?;

    // These three lines are all it takes. `wait` returns once the value is safe on disk; inside an
    // async function, `.await` does the same.
    let node = Node::open(Config::new(folder.path().join("data")))?;
    node.put("greeting", "hello").wait()?;
    let found = node.get("greeting").wait()?;

    let found = found.ok_or("greeting is absent")?;
    println!("greeting = {}", String::from_utf8_lossy(&found.value));

    // Many changes at once, and only if nobody changed the greeting in between.
    let swapped = node
        .txn()
        .when(value("greeting").equals("hello"))
        .then(put("greeting", "good morning"))
        .then(put("greeted-by", "first_steps"))
        .commit()
        .wait()?;
    println!("swapped = {}", swapped.succeeded);

    // Reading several keys, in order.
    for entry in node.range(Range::prefix("greet")).wait()?.kvs {
        let (key, value) = (String::from_utf8_lossy(&entry.key), &entry.value);
        println!("{key} = {} (version {})", String::from_utf8_lossy(value), entry.version);
    }

    // What was, stays readable at its revision until it is compacted.
    let before = node.range(Range::key("greeting").revision(found.mod_revision)).wait()?;
    println!("before = {}", String::from_utf8_lossy(&before.kvs[0].value));

    // Closing is polite. A member that is dropped or killed keeps its data as well.
    node.close()?;
    Ok(())
}
