//! Hints to the processor to fetch a cache line before it is needed.
#![allow(unsafe_code)]

use crate::data::ahead::Stretch;

/// Asks for the cache line at `address`. Any address is allowed: a prefetch never faults and
/// reads nothing as far as the program can tell.
#[inline(always)]
pub fn read(address: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch instruction does not access memory in the language's sense and cannot fault.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(address.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

/// Asks for all lines of a stretch, and of 41 bytes at least: a search may go on behind what it began with.
#[inline]
pub fn read_all(stretch: Stretch) {
    const LINE: usize = 64;
    let last = stretch.bytes.max(41) - 1;
    for at in (0..last).step_by(LINE) {
        read(stretch.address.wrapping_add(at));
    }
    read(stretch.address.wrapping_add(last));
}
