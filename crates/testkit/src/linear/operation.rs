//! One call of an object.

/// One call of an object and how it ended.
///
/// Times are of one clock that all callers share, in any unit; numbers of events in the order in
/// which they were seen will do. Operations that touch at one instant count as concurrent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Operation<Input, Output> {
    key: Option<String>,
    process: u64,
    called: u64,
    input: Input,
    /// Nothing if the caller never learned how it ended.
    end: Option<(u64, Output)>,
}

impl<Input, Output> Operation<Input, Output> {
    /// A call whose outcome is unknown: it took effect at any time since, or never will.
    pub fn called(process: u64, time: u64, input: Input) -> Self {
        Self { key: None, process, called: time, input, end: None }
    }

    /// The same call, answered.
    ///
    /// # Panics
    ///
    /// If `time` lies before the call.
    #[must_use]
    pub fn returned(self, time: u64, output: Output) -> Self {
        let called = self.called;
        assert!(called <= time, "called at {called}, so it cannot have returned at {time}");
        Self { end: Some((time, output)), ..self }
    }

    /// The same call, of the object with this key. Without one, all calls are of one object.
    #[must_use]
    pub fn of(self, key: impl Into<String>) -> Self {
        Self { key: Some(key.into()), ..self }
    }

    /// Which object was called.
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// Who called.
    pub fn process(&self) -> u64 {
        self.process
    }

    /// What was asked for.
    pub fn input(&self) -> &Input {
        &self.input
    }

    /// What was answered, if that is known.
    pub fn output(&self) -> Option<&Output> {
        self.end.as_ref().map(|(_, output)| output)
    }

    /// When it was called.
    pub fn call_time(&self) -> u64 {
        self.called
    }

    /// When it was answered, if it was.
    pub fn return_time(&self) -> Option<u64> {
        self.end.as_ref().map(|(time, _)| *time)
    }

    /// Whether both were under way at one time.
    pub fn is_concurrent_with(&self, other: &Self) -> bool {
        let begins_in_time = |left: &Self, right: &Self| {
            right.return_time().is_none_or(|returned| left.called <= returned)
        };
        begins_in_time(self, other) && begins_in_time(other, self)
    }
}
