//! `simulate mutants`: whether known bugs are found, and how fast.

use std::fs::File;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use quorate_testkit::mutants::{Class, Measured, Mutant, Row, Selection, TABLE, measure};
use quorate_testkit::{Options, run_seed};
use serde_json::{Value, json};

use crate::arguments::{self, Words};
use crate::say;

struct Request {
    rows: Vec<&'static Row>,
    hits: usize,
    first_seed: u64,
    threads: usize,
    control: u64,
    json: Option<String>,
    options: Options,
}

/// Carries out the command; it succeeds if the gate holds.
pub(crate) fn main(words: Words) -> Result<io::Result<ExitCode>, String> {
    let request = parse(words)?;
    // Members that panic are findings; their texts would drown the report.
    std::panic::set_hook(Box::new(|_| {}));
    let status = |fine| if fine { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    Ok(run(&request).map(status))
}

fn parse(mut words: Words) -> Result<Request, String> {
    let mut request = Request {
        rows: TABLE.iter().collect(),
        hits: 3,
        first_seed: 0,
        threads: 1,
        control: 0,
        json: None,
        options: Options::default(),
    };
    let mut selection: Option<Selection> = None;
    let anyone = Selection::of(Mutant::M01);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--only" => request.rows = words.parse(&word, named)?,
            "--class" => request.rows = words.parse(&word, of_class)?,
            "--hits" => request.hits = words.parse(&word, arguments::positive)?,
            "--from" => request.first_seed = words.parse(&word, |text| text.parse().ok())?,
            "--threads" => request.threads = words.parse(&word, arguments::positive)?,
            "--control" => request.control = words.parse(&word, arguments::positive)?,
            "--json" => request.json = Some(words.value(&word)?),
            "--members" => {
                request.options.members = Some(words.parse(&word, arguments::positive)?);
            }
            "--in-member" => {
                let member = Some(words.parse(&word, arguments::positive)?);
                selection = Some(Selection { member, ..selection.unwrap_or(anyone) });
            }
            "--after" => {
                let after_hits = words.parse(&word, arguments::positive)?;
                selection = Some(Selection { after_hits, ..selection.unwrap_or(anyone) });
            }
            _ => return Err(format!("{word} is unknown")),
        }
    }
    request.options.mutant = selection;
    Ok(request)
}

/// Rows by the names of their mutants, with commas between.
fn named(names: &str) -> Option<Vec<&'static Row>> {
    let mutant = |name: &str| {
        Mutant::ALL.iter().find(|mutant| format!("{mutant:?}").eq_ignore_ascii_case(name))
    };
    let row_of = |mutant: &Mutant| TABLE.iter().find(|row| row.mutant == *mutant);
    names.split(',').map(|name| mutant(name).and_then(row_of)).collect()
}

/// All rows of a class.
fn of_class(name: &str) -> Option<Vec<&'static Row>> {
    let class = |row: &&Row| format!("{:?}", row.class).eq_ignore_ascii_case(name);
    let rows: Vec<&Row> = TABLE.iter().filter(class).collect();
    (!rows.is_empty()).then_some(rows)
}

fn run(request: &Request) -> io::Result<bool> {
    let mut lines: Box<dyn Write + Send> = match &request.json {
        Some(path) => Box::new(File::create(path)?),
        None => Box::new(io::stdout()),
    };
    let measured = measure_all(request, &mut lines)?;
    let mut fine = true;
    for class in [Class::S, Class::M, Class::L, Class::Xl] {
        fine &= judge(class, &measured)?;
    }
    if request.control > 0 {
        fine &= control(request)?;
    }
    say(if fine { "the gate holds" } else { "the gate does NOT hold" })?;
    Ok(fine)
}

fn measure_all(request: &Request, lines: &mut Box<dyn Write + Send>) -> io::Result<Vec<Measured>> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new((Vec::new(), lines));
    let work = || -> io::Result<()> {
        while let Some(row) = request.rows.get(next.fetch_add(1, Ordering::Relaxed)) {
            let measured = measure(row, request.hits, request.first_seed, &request.options);
            let poisoned = |_| io::Error::other("another thread panicked");
            let (all, lines) = &mut *results.lock().map_err(poisoned)?;
            say(&progress(&measured))?;
            writeln!(lines, "{}", to_json(&measured))?;
            all.push(measured);
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..request.threads).map(|_| scope.spawn(work)).collect();
        let broken = || io::Error::other("a thread panicked");
        threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| broken())?)
    })?;
    let (measured, _) = results.into_inner().map_err(|_| io::Error::other("a thread panicked"))?;
    Ok(measured)
}

fn progress(measured: &Measured) -> String {
    let Row { mutant, class, .. } = measured.row;
    let (found, searches) = (measured.findings.len(), measured.searches);
    let (runs, reached) = (measured.runs, measured.runs_reached);
    let id = format!("{mutant:?}");
    let verdict = match measured.is_found() {
        true => measured.checkers().join(", "),
        false if reached == 0 => "NEVER REACHED".to_owned(),
        false => format!("NOT FOUND (seen by {:?})", measured.checkers()),
    };
    format!("{id:<5} {class:?} {found}/{searches} in {runs} runs, {reached} reached it: {verdict}")
}

fn to_json(measured: &Measured) -> Value {
    let row = measured.row;
    let seconds = |percent| measured.time_percentile(percent).map(|time| time.as_secs_f64());
    json!({
        "id": format!("{:?}", row.mutant),
        "title": row.mutant.title(),
        "source": row.source,
        "class": format!("{:?}", row.class),
        "nodes": measured.members(),
        "runs": measured.runs,
        "hits": measured.findings.len(),
        "seeds_median": measured.seeds_median(),
        "seconds_median": seconds(50),
        "seconds_p90": seconds(90),
        "checkers": measured.checkers(),
        "reached": measured.runs_reached,
        "seeds": measured.findings.iter().map(|finding| finding.seed).collect::<Vec<_>>(),
    })
}

/// Whether enough bugs of a class were found: all of the easy ones, nineteen in twenty of the
/// harder ones; the hardest are only counted.
fn judge(class: Class, measured: &[Measured]) -> io::Result<bool> {
    let all = measured.iter().filter(|measured| measured.row.class == class);
    let (found, missed): (Vec<&Measured>, Vec<&Measured>) = all.partition(|m| m.is_found());
    let count = found.len() + missed.len();
    let fine = match class {
        Class::S | Class::M => missed.is_empty(),
        Class::L => found.len() * 20 >= count * 19,
        Class::Xl => true,
    };
    if count > 0 {
        let missed: Vec<String> = missed.iter().map(|m| format!("{:?}", m.row.mutant)).collect();
        let names = missed.join(" ");
        say(&format!("class {class:?}: {} of {count} found {names}", found.len()))?;
    }
    Ok(fine)
}

/// Runs seeds without any bug; returns whether nothing was found.
fn control(request: &Request) -> io::Result<bool> {
    let (next, alarms) = (AtomicU64::new(0), AtomicU64::new(0));
    let options = Options { mutant: None, ..request.options.clone() };
    let work = || -> io::Result<()> {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= request.control {
                return Ok(());
            }
            if let Err(failure) = run_seed(request.first_seed + number, &options) {
                alarms.fetch_add(1, Ordering::Relaxed);
                say(&format!("FALSE ALARM {failure}"))?;
            }
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..request.threads).map(|_| scope.spawn(work)).collect();
        let broken = || io::Error::other("a thread panicked");
        threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| broken())?)
    })?;
    let alarms = alarms.into_inner();
    say(&format!("control: {alarms} alarms in {} seeds without a bug", request.control))?;
    Ok(alarms == 0)
}
