//! Classes of faults, and how strong each is in a run.

use std::collections::BTreeMap;

use crate::rng::{MILLION, Purpose, Stream};

/// A class of faults, chosen and turned off as one.
///
/// Changes of the membership have no class here yet, because members cannot change it yet.
///
/// Two faults are left out on purpose: a disk replaced by an empty one, and a disk set back to an
/// old copy. Raft does not survive a member that forgot its votes and takes part under its old
/// name, and a member notices such a loss only when its leader tells it of entries that it once
/// acknowledged.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[non_exhaustive]
pub enum FaultClass {
    /// Messages take long, and some of them very long.
    Delay,
    /// Messages are lost.
    Loss,
    /// Messages arrive twice, the second time perhaps very late.
    Duplicates,
    /// Messages overtake each other.
    Reorder,
    /// Links carry a limited number of bytes, and lose what is too much.
    Bandwidth,
    /// Frames are damaged on the way, and refused.
    Damage,
    /// Senders are told that messages were lost which arrive.
    Misreports,
    /// Messages of an earlier life of the sender or the receiver arrive.
    StaleMessages,
    /// Snapshot streams break.
    BrokenStreams,
    /// Links carry nothing in one direction.
    Cuts,
    /// Members are cut off, or split into two groups.
    Partitions,
    /// Members reach some of the others: rings, bridges, leaders with one follower.
    PartialPartitions,
    /// Links are cut one by one and mended in another order.
    Swizzles,
    /// Members receive late.
    SlowReceivers,
    /// Members lose their power.
    Crashes,
    /// Members lose their power before, between or after certain steps of their work.
    CrashesAtSteps,
    /// All members lose their power.
    CrashesOfAll,
    /// Members lose their power again and again.
    CrashLoops,
    /// Members are closed in an orderly way.
    Reopens,
    /// Members stand still, with or without their clock.
    Pauses,
    /// Members work slowly.
    SlowMembers,
    /// Threads wake up late.
    SlowThreads,
    /// Writes and syncs fail.
    DiskFailures,
    /// Reads fail or find damaged bytes.
    ReadFailures,
    /// Crashes leave a part of a write.
    TornWrites,
    /// Disks finish nothing for a time.
    Stalls,
    /// Disks are slow.
    SlowDisks,
    /// Clocks run at different rates.
    ClockRates,
    /// Clocks began at different times, so that their ticks do not coincide.
    ClockPhases,
    /// Somebody asks for other leaders.
    Transfers,
    /// Limits are so small that they are always met.
    TinyLimits,
    /// What was sent to a member lately arrives once more.
    Replays,
}

/// How strong a class of faults is in one run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Level {
    /// Nothing of it happens.
    Off,
    /// It happens now and then.
    Low,
    /// It happens all the time.
    High,
}

/// Which faults a run has: the levels of all classes, or how they are chosen.
///
/// ```
/// use quorate_testkit::plan::{FaultClass, Faults, Level};
/// // Chosen anew for every seed, but never a crash of all members.
/// let faults = Faults::swarm().without(FaultClass::CrashesOfAll);
/// // Nothing but partitions.
/// let partitions = Faults::none().with(FaultClass::Partitions, Level::High);
/// assert_eq!(partitions.level(7, FaultClass::Partitions), Level::High);
/// assert_eq!(partitions.level(7, FaultClass::Loss), Level::Off);
/// # let _ = faults;
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Faults {
    /// Whether classes without a fixed level have one drawn; they are off else.
    drawn: bool,
    fixed: BTreeMap<FaultClass, Level>,
}

impl FaultClass {
    /// All of them with their names, in the order of their declaration.
    const NAMES: [(Self, &'static str); 32] = [
        (Self::Delay, "delay"),
        (Self::Loss, "loss"),
        (Self::Duplicates, "duplicates"),
        (Self::Reorder, "reorder"),
        (Self::Bandwidth, "bandwidth"),
        (Self::Damage, "damage"),
        (Self::Misreports, "misreports"),
        (Self::StaleMessages, "stale-messages"),
        (Self::BrokenStreams, "broken-streams"),
        (Self::Cuts, "cuts"),
        (Self::Partitions, "partitions"),
        (Self::PartialPartitions, "partial-partitions"),
        (Self::Swizzles, "swizzles"),
        (Self::SlowReceivers, "slow-receivers"),
        (Self::Crashes, "crashes"),
        (Self::CrashesAtSteps, "crashes-at-steps"),
        (Self::CrashesOfAll, "crashes-of-all"),
        (Self::CrashLoops, "crash-loops"),
        (Self::Reopens, "reopens"),
        (Self::Pauses, "pauses"),
        (Self::SlowMembers, "slow-members"),
        (Self::SlowThreads, "slow-threads"),
        (Self::DiskFailures, "disk-failures"),
        (Self::ReadFailures, "read-failures"),
        (Self::TornWrites, "torn-writes"),
        (Self::Stalls, "stalls"),
        (Self::SlowDisks, "slow-disks"),
        (Self::ClockRates, "clock-rates"),
        (Self::ClockPhases, "clock-phases"),
        (Self::Transfers, "transfers"),
        (Self::TinyLimits, "tiny-limits"),
        (Self::Replays, "replays"),
    ];

    /// All classes.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::NAMES.into_iter().map(|(class, _)| class)
    }

    /// The name of the class, in small letters with dashes.
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize].1
    }

    /// The class of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::all().find(|class| class.name() == name)
    }

    /// The stream that decides about faults of this class.
    pub(super) fn stream(self, seed: u64) -> Stream {
        Stream::new(seed, Purpose::Faults, self as u64, 0)
    }
}

impl Level {
    /// One of three values.
    pub(super) fn pick<T>(self, off: T, low: T, high: T) -> T {
        match self {
            Self::Off => off,
            Self::Low => low,
            Self::High => high,
        }
    }

    /// The level of a name: `off`, `low` or `high`.
    fn from_name(name: &str) -> Option<Self> {
        match name {
            "off" => Some(Self::Off),
            "low" => Some(Self::Low),
            "high" => Some(Self::High),
            _ => None,
        }
    }
}

impl Faults {
    /// Each class is off, low or high by the seed. A fixed mix of everything hides bugs that need
    /// one fault without another.
    pub fn swarm() -> Self {
        Self { drawn: true, fixed: BTreeMap::new() }
    }

    /// No faults at all.
    pub fn none() -> Self {
        Self { drawn: false, fixed: BTreeMap::new() }
    }

    /// The same, with a class at a level. The faults of the other classes stay as they are.
    #[must_use]
    pub fn with(mut self, class: FaultClass, level: Level) -> Self {
        self.fixed.insert(class, level);
        self
    }

    /// The same without a class. The faults of the other classes stay as they are.
    #[must_use]
    pub fn without(self, class: FaultClass) -> Self {
        self.with(class, Level::Off)
    }

    /// Reads words with commas between them: `swarm` or `none` first, if at all, then classes with
    /// their levels; without a level it is `high`. `swarm,crashes=off` and `partitions,loss=low`
    /// are examples; without a first word the other classes are off.
    ///
    /// # Errors
    ///
    /// The word that is none of these.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut faults = Self::none();
        for (place, word) in text.split(',').enumerate() {
            match (place, word) {
                (0, "swarm") => faults = Self::swarm(),
                (0, "none") => {}
                _ => {
                    let (name, level) = word.split_once('=').unwrap_or((word, "high"));
                    let class = FaultClass::from_name(name).ok_or_else(|| word.to_owned())?;
                    let level = Level::from_name(level).ok_or_else(|| word.to_owned())?;
                    faults = faults.with(class, level);
                }
            }
        }
        Ok(faults)
    }

    /// The level of a class in the run of a seed.
    pub fn level(&self, seed: u64, class: FaultClass) -> Level {
        if let Some(level) = self.fixed.get(&class) {
            return *level;
        }
        if !self.drawn {
            return Level::Off;
        }
        let mut stream = Stream::new(seed, Purpose::Levels, class as u64, 0);
        if class == FaultClass::TinyLimits {
            return if stream.chance(MILLION / 2) { Level::High } else { Level::Off };
        }
        match stream.below(10) {
            0..5 => Level::Off,
            5..8 => Level::Low,
            _ => Level::High,
        }
    }
}

impl Default for Faults {
    /// As [`Faults::swarm`].
    fn default() -> Self {
        Self::swarm()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_has_its_own_name() {
        for (place, class) in FaultClass::all().enumerate() {
            assert_eq!(class as usize, place);
            assert_eq!(FaultClass::from_name(class.name()), Some(class));
        }
        assert_eq!(FaultClass::from_name("Loss"), None);
    }

    #[test]
    fn a_swarm_draws_all_levels_of_every_class() {
        for class in FaultClass::all().filter(|class| *class != FaultClass::TinyLimits) {
            for level in [Level::Off, Level::Low, Level::High] {
                let drawn = (0..100).any(|seed| Faults::swarm().level(seed, class) == level);
                assert!(drawn, "{class:?} is never {level:?}");
            }
        }
    }

    #[test]
    fn words_choose_levels() {
        let check = |text: &str, expected: Faults| assert_eq!(Faults::parse(text), Ok(expected));
        check("swarm", Faults::swarm());
        check("none", Faults::none());
        check("loss", Faults::none().with(FaultClass::Loss, Level::High));
        let expected = Faults::swarm().without(FaultClass::Crashes);
        check("swarm,crashes=off,cuts=low", expected.with(FaultClass::Cuts, Level::Low));
    }

    #[test]
    fn unknown_words_are_named() {
        for (text, word) in [("storms", "storms"), ("loss,", ""), ("loss=most", "loss=most")] {
            assert_eq!(Faults::parse(text), Err(word.to_owned()));
        }
    }
}
