//! Histories of clients that really use one object at a time, of any length.

use quorate_testkit::linear::{Model, Operation};
use quorate_testkit::rng::Stream;

/// What a generated history is like.
pub(crate) struct Shape {
    pub(crate) clients: usize,
    pub(crate) operations: usize,
    /// How many in a million are never answered.
    pub(crate) unanswered_ppm: u64,
    /// The longest time from call to effect and from effect to return, where 1,000 is the longest
    /// pause between two calls of a client.
    pub(crate) half_max: u64,
}

/// A call on its way.
struct Call<I> {
    client: usize,
    called: u64,
    effect: u64,
    /// Nothing if it is never answered.
    returned: Option<u64>,
    input: I,
}

/// Clients call; each call takes effect at one moment before its return, so there is an order.
/// `answer` carries out a call.
pub(crate) fn history<M: Model>(
    random: &mut Stream,
    shape: &Shape,
    mut draw: impl FnMut(&mut Stream, usize) -> M::Input,
    mut answer: impl FnMut(&M::Input) -> M::Output,
) -> Vec<Operation<M::Input, M::Output>> {
    let mut free_at = vec![0_u64; shape.clients];
    let mut calls = Vec::with_capacity(shape.operations);
    for number in 0..shape.operations {
        // Whoever is free first calls next.
        let client = (0..shape.clients).min_by_key(|client| free_at[*client]).expect("one");
        let called = free_at[client] + 1 + random.below(1_000);
        let effect = called + 1 + random.below(shape.half_max);
        let returned = effect + 1 + random.below(shape.half_max);
        let is_lost = random.chance(shape.unanswered_ppm);
        // Some of the unanswered ones take effect long after, some never.
        let effect = match (is_lost, random.below(3)) {
            (false, _) | (true, 0) => effect,
            (true, 1) => effect + random.below(20 * shape.half_max),
            (true, _) => u64::MAX,
        };
        free_at[client] = returned;
        let returned = (!is_lost).then_some(returned);
        calls.push(Call { client, called, effect, returned, input: draw(random, number) });
    }
    calls.sort_by_key(|call| call.effect);
    let mut history: Vec<_> = calls
        .into_iter()
        .map(|call| {
            let output = (call.effect < u64::MAX).then(|| answer(&call.input));
            let operation = Operation::called(call.client as u64, call.called, call.input);
            match (call.returned, output) {
                (Some(returned), Some(output)) => operation.returned(returned, output),
                _ => operation,
            }
        })
        .collect();
    history.sort_by_key(Operation::call_time);
    history
}
