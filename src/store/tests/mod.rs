//! The keyspace against a model: random histories, after which both must tell the same story.

mod model;
mod strings;
mod sweep;
