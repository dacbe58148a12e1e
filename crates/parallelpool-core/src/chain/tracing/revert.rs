//! What revert data says in Solidity's two standard errors (geth accounts/abi/abi.go, `UnpackRevert`).

use crate::primitives::U256;

/// Of `Error(string)`.
const ERROR: [u8; 4] = [0x08, 0xc3, 0x79, 0xa0];
/// Of `Panic(uint256)`.
const PANIC: [u8; 4] = [0x4e, 0x48, 0x7b, 0x71];

/// The reason, `None` for anything else.
pub(super) fn revert_reason(output: &[u8]) -> Option<String> {
    let (selector, body) = output.split_first_chunk::<4>()?;
    match *selector {
        ERROR => text(body),
        PANIC => Some(panic_reason(U256::from_be_slice(body.get(..32)?))),
        _ => None,
    }
}

fn text(body: &[u8]) -> Option<String> {
    let word = |start: usize| -> Option<usize> {
        usize::try_from(U256::from_be_slice(body.get(start..start.checked_add(32)?)?)).ok()
    };
    let offset = word(0)?;
    let length = word(offset)?;
    let start = offset.checked_add(32)?;
    let bytes = body.get(start..start.checked_add(length)?)?;
    let mut text = String::with_capacity(length);
    for chunk in bytes.utf8_chunks() {
        text += chunk.valid();
        // As in Go, one sign for each byte that is none.
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    Some(text)
}

fn panic_reason(code: U256) -> String {
    let known = match u64::try_from(code).unwrap_or(u64::MAX) {
        0x00 => "generic panic",
        0x01 => "assert(false)",
        0x11 => "arithmetic underflow or overflow",
        0x12 => "division or modulo by zero",
        0x21 => "enum overflow",
        0x22 => "invalid encoded storage byte array accessed",
        0x31 => "out-of-bounds array access; popping on an empty array",
        0x32 => "out-of-bounds access of an array or bytesN",
        0x41 => "out of memory",
        0x51 => "uninitialized function",
        _ => return format!("unknown panic code: {code:#x}"),
    };
    known.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &[u8]) -> Vec<u8> {
        let word = |value: usize| U256::from(value).to_be_bytes::<32>();
        [&ERROR[..], &word(32), &word(text.len()), text].concat()
    }

    #[test]
    fn reasons_are_read() {
        assert_eq!(revert_reason(&error(b"no funds")).as_deref(), Some("no funds"));
        assert_eq!(revert_reason(&error(b"\xff\xfe!")).as_deref(), Some("\u{fffd}\u{fffd}!"));
        let panic = |code: u8| [&PANIC[..], &[0; 31], &[code]].concat();
        assert_eq!(revert_reason(&panic(0x12)).as_deref(), Some("division or modulo by zero"));
        assert_eq!(revert_reason(&panic(0x77)).as_deref(), Some("unknown panic code: 0x77"));
    }

    #[test]
    fn data_that_says_nothing_has_no_reason() {
        let cut = &error(b"no funds")[..70];
        for data in [&b""[..], b"\x08\xc3", &ERROR, &PANIC, b"other data", cut] {
            assert_eq!(revert_reason(data), None);
        }
    }
}
