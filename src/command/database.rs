//! The number of a database among a command's arguments.

use super::CommandError;

/// Reads the number of one of `databases` databases.
///
/// # Errors
///
/// Not an integer, not one of 32 bits, or no database of the server's.
pub fn parse_database(text: &[u8], databases: usize) -> Result<usize, CommandError> {
    let number = crate::data::parse_i64(text).ok_or(CommandError::NotInteger)?;
    if i32::try_from(number).is_err() {
        return Err(CommandError::fixed(
            "ERR value is out of range, value must between -2147483648 and 2147483647",
        ));
    }
    match usize::try_from(number) {
        Ok(number) if number < databases => Ok(number),
        _ => Err(CommandError::DatabaseOutOfRange),
    }
}
