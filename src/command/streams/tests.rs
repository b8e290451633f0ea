//! What a client sees of streams, and what else their commands do.
