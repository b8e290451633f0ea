//! How large a node may get, and which sizes the allocator really hands out.

/// The bound of one node of a list: bytes and elements.
///
/// It is Redis's `list-max-listpack-size`. A call that may open or fill a node
/// takes the limit as an argument, so that a change of the setting applies to
/// every node written from then on; what is there already stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeLimit {
    max_bytes: u32,
    max_count: u16,
}

/// The byte limits of the settings -1 to -5.
const LEVELS_BYTES: [u32; 5] = [4096, 8192, 16384, 32768, 65536];

/// The byte limit that holds beside a positive setting, which counts elements.
const SAFETY_LIMIT_BYTES: u32 = 8192;

impl NodeLimit {
    /// The limit that a value of `list-max-listpack-size` means: a positive
    /// number counts elements (0 counts as 1), -1 to -5 mean 4, 8, 16, 32 and
    /// 64 KiB, and anything below -5 means 64 KiB.
    pub fn from_listpack_size(setting: i64) -> Self {
        match usize::try_from(setting) {
            Ok(count) => Self {
                max_bytes: SAFETY_LIMIT_BYTES,
                max_count: u16::try_from(count.max(1)).unwrap_or(u16::MAX),
            },
            Err(_) => {
                let level = setting.unsigned_abs().min(LEVELS_BYTES.len() as u64) as usize;
                Self { max_bytes: LEVELS_BYTES[level - 1], max_count: u16::MAX }
            }
        }
    }

    /// The most bytes of a node with more than one element, separators included.
    pub fn max_bytes(self) -> usize {
        self.max_bytes as usize
    }

    /// The most elements of a node.
    pub fn max_count(self) -> usize {
        usize::from(self.max_count)
    }
}

impl Default for NodeLimit {
    /// Redis's default, -2: 8 KiB.
    fn default() -> Self {
        Self::from_listpack_size(-2)
    }
}

/// The bytes that jemalloc hands out when asked for `bytes`.
///
/// Its classes are 8, the multiples of 16 up to 128, and from there four to
/// every octave (jemalloc's manual, "Size classes"). A buffer that is grown
/// along them has no capacity that it pays for and does not see.
pub fn size_class(bytes: usize) -> usize {
    match bytes {
        0 => 0,
        1..=8 => 8,
        9..=128 => bytes.next_multiple_of(16),
        _ => bytes.next_multiple_of(1 << ((bytes - 1).ilog2() - 2)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_mean_what_they_mean_in_redis() {
        let of = |setting| {
            let limit = NodeLimit::from_listpack_size(setting);
            (limit.max_bytes(), limit.max_count())
        };
        assert_eq!(of(-1), (4096, 65535));
        assert_eq!(of(-2), (8192, 65535));
        assert_eq!(of(-5), (65536, 65535));
        assert_eq!(of(-6), (65536, 65535));
        assert_eq!(of(i64::MIN), (65536, 65535));
        assert_eq!(of(0), (8192, 1));
        assert_eq!(of(128), (8192, 128));
        assert_eq!(of(i64::MAX), (8192, 65535));
        assert_eq!(NodeLimit::default(), NodeLimit::from_listpack_size(-2));
    }

    #[test]
    fn classes_are_those_of_jemalloc() {
        let classes = [
            8, 16, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 640, 768, 896, 1024,
            1280, 1536, 1792, 2048, 2560, 3072, 3584, 4096, 5120, 6144, 7168, 8192, 10240, 12288, 14336,
            16384, 20480,
        ];
        let mut below = 0;
        for class in classes {
            assert_eq!(size_class(below + 1), class);
            assert_eq!(size_class(class), class);
            below = class;
        }
        assert_eq!(size_class(0), 0);
    }
}
