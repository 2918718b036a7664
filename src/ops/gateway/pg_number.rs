//! Floats and numerics as Postgres writes them. It rounds nothing.

use std::fmt::Write as _;

use super::pg_text::{Malformed, Reader};

/// `float4out` with the shortest exact digits.
pub fn write_float4(value: f32, out: &mut String) {
    write_float(f64::from(value), &format!("{value:e}"), 6, out);
}

/// `float8out` with the shortest exact digits.
pub fn write_float8(value: f64, out: &mut String) {
    write_float(value, &format!("{value:e}"), 15, out);
}

/// From Rust's shortest `d.ddde±x`: plain below 10^`plain_digits` and down to 10^-4, else with an exponent of
/// two digits or more, as `double_to_shortest_decimal_buf` does.
fn write_float(value: f64, shortest: &str, plain_digits: i32, out: &mut String) {
    if value.is_nan() {
        return out.push_str("NaN");
    }
    if value.is_sign_negative() {
        out.push('-');
    }
    if value.is_infinite() {
        return out.push_str("Infinity");
    }
    let (mantissa, exponent) = shortest.trim_start_matches('-').split_once('e').unwrap_or((shortest, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if exponent < -4 || exponent >= plain_digits {
        let _ = write!(out, "{mantissa}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs());
        return;
    }
    let mut digits = mantissa.chars().filter(|&c| c != '.');
    if exponent < 0 {
        out.push_str("0.");
        out.extend((1..-exponent).map(|_| '0'));
    } else {
        out.extend((0..=exponent).map(|_| digits.next().unwrap_or('0')));
        let Some(first) = digits.next() else { return };
        out.push('.');
        out.push(first);
    }
    out.extend(digits);
}

/// `numeric_out`: base-10,000 digits, the first worth 10,000^`weight`, shown to `scale` decimal places.
pub fn write_numeric(bytes: &mut Reader<'_>, out: &mut String) -> Result<(), Malformed> {
    let count = bytes.i16()?;
    let weight = bytes.i16()?;
    let sign = u16::from_be_bytes(bytes.array()?);
    let scale = usize::from(u16::from_be_bytes(bytes.array()?) & 0x3fff);
    match sign {
        0x0000 => {}
        0x4000 => out.push('-'),
        0xc000 => out.push_str("NaN"),
        0xd000 => out.push_str("Infinity"),
        0xf000 => out.push_str("-Infinity"),
        _ => return Err(Malformed),
    }
    let digits = (0..count).map(|_| bytes.i16()).collect::<Result<Vec<i16>, _>>()?;
    if !matches!(sign, 0x0000 | 0x4000) {
        return Ok(());
    }
    let digit = |place: i32| usize::try_from(place).ok().and_then(|p| digits.get(p)).copied().unwrap_or(0);
    let weight = i32::from(weight);
    if weight < 0 {
        out.push('0');
    }
    for place in 0..=weight {
        let _ = if place == 0 { write!(out, "{}", digit(0)) } else { write!(out, "{:04}", digit(place)) };
    }
    if scale > 0 {
        out.push('.');
        let end = out.len() + scale;
        let mut place = weight + 1;
        while out.len() < end {
            let _ = write!(out, "{:04}", digit(place));
            place += 1;
        }
        out.truncate(end);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::pg_text::Shape;
    use super::*;

    #[test]
    fn floats_switch_to_exponents_where_postgres_does() {
        for (value, expected) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.5, "1.5"),
            (-12345.678, "-12345.678"),
            (0.0001, "0.0001"),
            (0.00001234, "1.234e-05"),
            (1e14, "100000000000000"),
            (1e15, "1e+15"),
            (1.7976931348623157e308, "1.7976931348623157e+308"),
            (f64::NEG_INFINITY, "-Infinity"),
            (f64::NAN, "NaN"),
        ] {
            let mut out = String::new();
            write_float8(value, &mut out);
            assert_eq!(out, expected);
        }
        let mut out = String::new();
        write_float4(1_234_567.0, &mut out);
        assert_eq!(out, "1.234567e+06");
    }

    #[test]
    fn numerics_keep_their_scale() {
        let check = |words: &[i16], expected: &str| {
            let raw: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
            let mut out = String::new();
            Shape::Numeric.write_text(&raw, &mut out).unwrap();
            assert_eq!(out, expected);
        };
        check(&[0, 0, 0, 0], "0");
        check(&[0, 0, 0, 3], "0.000");
        check(&[2, 0, 0x4000, 2, 12, 3400], "-12.34");
        check(&[1, 1, 0, 0, 5], "50000");
        check(&[1, -2, 0, 8, 1], "0.00000001");
        check(&[0, 0, 0xc000_u16 as i16, 0], "NaN");
    }
}
