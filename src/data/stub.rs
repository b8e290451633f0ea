//! stub
macro_rules! stub {
    ($n:ident) => {
        #[derive(Clone, Debug, Default)]
        pub struct $n(Vec<Vec<u8>>);
        impl $n {
            pub fn len(&self) -> usize {
                self.0.len()
            }
            pub fn is_empty(&self) -> bool {
                self.0.is_empty()
            }
            pub fn memory_usage(&self) -> usize {
                0
            }
            pub fn encoding(&self) -> &'static str {
                "x"
            }
        }
    };
}
stub!(Set);
stub!(Hash);
stub!(SortedSet);
