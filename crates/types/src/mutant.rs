//! The macro that builds known bugs in, where somebody ordered them.

/// Gives the first expression. With the feature `mutants` it gives the second one instead while the
/// named mutant is selected (see the module `mutants`, which that feature adds); without the
/// feature the second expression is not compiled at all.
///
/// A block alone is carried out only by the mutant.
///
/// ```
/// use quorate_types::mutant;
/// let mut limit = mutant!(M38a, 10, 9);
/// mutant!(M38b, { limit = 0 });
/// assert_eq!(limit, 10);
/// # limit += 1;
/// ```
#[cfg(not(feature = "mutants"))]
#[macro_export]
macro_rules! mutant {
    ($id:ident, $mutation:block) => {};
    ($id:ident, $good:expr, $bad:expr) => {
        $good
    };
}

/// Gives the first expression. With the feature `mutants` it gives the second one instead while the
/// named mutant is selected (see the module [`mutants`](crate::mutants)); without the feature the
/// second expression is not compiled at all.
///
/// A block alone is carried out only by the mutant.
///
/// ```
/// use quorate_types::mutant;
/// let mut limit = mutant!(M38a, 10, 9);
/// mutant!(M38b, { limit = 0 });
/// assert_eq!(limit, 10);
/// # limit += 1;
/// ```
#[cfg(feature = "mutants")]
#[macro_export]
macro_rules! mutant {
    ($id:ident, $mutation:block) => {
        if $crate::mutants::take($crate::mutants::Mutant::$id) {
            $mutation
        }
    };
    ($id:ident, $good:expr, $bad:expr) => {
        if $crate::mutants::take($crate::mutants::Mutant::$id) { $bad } else { $good }
    };
}
