//! The integers of a small set: sorted, all of one width (Redis's intset).

use crate::data::list::size_class;

/// Sorted integers of two, four or eight bytes each: as wide as the widest one
/// has needed so far.
#[derive(Debug, Clone)]
pub enum Ints {
    /// Two bytes each.
    Two(Vec<i16>),
    /// Four bytes each.
    Four(Vec<i32>),
    /// Eight bytes each.
    Eight(Vec<i64>),
}

/// Runs the same expression on the vector of whatever width.
macro_rules! each_width {
    ($ints:expr, $vec:ident => $result:expr) => {
        match $ints {
            Ints::Two($vec) => $result,
            Ints::Four($vec) => $result,
            Ints::Eight($vec) => $result,
        }
    };
}

impl Ints {
    /// No integers, no memory.
    pub const fn new() -> Self {
        Self::Two(Vec::new())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        each_width!(self, ints => ints.len())
    }

    /// The one at `index` in ascending order.
    pub fn get(&self, index: usize) -> Option<i64> {
        each_width!(self, ints => ints.get(index).map(|&int| i64::from(int)))
    }

    /// Whether `value` is among them.
    pub fn contains(&self, value: i64) -> bool {
        each_width!(self, ints => search(ints, value).is_ok())
    }

    /// Adds `value`; false when it was there.
    pub fn insert(&mut self, value: i64) -> bool {
        self.widen_for(value);
        each_width!(self, ints => insert(ints, value))
    }

    /// Takes `value` out; false when it was not there.
    pub fn remove(&mut self, value: i64) -> bool {
        each_width!(self, ints => match search(ints, value) {
            Ok(at) => {
                take(ints, at);
                true
            }
            Err(_) => false,
        })
    }

    /// Takes the one at `index`, which has to be there.
    pub fn remove_at(&mut self, index: usize) -> i64 {
        each_width!(self, ints => i64::from(take(ints, index)))
    }

    /// The bytes that they own on the heap.
    pub fn memory_usage(&self) -> usize {
        each_width!(self, ints => size_class(ints.capacity() * width(ints)))
    }

    fn widen_for(&mut self, value: i64) {
        match self {
            Self::Two(ints) if i16::try_from(value).is_err() => {
                *self = match i32::try_from(value) {
                    Ok(_) => Self::Four(ints.iter().map(|&int| int.into()).collect()),
                    Err(_) => Self::Eight(ints.iter().map(|&int| int.into()).collect()),
                };
            }
            Self::Four(ints) if i32::try_from(value).is_err() => {
                *self = Self::Eight(ints.iter().map(|&int| int.into()).collect());
            }
            _ => {}
        }
    }
}

fn width<T>(_: &[T]) -> usize {
    size_of::<T>()
}

/// Where `value` is, or where it would have to stand.
fn search<T: Copy + Into<i64>>(ints: &[T], value: i64) -> Result<usize, usize> {
    match ints.last() {
        Some(&last) if last.into() < value => Err(ints.len()),
        _ => ints.binary_search_by(|&int| int.into().cmp(&value)),
    }
}

fn insert<T: Copy + Into<i64> + TryFrom<i64>>(ints: &mut Vec<T>, value: i64) -> bool {
    // The width has been made to fit, so the second `Err` is never taken.
    let (Err(at), Ok(int)) = (search(ints, value), T::try_from(value)) else {
        return false;
    };
    if ints.len() == ints.capacity() {
        let room = size_class((ints.len() + 1) * size_of::<T>()) / size_of::<T>();
        ints.reserve_exact(room - ints.len());
    }
    ints.insert(at, int);
    true
}

fn take<T: Copy>(ints: &mut Vec<T>, at: usize) -> T {
    let int = ints.remove(at);
    if ints.len() < ints.capacity() / 4 {
        ints.shrink_to(ints.len() * 2);
    }
    int
}
