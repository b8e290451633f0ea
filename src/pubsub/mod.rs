//! Channels, patterns and sharded channels: who listens to what, and the way of a message to all of them.
//!
//! What lives here: the registry ([`PubSub`]), which a publisher reads and a subscriber changes, and the
//! [`Message`], which is encoded once for each protocol however many listen. What never does: sockets and
//! connections. A listener is a [`Subscriber`], which takes the encoded bytes into a mailbox and sees to it
//! that they leave.
//!
//! A publisher holds the registry's lock for reading while it fills mailboxes. So whoever has left a channel
//! gets nothing from it afterwards, and the messages of one publisher arrive in its order.

mod hub;
mod message;
mod monitor;

pub use hub::{Kind, Limit, PubSub, Subscriber};
pub use message::Message;
pub use monitor::Monitors;
