//! What a client sees of XREAD and XREADGROUP.
