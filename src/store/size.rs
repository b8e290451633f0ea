//! The allocator's size classes, so that a value can grow in place into what was allocated anyway.

/// The size that an allocation of `bytes` really takes: jemalloc's classes, spaced by a quarter of
/// an octave above 128 bytes and by 16 bytes below.
///
/// Entries are allocated and freed with this rounded size, so that a value may change its length
/// within its class without moving and the layout given back is always the layout that was asked for.
#[inline]
pub const fn size_class(bytes: usize) -> usize {
    if bytes <= 8 {
        8
    } else if bytes <= 128 {
        (bytes + 15) & !15
    } else {
        // The octave's top bit, then four steps an octave.
        let step = 1usize << (usize::BITS - 1 - (bytes - 1).leading_zeros() - 2);
        (bytes + step - 1) & !(step - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::size_class;

    #[test]
    fn classes_are_jemallocs() {
        let classes = [
            8, 16, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 640, 768, 896, 1024,
            1280, 1536, 1792, 2048, 2560, 3072, 3584, 4096, 5120, 6144, 7168, 8192, 10240, 12288, 14336,
            16384, 20480,
        ];
        for pair in classes.windows(2) {
            assert_eq!(size_class(pair[0] + 1), pair[1]);
            assert_eq!(size_class(pair[1]), pair[1]);
        }
    }
}
