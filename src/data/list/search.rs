//! Looking for elements by value.

use super::List;

impl List {
    /// The indexes of elements that equal `value`, as LPOS finds them.
    ///
    /// `rank` 1 begins with the first match, 2 with the second; a negative rank
    /// looks from the end, -1 beginning with the last match (the indexes still
    /// count from the front). At most `count` indexes are returned, 0 meaning
    /// all, and at most `maxlen` elements are compared, 0 meaning all. A rank of
    /// 0, which LPOS refuses, is taken for 1.
    pub fn position(&self, value: &[u8], rank: i64, count: usize, maxlen: usize) -> Vec<usize> {
        // Redis negates the rank, and the least number is its own negative: the first match is far enough.
        let rank = if rank == i64::MIN { -1 } else { rank };
        let skip = usize::try_from(rank.unsigned_abs()).map_or(usize::MAX, |rank| rank.max(1) - 1);
        let most = if count == 0 { usize::MAX } else { count };
        let compared = if maxlen == 0 { usize::MAX } else { maxlen };
        let matches = |(index, element): (usize, &[u8])| (element == value).then_some(index);
        if rank < 0 {
            let last = self.len().saturating_sub(1);
            let found = self.range_rev(0, compared).enumerate().filter_map(matches);
            found.skip(skip).take(most).map(|index| last - index).collect()
        } else {
            let found = self.range(0, compared).enumerate().filter_map(matches);
            found.skip(skip).take(most).collect()
        }
    }

    /// The node of the first element that equals `value`, and its index there.
    pub(super) fn find(&self, value: &[u8]) -> Option<(usize, usize)> {
        let (front, back) = self.node_slices();
        let mut nodes = front.iter().chain(back).enumerate();
        nodes.find_map(|(at, node)| {
            let within = node.iter().position(|element| element == value)?;
            Some((at, within))
        })
    }
}
